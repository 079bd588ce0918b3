//! Names and layouts of an mdbox account.

use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

pub use crate::format::dbox::{GUIDS as GUID, STORAGE};

/// The map: an index whose UIDs are map UIDs.
pub const MAP: &str = "dovecot.map.index";
/// Its log.
pub const MAP_LOG: &str = "dovecot.map.index.log";
/// The index extension that holds a mailbox's header; its first word is the map's UIDVALIDITY.
pub const HEADER: &str = "mdbox-hdr";
/// The index extension that says where a message is: [`MailRecord`].
pub const MAIL: &str = "mdbox";
/// The map's extension that says where a stored message is: [`MapHeader`], [`MapRecord`].
pub const MAP_PLACE: &str = "map";
/// The map's extension that counts the messages that share a stored one: [`RefRecord`].
pub const MAP_REF: &str = "ref";
/// More messages do not share a stored one; the next gets a copy of its own.
pub const MOST_REFS: u16 = 32_768;

/// Header data of the map's extension `map`: 8 bytes.
///
/// Source: Dovecot 2.3, `mdbox-map.h`, `struct mdbox_map_mail_index_header`.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct MapHeader {
    /// +0: no storage file has a higher number.
    pub highest_file_id: U32,
    /// +4: how often the storage was rebuilt.
    pub rebuild_count: U32,
}
const _: () = assert!(size_of::<MapHeader>() == 8);

/// One record of the map's extension `map`: 12 bytes.
///
/// Source: Dovecot 2.3, `mdbox-map.h`, `struct mdbox_map_mail_index_record`.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct MapRecord {
    /// +0: `n` of the storage file `m.<n>`.
    pub file_id: U32,
    /// +4: where the message header starts in that file.
    pub offset: U32,
    /// +8: bytes to the next message; 0 means "to the end of the file".
    pub size: U32,
}
const _: () = assert!(size_of::<MapRecord>() == 12);

/// One record of the map's extension `ref`: how many messages share the stored one; 0 = purgeable.
pub type RefRecord = U16;

/// One record of the index extension `mdbox`: 8 bytes.
///
/// Source: Dovecot 2.3, `mdbox-storage.h`, `struct mdbox_mail_index_record`.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct MailRecord {
    /// +0: which stored message.
    pub map_uid: U32,
    /// +4: when it came into the mailbox.
    pub save_date: U32,
}
const _: () = assert!(size_of::<MailRecord>() == 8);

/// The name of a storage file begins so, and its number follows.
pub const FILE: &str = "m.";

/// The name of a storage file.
pub fn file_name(id: u32) -> String {
    format!("{FILE}{id}")
}

/// The number in the name of a storage file.
pub fn id_of(name: &[u8]) -> Option<u32> {
    let digits = std::str::from_utf8(name.strip_prefix(FILE.as_bytes())?).ok()?;
    let canonical = !digits.starts_with(['0', '+']);
    digits.parse().ok().filter(|_| canonical)
}
