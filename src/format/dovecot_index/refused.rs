//! What a server takes for damage and drops the whole file for, though all that is in it can be read.
//!
//! Source: Dovecot 2.3, `mail-index-map-hdr.c`, `mail-index-map.c`, `mail-transaction-log-file.c`.

use std::ops::Range;

use bstr::ByteSlice;
use zerocopy::little_endian::U32;

use super::base::Map;
use super::layout::{BaseHeader, ExtHeader, ExtIntro, LITTLE_ENDIAN, LOG_HEADER_LEAST, LogHeader};
use crate::bytes::Decode;

/// The flag by which a server says that it gave the index up.
const CORRUPTED: u32 = 1;
/// Older headers may not say who is recent.
const TELLS_RECENT: u8 = 1;
/// Older logs do not say who wrote them.
const TELLS_COMPAT: u8 = 2;
/// The widest alignment.
const ALIGN_MOST: u16 = 8;

/// Bytes of the base header that no log changes, as a server writes them into the index itself: version to indexid,
/// counts, log and head offset.
const FIXED: [Range<usize>; 5] = [0..20, 32..36, 40..48, 60..64, 68..72];

/// True for bytes of the base header that a log may change.
pub(super) fn may_change(header: &BaseHeader, offset: usize, size: usize) -> bool {
    // A mailbox that began with this log has the header of today.
    let end = usize::from(header.base_header_size.get()).max(size_of::<BaseHeader>());
    let is_fixed = |fixed: &Range<usize>| offset < fixed.end && offset + size > fixed.start;
    offset < end && offset + size <= end && !FIXED.iter().any(is_fixed)
}

/// Notes what is wrong with the base header.
pub(super) fn judge(map: &mut Map) {
    let header = &map.header;
    let mut refused = Vec::new();
    refused.extend(compat(header.compat_flags, 12));
    if header.flags.get() & CORRUPTED != 0 {
        refused.push(decode(20, "flags", "a server gave it up".into()));
    }
    if header.uid_validity == 0 && header.next_uid != 1 {
        refused.push(decode(24, "UIDVALIDITY", "is 0".into()));
    }
    if header.minor_version >= TELLS_RECENT && header.first_recent_uid == 0 {
        refused.push(decode(48, "first recent UID", "is 0".into()));
    }
    refused.extend(marks(header));
    map.refused.append(&mut refused);
}

/// UIDs in the header that none may be above.
fn marks(header: &BaseHeader) -> impl Iterator<Item = Decode> {
    let next = header.next_uid;
    let marks: [(u64, &'static str, U32); 3] = [
        (48, "first recent UID", header.first_recent_uid),
        (52, "first unseen UID", header.first_unseen_uid_lowwater),
        (56, "first deleted UID", header.first_deleted_uid_lowwater),
    ];
    let above = marks.into_iter().filter(move |(.., uid)| *uid > next);
    above.map(move |(at, field, uid)| decode(at, field, format!("{uid} is above next_uid {next}")))
}

/// What is wrong with the field of an extension.
pub(super) fn extension(header: &ExtHeader, record_size: u32) -> Option<String> {
    let (at, size) = (header.record_offset.get(), header.record_size.get());
    let align = header.record_align.get();
    if size == 0 {
        return (header.hdr_size == 0).then(|| "has neither header nor field".into());
    }
    let is_aligned = (1..=ALIGN_MOST).contains(&align)
        && at.is_multiple_of(align)
        && record_size.is_multiple_of(align.into());
    (!is_aligned).then(|| format!("is not aligned by {align}"))
}

/// What is wrong with an introduction in a log.
pub(super) fn intro(intro: &ExtIntro, name: &[u8]) -> Option<String> {
    let is_usual = |byte: &u8| byte.is_ascii_alphanumeric() || b" -_".contains(byte);
    if !name.iter().all(is_usual) {
        return Some(format!("no extension is called {:?}", name.as_bstr()));
    }
    let (size, align) = (intro.record_size.get(), intro.record_align.get());
    let is_one = match size {
        0 => intro.hdr_size != 0,
        _ => (1..=ALIGN_MOST).contains(&align),
    };
    (!is_one).then(|| format!("a field of {size} bytes, aligned by {align}, can be none"))
}

/// What is wrong with the place in a log up to which modseqs are counted; a server stumbles over it.
pub(super) fn modseqs(header: &[u8], newest: u32) -> Option<String> {
    let number = |at: usize| Some(u32::from_le_bytes(*header.get(at..)?.first_chunk()?));
    let (seq, offset) = (number(8)?, number(12)?);
    let is_place = match seq {
        0 => offset == 0,
        _ => seq <= newest && offset as usize >= LOG_HEADER_LEAST,
    };
    (!is_place)
        .then(|| format!("modseqs are counted up to byte {offset} of log {seq}, which is none"))
}

/// What is wrong with the header of a log.
pub(super) fn log(header: &LogHeader) -> Option<Decode> {
    if header.minor_version < TELLS_COMPAT {
        return None;
    }
    compat(header.compat_flags, 32)
}

fn compat(flags: u8, at: u64) -> Option<Decode> {
    let why = || format!("{flags:#x} is not known, only {LITTLE_ENDIAN:#x} is");
    (flags != LITTLE_ENDIAN).then(|| decode(at, "compat flags", why()))
}

fn decode(at: u64, field: &'static str, why: String) -> Decode {
    Decode { at, field, why }
}
