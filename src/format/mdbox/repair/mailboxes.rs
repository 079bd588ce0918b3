//! What the mailboxes name, and what is found of it.

use std::rc::Rc;

use super::super::mailbox::MdboxMailbox;
use super::super::map::Place;
use super::super::read::Mdbox;
use super::Repair;
use super::entries::{Entry, Mailbox, Named, Record, Wrote};
use super::recalled::Unread;
use crate::error::Result;
use crate::format::dbox::{Hurt, Looked, guid_128, if_readable, look_at, lost_with, shown};
use crate::format::dovecot_index::mended_by_a_new_index;
use crate::model::{Message, Uid};
use crate::report::Finding;
use crate::report::catalogue as rules;
use crate::store::MailboxSource;

impl Repair<'_> {
    pub(super) fn read_mailboxes(&mut self) -> Result<()> {
        let store = Rc::clone(&self.store);
        for nth in store.tree.selectable() {
            match if_readable(self.read(&store, nth))? {
                Some(read) => self.mailboxes.extend(read),
                None => self.is_partly_hidden = true,
            }
        }
        if self.is_partly_hidden {
            self.mailboxes.iter_mut().for_each(Mailbox::wait_if_unsure);
        }
        Ok(())
    }

    fn read(&self, store: &Mdbox, nth: usize) -> Result<Option<Mailbox>> {
        let Some(mails) = store.tree.mails(nth, &mut |_| ())? else {
            return Ok(None);
        };
        let mut findings = Vec::new();
        let mailbox = MdboxMailbox::open(store, nth, &mails, &mut |finding| {
            findings.push(finding);
        })?;
        let mut read = self.read_mailbox(nth, &mailbox, &findings);
        let is_amiss = |entry: &Entry| entry.unnamed || entry.is_undated();
        if read.made || !read.unread.is_empty() || read.entries.iter().any(is_amiss) {
            self.recall(&mut read, &mailbox, &mails)?;
        }
        let is_there = |uid: Uid| read.entries.iter().any(|entry| entry.message.uid == uid);
        let gone = read.gone.drain(..).filter(|(uid, _)| !is_there(*uid));
        read.lost.extend(gone.map(|(_, line)| line));
        read.lost.extend(without_date(&read.entries));
        Ok(Some(read))
    }

    fn read_mailbox(
        &self,
        nth: usize,
        mailbox: &MdboxMailbox<'_>,
        findings: &[Finding],
    ) -> Mailbox {
        let mut read = Mailbox {
            nth,
            entries: Vec::new(),
            map: mailbox.dbox.first_word().unwrap_or(0),
            made: mailbox.is_made,
            named: if mailbox.in_doubt {
                Named::PerhapsNotAll
            } else {
                Named::All
            },
            codes: Vec::new(),
            lost: Vec::new(),
            stored_anew: Vec::new(),
            changed: mailbox.is_made,
            keywords: mailbox.dbox.mailbox.keywords.clone(),
            unread: Unread::of(&mailbox.dbox.index),
            gone: Vec::new(),
        };
        for finding in findings {
            let missing = finding.rule == &rules::MDBOX_INDEX_MISSING;
            if missing || mended_by_a_new_index(finding.rule) {
                read.code(finding.rule.code);
                read.changed = true;
            }
            if [&rules::MDBOX_LOST, &rules::INDEX_LOST].contains(&finding.rule) {
                read.code(finding.rule.code);
                if !read.unread.take(finding, &mailbox.dbox.index) {
                    read.lost.push(lost_with(finding));
                }
            }
        }
        let mut scratch = Vec::new();
        for at in 0..mailbox.len() {
            self.read_message(mailbox, at, &mut read, &mut scratch);
        }
        read
    }

    fn read_message(
        &self,
        mailbox: &MdboxMailbox<'_>,
        at: usize,
        read: &mut Mailbox,
        scratch: &mut Vec<u8>,
    ) {
        let found = mailbox.find(at, scratch);
        let place = found.as_ref().ok().map(|(place, _)| *place);
        let other_guid = { found.as_ref().ok() }.and_then(|(_, it)| mailbox.other_guid(at, it));
        if other_guid.is_some() {
            read.code(rules::MDBOX_GUID.code);
            read.changed = true;
        }
        let opened = found.and_then(|(place, stored)| mailbox.opened(at, place, stored));
        let record = mailbox.record(at);
        let map_uid = record.map_or(0, |record| record.map_uid.get());
        let entry = |message: Message, place: Option<Place>, wounded: bool| Entry {
            guid: { other_guid.or_else(|| mailbox.guid(at)) }
                .unwrap_or_else(|| guid_128(&message.guid)),
            at,
            message,
            place,
            wounded,
            unnamed: mailbox.unnamed(at).is_some(),
            recalled: false,
            record: if mailbox.is_damaged(at) {
                Record::Damaged
            } else {
                Record::Sound
            },
            wrote: Wrote::Nothing,
            map_uid,
        };
        let kept = match look_at(mailbox, at, opened) {
            Looked::Sound(message) => Some(entry(*message, place, false)),
            Looked::Wounded(hurt) => {
                let message = self.take_wounded(mailbox, *hurt, read);
                Some(entry(message, place, true))
            }
            Looked::Unreadable(_) => {
                let told = mailbox.told_place(at);
                Some(entry(mailbox.as_known(at), told, false))
            }
            Looked::Gone(finding) if self.may_come_back(&finding) => {
                let told = mailbox.told_place(at);
                Some(entry(mailbox.as_known(at), told, false))
            }
            Looked::Gone(finding) => {
                read.changed = true;
                read.code(finding.rule.code);
                let found = self.found_in_a_gap(mailbox, at, read);
                if found.is_none() {
                    let uid = mailbox.uid(at);
                    let line = format!("uid {uid}: {}", finding.detail);
                    read.gone.push((uid, line));
                }
                found.map(|(message, place)| entry(message, Some(place), true))
            }
        };
        read.entries.extend(kept.map(|mut entry| {
            if mailbox.lost_its_date(at) {
                entry.message.saved = None;
            }
            entry
        }));
    }

    fn may_come_back(&self, finding: &Finding) -> bool {
        finding.rule == &rules::MDBOX_LOST && self.store.tree.places.alt_is_missing()
    }

    /// What is sound of a message, and what a conversion wrote of it; what it lost is told.
    fn take_wounded(
        &self,
        mailbox: &MdboxMailbox<'_>,
        mut hurt: Hurt,
        read: &mut Mailbox,
    ) -> Message {
        read.changed = true;
        let uidvalidity = mailbox.dbox.index.uid_validity;
        let (identities, tree) = (&self.identities, &self.store.tree);
        hurt.recall(identities.recalled_under(self.root, tree, read.nth, uidvalidity));
        for finding in &hurt.findings {
            read.code(finding.rule.code);
        }
        read.lost.extend(hurt.lost());
        read.stored_anew.push(hurt.stored_anew());
        hurt.message
    }

    /// A damaged message that neither map nor scan leads to.
    fn found_in_a_gap(
        &self,
        mailbox: &MdboxMailbox<'_>,
        at: usize,
        read: &mut Mailbox,
    ) -> Option<(Message, Place)> {
        let place = *self.scanned.in_gaps.get(&mailbox.guid(at)?)?;
        let mut scratch = Vec::new();
        let stored = mailbox.salvage_at(at, place, &mut scratch).ok()?;
        let message = match look_at(mailbox, at, mailbox.opened(at, place, stored)) {
            Looked::Sound(message) => *message,
            Looked::Wounded(hurt) => self.take_wounded(mailbox, *hurt, read),
            Looked::Unreadable(_) | Looked::Gone(_) => return None,
        };
        Some((message, place))
    }
}

fn without_date(entries: &[Entry]) -> Option<String> {
    let undated = entries.iter().filter(|entry| entry.is_undated());
    let uids: Vec<_> = undated.map(|entry| entry.message.uid).collect();
    let dates = if uids.len() == 1 { "date" } else { "dates" };
    (!uids.is_empty()).then(|| format!("uid {}: the saved {dates}", shown(&uids)))
}
