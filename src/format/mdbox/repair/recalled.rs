//! What a conversion wrote of the messages of a mailbox, for what its index no longer tells.
//!
//! ```text
//! no index, or no record of the message    UID, flags, keywords and saved date
//! a damaged record                         flags and keywords where it has none, saved date
//! the record before a damaged one          keywords where it has none: they are its last bytes
//! damaged names of keywords                those keywords that have no name any more
//! ```
//! Each for the message of that GUID alone, and then the changes in the log.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::super::mailbox::MdboxMailbox;
use super::Repair;
use super::entries::{Entry, Mailbox, Wrote};
use crate::error::Result;
use crate::format::dbox::{Mails, Recall, follow_log, guid_128, lost_with, not_stored};
use crate::format::dovecot_index::{Index, Part};
use crate::model::{Flags, Uid};
use crate::report::Finding;
use crate::report::catalogue as rules;

/// What cannot be read of the index of a mailbox.
#[derive(Debug, Default)]
pub(super) struct Unread {
    lines: Vec<String>,
    /// So many records are left out.
    records: usize,
    /// Names of keywords may be among it.
    names: bool,
}

impl Unread {
    pub(super) fn of(index: &Index) -> Self {
        Self {
            records: index.left_out,
            ..Self::default()
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Takes what a conversion may have written; false for anything else.
    pub(super) fn take(&mut self, finding: &Finding, index: &Index) -> bool {
        let part = index.unread_part(&finding.detail);
        // In flags that nothing else shows to be damaged, nobody knows which are.
        let is_taken = !matches!(part, Some(Part::Counts | Part::Log));
        if finding.rule != &rules::INDEX_LOST || !is_taken {
            return false;
        }
        self.names |= part == Some(Part::Header);
        self.lines.push(lost_with(finding));
        true
    }

    /// What is lost all the same, where the mailbox has these messages now.
    pub(super) fn not_told_by(&mut self, entries: &[Entry]) -> Vec<String> {
        let recalled = entries.iter().filter(|entry| entry.recalled).count();
        let is_unknown = |entry: &Entry| match entry.wrote {
            Wrote::Known | Wrote::Taken => false,
            Wrote::Nothing if entry.unnamed => entry.is_new(),
            Wrote::Nothing => entry.is_damaged() || self.names,
        };
        if self.records <= recalled && !entries.iter().any(is_unknown) {
            self.lines.clear();
        }
        std::mem::take(&mut self.lines)
    }
}

impl Repair<'_> {
    /// Takes UIDs and flags from what a conversion wrote, and messages that were first saved to another
    /// mailbox. Those that are nowhere are lost.
    pub(super) fn recall(
        &self,
        read: &mut Mailbox,
        mailbox: &MdboxMailbox<'_>,
        mails: &Mails,
    ) -> Result<()> {
        let tree = &self.store.tree;
        let uidvalidity = mailbox.dbox.index.uid_validity;
        let (root, nth) = (self.root, read.nth);
        let known = self.identities.recalled_under(root, tree, nth, uidvalidity);
        if known.is_empty() {
            return Ok(());
        }
        let entries = read.entries.drain(..);
        let (held, mut entries): (Vec<_>, Vec<_>) = entries.partition(|entry| entry.unnamed);
        tell_known(&mut entries, known);
        recall_dates(&mut entries, known);
        self.recall_marks(&mut entries, known, read, mails)?;
        let mut held: HashMap<_, _> = { held.into_iter() }
            .map(|entry| (entry.guid, entry))
            .collect();
        let told: HashSet<_> = entries.iter().map(|entry| entry.message.uid).collect();
        let (mut missing, mut found) = (Vec::new(), Vec::new());
        for known in known.iter().filter(|known| !told.contains(&known.uid)) {
            let guid = guid_128(known.guid());
            let entry = match held.remove(&guid) {
                Some(mut entry) => {
                    entry.message.uid = known.uid;
                    known.give(&mut entry.message, &mut read.keywords);
                    entry.recalled = true;
                    Some(entry)
                }
                None => self.stored(known, guid, read),
            };
            if entry.is_none() {
                missing.push(known.uid);
            }
            found.extend(entry);
        }
        self.follow(&mut found, read, mails)?;
        entries.append(&mut found);
        entries.sort_by_key(|entry| entry.message.uid);
        let mut new: Vec<_> = held.into_values().collect();
        new.sort_by_key(|entry| entry.at);
        entries.extend(new);
        read.entries = entries;
        // What an index does not name may have been expunged.
        if read.made {
            let alt_is_missing = tree.places.alt_is_missing();
            let lost = not_stored(mails, &tree.names[nth], missing, alt_is_missing)?;
            read.lost.extend(lost);
        }
        Ok(())
    }

    /// A message that was first saved to another mailbox, where it is stored. Where there is an index that does not
    /// name it, the map must count it once more than all mailboxes name it: else it may have been expunged.
    fn stored(&self, known: &Recall, guid: [u8; 16], read: &mut Mailbox) -> Option<Entry> {
        let place = self.store.storage.scan().find(&guid)?;
        if !read.made && !self.store.counts_more_than_named(place) {
            return None;
        }
        let message = known.message(&mut read.keywords);
        Some(Entry {
            unnamed: true,
            recalled: true,
            ..Entry::stored(message, place, guid)
        })
    }

    /// Gives messages that the index names the flags and keywords that it no longer has.
    fn recall_marks(
        &self,
        entries: &mut [Entry],
        known: &[Recall],
        read: &mut Mailbox,
        mails: &Mails,
    ) -> Result<()> {
        if read.unread.is_empty() {
            return Ok(());
        }
        let sound = { entries.iter() }.filter(|entry| !entry.is_damaged());
        let sound: BTreeSet<_> = sound.map(|entry| entry.message.uid).collect();
        let is_before_damage = |uid: Uid| {
            let next = known.partition_point(|known| known.uid <= uid);
            known
                .get(next)
                .is_some_and(|next| !sound.contains(&next.uid))
        };
        let names = read.keywords.len();
        let written = { entries.iter() }.map(|entry| {
            let mut message = entry.message.clone();
            if let Some(known) = recall_of(known, entry) {
                known.give(&mut message, &mut read.keywords);
            }
            (message, 0)
        });
        let mut written: Vec<_> = written.collect();
        let name = &self.store.tree.names[read.nth];
        let all = follow_log(mails, name, &read.keywords, &mut written)?;
        read.keywords = all.unwrap_or_else(|| std::mem::take(&mut read.keywords));
        let is_nameless = |keyword: &u32| read.unread.names && *keyword as usize >= names;
        for (entry, (written, _)) in entries.iter_mut().zip(written) {
            if entry.wrote == Wrote::Nothing {
                continue;
            }
            let is_damaged = entry.is_damaged();
            let message = &mut entry.message;
            let (flags, keywords) = (message.flags, message.keywords.clone());
            if is_damaged && flags == Flags::NONE {
                message.flags = written.flags;
            }
            if keywords.is_empty() && (is_damaged || is_before_damage(message.uid)) {
                message.keywords = written.keywords;
            } else {
                let nameless = written.keywords.into_iter().filter(is_nameless);
                message.keywords.extend(nameless);
            }
            if (flags, keywords) != (message.flags, message.keywords.clone()) {
                entry.wrote = Wrote::Taken;
            }
        }
        Ok(())
    }

    /// Applies what the log says to messages as a conversion wrote them.
    fn follow(&self, entries: &mut [Entry], read: &mut Mailbox, mails: &Mails) -> Result<()> {
        let messages = entries.iter().map(|entry| (entry.message.clone(), 0));
        let mut messages: Vec<_> = messages.collect();
        let name = &self.store.tree.names[read.nth];
        if let Some(all) = follow_log(mails, name, &read.keywords, &mut messages)? {
            read.keywords = all;
            for (entry, (message, _)) in entries.iter_mut().zip(messages) {
                entry.message = message;
            }
        }
        Ok(())
    }
}

/// What a conversion wrote of a message: nothing under another GUID.
fn recall_of<'r>(known: &'r [Recall], entry: &Entry) -> Option<&'r Recall> {
    let known = Recall::find(known, entry.message.uid);
    known.filter(|known| guid_128(known.guid()) == entry.guid)
}

fn tell_known(entries: &mut [Entry], known: &[Recall]) {
    for entry in entries {
        if recall_of(known, entry).is_some() {
            entry.wrote = Wrote::Known;
        }
    }
}

/// Gives messages the dates that a damaged index no longer has.
fn recall_dates(entries: &mut [Entry], known: &[Recall]) {
    for entry in entries.iter_mut().filter(|entry| entry.is_undated()) {
        entry.message.saved = recall_of(known, entry).and_then(Recall::saved);
    }
}
