//! An index as it is after replay, and the columns it is made of.

use bstr::BString;

use super::keywords;
use super::layout::{CACHE, KEYWORDS, VSIZE_HEADER};
use super::replay::retain;
use crate::store::BelievedUsage;

/// One index after replay: columns, one entry a message, ascending UIDs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Index {
    /// Ties index, log and cache together.
    pub indexid: u32,
    /// Zero in a mailbox that a server has not finished creating.
    pub uid_validity: u32,
    /// Above every UID, at least 1.
    pub next_uid: u32,
    /// This UID and later ones are recent: from 1 to `next_uid`.
    pub first_recent_uid: u32,
    /// 2 = some records are dirty, 4 = was repaired by Dovecot.
    pub header_flags: u32,
    /// At least 1.
    pub highest_modseq: u64,
    /// One a message.
    pub uids: Vec<u32>,
    /// One a message, bits as on disk: `\Answered` 1, `\Flagged` 2, `\Deleted` 4, `\Seen` 8,
    /// `\Draft` 0x10, in alternative storage 0x40, dirty 0x80.
    pub flags: Vec<u8>,
    /// In the order of their ids.
    pub extensions: Vec<Extension>,
    /// The server was about to delete the mailbox.
    pub deleted: bool,
    /// UIDs that a client expunged and the server had not yet taken out of the storage; they are
    /// not in `uids` any more.
    pub requested_expunges: Vec<u32>,
    /// What all this was read from.
    pub origin: Origin,
    /// What could not be read, and no log or copy tells.
    pub unread: Vec<Unread>,
    /// The log ends in a half record: what was changed last may be missing.
    pub is_torn: bool,
    /// So many records of the file are among it.
    pub left_out: usize,
    /// Names that `keywords_header` holds; bits above mean nothing.
    pub(super) keyword_count: u32,
}

/// What an index was read from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Origin {
    /// An index and its logs, a log that starts from an empty mailbox, or a copy of an older index.
    #[default]
    Index,
    /// The records of an index with a damaged header, and its logs where they surely belong to it.
    Damaged,
    /// A log that goes on from an index that is lost. Of messages from this UID on, which came in it, all is
    /// known; of the others, what was changed since.
    Log(u32),
    /// Neither: no more than UIDs is known.
    Nothing,
}

/// Something of an index or its log that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// The detail of the finding.
    pub why: String,
    /// What it is a part of.
    pub part: Part,
}

/// A part of an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// What stands before the records: names of keywords may be among it.
    Header,
    /// How many messages have a flag: which ones it is wrong about, nobody knows.
    Counts,
    /// What it has of each message.
    Records,
    /// Changes since it was written.
    Log,
}

impl Index {
    /// What the detail of a finding says could not be read, if it says that.
    pub fn unread_part(&self, detail: &str) -> Option<Part> {
        let unread = self.unread.iter().find(|unread| unread.why == detail);
        unread.map(|unread| unread.part)
    }

    /// True where all of it and of its log was read.
    pub fn is_whole(&self) -> bool {
        self.origin == Origin::Index && self.unread.is_empty()
    }

