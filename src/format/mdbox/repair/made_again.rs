//! Mailboxes that are gone, and that a conversion wrote: what is stored of them gets the mailbox back that it had.

use std::collections::HashMap;
use std::rc::Rc;

use bstr::BString;

use super::Repair;
use super::entries::{Entry, Wrote};
use super::orphans::Orphan;
use crate::disk::plan::{About, Place};
use crate::format::dbox::{RECALLED_FROM, Recall, guid_128, shown};
use crate::format::dovecot_index::Generation;
use crate::model::{Mailbox, Uid, mutf7};
use crate::report::catalogue::{MAILBOX_GONE, MDBOX_ORPHAN};
use crate::report::counted;

impl Repair<'_> {
    /// Puts orphans into the mailboxes that they were in; the others are left.
    pub(super) fn make_again(&mut self, orphans: Vec<Orphan>) -> Vec<Orphan> {
        let mut left: HashMap<_, _> = orphans.into_iter().map(|it| (it.1, it)).collect();
        let mut again = Vec::new();
        let tree = &self.store.tree;
        for (mut mailbox, known) in self.identities.gone_since_conversion(self.root, tree) {
            let (mut found, mut missing) = (Vec::new(), Vec::new());
            for known in known {
                match left.remove(&guid_128(known.guid())) {
                    Some(orphan) => found.push(entry(&mut mailbox, known, &orphan)),
                    None => missing.push(known.uid),
                }
            }
            if !found.is_empty() {
                again.push((mailbox, found, missing));
            }
        }
        for (mailbox, mut found, missing) in again {
            for entry in &mut found {
                entry.map_uid = entry.place.map_or(0, |place| self.counted_once(place));
            }
            self.put_again(&mailbox, &found, &missing);
            self.identities.has_made_again(&mailbox.name);
        }
        let mut left: Vec<_> = left.into_values().collect();
        left.sort_by_key(|(place, ..)| (place.file_id, place.at));
        left
    }

    fn put_again(&mut self, mailbox: &Mailbox, entries: &[Entry], missing: &[Uid]) {
        let store = Rc::clone(&self.store);
        let places = &store.tree.places;
        let on_disk = |level: &String| {
            if store.tree.utf8 {
                BString::from(level.as_str())
            } else {
                mutf7::encode(level).into()
            }
        };
        let levels: Vec<_> = mailbox.name.levels().iter().map(on_disk).collect();
        let (mailboxes, mails) = places.names();
        let mut at = vec![mailboxes.into()];
        at.extend(levels.iter().cloned());
        at.push(mails.into());
        self.plan
            .make_dirs((Place::Root, self.root), &at, "the mailbox is gone");
        let count = counted(entries.len() as u64, "message");
        let them = shown(missing);
        let lost = format!(
            "uid {them}: {RECALLED_FROM} has them in this mailbox, and none of them is without one"
        );
        let about = About {
            codes: vec![MAILBOX_GONE.code, MDBOX_ORPHAN.code],
            lost: (!missing.is_empty()).then_some(lost).into_iter().collect(),
            ..About::in_mailbox(
                &mailbox.name,
                format!("the mailbox again, with {count} as {RECALLED_FROM} has them"),
            )
        };
        let generation = Generation::first(self.options.now);
        self.put_index(
            mailbox,
            generation,
            entries,
            &about,
            &places.index_at(&levels),
        );
    }
}

fn entry(mailbox: &mut Mailbox, known: &Recall, (place, guid, found): &Orphan) -> Entry {
    let mut message = found.message(known.uid);
    known.give(&mut message, &mut mailbox.keywords);
    Entry {
        recalled: true,
        wrote: Wrote::Taken,
        ..Entry::stored(message, *place, *guid)
    }
}
