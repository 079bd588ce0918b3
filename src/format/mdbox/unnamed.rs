//! Stored messages that no index names: what is left of mailboxes whose index is lost or damaged.
//!
//! ```text
//! the map counts    the indexes name
//!       1                  1          all is told
//!       1                  0          of the mailbox that it was first saved to, if its index is in doubt
//!       2                  1          the same; or of the only mailbox whose index is in doubt
//!       0                             expunged, and not purged yet
//! ```

use std::collections::{BTreeSet, HashMap};

use super::fields;
use super::made;
use super::map::{Map, Place};
use super::read::Mdbox;
use crate::format::dbox::{casts_doubt, indexed_guid};
use crate::format::dovecot_index::Index;

/// File and offset.
type At = (u32, u64);

/// How often the stored messages are counted and named.
#[derive(Debug)]
pub(super) struct Named {
    /// By place: where in the map, and how often the map counts it; not where the map is in doubt.
    mapped: HashMap<At, (usize, Option<u16>)>,
    named: HashMap<At, u16>,
    /// Mailboxes whose index may not name all that they have.
    in_doubt: BTreeSet<usize>,
}

impl Named {
    /// Reads all indexes.
    pub(super) fn read(store: &Mdbox) -> Self {
        let mut this = Self {
            mapped: mapped(store),
            named: HashMap::new(),
            in_doubt: BTreeSet::new(),
        };
        for nth in store.tree.selectable() {
            this.count_mailbox(store, nth);
        }
        this
    }

    fn count_mailbox(&mut self, store: &Mdbox, nth: usize) {
        let mut in_doubt = false;
        let name = &store.tree.names[nth];
        let mails = store.tree.mails(nth, &mut |_| ()).ok().flatten();
        let index = mails.and_then(|mails| {
            let mut told = |finding| in_doubt |= casts_doubt(&finding);
            made::load(store, name, &mails, &mut told).ok().flatten()
        });
        match index {
            Some(index) => self.count(store, &index),
            None => in_doubt = true,
        }
        if in_doubt {
            self.in_doubt.insert(nth);
        }
    }

    fn count(&mut self, store: &Mdbox, index: &Index) {
        for nth in 0..index.uids.len() {
            if let Some(at) = told_place(store, index, nth) {
                let count = self.named.entry(at).or_default();
                *count = count.saturating_add(1);
            }
        }
    }

    /// True where more messages are at a place than the indexes name.
    fn is_unnamed(&self, at: At) -> bool {
        let named = self.named.get(&at).copied().unwrap_or(0);
        match self.mapped.get(&at) {
            Some((_, Some(refs))) => *refs > named,
            _ => named == 0,
        }
    }

    /// True where a map that is not in doubt counts the message at a place.
    fn counts(&self, at: At) -> bool {
        let mapped = self.mapped.get(&at);
        mapped.is_some_and(|(_, refs)| refs.is_some())
    }

    /// True where every index names all that its mailbox has.
    fn are_all(&self) -> bool {
        self.in_doubt.is_empty()
    }

    /// True for the only mailbox whose index may not name all that it has.
    fn is_only_one_in_doubt(&self, nth: usize) -> bool {
        self.in_doubt.iter().eq([&nth])
    }

    /// Where in the map the message at a place is.
    pub(super) fn position(&self, place: Place) -> Option<usize> {
        let (nth, _) = self.mapped.get(&(place.file_id, place.at))?;
        Some(*nth)
    }
}

fn mapped(store: &Mdbox) -> HashMap<At, (usize, Option<u16>)> {
    let map = store.storage.map.iter();
    let all = map.flat_map(|map| (0..map.len()).map(move |nth| (map, nth)));
    let placed = all.filter_map(|(map, nth)| {
        let refs = (!map.is_in_doubt()).then(|| map.refs(nth));
        map.place(nth)
            .map(|place| ((place.file_id, place.at), (nth, refs)))
    });
    placed.collect()
}

