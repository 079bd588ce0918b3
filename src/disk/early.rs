//! Begins to write to the device what is still only in memory, while there is other work to do.
//!
//! The system itself begins late, and a run that ends with a sync would wait for nearly all of it.

use super::NewFile;

impl NewFile {
    /// The device begins to write what the file has so far; nobody waits for it, and nothing is promised: a
    /// failure shows at the sync.
    pub fn write_early(&self) {
        begin(self.raw());
    }
}

#[cfg(target_os = "linux")]
#[expect(
    unsafe_code,
    reason = "sync_file_range has no safe form; the argument is below"
)]
fn begin(file: std::os::fd::BorrowedFd<'_>) {
    use std::os::fd::AsRawFd;
    // SAFETY: the call takes four numbers and touches no memory of ours; the file is open as long as it is
    // borrowed.
    unsafe {
        libc::sync_file_range(file.as_raw_fd(), 0, 0, libc::SYNC_FILE_RANGE_WRITE);
    }
}

/// Other systems have no such call.
#[cfg(not(target_os = "linux"))]
fn begin(_: std::os::fd::BorrowedFd<'_>) {}
