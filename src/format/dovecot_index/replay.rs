//! Applies the records of a log to an index.
//!
//! ```text
//! record --> apply --+--> append, flags, expunge, keywords      change columns
//!                    +--> intro selects an extension --> updates change its header or column
//!                    `--> what cannot be read or is not known   counted, passed over
//! ```
//! As the server does, a record that does not fit is passed over and the next one is read. An
//! expunged message stays in the columns until the end: UIDs are never used twice.

mod extensions;
mod requests;

use std::collections::BTreeSet;
use std::ops::Range;

use zerocopy::IntoBytes;

use super::base::Map;
use super::index::{Extension, Index, Origin, Part, Unread};
use super::keywords::Names;
use super::layout::{
    Append, BaseHeader, ExpungeGuid, FlagUpdate, KEYWORDS, ModseqUpdate, UidRange, kind,
};
use super::log::{Hole, Holes, Log, Record, padded, rest_of};
use super::refused;
use crate::bytes::{Cursor, Decode};
use requests::Request;

/// Extension fields of all messages together at most.
const COLUMNS_MOST: usize = 1 << 30;

/// What a log had that could not be applied.
#[derive(Debug, Default)]
pub(super) struct Faults {
    /// The first record that did not fit.
    pub first: Option<Decode>,
    /// How many did not.
    pub count: usize,
    /// What costs nothing, and makes a server refuse the log: the first.
    pub refused: Option<Decode>,
    /// Kinds that are not known.
    pub unknown: BTreeSet<u32>,
    /// Bytes that are no records, and should have been applied.
    pub holes: Holes,
    /// The first of those before.
    pub passed: Option<Hole>,
}

/// The extension that updates are for.
#[derive(Debug, Clone, Copy)]
struct Selected {
    id: usize,
    record_size: u16,
    reset_id: u32,
    ignored: bool,
}

/// An index while logs are applied to it.
#[derive(Debug)]
pub(super) struct Replay {
    map: Map,
    gone: Vec<bool>,
    selected: Option<Selected>,
    names: Option<Names>,
    requests: Vec<Request>,
    /// Log and offset up to which requests are done.
    tail: (u32, u32),
    deleted: bool,
    /// Extension fields of one message, and header data of all: kept below their limits.
    width: usize,
    how: How,
    /// Behind a hole, in which others may have come: so many extensions have the ids that the log means.
    certain_ids: Option<usize>,
}

/// What is known of the index that a log changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// The log goes on from it.
    Exactly,
    /// It is lost, and with it what its extensions are.
    WithoutExtensions,
    /// It may have some of the changes already.
    Again,
}

type Applied = Result<(), Decode>;

impl Replay {
    /// Begins with what the index says.
    pub fn new(map: Map) -> Self {
        let tail = map.header.log_file_tail_offset.get();
        Self {
            gone: vec![false; map.uids.len()],
            selected: None,
            names: None,
            requests: Vec::new(),
            tail: (map.header.log_file_seq.get(), tail),
            deleted: false,
            width: map.width(),
            how: How::Exactly,
            certain_ids: None,
            map,
        }
    }

    /// Begins with messages that are known from elsewhere. What a log says of extensions may name them by
    /// their position in the index that is lost: it is passed over.
    pub fn over(indexid: u32, before: Index) -> Self {
        let mut map = Map::empty(indexid);
        let above = before.uids.last().map_or(1, |uid| uid.saturating_add(1));
        map.header.next_uid = above.into();
        map.uids = before.uids;
        map.flags = before.flags;
        map.extensions = before.extensions;
        Self {
            how: How::WithoutExtensions,
            ..Self::new(map)
        }
    }

    /// Begins with an index that may have the changes of the logs already, up to a place that is not known.
    /// All say what is so after them, but for those that add: made once more in their order, the others lead
    /// to the same end. (Not so `modseq`, which a server changes without a log. With one, nothing is taken
    /// from it.)
    pub fn again(map: Map) -> Self {
        Self {
            how: How::Again,
            ..Self::new(map)
        }
    }

