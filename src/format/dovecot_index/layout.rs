//! Byte layouts of index, log and cache; all little endian.

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Where the smallest base header ends that we can use: after `log_file_head_offset`.
pub const BASE_HEADER_LEAST: usize = 72;
/// A record's UID and flags; extension fields start here.
pub const RECORD_FIELDS_AT: usize = 5;
/// A record is shorter than this, whatever its extensions.
pub const RECORD_MOST: usize = 32768;
/// The log header of the oldest versions.
pub const LOG_HEADER_LEAST: usize = 24;
/// The bit in the compat flags that says little endian.
pub const LITTLE_ENDIAN: u8 = 1;
/// Bytes of a cache record at most.
pub const CACHE_RECORD_MOST: usize = 64 * 1024;
/// A cache file is shorter than this.
pub const CACHE_MOST: u64 = 1 << 30;

/// The extension that holds keyword names and bits.
pub const KEYWORDS: &str = "keywords";
/// The extension that points into the cache.
pub const CACHE: &str = "cache";
/// The extension that counts virtual bytes for quotas: u64 bytes, u32 highest UID, u32 messages.
pub const VSIZE_HEADER: &str = "hdr-vsize";
/// The extension that holds modification sequences.
pub const MODSEQ: &str = "modseq";

/// Flag bits of a record that are counted in the header.
pub const SEEN: u8 = 0x08;
/// See [`SEEN`].
pub const DELETED: u8 = 0x04;
/// The five flags a client sees.
pub const CLIENT_FLAGS: u8 = 0x1f;

/// Kinds of log records: the low 28 bits of [`RecordHeader::kind`].
pub mod kind {
    pub const MASK: u32 = 0x0fff_ffff;
    /// Already happened in the storage; without it, an expunge is only a request.
    pub const EXTERNAL: u32 = 0x1000_0000;
    /// Guards expunges against bit errors.
    pub const GUARD: u32 = 0xcd90;
    pub const EXPUNGE_BARE: u32 = 0x1;
    pub const EXPUNGE: u32 = EXPUNGE_BARE | GUARD;
    pub const APPEND: u32 = 0x2;
    pub const FLAG_UPDATE: u32 = 0x4;
    pub const HEADER_UPDATE: u32 = 0x20;
    pub const EXT_INTRO: u32 = 0x40;
    pub const EXT_RESET: u32 = 0x80;
    pub const EXT_HEADER_UPDATE: u32 = 0x100;
    pub const EXT_RECORD_UPDATE: u32 = 0x200;
    pub const KEYWORD_UPDATE: u32 = 0x400;
    pub const KEYWORD_RESET: u32 = 0x800;
    pub const EXT_ATOMIC_INC: u32 = 0x1000;
    pub const EXPUNGE_GUID_BARE: u32 = 0x2000;
    pub const EXPUNGE_GUID: u32 = EXPUNGE_GUID_BARE | GUARD;
    pub const MODSEQ_UPDATE: u32 = 0x8000;
    pub const EXT_HEADER_UPDATE_32: u32 = 0x1_0000;
    pub const INDEX_DELETED: u32 = 0x2_0000;
    pub const INDEX_UNDELETED: u32 = 0x4_0000;
    pub const BOUNDARY: u32 = 0x8_0000;
    pub const ATTRIBUTE_UPDATE: u32 = 0x10_0000;

    /// True for what a server writes.
    pub const fn is_known(kind: u32) -> bool {
        let others = matches!(
            kind,
            EXPUNGE
                | APPEND
                | FLAG_UPDATE
                | HEADER_UPDATE
                | KEYWORD_UPDATE
                | KEYWORD_RESET
                | EXPUNGE_GUID
                | MODSEQ_UPDATE
                | INDEX_DELETED
                | INDEX_UNDELETED
                | BOUNDARY
                | ATTRIBUTE_UPDATE
        );
        others || is_of_extension(kind)
    }

    /// True for what changes an extension, other than a keyword.
    pub const fn is_of_extension(kind: u32) -> bool {
        matches!(
            kind,
            EXT_INTRO
                | EXT_RESET
                | EXT_HEADER_UPDATE
                | EXT_HEADER_UPDATE_32
                | EXT_RECORD_UPDATE
                | EXT_ATOMIC_INC
        )
    }
}