    /// Says that a server mended it and has not yet built anew what goes by it: the next one that opens it will.
    /// In a Maildir nothing does, and it may stay so for ever.
    pub fn to_be_rebuilt(&self) -> Option<&'static str> {
        const FSCKED: u32 = 4;
        let is_fscked = self.header_flags & FSCKED != 0;
        is_fscked.then_some("its flags ask a server to rebuild what goes by it")
    }

    /// The extension of that name.
    pub fn extension(&self, name: &str) -> Option<&Extension> {
        self.extensions.iter().find(|ext| ext.name == name)
    }

    /// Where a UID is in the columns.
    pub fn position(&self, uid: u32) -> Option<usize> {
        self.uids.binary_search(&uid).ok()
    }

    /// True where it had the message of this UID, and that is expunged: not where it was made up.
    pub fn was_expunged(&self, uid: u32) -> bool {
        let is_told = self.origin == Origin::Index && self.uid_validity != 0;
        is_told && uid < self.next_uid && self.position(uid).is_none()
    }

    /// Adds messages that the index does not have: without flags, all fields zero. `next_uid` follows.
    pub fn take_in(&mut self, uids: &[u32]) {
        let mut order: Vec<(u32, Option<usize>)> = Vec::new();
        let held = self.uids.iter().enumerate();
        order.extend(held.map(|(nth, uid)| (*uid, Some(nth))));
        let new = uids.iter().filter(|uid| self.position(**uid).is_none());
        order.extend(new.map(|uid| (*uid, None)));
        order.sort_unstable_by_key(|(uid, _)| *uid);
        order.dedup_by_key(|(uid, _)| *uid);
        for extension in &mut self.extensions {
            extension.reorder(&order);
        }
        let flags = |nth: &Option<usize>| nth.map_or(0, |nth| self.flags[nth]);
        self.flags = order.iter().map(|(_, nth)| flags(nth)).collect();
        self.uids = order.iter().map(|(uid, _)| *uid).collect();
        let above = self.uids.last().map_or(1, |uid| uid.saturating_add(1));
        self.next_uid = self.next_uid.max(above);
    }

    /// An index that knows no more of its messages than UIDs, flags and keywords; they come in ascending
    /// order, keywords as places among `names`.
    pub fn of_marks<'a>(
        names: &[BString],
        messages: impl Iterator<Item = (u32, u8, &'a [u32])>,
    ) -> Self {
        let width = names.len().div_ceil(8);
        let mut keywords = Extension {
            name: KEYWORDS.into(),
            header: keywords::keywords_header(names),
            record_size: u16::try_from(width).expect("BUG: keywords are not that many"),
            record_align: 1,
            ..Extension::default()
        };
        let mut index = Self::default();
        for (nth, (uid, flags, places)) in messages.enumerate() {
            index.uids.push(uid);
            index.flags.push(flags);
            keywords.grow();
            let bits = keywords.record_mut(nth);
            for place in places {
                bits[*place as usize / 8] |= 1 << (place % 8);
            }
        }
        if !names.is_empty() {
            index.extensions.push(keywords);
        }
        index
    }

    /// Forgets what a field of a message says.
    pub fn clear(&mut self, name: &str, nth: usize) {
        let mut all = self.extensions.iter_mut();
        if let Some(extension) = all.find(|ext| ext.name == name) {
            extension.record_mut(nth).fill(0);
        }
    }

    /// Leaves messages out but for these; returns their UIDs.
    pub fn keep(&mut self, is_kept: impl Fn(u32) -> bool) -> Vec<u32> {
        let is_gone = |uid: &u32| !is_kept(*uid);
        let gone: Vec<bool> = self.uids.iter().map(is_gone).collect();
        let left_out = self.uids.iter().copied().filter(is_gone).collect();
        retain(&mut self.uids, 1, &gone);
        retain(&mut self.flags, 1, &gone);
        for extension in &mut self.extensions {
            retain(&mut extension.column, extension.record_size.into(), &gone);
        }
        left_out
    }

    /// The keyword names in bit order; of a damaged list, what stands before the damage.
    pub fn keyword_names(&self) -> Vec<BString> {
        self.extension(KEYWORDS)
            .map(|ext| keywords::names_in(&ext.header))
            .unwrap_or_default()
    }

    /// The keywords of the nth message, as positions in [`keyword_names`](Self::keyword_names).
    pub fn keywords_of(&self, nth: usize) -> impl Iterator<Item = u32> + '_ {
        let bits = self
            .extension(KEYWORDS)
            .map_or(&[][..], |ext| ext.record(nth));
        let set = |bit: &u32| {
            let byte = bits.get((bit / 8) as usize).copied().unwrap_or(0);
            byte >> (bit % 8) & 1 == 1
        };
        (0..self.keyword_count).filter(set)
    }

    /// What the messages add up to, where the server has counted them for a quota.
    pub fn believed_usage(&self) -> Option<BelievedUsage> {
        let header = &self.extension(VSIZE_HEADER)?.header;
        let number = |at: usize| Some(u32::from_le_bytes(*header.get(at..)?.first_chunk()?));
        let virtual_bytes = u64::from_le_bytes(*header.first_chunk()?);
        let (highest_uid, messages) = (number(8)?, number(12)?);
        // Zeros were written before anybody counted.
        (highest_uid > 0).then_some(BelievedUsage {
            virtual_bytes,
            messages,
            highest_uid,
        })
    }

    /// Where the nth message's newest cache record is; 0 = it has none.
    pub fn cache_offset(&self, nth: usize) -> u32 {
        let field = self.extension(CACHE).map(|ext| ext.record(nth));
        match field {
            Some(&[a, b, c, d, ..]) => u32::from_le_bytes([a, b, c, d]),
            _ => 0,
        }
    }
}

