//! Stored messages that have the GUID of another one: which are the same message once more.

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::Arc;

use bstr::BString;

use super::super::map::Place;
use super::Repair;
use crate::format::dbox::{Extent, Key, StoredMessage};
use crate::format::names::made_message_guid;

type Guid = [u8; 16];
type Digest = [u8; 32];

/// Messages that a mailbox has.
#[derive(Debug, Default)]
pub(super) struct Kept {
    places: HashSet<(u32, u64)>,
    /// Those that nobody has asked for yet: each is read once, at the first question.
    unread: HashMap<Guid, Vec<Place>>,
    /// With the GUID that each gets where the one that it has is that of another.
    read: HashMap<Guid, HashMap<Digest, Option<BString>>>,
}

/// What a stored message is to those that a mailbox has.
pub(super) enum Like {
    /// None has its GUID.
    None,
    /// One has its GUID and its bytes; the new GUID of that one, if it gets one.
    Same(Option<BString>),
    /// One has its GUID and other bytes: the GUID that it gets.
    Other(Digest, BString),
    /// It cannot be read now.
    Unreadable,
}

impl Kept {
    /// One more.
    pub(super) fn add(&mut self, guid: Guid, place: Place) {
        if self.places.insert((place.file_id, place.at)) {
            self.unread.entry(guid).or_default().push(place);
        }
    }

    /// One more, under another GUID from now on.
    pub(super) fn add_renamed(&mut self, guid: Guid, digest: Digest, new: BString) {
        self.read.entry(guid).or_default().insert(digest, Some(new));
    }

    /// True where this very one is among them.
    pub(super) fn has(&self, place: Place) -> bool {
        self.places.contains(&(place.file_id, place.at))
    }

    /// What the message at `place` is to them.
    pub(super) fn look(&mut self, repair: &Repair<'_>, guid: &Guid, place: Place) -> Like {
        if !self.unread.contains_key(guid) && !self.read.contains_key(guid) {
            return Like::None;
        }
        let unread = self.unread.remove(guid).unwrap_or_default();
        let digests = unread.into_iter().filter_map(|place| repair.digest(place));
        let read = self.read.entry(*guid).or_default();
        read.extend(digests.map(|digest| (digest, None)));
        let Some(digest) = repair.digest(place) else {
            return Like::Unreadable;
        };
        match read.get(&digest) {
            Some(new) => Like::Same(new.clone()),
            None => {
                let new = made_message_guid(&[&guid[..], &digest].concat());
                Like::Other(digest, new.into())
            }
        }
    }
}

impl Repair<'_> {
    /// What the mailboxes name.
    pub(super) fn kept(&self) -> Kept {
        let mut kept = Kept::default();
        for entry in self.mailboxes.iter().flat_map(|mailbox| &mailbox.entries) {
            if let Some(place) = entry.place {
                kept.add(entry.guid, place);
            }
        }
        kept
    }

    /// What the map counts, no mailbox names, and one has: a purge may free it, and nothing is lost.
    pub(super) fn free_copies(&mut self) {
        if self.is_partly_hidden {
            return;
        }
        let mut kept = self.kept();
        for (place, guid) in self.held() {
            if !kept.has(place) && matches!(kept.look(self, &guid, place), Like::Same(_)) {
                self.map.free(place);
            }
        }
    }

    /// All that hold up and have a GUID.
    pub(super) fn held(&self) -> Vec<(Place, Guid)> {
        let held = self.scanned.held.iter();
        let held = held.filter_map(|((file_id, at), held)| {
            let place = Place {
                file_id: *file_id,
                at: *at,
                len: held.len,
            };
            Some((place, held.guid?))
        });
        held.collect()
    }

    /// A digest of all that makes a message; `None` where it cannot be read.
    fn digest(&self, place: Place) -> Option<Digest> {
        let len = self.scanned.len(place)?;
        let file = self.store.storage.file(place.file_id).ok()??;
        let extent = Extent {
            at: Some(place.at),
            header: file.header,
            end: place.at + len,
        };
        let mut scratch = Vec::new();
        let stored = StoredMessage::read(Arc::clone(&file.file), extent, &mut scratch).ok()?;
        let mut hasher = blake3::Hasher::new();
        let attachments = stored.metadata.get(Key::External).unwrap_or_default();
        hasher.update(&blake3::hash(attachments).as_bytes()[..]);
        io::copy(&mut stored.plain_body(), &mut hasher).ok()?;
        Some(*hasher.finalize().as_bytes())
    }
}