    fn passes_over(&self, kind: u32) -> bool {
        match self.how {
            How::Exactly => false,
            How::WithoutExtensions => kind::is_of_extension(kind),
            How::Again => kind == kind::EXT_ATOMIC_INC,
        }
    }

    /// The extension of that name.
    pub fn extension(&self, name: &str) -> Option<&Extension> {
        self.map.extensions.iter().find(|ext| ext.name == name)
    }

    /// Notes what cannot be had of a log.
    pub fn note_unread(&mut self, why: String) {
        let part = Part::Log;
        self.map.unread.push(Unread { why, part });
    }

    /// Notes that the last record is not whole.
    pub fn note_torn(&mut self) {
        self.map.is_torn = true;
    }

    /// Messages there are.
    pub fn messages(&self) -> usize {
        self.gone.iter().filter(|gone| !**gone).count()
    }

    /// The mailbox before its first message, as at the start of a log that starts from nothing.
    pub fn reset(&mut self) {
        *self = Self::new(Map::empty(self.map.header.indexid.get()));
    }

    /// Applies what a log has from `from` on. What was applied before is looked at for requests.
    pub fn run(&mut self, log: &Log<'_>, from: usize, faults: &mut Faults) {
        self.selected = None;
        let mut before = log.records(log.start());
        while let Some(record) = { before.next() }.filter(|record| record.at < from) {
            self.look_for_requests(log.seq(), &record);
        }
        // What is broken there is in the index already.
        faults.passed = before.holes().first.filter(|hole| hole.from < from);
        let mut records = log.records(from);
        let mut holes = 0;
        while let Some(record) = records.next() {
            if records.holes_so_far() > holes {
                holes = records.holes_so_far();
                self.selected = None;
                self.certain_ids.get_or_insert(self.map.extensions.len());
            }
            if let Err(fault) = self.apply(log.seq(), &record, faults) {
                faults.first.get_or_insert(fault);
                faults.count += 1;
            }
        }
        faults.holes = records.holes();
    }

    fn apply(&mut self, seq: u32, record: &Record<'_>, faults: &mut Faults) -> Applied {
        let body = &mut record.body.clone();
        let may_be_empty = [kind::INDEX_DELETED, kind::INDEX_UNDELETED];
        if body.is_empty() && !may_be_empty.contains(&record.kind) {
            return Err(body.broken("record", "is empty"));
        }
        match record.kind {
            passed_over if self.passes_over(passed_over) => Ok(()),
            kind::APPEND => self.append(body),
            kind::FLAG_UPDATE => self.update_flags(body),
            kind::EXPUNGE | kind::EXPUNGE_GUID if !record.external => {
                self.look_for_requests(seq, record);
                Ok(())
            }
            kind::EXPUNGE => self.expunge(body),
            kind::EXPUNGE_GUID => self.expunge_by_guid(body),
            kind::EXPUNGE_BARE | kind::EXPUNGE_GUID_BARE => {
                Err(body.broken("expunge", "lacks the bits that guard it"))
            }
            kind::HEADER_UPDATE => self.update_header(seq, body, &mut faults.refused),
            kind::EXT_INTRO => self.introduce_all(body, &mut faults.refused),
            kind::EXT_RESET => self.reset_extension(body),
            kind::EXT_HEADER_UPDATE => self.update_extension_header(body, Self::short_place),
            kind::EXT_HEADER_UPDATE_32 => self.update_extension_header(body, Self::long_place),
            kind::EXT_RECORD_UPDATE => self.update_records(body),
            kind::EXT_ATOMIC_INC => self.increment_records(body),
            kind::KEYWORD_UPDATE => self.update_keyword(body),
            kind::KEYWORD_RESET => self.reset_keywords(body),
            kind::INDEX_DELETED | kind::INDEX_UNDELETED => {
                self.deleted = record.kind == kind::INDEX_DELETED;
                Ok(())
            }
            kind::MODSEQ_UPDATE => {
                let over = rest_of::<ModseqUpdate>(body).1;
                nothing_left(body, over)
            }
            kind::BOUNDARY | kind::ATTRIBUTE_UPDATE => Ok(()),
            damaged if !damaged.is_power_of_two() => {
                Err(body.broken("record kind", format!("{damaged:#x} is none")))
            }
            unknown => {
                faults.unknown.insert(unknown);
                Ok(())
            }
        }
    }