/// One extension: data of the mailbox, and a field of each message.
///
/// The column `modseq` is as the index had it: a log's changes are counted for the mailbox only.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extension {
    /// Unique in an index.
    pub name: String,
    /// What the records were written for; `cache`: the cache's `file_seq`.
    pub reset_id: u32,
    /// Data of the mailbox.
    pub header: Vec<u8>,
    /// Bytes a message.
    pub record_size: u16,
    /// Of the field in a record.
    pub record_align: u16,
    /// `record_size` bytes a message.
    pub(super) column: Vec<u8>,
}

impl Extension {
    /// The field of the nth message; empty where there is none.
    pub fn record(&self, nth: usize) -> &[u8] {
        let size = usize::from(self.record_size);
        let at = nth.saturating_mul(size);
        self.column.get(at..at + size).unwrap_or_default()
    }

    /// The same, to change it.
    pub(super) fn record_mut(&mut self, nth: usize) -> &mut [u8] {
        let size = usize::from(self.record_size);
        let at = nth.saturating_mul(size);
        self.column.get_mut(at..at + size).unwrap_or_default()
    }

    /// Fields in a new order; a message without a place so far gets a zeroed one.
    fn reorder(&mut self, order: &[(u32, Option<usize>)]) {
        let size = usize::from(self.record_size);
        let mut column = vec![0; order.len() * size];
        for (to, (_, from)) in column.chunks_exact_mut(size.max(1)).zip(order) {
            let field = from.map_or(&[][..], |nth| self.record(nth));
            if field.len() == to.len() {
                to.copy_from_slice(field);
            }
        }
        self.column = column;
    }

    /// Clears all bits of the fields but the first `count`; returns of how many messages some were set.
    pub(super) fn keep_bits_below(&mut self, count: usize) -> usize {
        let size = usize::from(self.record_size).max(1);
        let mut changed = 0;
        for field in self.column.chunks_exact_mut(size) {
            let mut was_set = false;
            for (nth, byte) in field.iter_mut().enumerate().skip(count / 8) {
                let kept = if nth == count / 8 {
                    (1 << (count % 8)) - 1
                } else {
                    0
                };
                was_set |= *byte & !kept != 0;
                *byte &= kept;
            }
            changed += usize::from(was_set);
        }
        changed
    }

    /// A zeroed field for one more message.
    pub(super) fn grow(&mut self) {
        let size = self.column.len() + usize::from(self.record_size);
        self.column.resize(size, 0);
    }

    /// Gives the fields of `count` messages another size; what does not fit is cut, new bytes are 0.
    pub(super) fn resize_records(&mut self, size: u16, count: usize) {
        let (old, new) = (usize::from(self.record_size), usize::from(size));
        if old == new {
            return;
        }
        let kept = old.min(new);
        let mut column = vec![0; count * new];
        if kept > 0 {
            let pairs = column
                .chunks_exact_mut(new)
                .zip(self.column.chunks_exact(old));
            pairs.for_each(|(to, from)| to[..kept].copy_from_slice(&from[..kept]));
        }
        self.column = column;
        self.record_size = size;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_taken_in_between_those_that_are_there() {
        let extension = Extension {
            name: "x".into(),
            record_size: 2,
            column: vec![1, 1, 2, 2],
            ..Extension::default()
        };
        let mut index = Index {
            uids: vec![3, 7],
            flags: vec![8, 1],
            next_uid: 8,
            extensions: vec![extension, Extension::default()],
            ..Index::default()
        };
        index.take_in(&[5, 3, 9, 5]);
        assert_eq!(index.uids, [3, 5, 7, 9]);
        assert_eq!(index.flags, [8, 0, 1, 0]);
        assert_eq!(index.next_uid, 10);
        assert_eq!(index.extensions[0].column, [1, 1, 0, 0, 2, 2, 0, 0]);
        assert_eq!(index.extensions[1].record(3), [0; 0]);
    }
}
