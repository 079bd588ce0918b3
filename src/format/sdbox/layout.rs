//! Names and layouts of an sdbox account.

use zerocopy::little_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Holds the mailbox tree.
pub const MAILBOXES: &str = "mailboxes";
/// Makes a directory a mailbox.
pub const MAILS: &str = "dbox-Mails";
/// The index.
pub const INDEX: &str = "dovecot.index";
/// Its log.
pub const LOG: &str = "dovecot.index.log";
/// Its cache.
pub const CACHE: &str = "dovecot.index.cache";
/// The cache field that holds saved dates.
pub const DATE_SAVE: &str = "date.save";
/// A look that never ages: without it the server forgets the field after two idle months.
pub const ALWAYS_FRESH: u32 = 0xffff_fffe;

/// Header data of the index extension `dbox-hdr`: 24 bytes.
///
/// Source: Dovecot 2.3, `sdbox-storage.h`, `struct sdbox_index_header`.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct DboxHeader {
    /// +0: how often the mailbox was rebuilt.
    pub rebuild_count: U32,
    /// +4: the mailbox's identity.
    pub mailbox_guid: [u8; 16],
    /// +20: [`HAVE_POP3_UIDLS`], [`HAVE_POP3_ORDERS`].
    pub flags: u8,
    /// +21: zero.
    pub unused: [u8; 3],
}
const _: () = assert!(size_of::<DboxHeader>() == 24);

/// Some message may have a `P` key.
pub const HAVE_POP3_UIDLS: u8 = 1;
/// Some message may have an `O` key.
pub const HAVE_POP3_ORDERS: u8 = 2;

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
