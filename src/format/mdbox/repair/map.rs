//! The map, corrected: each map UID where its message is, counted by the mailboxes that name it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use zerocopy::IntoBytes;

use super::super::layout::{
    MAP, MAP_LOG, MAP_PLACE, MAP_REF, MapHeader, MapRecord, RefRecord, STORAGE,
};
use super::super::map::{Map, Place};
use super::super::read::Mdbox;
use super::Repair;
use super::storage::Moved;
use crate::disk::plan::{About, Act};
use crate::error::Result;
use crate::format::Absent;
use crate::format::dovecot_index::{Generation, Head, IndexWriter};
use crate::report::catalogue as rules;
use crate::report::counted;

/// Files beside a map that would contradict a new one.
const OLD: [&str; 3] = [
    "dovecot.map.index.log.2",
    "dovecot.map.index.backup",
    "dovecot.map.index.tmp",
];

/// One stored message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stored {
    pub place: Place,
    /// How many messages share it.
    pub refs: u32,
}

/// What the old map says: by file and place, map UID and count.
type Told = HashMap<(u32, u64), (u32, u32)>;

/// The map as it is to be.
#[derive(Debug)]
pub(super) struct NewMap {
    /// What ties the mailboxes to it.
    pub uid_validity: u32,
    pub highest_file_id: u32,
    /// By map UID.
    pub stored: BTreeMap<u32, Stored>,
    by_place: HashMap<(u32, u64), u32>,
    next: u32,
    /// So many copies count nothing any more.
    freed: u64,
}

impl NewMap {
    /// Of an account whose map may be gone.
    pub(super) fn new(store: &Mdbox) -> Self {
        let map = store.storage.map.as_ref();
        Self {
            uid_validity: map.map_or(0, Map::uid_validity),
            highest_file_id: 0,
            stored: BTreeMap::new(),
            by_place: HashMap::new(),
            next: map.map_or(1, Map::next_uid).max(1),
            freed: 0,
        }
    }

    /// The map UID of the message at a place.
    pub(super) fn at(&self, place: Place) -> Option<u32> {
        self.by_place.get(&(place.file_id, place.at)).copied()
    }

    /// One message more at a place; it keeps its map UID unless that stands for another place.
    pub(super) fn name(&mut self, wanted: u32, place: Place) -> u32 {
        let map_uid = match self.at(place) {
            Some(known) => known,
            None if wanted > 0 && !self.stored.contains_key(&wanted) => wanted,
            None => self.next,
        };
        self.enter(map_uid, place, 0);
        if let Some(stored) = self.stored.get_mut(&map_uid) {
            stored.refs += 1;
        }
        map_uid
    }

    /// A stored message that no mailbox names, with the count that it had.
    pub(super) fn enter(&mut self, map_uid: u32, place: Place, refs: u32) {
        self.next = self.next.max(map_uid.saturating_add(1));
        self.by_place.insert((place.file_id, place.at), map_uid);
        self.stored.entry(map_uid).or_insert(Stored { place, refs });
    }

    /// A mailbox that cannot be read may name any of them. `told`: what the map counted, if there is one.
    fn lower_no_count(&mut self, told: Option<&Told>) {
        for stored in self.stored.values_mut() {
            let place = (stored.place.file_id, stored.place.at);
            let least = match told {
                Some(told) => told.get(&place).map_or(0, |(_, refs)| *refs),
                None => stored.refs + 1,
            };
            stored.refs = stored.refs.max(least);
        }
    }

    /// What is in a file that cannot be read is not counted lower.
    fn keep_counts(&mut self, told: &Told, unreadable: &BTreeSet<u32>) {
        let hidden = self.stored.values_mut();
        for stored in hidden.filter(|stored| unreadable.contains(&stored.place.file_id)) {
            let told = told.get(&(stored.place.file_id, stored.place.at));
            stored.refs = told.map_or(stored.refs, |(_, refs)| stored.refs.max(*refs));
        }
    }

    /// The one at a place counts nothing any more, if it did.
    pub(super) fn free(&mut self, place: Place) {
        let map_uid = self.at(place);
        let stored = map_uid.and_then(|map_uid| self.stored.get_mut(&map_uid));
        if let Some(stored) = stored.filter(|stored| stored.refs > 0) {
            stored.refs = 0;
            self.freed += 1;
        }
    }

    /// One that was never given out.
    pub(super) fn next(&self) -> u32 {
        self.next
    }
}

