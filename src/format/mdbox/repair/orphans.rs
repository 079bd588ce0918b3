//! Stored messages that no mailbox names: they get a mailbox of their own, where that is asked for.

use std::collections::HashSet;
use std::rc::Rc;
use std::sync::Arc;

use super::super::map::Place;
use super::Repair;
use super::mailboxes::Entry;
use crate::disk::plan::{About, Act, Path};
use crate::error::Result;
use crate::format::dbox::{Extent, found_message};
use crate::format::dovecot_index::Generation;
use crate::model::Uid;
use crate::report::catalogue::MDBOX_ORPHAN;
use crate::report::counted;

impl Repair<'_> {
    /// Names all orphans in a new mailbox.
    pub(super) fn take_in_orphans(&mut self) -> Result<()> {
        if !self.options.recover_orphans || self.is_partly_hidden {
            return Ok(());
        }
        let mut entries = Vec::new();
        for (place, guid) in self.orphans() {
            let uid = u32::try_from(entries.len() + 1).ok().and_then(Uid::new);
            let (Some(uid), Some(found)) = (uid, self.orphan(place)?) else {
                continue;
            };
            // It counts as it is; a place that the map did not know counts from now on.
            let known = self.map.at(place);
            let map_uid = known.unwrap_or_else(|| self.map.name(0, place));
            if let Some(stored) = self.map.stored.get_mut(&map_uid) {
                stored.refs = 1;
            }
            entries.push(Entry {
                at: entries.len(),
                message: found.message(uid),
                place: Some(place),
                wounded: false,
                recalled: false,
                map_uid,
                guid,
            });
        }
        if !entries.is_empty() {
            self.write_recovered(&entries);
        }
        Ok(())
    }

    /// Those that hold up and that no mailbox has under the same GUID.
    fn orphans(&self) -> Vec<(Place, [u8; 16])> {
        let entries = self.mailboxes.iter().flat_map(|mailbox| &mailbox.entries);
        let named: HashSet<_> = entries.map(|entry| entry.guid).collect();
        let mut seen = HashSet::new();
        let held = self.scanned.held.iter();
        let orphans = held.filter_map(|((file_id, at), held)| {
            let place = Place {
                file_id: *file_id,
                at: *at,
                len: held.len,
            };
            let guid = held.guid.filter(|guid| !named.contains(guid))?;
            let stored = self.map.at(place).and_then(|uid| self.map.stored.get(&uid));
            // A count of zero: expunged, and not purged yet.
            let wanted = stored.is_none_or(|stored| stored.refs > 0);
            (wanted && seen.insert(guid)).then_some((place, guid))
        });
        orphans.collect()
    }

    fn orphan(&self, place: Place) -> Result<Option<crate::format::dbox::FoundMessage>> {
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
        let at = |more: &[&str]| -> Path {
            let names = [mailboxes, &name, mails].into_iter();
            names.chain(more.iter().copied()).map(Into::into).collect()
        };
        let above = at(&[])[..2].to_vec();
        self.plan.push(above, Act::MakeDir, About::default());
        self.plan.push(at(&[]), Act::MakeDir, About::default());
        let count = counted(entries.len() as u64, "message");
        let about = About {
            codes: vec![MDBOX_ORPHAN.code],
            ..About::in_mailbox(
                &mailbox.name,
                format!("the index of {count}, without flags"),
            )
        };
        let generation = Generation::first(self.options.now);
        self.put_index(&mailbox, generation, entries, &about, |file| at(&[file]));
    }
}
