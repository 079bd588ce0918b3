//! The map: where each stored message is, and how many messages share it.

use zerocopy::FromBytes;

use super::layout::{MAP, MAP_PLACE, MAP_REF, MapHeader, MapRecord, RefRecord};
use crate::disk::Dir;
use crate::error::Result;
use crate::format::dovecot_index::{self, Index};
use crate::report::Finding;
use crate::report::catalogue::INDEX_BROKEN;
use crate::store::Found;

/// The map of an account.
#[derive(Debug)]
pub(super) struct Map {
    index: Index,
    is_in_doubt: bool,
}

/// Where a stored message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Place {
    /// `n` of `m.<n>`.
    pub file_id: u32,
    /// Where its header begins.
    pub at: u64,
    /// Bytes of the whole record; 0: to the end of the file.
    pub len: u64,
}

impl Map {
    /// Reads index and log; `None` where there is neither, or nothing that can be used.
    pub(super) fn read(dir: &Dir, found: Found<'_>) -> Result<Option<Self>> {
        let mut is_in_doubt = false;
        let index = dovecot_index::load(dir, MAP, &mut |finding| {
            is_in_doubt = true;
            found(finding);
        })?;
        let usable =
            index.filter(|index| index.extension(MAP_PLACE).is_some() || index.uids.is_empty());
        if let Some(why) = usable.as_ref().and_then(Index::to_be_rebuilt) {
            is_in_doubt = true;
            found(Finding::new(&INDEX_BROKEN, why).path(MAP));
        }
        if let Some(nameless) = { usable.as_ref() }.filter(|index| index.uid_validity == 0)
            && !nameless.uids.is_empty()
        {
            is_in_doubt = true;
            found(Finding::new(&INDEX_BROKEN, "the map has no UIDVALIDITY").path(MAP));
        }
        Ok(usable.map(|index| Self { index, is_in_doubt }))
    }

    /// Something is wrong with it.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.is_in_doubt
    }

    /// It tells nothing, as what is left of one whose beginning is lost.
    pub(super) fn is_blank(&self) -> bool {
        self.index.uid_validity == 0 && self.index.uids.is_empty()
    }

    /// What ties the mailboxes to this map; 0 where that is lost.
    pub(super) fn uid_validity(&self) -> u32 {
        self.index.uid_validity
    }

    /// Above every map UID.
    pub(super) fn next_uid(&self) -> u32 {
        self.index.next_uid
    }

    /// How often the storage was rebuilt.
    pub(super) fn rebuild_count(&self) -> u32 {
        let header = self.index.extension(MAP_PLACE);
        let read = header.and_then(|ext| MapHeader::read_from_prefix(&ext.header).ok());
        read.map_or(0, |(header, _)| header.rebuild_count.get())
    }

    /// How many stored messages it has.
    pub(super) fn len(&self) -> usize {
        self.index.uids.len()
    }

    /// Where a map UID is among them.
    pub(super) fn position(&self, map_uid: u32) -> Option<usize> {
        self.index.position(map_uid)
    }

    /// The map UID of the `nth`.
    pub(super) fn map_uid(&self, nth: usize) -> u32 {
        self.index.uids[nth]
    }

    /// Where the `nth` is.
    pub(super) fn place(&self, nth: usize) -> Option<Place> {
        let record = self.index.extension(MAP_PLACE)?.record(nth);
        let (record, _) = MapRecord::read_from_prefix(record).ok()?;
        Some(Place {
            file_id: record.file_id.get(),
            at: record.offset.get().into(),
            len: record.size.get().into(),
        })
    }

    /// How many messages share the `nth`.
    pub(super) fn refs(&self, nth: usize) -> u16 {
        let record = self.index.extension(MAP_REF).map(|ext| ext.record(nth));
        let read = record.and_then(|record| RefRecord::read_from_prefix(record).ok());
        read.map_or(0, |(count, _)| count.get())
    }

    /// No storage file has a higher number, as far as the map knows.
    pub(super) fn highest_file_id(&self) -> u32 {
        let header = self.index.extension(MAP_PLACE);
        let read = header.and_then(|ext| MapHeader::read_from_prefix(&ext.header).ok());
        read.map_or(0, |(header, _)| header.highest_file_id.get())
    }
}