/// The first 120 bytes of `dovecot.index`.
///
/// Source: Dovecot 2.4, `mail-index.h`, `struct mail_index_header`.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
#[expect(clippy::struct_field_names, reason = "the format's own word")]
pub struct BaseHeader {
    /// +0: 7.
    pub major_version: u8,
    /// +1: 3 since 2.2.
    pub minor_version: u8,
    /// +2: 120; a shorter one ends in zeros, of a longer one the rest is stepped over.
    pub base_header_size: U16,
    /// +4: base and extension headers; records start here.
    pub header_size: U32,
    /// +8: of one message.
    pub record_size: U32,
    /// +12: bit 0 says little endian.
    pub compat_flags: u8,
    /// +13
    pub unused_1: [u8; 3],
    /// +16: ties index, log and cache together.
    pub indexid: U32,
    /// +20: 2 = some records are dirty, 4 = was repaired by Dovecot.
    pub flags: U32,
    /// +24: zero only in a new mailbox.
    pub uid_validity: U32,
    /// +28: above every UID.
    pub next_uid: U32,
    /// +32: records.
    pub messages_count: U32,
    /// +36
    pub unused_2: U32,
    /// +40: must be exact.
    pub seen_messages_count: U32,
    /// +44: must be exact.
    pub deleted_messages_count: U32,
    /// +48: this UID and later ones are recent.
    pub first_recent_uid: U32,
    /// +52: none below is unseen.
    pub first_unseen_uid_lowwater: U32,
    /// +56: none below is deleted.
    pub first_deleted_uid_lowwater: U32,
    /// +60: the log that goes on from here.
    pub log_file_seq: U32,
    /// +64: up to here the log's requests are done in the storage.
    pub log_file_tail_offset: U32,
    /// +68: up to here the log is in this file.
    pub log_file_head_offset: U32,
    /// +72
    pub unused_3: U32,
    /// +76: all ones = there is no `.log.2`.
    pub log2_rotate_time: U32,
    /// +80: when Dovecot looked for leftover files.
    pub last_temp_file_scan: U32,
    /// +84: midnight of the last day on which messages came.
    pub day_stamp: U32,
    /// +88: first UID of that day and of the seven before.
    pub day_first_uid: [U32; 8],
}
const _: () = assert!(size_of::<BaseHeader>() == 120);

/// What stands before the name and the data of an extension, at a multiple of 8.
///
/// Source: Dovecot 2.4, `mail-index.h`, `struct mail_index_ext_header`.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct ExtHeader {
    /// +0: bytes of header data, without padding.
    pub hdr_size: U32,
    /// +4: changes made for another one are void.
    pub reset_id: U32,
    /// +8: where the field is in a record.
    pub record_offset: U16,
    /// +10: bytes of the field.
    pub record_size: U16,
    /// +12: zero only without a field.
    pub record_align: U16,
    /// +14: bytes of the name that follows.
    pub name_size: U16,
}
const _: () = assert!(size_of::<ExtHeader>() == 16);

/// The start of `dovecot.index.log`.
///
/// Source: Dovecot 2.4, `mail-transaction-log.h`, `struct mail_transaction_log_header`.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct LogHeader {
    /// +0: 1.
    pub major_version: u8,
    /// +1: 3 since 2.2.
    pub minor_version: u8,
    /// +2: 40, at least 24; records start here.
    pub hdr_size: U16,
    /// +4: that of the index; 0 = given up by the server.
    pub indexid: U32,
    /// +8: counts the logs of this index.
    pub file_seq: U32,
    /// +12: the log before; 0 = starts from an empty mailbox.
    pub prev_file_seq: U32,
    /// +16: where the log before ended.
    pub prev_file_offset: U32,
    /// +20: when it was made.
    pub create_stamp: U32,
    /// +24: the mailbox's highest modseq at the start; 0 = not counted.
    pub initial_modseq: U64,
    /// +32: bit 0 says little endian, since minor 2.
    pub compat_flags: u8,
    /// +33
    pub unused_1: [u8; 3],
    /// +36
    pub unused_2: U32,
}
const _: () = assert!(size_of::<LogHeader>() == 40);

/// What stands before the body of each log record.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct RecordHeader {
    /// +0: [`decode_offset`] of it is the whole record's size.
    pub size: [u8; 4],
    /// +4: one of [`kind`], and flag bits.
    pub kind: U32,
}
const _: () = assert!(size_of::<RecordHeader>() == 8);

/// A message that came, and how a record of the index starts.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Append {
    /// +0
    pub uid: U32,
    /// +4
    pub flags: u8,
    /// +5
    pub unused: [u8; 3],
}
const _: () = assert!(size_of::<Append>() == 8);

