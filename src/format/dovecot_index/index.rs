//! An index as it is after replay, and the columns it is made of.

use bstr::BString;

use super::keywords;
use super::layout::{CACHE, KEYWORDS};

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
    /// Names that `keywords_header` holds; bits above mean nothing.
    pub(super) keyword_count: u32,
}

impl Index {
    /// The extension of that name.
    pub fn extension(&self, name: &str) -> Option<&Extension> {
        self.extensions.iter().find(|ext| ext.name == name)
    }

    /// Where a UID is in the columns.
    pub fn position(&self, uid: u32) -> Option<usize> {
        self.uids.binary_search(&uid).ok()
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

    /// Where the nth message's newest cache record is; 0 = it has none.
    pub(super) fn cache_offset(&self, nth: usize) -> u32 {
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
