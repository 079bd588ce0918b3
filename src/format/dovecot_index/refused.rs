//! What a server takes for damage and drops the whole file for, though all that is in it can be read.
//!
//! Source: Dovecot 2.3, `mail-index-map-hdr.c`, `mail-index-map.c`, `mail-transaction-log-file.c`.

use std::ops::Range;

use bstr::ByteSlice;
use zerocopy::little_endian::U32;

use super::base::Map;
use super::layout::{
    BaseHeader, CACHE, ExtHeader, ExtIntro, KEYWORDS, LITTLE_ENDIAN, LOG_HEADER_LEAST, LogHeader,
    MODSEQ, VSIZE_HEADER,
};
use super::log::Log;
use crate::bytes::{Decode, are_one_bit_apart};

/// The flag by which a server says that it gave the index up.
const CORRUPTED: u32 = 1;
/// Older headers may not say who is recent.
const TELLS_RECENT: u8 = 1;
/// Older logs do not say who wrote them.
const TELLS_COMPAT: u8 = 2;
/// The widest alignment.
const ALIGN_MOST: u16 = 8;

/// Extensions that a server and its dbox formats have in their indexes, in the list of mailboxes and in the map.
const NAMES: [&str; 14] = [
    CACHE,
    KEYWORDS,
    MODSEQ,
    VSIZE_HEADER,
    "dbox-hdr",
    "guid",
    "hdr-pop3-uidl",
    "hmodseq",
    "list",
    "map",
    "mdbox",
    "mdbox-hdr",
    "msgs",
    "ref",
];

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

/// What is wrong with the name of an extension.
pub(super) fn name(name: &[u8]) -> Option<String> {
    let is_usual = |byte: &u8| byte.is_ascii_alphanumeric() || b" -_".contains(byte);
    (!name.iter().all(is_usual)).then(|| format!("no extension is called {:?}", name.as_bstr()))
}

/// The known name that was surely meant by one of which a bit is flipped: a plugin may have a name of its own that is
/// nearly the same.
fn meant(name: &str) -> Option<&'static str> {
    let is_near = |known: &&&str| are_one_bit_apart(known.as_bytes(), name.as_bytes());
    NAMES.iter().find(is_near).copied()
}

/// Calls extensions what they are, where a bit of the name is flipped: a server finds nothing in them.
pub(super) fn call_right(map: &mut Map) {
    for nth in 0..map.extensions.len() {
        let Some(meant) = meant(&map.extensions[nth].name) else {
            continue;
        };
        if map.extensions.iter().any(|ext| ext.name == meant) {
            continue;
        }
        let wrong = std::mem::replace(&mut map.extensions[nth].name, meant.into());
        let at = map.header.base_header_size.get().into();
        let why = format!("{wrong:?} can only be {meant:?}, and is read as that");
        map.refused.push(decode(at, "extension name", why));
    }
}

/// What is wrong with the place in its log up to which expunges that clients asked for are done.
pub(super) fn tail(header: &BaseHeader, logs: &[Log<'_>]) -> Option<Decode> {
    let (tail, head) = (
        header.log_file_tail_offset.get() as usize,
        header.log_file_head_offset.get() as usize,
    );
    let is_of_it = |log: &&Log<'_>| {
        log.seq() == header.log_file_seq.get() && log.header.indexid == header.indexid
    };
    let why = if tail > head {
        format!("{tail} is behind the head offset {head}")
    } else if tail > 0
        && !logs
            .iter()
            .find(is_of_it)
            .is_none_or(|log| log.has_edge(tail))
    {
        format!("no record of the log begins at {tail}")
    } else {
        return None;
    };
    Some(decode(64, "log tail offset", why))
}

/// What is wrong with an introduction in a log.
pub(super) fn intro(intro: &ExtIntro, name: &[u8]) -> Option<String> {
    if let Some(why) = self::name(name) {
        return Some(why);
    }
    let (size, align) = (intro.record_size.get(), intro.record_align.get());
    let is_one = match size {
        0 => intro.hdr_size != 0,
        _ => (1..=ALIGN_MOST).contains(&align),
    };
    (!is_one).then(|| format!("a field of {size} bytes, aligned by {align}, can be none"))
}

/// What is wrong with the place in a log up to which modseqs are counted; a server stumbles over it.
pub(super) fn modseqs(header: &[u8], newest: &Log<'_>) -> Option<String> {
    let number = |at: usize| Some(u32::from_le_bytes(*header.get(at..)?.first_chunk()?));
    let (seq, offset) = (number(8)?, number(12)?);
    let is_place = match seq {
        0 => offset == 0,
        _ if seq == newest.seq() => newest.has_edge(offset as usize),
        _ => seq < newest.seq() && offset as usize >= LOG_HEADER_LEAST,
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