impl Repair<'_> {
    /// Gives every message of a mailbox its map UID.
    pub(super) fn name_messages(&mut self) {
        let has_map = self.store.storage.map.is_some();
        if self.map.uid_validity == 0 {
            let new = if has_map { 0 } else { self.options.now };
            self.map.uid_validity = self.uid_validity_of_mailboxes().unwrap_or(new);
        }
        for mailbox in &mut self.mailboxes {
            let ours = mailbox.map == self.map.uid_validity;
            for entry in mailbox.entries.iter_mut().filter(|entry| !entry.unnamed) {
                let Some(place) = entry.place else { continue };
                let wanted = if ours { entry.map_uid } else { 0 };
                let map_uid = self.map.name(wanted, place);
                mailbox.changed |= map_uid != entry.map_uid;
                entry.map_uid = map_uid;
            }
        }
        let old = self.store.storage.map.as_ref();
        let told: Told = old.into_iter().flat_map(places).collect();
        let is_in_doubt = old.is_some_and(Map::is_in_doubt);
        for mailbox in &mut self.mailboxes {
            let map = &mut self.map;
            mailbox.entries.retain_mut(|entry| {
                if !entry.unnamed {
                    return true;
                }
                let Some(place) = entry.place else {
                    return false;
                };
                let (wanted, refs) = told
                    .get(&(place.file_id, place.at))
                    .copied()
                    .unwrap_or((0, 0));
                let named = map.at(place).and_then(|uid| map.stored.get(&uid));
                let named = named.map_or(0, |stored| stored.refs);
                // Where the map counts nobody, the message was expunged.
                let has_it = if wanted > 0 && !is_in_doubt {
                    refs > named
                } else {
                    named == 0 || entry.recalled
                };
                if has_it {
                    entry.map_uid = map.name(wanted, place);
                }
                has_it
            });
        }
        self.map.keep_counts(&told, &self.scanned.unreadable);
        if self.is_partly_hidden {
            self.map.lower_no_count(old.is_some().then_some(&told));
        }
    }

    /// The map that most mailboxes were written for, if any was for one.
    fn uid_validity_of_mailboxes(&self) -> Option<u32> {
        let mut votes: BTreeMap<u32, usize> = BTreeMap::new();
        for mailbox in self.mailboxes.iter().filter(|mailbox| mailbox.map > 0) {
            *votes.entry(mailbox.map).or_default() += mailbox.entries.len().max(1);
        }
        let most = votes.into_iter().max_by_key(|(_, count)| *count);
        most.map(|(map, _)| map)
    }

    /// Stored messages that no mailbox names stay what they are. Without a map, nobody knows whether they
    /// were expunged: they are orphans.
    pub(super) fn name_the_rest(&mut self) {
        let missing = self.store.tree.places.alt_is_missing();
        if let Some(old) = &self.store.storage.map {
            for ((file_id, at), (map_uid, refs)) in places(old) {
                let place = Place {
                    file_id,
                    at,
                    len: 0,
                };
                let held = self.scanned.len(place);
                let hidden = self.scanned.unreadable.contains(&file_id);
                let free = self.map.at(place).is_none() && !self.map.stored.contains_key(&map_uid);
                if free && (held.is_some() || missing || hidden || self.is_partly_hidden) {
                    let told = old.position(map_uid).and_then(|nth| old.place(nth));
                    self.map.enter(map_uid, told.unwrap_or(place), refs);
                }
            }
            return;
        }
        for ((file_id, at), held) in &self.scanned.held {
            let place = Place {
                file_id: *file_id,
                at: *at,
                len: held.len,
            };
            if self.map.at(place).is_none() {
                // A purge would throw away what the map does not name.
                self.map.enter(self.map.next(), place, 1);
            }
        }
    }

    /// True where the map says of each stored message what is the case.
    fn map_is_right(&self) -> bool {
        let Some(old) = &self.store.storage.map else {
            // Without a map, a lost storage would be taken for one that is out of sight.
            return self.map.stored.is_empty() && self.absent == Absent::MayComeBack;
        };
        let told = (0..old.len()).map(|nth| {
            let place = old.place(nth).map(|place| (place.file_id, place.at));
            (old.map_uid(nth), place, u32::from(old.refs(nth)))
        });
        let real = self.map.stored.iter().map(|(map_uid, stored)| {
            let place = (stored.place.file_id, stored.place.at);
            (*map_uid, Some(place), stored.refs)
        });
        let sizes = (0..old.len())
            .filter_map(|nth| old.place(nth))
            .all(|place| {
                let real = self.scanned.len(place);
                place.len == 0 || real.is_none_or(|real| real == place.len)
            });
        let same_id = old.uid_validity() == self.map.uid_validity;
        self.map_codes.is_empty() && same_id && sizes && told.eq(real)
    }

    pub(super) fn write_map(&mut self) -> Result<()> {
        let moves = !self.plan.is_empty();
        if !moves && self.map_is_right() {
            return Ok(());
        }
        let places = Arc::clone(&self.store.tree.places);
        let at = places.map_at(STORAGE);
        let dir = places.map_index(self.root, STORAGE)?;
        for name in OLD {
            let old = dir.as_ref().map(|dir| dir.stat_if_there(name));
            if old.transpose()?.flatten().is_some() {
                let about = About::of("it is older than the new map");
                places.push_indexed(&mut self.plan, &at, name, Act::Remove, about);
            }
        }
        let stored: Vec<_> = self
            .map
            .stored
            .iter()
            .map(|(uid, stored)| (*uid, *stored))
            .collect();
        let lens: Vec<_> = stored
            .iter()
            .map(|(_, stored)| self.scanned.len(stored.place).unwrap_or(stored.place.len))
            .collect();
        let now = self.options.now;
        let generation = Generation::after(dir.as_ref(), MAP, now);
        let head = Head {
            now: self.options.now,
            indexid: generation.indexid,
            uid_validity: self.map.uid_validity,
            next_uid: self.map.next,
            first_recent_uid: 1,
            log_file_seq: generation.log_file_seq,
            initial_modseq: 1,
        };
        let rebuilt = self
            .store
            .storage
            .map
            .as_ref()
            .map_or(0, Map::rebuild_count);
        let header = MapHeader {
            highest_file_id: self.map.highest_file_id.into(),
            rebuild_count: rebuilt.saturating_add(1).into(),
        };
        self.push_map(head, header, stored, lens);
        Ok(())
    }

    fn push_map(
        &mut self,
        head: Head,
        header: MapHeader,
        stored: Vec<(u32, Stored)>,
        lens: Vec<u64>,
    ) {
        let about = About {
            codes: self.codes_of_map(),
            ..About::of(self.does_for_a_map(stored.len()))
        };
        let log = new_map(head, header, &[], &[], &Moved::default()).log_bytes();
        let places = Arc::clone(&self.store.tree.places);
        let at = places.map_at(STORAGE);
        let of_it = About::of("the log that belongs to the map");
        places.push_indexed(&mut self.plan, &at, MAP_LOG, Act::put(log), of_it);
        let moved = std::rc::Rc::clone(&self.moved);
        let fill = move |file: &mut crate::disk::NewFile| {
            let map = new_map(head, header, &stored, &lens, &moved);
            file.append(&map.index_bytes())
        };
        let act = Act::Replace(Box::new(fill));
        places.push_indexed(&mut self.plan, &at, MAP, act, about);
    }

    fn does_for_a_map(&self, messages: usize) -> String {
        let messages = counted(messages as u64, "stored message");
        let mut does = vec![format!("a map of {messages}")];
        if self.map.freed > 0 {
            let freed = counted(self.map.freed, "stored message");
            does.push(format!(
                "{freed} that a mailbox has in another place may be purged"
            ));
        }
        if self.is_partly_hidden {
            does.push("no count is lowered, as a mailbox cannot be read".into());
        }
        does.join("; ")
    }

    fn codes_of_map(&self) -> Vec<&'static str> {
        let mut codes = self.map_codes.clone();
        if codes.is_empty() {
            let Some(old) = &self.store.storage.map else {
                return codes;
            };
            let differs = |(nth, new): (usize, &Stored)| u32::from(old.refs(nth)) != new.refs;
            let same = self.map.stored.len() == old.len();
            if same && self.map.stored.values().enumerate().any(differs) {
                codes.push(rules::MDBOX_REFCOUNT.code);
            } else if self.plan.is_empty() {
                codes.push(rules::MDBOX_ASTRAY.code);
            }
        }
        codes
    }
}

