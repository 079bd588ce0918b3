//! How the process gets its memory.

/// What is larger is given back as soon as it is not needed, and leaves no hole that stays.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const GIVEN_BACK: i32 = 1 << 20;
/// So much may lie idle at the end of a heap: to give every bit back and to ask for it again costs a page
/// fault for each page.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const IDLE: i32 = 4 << 20;

/// glibc learns from what a program gives back, and keeps ever larger pieces for later: with the lists of
/// large mailboxes that is a quarter of all memory. Fixed limits keep it from learning.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(
    unsafe_code,
    reason = "mallopt has no safe form; the argument is below"
)]
pub fn give_back() {
    // SAFETY: mallopt takes two numbers and may be called at any time; both are called before there is a
    // second thread.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, GIVEN_BACK);
        libc::mallopt(libc::M_TRIM_THRESHOLD, IDLE);
    }
}

/// Other allocators have other ways.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn give_back() {}