    /// Positions of the messages in a range of UIDs.
    fn span(&self, range: UidRange) -> Range<usize> {
        let (uid1, uid2) = (range.uid1.get(), range.uid2.get());
        let start = self.map.uids.partition_point(|uid| *uid < uid1);
        let end = self.map.uids.partition_point(|uid| *uid <= uid2);
        start..end.max(start)
    }

    fn position(&self, uid: u32) -> Option<usize> {
        self.map.uids.binary_search(&uid).ok()
    }

    fn append(&mut self, body: &mut Cursor<'_>) -> Applied {
        let (appends, over) = rest_of::<Append>(body);
        for new in appends {
            let (uid, next) = (new.uid.get(), self.map.header.next_uid.get());
            if self.how == How::Again && uid < next {
                continue;
            }
            let Some(above) = uid.checked_add(1).filter(|_| uid >= next.max(1)) else {
                return Err(body.broken("append", format!("UID {uid}, but next is {next}")));
            };
            if (self.map.uids.len() + 1) * self.width > COLUMNS_MOST {
                return Err(body.broken("append", "the extension fields take too much memory"));
            }
            self.map.uids.push(uid);
            self.map.flags.push(new.flags);
            self.gone.push(false);
            self.map.extensions.iter_mut().for_each(Extension::grow);
            self.map.header.next_uid = above.into();
        }
        nothing_left(body, over)
    }

    fn update_flags(&mut self, body: &mut Cursor<'_>) -> Applied {
        let (updates, over) = rest_of::<FlagUpdate>(body);
        for update in updates {
            let span = self.span(update.range);
            for flags in &mut self.map.flags[span] {
                *flags = *flags & !update.remove | update.add;
            }
        }
        are_ranges(body, updates.iter().map(|update| &update.range))?;
        nothing_left(body, over)
    }

    fn expunge(&mut self, body: &mut Cursor<'_>) -> Applied {
        let (ranges, over) = rest_of::<UidRange>(body);
        for range in ranges {
            let span = self.span(*range);
            self.gone[span].fill(true);
        }
        are_ranges(body, ranges)?;
        nothing_left(body, over)
    }

    fn expunge_by_guid(&mut self, body: &mut Cursor<'_>) -> Applied {
        let (expunges, over) = rest_of::<ExpungeGuid>(body);
        if expunges.iter().any(|expunge| expunge.uid == 0) {
            return Err(body.broken("expunge", "one is of UID 0"));
        }
        for expunge in expunges {
            if let Some(nth) = self.position(expunge.uid.get()) {
                self.gone[nth] = true;
            }
        }
        nothing_left(body, over)
    }

    /// Only what a log may change is taken over: sizes, counts and places follow from the rest.
    fn update_header(
        &mut self,
        seq: u32,
        body: &mut Cursor<'_>,
        refused: &mut Option<Decode>,
    ) -> Applied {
        let end = body.at() + body.rest().len();
        while !body.is_empty() {
            let (offset, size) = Self::short_place(body)?;
            let data = padded(body, "header update", size)?;
            if !refused::may_change(&self.map.header, offset, size) {
                let why = format!("{size} bytes at {offset} are not for a log to change");
                return Err(body.broken("header update", why));
            }
            let mut patched = self.map.header;
            // A later version's header may be longer than the one known here.
            if let Some(place) = patched.as_mut_bytes().get_mut(offset..) {
                let known = size.min(place.len());
                place[..known].copy_from_slice(&data[..known]);
            }
            if patched.log_file_tail_offset.get() as usize > end && seq == self.tail.0 {
                refused.get_or_insert(body.broken("tail offset", "is behind this record"));
                patched.log_file_tail_offset = self.map.header.log_file_tail_offset;
            }
            self.take_over(seq, &patched);
        }
        Ok(())
    }