/// What a map says: place, then map UID and count.
fn places(map: &Map) -> impl Iterator<Item = ((u32, u64), (u32, u32))> {
    (0..map.len()).filter_map(|nth| {
        let place = map.place(nth)?;
        let told = (map.map_uid(nth), u32::from(map.refs(nth)));
        Some(((place.file_id, place.at), told))
    })
}

fn new_map(
    head: Head,
    header: MapHeader,
    stored: &[(u32, Stored)],
    lens: &[u64],
    moved: &Moved,
) -> IndexWriter {
    let mut map = IndexWriter::for_map(head);
    let place_id = map.extension(MAP_PLACE, 0, header.as_bytes().to_vec(), 12, 4);
    let refs_id = map.extension(MAP_REF, 0, Vec::new(), 2, 2);
    let number = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    for ((map_uid, stored), len) in stored.iter().zip(lens) {
        let was = (stored.place.file_id, stored.place.at);
        let moved = moved.borrow().get(&was).copied();
        let place = moved.unwrap_or(Place {
            len: *len,
            ..stored.place
        });
        let record = MapRecord {
            file_id: place.file_id.into(),
            offset: number(place.at).into(),
            size: number(place.len).into(),
        };
        let nth = map.push(*map_uid, 0);
        map.set(nth, place_id, record.as_bytes());
        let refs = u16::try_from(stored.refs).unwrap_or(u16::MAX);
        map.set(nth, refs_id, RefRecord::new(refs).as_bytes());
    }
    map
}