/// Where the message is that an index names: its GUID says it for sure, the map of several copies.
fn told_place(store: &Mdbox, index: &Index, nth: usize) -> Option<At> {
    let scan = store.storage.scan();
    let mapped = mapped_place(store, index, nth);
    match indexed_guid(index, nth).and_then(|guid| Some((guid, scan.find(&guid)?))) {
        Some((guid, found)) => {
            let is_same = |place: &Place| {
                let there = scan.message_at((place.file_id, place.at));
                there.is_some_and(|(_, there)| there == guid)
            };
            let place = mapped.filter(is_same).unwrap_or(found);
            Some((place.file_id, place.at))
        }
        None => mapped.map(|place| (place.file_id, place.at)),
    }
}

/// Where the map has the message that an index names.
pub(super) fn mapped_place(store: &Mdbox, index: &Index, nth: usize) -> Option<Place> {
    let map = store.storage.map.as_ref()?;
    let map_uid = fields::record(index, nth)?.map_uid.get();
    map.place(map.position(map_uid)?)
}

/// True where something leads to the message that an index names.
pub(super) fn is_led_to(store: &Mdbox, index: &Index, nth: usize) -> bool {
    indexed_guid(index, nth).is_some() || mapped_place(store, index, nth).is_some()
}

impl Mdbox {
    /// Messages of the `nth` mailbox that no index has: those that were first saved to it, and those that came
    /// from others.
    pub(super) fn unnamed(&self, nth: usize) -> Vec<(Place, [u8; 16])> {
        let (scan, named) = (self.storage.scan(), self.named());
        let first_saved = scan.first_saved_to(&self.storage_name(nth)).iter();
        let is_unnamed = |(place, guid): &&(Place, [u8; 16])| {
            let at = (place.file_id, place.at);
            // What the map does not count may be left over from a purge.
            named.is_unnamed(at) && (named.counts(at) || scan.find(guid) == Some(*place))
        };
        let mut unnamed: Vec<_> = first_saved.filter(is_unnamed).copied().collect();
        if named.is_only_one_in_doubt(nth) && !self.tree.is_partly_hidden {
            unnamed.extend(self.came_from_others(nth));
        }
        unnamed
    }

    /// Messages that no map tells of, where all indexes are right and none names them: an older map and older indexes
    /// were put in the place of those that did, or the map is gone.
    pub(super) fn told_by_no_map(&self) -> Vec<Place> {
        let highest = self.storage.map.as_ref().map_or(0, Map::highest_file_id);
        let files = self.storage.files().unwrap_or_default();
        if !files.iter().any(|id| *id > highest) {
            return Vec::new();
        }
        let named = self.named();
        if !named.are_all() || self.tree.is_partly_hidden {
            return Vec::new();
        }
        let newer = self.storage.scan().only_above(highest);
        let is_unnamed = |place: &Place| named.is_unnamed((place.file_id, place.at));
        newer.filter(is_unnamed).collect()
    }

    /// True where the map counts the message at a place more often than the indexes name it.
    pub(super) fn counts_more_than_named(&self, place: Place) -> bool {
        let at = (place.file_id, place.at);
        self.named().counts(at) && self.named().is_unnamed(at)
    }

    /// True where the counts of the map tell what was copied or moved to the `nth` mailbox, which no index names.
    pub(super) fn knows_what_came_to(&self, nth: usize) -> bool {
        let map = self.storage.map.as_ref();
        let counts = map.is_some_and(|map| !map.is_in_doubt());
        counts && self.named().is_only_one_in_doubt(nth)
    }

    /// Copied or moved from other mailboxes: these are sound, and do not have them.
    fn came_from_others(&self, nth: usize) -> Vec<(Place, [u8; 16])> {
        let (scan, named) = (self.storage.scan(), self.named());
        let others = self.tree.selectable().filter(|other| *other != nth);
        let first_saved = others.map(|other| self.storage_name(other));
        let first_saved: Vec<_> = first_saved.collect();
        let all = first_saved
            .iter()
            .flat_map(|name| scan.first_saved_to(name));
        let is_unnamed = |(place, _): &&(Place, [u8; 16])| {
            let at = (place.file_id, place.at);
            named.counts(at) && named.is_unnamed(at)
        };
        let mut unnamed: Vec<_> = all.filter(is_unnamed).copied().collect();
        unnamed.sort_unstable();
        unnamed
    }
}
