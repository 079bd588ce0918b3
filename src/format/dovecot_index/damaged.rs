//! An index whose base header is damaged: what is behind it says by itself how it is to be read.
//!
//! ```text
//! base header, 120 bytes   damaged: sizes, counts, indexid, UIDVALIDITY
//! extension headers        where a name, its padding and the places of its field fit, it is one; the first
//!                          that does not fit is where the records begin
//! records                  as long as the fields need; UIDs ascend to the end of the file
//! ```
//! Nothing is taken from the header that is not said by something else too. UIDVALIDITY is taken only where the log
//! tells it, or what stands around it in the header is right.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use zerocopy::FromBytes;

use super::base::{self, Map, extension_name};
use super::index::{Index, Origin};
use super::layout::{
    Append, BaseHeader, ExpungeGuid, ExtHeader, LITTLE_ENDIAN, LOG_HEADER_LEAST, RECORD_FIELDS_AT,
    RECORD_MOST, UidRange, kind,
};
use super::load::{Found, apply, tell, tell_requested};
use super::log::{Log, Record};
use super::replay::Replay;
use super::salvage;
use crate::bytes::Cursor;
use crate::report::catalogue::{INDEX_BROKEN, INDEX_LOG_GAP};
use crate::report::counted;

/// The longest name of an extension.
const NAME_MOST: u16 = 63;
/// Bits of flags that no dbox message has: one is not used, the other waits for a Maildir.
const NO_FLAGS: u8 = 0xa0;

/// What the records and the logs tell, and whether none of both is known to be missing. `None` where the
/// records do not hold up by themselves.
pub(super) fn load(
    name: &str,
    bytes: &[u8],
    logs: &[Log<'_>],
    found: Found<'_>,
) -> Option<(Index, bool)> {
    let (header, _) = BaseHeader::read_from_prefix(bytes).ok()?;
    if header.major_version == 7 && header.compat_flags & LITTLE_ENDIAN == 0 {
        // Not damaged, but of another machine.
        return None;
    }
    let (mut map, is_cut) = read(bytes, &header)?;
    let ours = logs_of(&header, &map, logs, found);
    let newest = ours.as_ref().and_then(|ours| ours.last());
    map.header.indexid = newest.map_or(header.indexid, |log| log.header.indexid);
    if newest.is_some() && surrounds_uidvalidity(&header, &map.header) {
        map.header.uid_validity = header.uid_validity;
        map.header.next_uid = header.next_uid;
    }
    tell(
        found,
        &INDEX_BROKEN,
        name,
        what_is_used(&map, ours.as_deref()),
    );
    let mut replay = Replay::again(map);
    let modseq = newest.map_or(replay.modseq_of_base(), |log| log.highest_modseq());
    let is_whole = !is_cut && ours.is_some();
    let ours = ours.unwrap_or_default();
    for log in &ours {
        apply(&mut replay, log, log.start(), found);
    }
    let mut index = replay.finish(modseq);
    index.origin = Origin::Damaged;
    tell_requested(&index, &ours, found);
    Some((index, is_whole))
}

/// True where what stands around UIDVALIDITY in the damaged header is right: before it the indexid, as in the log,
/// and behind it UIDNEXT and the count of messages.
fn surrounds_uidvalidity(header: &BaseHeader, sound: &BaseHeader) -> bool {
    header.indexid == sound.indexid
        && header.next_uid >= sound.next_uid
        && header.messages_count == sound.messages_count
}

fn what_is_used(map: &Map, logs: Option<&[&Log<'_>]>) -> String {
    let count = counted(map.uids.len() as u64, "message");
    let log = match logs {
        None => "; nothing shows that the log goes on from it, so that is not applied",
        Some([]) => "",
        Some(_) => ", and the changes of the log applied to them",
    };
    format!("the header is damaged; the records of {count} behind it hold up and are used{log}")
}

/// Extensions and records, and whether records are missing at the end.
fn read(bytes: &[u8], header: &BaseHeader) -> Option<(Map, bool)> {
    let (records_at, needed) = extensions_end(bytes)?;
    // Longer ones are only believed where the header is right about the other size too.
    let told = header.record_size.get() as usize;
    let is_told = header.header_size.get() as usize == records_at && told > needed;
    let sizes = is_told.then_some(told).into_iter().chain([needed]);
    { sizes }.find_map(|size| read_records(bytes, header, records_at, size))
}

fn read_records(
    bytes: &[u8],
    header: &BaseHeader,
    records_at: usize,
    size: usize,
) -> Option<(Map, bool)> {
    if size >= RECORD_MOST {
        return None;
    }
    let records = bytes.get(records_at..)?;
    let count = records.len() / size;
    let last = records.chunks_exact(size).next_back()?;
    let last = u32::from_le_bytes(*last.first_chunk()?);
    let mut sound = Map::empty(0).header;
    sound.major_version = 7;
    sound.base_header_size = 120.into();
    sound.header_size = u32::try_from(records_at).ok()?.into();
    sound.record_size = u32::try_from(size).ok()?.into();
    sound.compat_flags = LITTLE_ENDIAN;
    sound.messages_count = u32::try_from(count).ok()?.into();
    sound.next_uid = last.checked_add(1)?.into();
    let mut complaints = 0;
    let map = base::read_behind(sound, bytes, &mut |_| complaints += 1).ok()?;
    let flags_are_some = map.flags.iter().all(|flags| flags & NO_FLAGS == 0);
    let told = header.messages_count.get() as usize;
    let is_cut = records.len() % size != 0 || (is_told(header, &sound) && told > count);
    (complaints == 0 && flags_are_some).then_some((map, is_cut))
}

/// True where the damaged header has the same sizes, so that it is readable around there.
fn is_told(header: &BaseHeader, sound: &BaseHeader) -> bool {
    header.header_size == sound.header_size && header.record_size == sound.record_size
}

/// Where the records begin, and how long they are at least. `None` without any extension: then nothing says
/// what follows the header.
fn extensions_end(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut cursor = Cursor::starting_at(bytes, size_of::<BaseHeader>());
    let (mut end, mut needed, mut align) = (None, RECORD_FIELDS_AT, 4);
    while let Some(header) = extension(&mut cursor) {
        end = Some(cursor.at());
        let (at, size) = (header.record_offset.get(), header.record_size.get());
        if size > 0 {
            needed = needed.max(usize::from(at) + usize::from(size));
            align = align.max(usize::from(header.record_align.get()));
        }
    }
    Some((end?, needed.next_multiple_of(align)))
}

fn extension<'a>(cursor: &mut Cursor<'a>) -> Option<&'a ExtHeader> {
    let header: &ExtHeader = cursor.record("extension header").ok()?;
    let (at, size) = (header.record_offset.get(), header.record_size.get());
    let align = header.record_align.get();
    let field_fits = match size {
        0 => at == 0,
        _ => {
            usize::from(at) >= RECORD_FIELDS_AT
                && matches!(align, 1 | 2 | 4 | 8)
                && at.is_multiple_of(align)
        }
    };
    let name_size = header.name_size.get();
    if !field_fits || !(1..=NAME_MOST).contains(&name_size) {
        return None;
    }
    extension_name(cursor.take("extension name", name_size.into()).ok()?)?;
    let padding = cursor.at().next_multiple_of(8) - cursor.at();
    let padding = cursor.take("extension name", padding).ok()?;
    if padding.iter().any(|byte| *byte != 0) {
        return None;
    }
    let data = header.hdr_size.get() as usize;
    cursor.skip("extension data", data).ok()?;
    cursor.align("extension data", 8).ok()?;
    Some(header)
}