    fn take_over(&mut self, seq: u32, patched: &BaseHeader) {
        let header = &mut self.map.header;
        header.flags = patched.flags;
        header.uid_validity = patched.uid_validity;
        header.first_recent_uid = patched.first_recent_uid;
        header.next_uid = header.next_uid.get().max(patched.next_uid.get()).into();
        if header.log_file_tail_offset != patched.log_file_tail_offset {
            header.log_file_tail_offset = patched.log_file_tail_offset;
            self.tail = (seq, patched.log_file_tail_offset.get());
        }
    }

    /// The state after the last record.
    pub fn finish(mut self, highest_modseq: u64) -> Index {
        let requested_expunges = self.expunge_requested();
        self.write_keyword_names();
        self.compact();
        let header = &self.map.header;
        let mut index = Index {
            indexid: header.indexid.get(),
            uid_validity: header.uid_validity.get(),
            next_uid: header.next_uid.get(),
            first_recent_uid: header
                .first_recent_uid
                .get()
                .clamp(1, header.next_uid.get().max(1)),
            header_flags: header.flags.get(),
            highest_modseq: highest_modseq.max(1),
            uids: self.map.uids,
            flags: self.map.flags,
            extensions: self.map.extensions,
            deleted: self.deleted,
            requested_expunges,
            origin: Origin::Index,
            unread: self.map.unread,
            is_torn: self.map.is_torn,
            left_out: self.map.left_out,
            keyword_count: 0,
        };
        index.keyword_count = u32::try_from(index.keyword_names().len()).unwrap_or(u32::MAX);
        index
    }

    fn write_keyword_names(&mut self) {
        let Some(names) = self.names.take() else {
            return;
        };
        let mut all = self.map.extensions.iter_mut();
        if let Some(extension) = all.find(|ext| ext.name == KEYWORDS) {
            extension.header = names.header();
        }
    }

    fn compact(&mut self) {
        if !self.gone.contains(&true) {
            return;
        }
        let gone = std::mem::take(&mut self.gone);
        retain(&mut self.map.uids, 1, &gone);
        retain(&mut self.map.flags, 1, &gone);
        for extension in &mut self.map.extensions {
            retain(&mut extension.column, extension.record_size.into(), &gone);
        }
    }
}

/// Moves what is not gone together; each entry is `size` long.
pub(super) fn retain<T: Copy>(column: &mut Vec<T>, size: usize, gone: &[bool]) {
    let mut to = 0;
    for (nth, _) in gone.iter().enumerate().filter(|(_, gone)| !**gone) {
        column.copy_within(nth * size..(nth + 1) * size, to);
        to += size;
    }
    column.truncate(to);
}

/// No server writes others, and none takes them: zeros are what is left of a change, and all ascend.
fn are_ranges<'r>(body: &Cursor<'_>, ranges: impl IntoIterator<Item = &'r UidRange>) -> Applied {
    let mut last = None;
    for UidRange { uid1, uid2 } in ranges {
        if *uid1 == 0 || uid1 > uid2 {
            return Err(body.broken("uid range", format!("{uid1} to {uid2} is none")));
        }
        if let Some(last) = last.filter(|last| *last >= uid1.get()) {
            return Err(body.broken("uid range", format!("{uid1} does not ascend from {last}")));
        }
        last = Some(uid2.get());
    }
    last.map(|_| ())
        .ok_or_else(|| body.broken("uid range", "there is none"))
}

fn nothing_left(body: &Cursor<'_>, over: usize) -> Applied {
    match over {
        0 => Ok(()),
        _ => Err(body.broken("record", format!("{over} bytes too many"))),
    }
}