/// UIDs from one to the other, both of them in.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct UidRange {
    /// +0
    pub uid1: U32,
    /// +4
    pub uid2: U32,
}
const _: () = assert!(size_of::<UidRange>() == 8);

/// An expunge that says which message it means.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct ExpungeGuid {
    /// +0
    pub uid: U32,
    /// +4: the message's GUID in its 16-byte form.
    pub guid: [u8; 16],
}
const _: () = assert!(size_of::<ExpungeGuid>() == 20);

/// A change of flags.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct FlagUpdate {
    /// +0
    pub range: UidRange,
    /// +8: bits to set.
    pub add: u8,
    /// +9: bits to clear, before the others are set.
    pub remove: u8,
    /// +10: counts as a change although no client sees it.
    pub modseq_inc: u8,
    /// +11
    pub unused: u8,
}
const _: () = assert!(size_of::<FlagUpdate>() == 12);

/// Selects, makes or resizes an extension; its name follows.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct ExtIntro {
    /// +0: position in the list of extensions, or all ones = by name.
    pub ext_id: U32,
    /// +4
    pub reset_id: U32,
    /// +8: bytes of header data.
    pub hdr_size: U32,
    /// +12
    pub record_size: U16,
    /// +14
    pub record_align: U16,
    /// +16: 1 = sizes do not shrink.
    pub flags: U16,
    /// +18
    pub name_size: U16,
}
const _: () = assert!(size_of::<ExtIntro>() == 20);

/// Adds to a number in an extension field.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct AtomicInc {
    /// +0
    pub uid: U32,
    /// +4
    pub diff: zerocopy::little_endian::I32,
}
const _: () = assert!(size_of::<AtomicInc>() == 8);

/// Raises a modseq.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct ModseqUpdate {
    /// +0: 0 = of the mailbox only.
    pub uid: U32,
    /// +4
    pub low: U32,
    /// +8
    pub high: U32,
}
const _: () = assert!(size_of::<ModseqUpdate>() == 12);

/// One name in the header data of `keywords`.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct KeywordSlot {
    /// +0
    pub unused: U32,
    /// +4: counted from the first name.
    pub name_offset: U32,
}
const _: () = assert!(size_of::<KeywordSlot>() == 8);

/// The start of `dovecot.index.cache`.
///
/// Source: Dovecot 2.4, `mail-cache-private.h`, `struct mail_cache_header`.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct CacheHeader {
    /// +0: 1.
    pub major_version: u8,
    /// +1: 8.
    pub sizeof_uoff_t: u8,
    /// +2: 1 since 2.3.
    pub minor_version: u8,
    /// +3
    pub unused: u8,
    /// +4: that of the index.
    pub indexid: U32,
    /// +8: the `reset_id` of the index extension `cache`.
    pub file_seq: U32,
    /// +12: records that go on from an older one.
    pub continued_record_count: U32,
    /// +16: messages with a record.
    pub record_count: U32,
    /// +20: size of the file, not relied on.
    pub used_file_size: U32,
    /// +24
    pub deleted_record_count: U32,
    /// +28: [`decode_offset`] of it is where the first field header is.
    pub field_header_offset: [u8; 4],
}
const _: () = assert!(size_of::<CacheHeader>() == 32);

/// The start of a field header in the cache.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct FieldHeader {
    /// +0: encoded; where the next, newer one is; 0 = this is the last.
    pub next_offset: [u8; 4],
    /// +4: of this header, without padding.
    pub size: U32,
    /// +8
    pub fields_count: U32,
}
const _: () = assert!(size_of::<FieldHeader>() == 12);

/// The start of a cache record.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct CacheRecord {
    /// +0: an older record of the same message, or 0.
    pub prev_offset: U32,
    /// +4: of the whole record.
    pub size: U32,
}
const _: () = assert!(size_of::<CacheRecord>() == 8);

/// Reads an offset of four groups of seven bits; `None` where it is not wholly written.
pub fn decode_offset(bytes: [u8; 4]) -> Option<u32> {
    let whole = bytes.iter().all(|byte| byte & 0x80 != 0);
    let joined = bytes
        .iter()
        .fold(0, |sum, byte| sum << 7 | u32::from(byte & 0x7f));
    whole.then_some(joined << 2)
}

/// Writes an offset that is a multiple of 4 below 2^30.
pub fn encode_offset(offset: u32) -> [u8; 4] {
    let group = |shift: u32| 0x80 | (offset >> (2 + shift) & 0x7f) as u8;
    [group(21), group(14), group(7), group(0)]
}
