//! Where a message of a mailbox lies: where the map says, or else where a scan of the storage files found it.

use std::sync::Arc;

use super::super::layout::file_name;
use super::super::map::Place;
use super::super::storage::StorageFile;
use super::MdboxMailbox;
use crate::disk::File;
use crate::error::Result;
use crate::format::dbox::{Extent, Key, Refused, StoredMessage, guid_128};
use crate::report::catalogue as rules;
use crate::report::{Finding, Rule};

/// Why a message is not where it should be.
type Astray = (&'static Rule, String);

/// How a message is read: only if it holds up, or as far as it does.
type How<'s> = fn(Arc<File>, Extent, &'s mut Vec<u8>) -> Result<StoredMessage<'s>, Refused>;

impl MdboxMailbox<'_> {
    /// Where the index and the map say that a message is.
    pub(super) fn place(&self, nth: usize) -> Result<Place, Astray> {
        if let Some((place, _)) = self.unnamed(nth) {
            return Ok(place);
        }
        let astray = |why: String| (&rules::MDBOX_MAP, why);
        let map_uid = self.record(nth).map_or(0, |record| record.map_uid.get());
        if map_uid == 0 {
            return Err(astray("the index does not say where it is".into()));
        }
        let map = self.store.storage.map.as_ref();
        let map = map.ok_or_else(|| astray("there is no map".into()))?;
        let at = map.position(map_uid);
        let place = at.and_then(|at| map.place(at));
        place.ok_or_else(|| astray(format!("map UID {map_uid} is not in the map")))
    }

    fn file(&self, place: Place) -> Result<Arc<StorageFile>, Astray> {
        let name = file_name(place.file_id);
        match self.store.storage.file(place.file_id) {
            Ok(Some(file)) => Ok(file),
            Ok(None) => Err((&rules::MDBOX_LOST, self.not_there(&name))),
            Err(error) => Err((&rules::DBOX_UNREADABLE, error.chain())),
        }
    }

    fn not_there(&self, name: &str) -> String {
        let why = if self.store.tree.places.alt_is_missing() {
            "; nor is the alternative storage (ALT=)"
        } else {
            ""
        };
        format!("{name} is not there{why}")
    }

    /// Reads the message at `place`. A damaged one is read as far as it is sound where `how` does so.
    fn read_any<'s>(
        &self,
        place: Place,
        how: How<'s>,
        scratch: &'s mut Vec<u8>,
    ) -> Result<StoredMessage<'s>, Astray> {
        let file = self.file(place)?;
        let name = file_name(place.file_id);
        let end = match place.len {
            0 => file.len,
            len => file.len.min(place.at.saturating_add(len)),
        };
        let extent = Extent {
            at: Some(place.at),
            header: file.header,
            end,
        };
        let stored = how(Arc::clone(&file.file), extent, scratch);
        stored.map_err(|refused| match refused {
            Refused::Io(error) => (&rules::DBOX_UNREADABLE, format!("{name}: {error}")),
            Refused::Damaged(rule, why) => (rule, format!("{name}, {why}")),
        })
    }

    /// The same, of the message that the index means.
    fn read<'s>(
        &self,
        nth: usize,
        place: Place,
        how: How<'s>,
        scratch: &'s mut Vec<u8>,
    ) -> Result<StoredMessage<'s>, Astray> {
        let stored = self.read_any(place, how, scratch)?;
        if self.other_guid(nth, &stored).is_some() {
            let name = file_name(place.file_id);
            let why = format!("{name}, byte {}: another message is there", place.at);
            return Err((&rules::MDBOX_MAP, why));
        }
        Ok(stored)
    }

    /// The GUID of a stored message, where the index has another one for it.
    pub(in super::super) fn other_guid(
        &self,
        nth: usize,
        stored: &StoredMessage<'_>,
    ) -> Option<[u8; 16]> {
        let real = guid_128(stored.metadata.get(Key::Guid)?);
        let wanted = self.guid(nth)?;
        (wanted != real).then_some(real)
    }

    /// The sound message where index and map say it is, under another GUID than the index has, which no stored
    /// message has: one of the two is damaged. A server does not ask.
    fn under_another_guid(
        &self,
        nth: usize,
        place: Place,
    ) -> Option<(Place, StoredMessage<'static>)> {
        let map = self.store.storage.map.as_ref()?;
        let belongs = self.dbox.first_word() == Some(map.uid_validity());
        if !belongs || self.store.storage.scan().find(&self.guid(nth)?).is_some() {
            return None;
        }
        let mut own = Vec::new();
        let stored = self.read_any(place, StoredMessage::judged, &mut own).ok()?;
        self.other_guid(nth, &stored)?;
        if stored.wound.is_some() || stored.len != place.len {
            return None;
        }
        let name = file_name(place.file_id);
        let detail = format!(
            "{name}, byte {}: the message there has another GUID than the index says",
            place.at
        );
        let note = self.finding(&rules::MDBOX_GUID, nth, &name, detail);
        self.notes().insert(nth, (place, Some(note)));
        Some((place, stored.into_owned()))
    }

    /// Looks for a message by its GUID, which is in no other place than `not_there`.
    fn rescue(
        &self,
        nth: usize,
        not_there: Option<Place>,
        why: &str,
    ) -> Option<(Place, StoredMessage<'static>)> {
        let place = self.store.storage.scan().find(&self.guid(nth)?)?;
        if Some(place) == not_there {
            return None;
        }
        let mut own = Vec::new();
        let stored = self.read(nth, place, StoredMessage::judged, &mut own);
        let stored = stored.ok()?.into_owned();
        // Without a map, all messages are found in this way, and that was said once.
        let note = self.store.storage.map.is_some().then(|| {
            let name = file_name(place.file_id);
            let detail = format!("{why}; found by its GUID in {name} at byte {}", place.at);
            self.finding(&rules::MDBOX_ASTRAY, nth, &name, detail)
        });
        self.notes().insert(nth, (place, note));
        Some((place, stored))
    }

    /// What is sound of a damaged message.
    fn salvage(&self, nth: usize, place: Place) -> Option<StoredMessage<'static>> {
        let mut own = Vec::new();
        let stored = self.read(nth, place, StoredMessage::open, &mut own);
        Some(stored.ok()?.into_owned())
    }

    /// The same, with nothing else asked; `place` need not be where the map says.
    pub(in super::super) fn salvage_at<'s>(
        &self,
        nth: usize,
        place: Place,
        scratch: &'s mut Vec<u8>,
    ) -> Result<StoredMessage<'s>, Box<Finding>> {
        let stored = self.read(nth, place, StoredMessage::open, scratch);
        let name = file_name(place.file_id);
        stored.map_err(|(rule, why)| self.finding(rule, nth, &name, why))
    }

    /// Where index and map say that a message is.
    pub(in super::super) fn told_place(&self, nth: usize) -> Option<Place> {
        self.place(nth).ok()
    }

    /// The `nth` message, and where it is: where the map says, or elsewhere by its GUID, or what is sound.
    pub(in super::super) fn find<'s>(
        &'s self,
        nth: usize,
        scratch: &'s mut Vec<u8>,
    ) -> Result<(Place, StoredMessage<'s>), Box<Finding>> {
        let place = self.place(nth);
        let ((rule, why), place) = match place {
            Ok(place) => match self.read(nth, place, StoredMessage::judged, scratch) {
                Ok(stored) => return Ok((place, stored)),
                Err(astray) => (astray, Some(place)),
            },
            Err(astray) => (astray, None),
        };
        if let Some(found) = self.rescue(nth, place, &why) {
            return Ok(found);
        }
        if let Some(found) = place.and_then(|place| self.under_another_guid(nth, place)) {
            return Ok(found);
        }
        let salvaged = place.and_then(|place| Some((place, self.salvage(nth, place)?)));
        salvaged.ok_or_else(|| self.dbox.finding(rule, nth, &self.shown_file(nth), why))
    }
}
