//! Names of an sdbox account.

/// The index extension that holds the mailbox's header.
pub const HEADER: &str = "dbox-hdr";

/// The name of a message's file.
pub fn file_name(uid: u32) -> String {
    format!("u.{uid}")
}

/// The UID in the name of a message's file.
pub fn uid_of(name: &[u8]) -> Option<u32> {
    let digits = std::str::from_utf8(name.strip_prefix(b"u.")?).ok()?;
    let canonical = !digits.starts_with(['0', '+']);
    digits.parse().ok().filter(|_| canonical)
}
