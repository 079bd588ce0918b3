//! Stored messages that no mailbox names: they get a mailbox of their own, where that is asked for.

use std::rc::Rc;
use std::sync::Arc;

use bstr::BString;

use super::super::layout::file_name;
use super::super::map::{Map, Place};
use super::Repair;
use super::copies::Like;
use super::entries::Entry;
use crate::disk::plan::{About, Act, Path};
use crate::error::Result;
use crate::format::dbox::{Extent, FoundMessage, found_message, guid_128};
use crate::format::dovecot_index::Generation;
use crate::model::Uid;
use crate::report::catalogue::MDBOX_ORPHAN;
use crate::report::counted;

/// Where it is stored, its GUID, and what it tells of itself.
pub(super) type Orphan = (Place, [u8; 16], FoundMessage);

impl Repair<'_> {
    /// What came after the map was written, and no mailbox has, is not to be thrown away by a purge.
    pub(super) fn name_the_newer(&mut self) {
        let Some(highest) = self.store.storage.map.as_ref().map(Map::highest_file_id) else {
            return;
        };
        let held = self.held().into_iter();
        let newer: Vec<_> = held.filter(|(place, _)| place.file_id > highest).collect();
        if newer.is_empty() || self.is_partly_hidden {
            return;
        }
        let mut kept = self.kept();
        for (place, guid) in newer {
            let is_new = |like: &Like| matches!(like, Like::None | Like::Other(..));
            if !kept.has(place) && is_new(&kept.look(self, &guid, place)) {
                self.map.enter(self.map.next(), place, 1);
            }
        }
    }

    /// Names all orphans in a new mailbox.
    pub(super) fn take_in_orphans(&mut self) -> Result<()> {
        if !self.options.recover_orphans || self.is_partly_hidden {
            return Ok(());
        }
        let mut entries = Vec::new();
        let orphans = self.orphans()?;
        for (place, guid, found) in self.make_again(orphans) {
            let uid = u32::try_from(entries.len() + 1).ok().and_then(Uid::new);
            let Some(uid) = uid else { continue };
            let map_uid = self.counted_once(place);
            entries.push(Entry {
                at: entries.len(),
                map_uid,
                ..Entry::stored(found.message(uid), place, guid)
            });
        }
        if !entries.is_empty() {
            self.write_recovered(&entries);
        }
        Ok(())
    }

    /// It counts as it is; a place that the map did not know counts from now on.
    pub(super) fn counted_once(&mut self, place: Place) -> u32 {
        let known = self.map.at(place);
        let map_uid = known.unwrap_or_else(|| self.map.name(0, place));
        if let Some(stored) = self.map.stored.get_mut(&map_uid) {
            stored.refs = 1;
        }
        map_uid
    }

    /// Those that hold up and that no mailbox has, each once.
    fn orphans(&mut self) -> Result<Vec<Orphan>> {
        let (mut kept, mut orphans) = (self.kept(), Vec::new());
        for (place, guid) in self.held() {
            let stored = self.map.at(place).and_then(|uid| self.map.stored.get(&uid));
            // A count of zero: expunged, and not purged yet.
            let wanted = stored.is_none_or(|stored| stored.refs > 0);
            if !wanted || kept.has(place) {
                continue;
            }
            match kept.look(self, &guid, place) {
                Like::None => {
                    if let Some(found) = self.orphan(place)? {
                        kept.add(guid, place);
                        orphans.push((place, guid, found));
                    }
                }
                Like::Same(new) => {
                    self.map.free(place);
                    self.rename(place, new);
                }
                Like::Other(digest, new) => {
                    // Nothing outside of the account is written to.
                    if let Some(mut found) = self.orphan(place)?
                        && self.is_in_root(place)?
                    {
                        kept.add_renamed(guid, digest, new.clone());
                        found.rename(new.clone());
                        orphans.push((place, guid_128(&new), found));
                        self.rename(place, Some(new));
                    }
                }
                Like::Unreadable => {}
            }
        }
        Ok(orphans)
    }

    /// It gets another GUID: to a server, two messages with one GUID are one.
    fn rename(&mut self, place: Place, new: Option<BString>) {
        if let Some(new) = new {
            self.renamed.insert((place.file_id, place.at), new);
        }
    }

    fn is_in_root(&self, place: Place) -> Result<bool> {
        self.has_file(&file_name(place.file_id))
    }

    fn orphan(&self, place: Place) -> Result<Option<FoundMessage>> {
        let Some(file) = self.store.storage.file(place.file_id)? else {
            return Ok(None);
        };
        let extent = Extent {
            at: Some(place.at),
            header: file.header,
            end: place.at + place.len,
        };
        let saved = file.file.stat()?.mtime;
        Ok(found_message(Arc::clone(&file.file), extent, saved))
    }

    fn write_recovered(&mut self, entries: &[Entry]) {
        let store = Rc::clone(&self.store);
        let mailbox = self
            .identities
            .recovered(self.root, &store.tree, entries.len());
        let (mailboxes, mails) = store.tree.places.names();
        let name = mailbox.name.to_string();
        let at: Path = [mailboxes, &name, mails].map(Into::into).to_vec();
        self.plan
            .push(at[..2].to_vec(), Act::MakeDir, About::default());
        self.plan.push(at, Act::MakeDir, About::default());
        let count = counted(entries.len() as u64, "message");
        let about = About {
            codes: vec![MDBOX_ORPHAN.code],
            lost: self.identities.recover_gone(),
            ..About::in_mailbox(
                &mailbox.name,
                format!("the index of {count}, without flags"),
            )
        };
        let generation = Generation::first(self.options.now);
        let index_at = store.tree.places.index_at(&[name.as_str().into()]);
        self.put_index(&mailbox, generation, entries, &about, &index_at);
    }
}