/// The logs that go on from a damaged index, in their order; `None` where there are some, and it cannot be
/// shown that they do.
///
/// All of their changes are made, as it is not known which of them the index has: so they must not be older
/// than the index, which might say by then what is no longer so.
fn logs_of<'l, 'a>(
    header: &BaseHeader,
    map: &Map,
    logs: &'l [Log<'a>],
    found: Found<'_>,
) -> Option<Vec<&'l Log<'a>>> {
    if logs.is_empty() {
        return Some(Vec::new());
    }
    let ours = salvage::newest(logs, found);
    let newest = *ours.last()?;
    let same_id = header.indexid == newest.header.indexid;
    let is_ours = if same_id {
        header.log_file_seq.get() <= newest.seq()
    } else {
        !(is_told(header, &map.header) && header.messages_count == map.header.messages_count)
    };
    let shown = match head(header) {
        _ if !is_ours => false,
        Some(head) => goes_on(&ours, head) && fits(map, &ours).is_some(),
        None => same_id || fits(map, &ours) == Some(true),
    };
    if !shown {
        let why = "nothing shows that it goes on from the damaged index";
        tell(found, &INDEX_LOG_GAP, &newest.name, why);
    }
    shown.then_some(ours)
}

/// Up to where the header says that the log is in the index, if that can be so.
fn head(header: &BaseHeader) -> Option<usize> {
    let (tail, head) = (
        header.log_file_tail_offset.get(),
        header.log_file_head_offset.get() as usize,
    );
    let can_be = head.is_multiple_of(4) && (LOG_HEADER_LEAST..1 << 30).contains(&head);
    (can_be && tail as usize <= head).then_some(head)
}

/// True where one of the logs has a record that ends there, or the newest goes on from there.
fn goes_on(logs: &[&Log<'_>], head: usize) -> bool {
    let before = logs
        .first()
        .map(|log| log.header.prev_file_offset.get() as usize);
    before == Some(head) || logs.iter().any(|log| log.has_edge(head))
}

/// Whether messages that came in the logs are those of the index: `Some(true)` where they are, `None` where
/// they are others, `Some(false)` where none came.
fn fits(map: &Map, logs: &[&Log<'_>]) -> Option<bool> {
    let last = *map.uids.last()?;
    let (mut came, mut gone) = (BTreeSet::new(), Vec::new());
    for record in logs.iter().flat_map(|log| log.records(log.start())) {
        if record.kind == kind::APPEND {
            came.extend(record.all::<Append>().iter().map(|new| new.uid.get()));
        }
        gone.extend(expunged(&record));
    }
    let Some(first) = came.first().copied() else {
        return Some(false);
    };
    let from = map.uids.partition_point(|uid| *uid < first);
    let there = &map.uids[from..];
    if !there.iter().all(|uid| came.remove(uid)) {
        return None;
    }
    for range in gone {
        let uids: Vec<_> = came.range(range).copied().collect();
        for uid in uids {
            came.remove(&uid);
        }
    }
    // Those above came after the index was written.
    came.range(..=last)
        .next()
        .is_none()
        .then_some(!there.is_empty())
}

fn expunged(record: &Record<'_>) -> Vec<RangeInclusive<u32>> {
    let ranges = match record.kind {
        kind::EXPUNGE => record.all::<UidRange>(),
        _ => &[],
    };
    let guids = match record.kind {
        kind::EXPUNGE_GUID => record.all::<ExpungeGuid>(),
        _ => &[],
    };
    let ranges = ranges
        .iter()
        .map(|range| (range.uid1.get(), range.uid2.get()));
    let single = guids.iter().map(|guid| (guid.uid.get(), guid.uid.get()));
    let all = ranges.chain(single).filter(|(first, last)| first <= last);
    all.map(|(first, last)| first..=last).collect()
}
