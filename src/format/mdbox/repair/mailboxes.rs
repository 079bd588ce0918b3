//! What the mailboxes name, and new indexes for those that are damaged.

use std::rc::Rc;

use bstr::BString;

use zerocopy::IntoBytes;

use super::super::layout::{GUID, HEADER, MAIL, MailRecord};
use super::super::mailbox::MdboxMailbox;
use super::super::map::Place;
use super::super::read::Mdbox;
use super::Repair;
use super::recalled::Unread;
use crate::disk::plan::{About, Act};
use crate::error::Result;
use crate::format::dbox::{
    Hurt, IndexAt, Looked, Mails, RECALLED_FROM, guid_128, if_readable, look_at, lost_with, shown,
};
use crate::format::dovecot_index::{
    CACHE, Generation, INDEX, MailboxIndex, OLD, Own, mended_by_a_new_index, seconds,
};
use crate::format::mailbox_list::{LIST, UNKNOWN_UIDS};
use crate::model::{self, Message, Uid};
use crate::report::catalogue as rules;
use crate::report::{Finding, counted};
use crate::store::MailboxSource;

/// A stored message names the mailbox that first had it, and no other.
const WHAT_CAME: &str = "which messages were copied or moved here: they may be in the mailboxes that had them \
                         first, or in none";

/// A mailbox as it was read.
#[derive(Debug)]
pub(super) struct Mailbox {
    pub nth: usize,
    pub entries: Vec<Entry>,
    /// The map that it was written for.
    pub map: u32,
    /// It has no index.
    pub made: bool,
    /// Whether its index names all that it has.
    pub named: Named,
    pub codes: Vec<&'static str>,
    pub lost: Vec<String>,
    /// What is said of messages that are written without their damage.
    pub stored_anew: Vec<String>,
    /// It needs a new index.
    pub changed: bool,
    /// Its keywords: those of the index, and those that a conversion wrote.
    pub keywords: Vec<BString>,
    /// What its index no longer tells.
    pub unread: Unread,
    /// Messages of which nothing was found, in words.
    pub gone: Vec<(Uid, String)>,
}

/// Whether an index names all messages of its mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    All,
    PerhapsNotAll,
    /// Not all, and the others may be those of a mailbox that cannot be read: it stays as it is.
    Waits,
}

/// A record of an index; there may be none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Record {
    Sound,
    /// A part of it is gone.
    Damaged,
}

/// What a conversion wrote of a message that an index names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrote {
    Nothing,
    Known,
    /// Flags or keywords are taken from there.
    Taken,
}

/// A message of it.
#[derive(Debug)]
pub(super) struct Entry {
    /// Its place in the mailbox.
    pub at: usize,
    /// Without its saved date where the index no longer has it.
    pub message: Message,
    /// Where it is stored, if that is known.
    pub place: Option<Place>,
    /// Only a part of it is sound.
    pub wounded: bool,
    /// No index has it: it was first saved to the mailbox.
    pub unnamed: bool,
    /// A conversion wrote that the mailbox has it, and under which UID.
    pub recalled: bool,
    /// What its index has of it.
    pub record: Record,
    /// What a conversion wrote of it.
    pub wrote: Wrote,
    /// Which stored message it is.
    pub map_uid: u32,
    pub guid: [u8; 16],
}

impl Entry {
    /// Nobody knows its UID.
    pub(super) fn is_new(&self) -> bool {
        self.unnamed && !self.recalled
    }

    /// A part of its record in the index is gone.
    pub(super) fn is_damaged(&self) -> bool {
        self.record == Record::Damaged
    }

    /// The index no longer knows when it came into the mailbox.
    pub(super) fn is_undated(&self) -> bool {
        !self.unnamed && self.message.saved.is_none()
    }
}

impl Mailbox {
    fn code(&mut self, code: &'static str) {
        if !self.codes.contains(&code) {
            self.codes.push(code);
        }
    }

    /// Without what no index names, which may be that of another mailbox.
    fn wait_if_unsure(&mut self) {
        if self.made || self.entries.iter().any(|entry| entry.unnamed) {
            self.named = Named::Waits;
            self.entries.retain(|entry| !entry.unnamed);
        }
    }
}

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
        let opened = found.and_then(|(place, stored)| mailbox.opened(at, place, stored));
        let record = mailbox.record(at);
        let map_uid = record.map_or(0, |record| record.map_uid.get());
        let entry = |message: Message, place: Option<Place>, wounded: bool| Entry {
            guid: mailbox.guid(at).unwrap_or_else(|| guid_128(&message.guid)),
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

    pub(super) fn write_mailboxes(&mut self) -> Result<()> {
        for mailbox in std::mem::take(&mut self.mailboxes) {
            let belongs = mailbox.map == self.map.uid_validity
                || (mailbox.map == 0 && mailbox.entries.is_empty());
            // What of it is in a file that cannot be read now would be lost.
            let must_wait = match mailbox.named {
                Named::All => false,
                Named::PerhapsNotAll => !self.scanned.unreadable.is_empty(),
                Named::Waits => true,
            };
            if !must_wait && (mailbox.changed || !belongs) {
                self.write_mailbox(mailbox, belongs)?;
            }
        }
        Ok(())
    }

    fn write_mailbox(&mut self, mut mailbox: Mailbox, belongs: bool) -> Result<()> {
        let store = Rc::clone(&self.store);
        let Some(mails) = store.tree.mails(mailbox.nth, &mut |_| ())? else {
            return Ok(());
        };
        let read = MdboxMailbox::open(&store, mailbox.nth, &mails, &mut |_| ())?;
        if !belongs {
            mailbox.code(rules::MDBOX_MAP_UIDVALIDITY.code);
        }
        let entries = &mailbox.entries;
        let recalled = entries.iter().filter(|entry| entry.recalled).count();
        let new = entries.iter().filter(|entry| entry.is_new()).count();
        let told = entries.iter().filter(|entry| entry.wrote == Wrote::Taken);
        let told = told.count();
        let (tree, lost) = (&store.tree, &mut mailbox.lost);
        lost.append(&mut mailbox.unread.not_told_by(entries));
        lost.extend(not_there(&mails, entries.len()).filter(|_| read.in_doubt));
        let anew = mailbox.made && new > 0 && recalled == 0;
        if anew {
            lost.push("UIDs, flags and keywords: no index, log or copy of one is left".into());
        } else if new > 0 {
            let new = counted(new as u64, "message");
            let that = match recalled {
                0 => "no index names".into(),
                _ => format!("{RECALLED_FROM} does not know"),
            };
            lost.push(format!("UIDs, flags and keywords of {new} that {that}"));
        }
        let is_told = self.identities.is_as_converted(tree, mailbox.nth)
            || store.knows_what_came_to(mailbox.nth);
        if mailbox.made && !is_told {
            lost.push(WHAT_CAME.into());
        }
        let (mut identity, mut does) =
            self.identities
                .of(tree, mailbox.nth, &read.dbox, anew, lost);
        if recalled > 0 {
            let count = counted(recalled as u64, "message");
            does.push(format!(
                "UIDs, flags and keywords of {count} from {RECALLED_FROM}"
            ));
        }
        if told > 0 {
            let count = counted(told as u64, "message");
            does.push(format!(
                "flags and keywords of {count} from {RECALLED_FROM}"
            ));
        }
        identity.keywords = std::mem::take(&mut mailbox.keywords);
        if new > 0 || mailbox.made {
            let listed = mails.listed.and_then(|listed| listed.uidvalidity);
            let is_kept = !anew || listed == Some(identity.uidvalidity);
            let least = if is_kept { identity.uidnext } else { 1 };
            number_anew(&mut mailbox.entries, least, &mut identity.uidnext);
        }
        let messages = counted(mailbox.entries.len() as u64, "message");
        does.insert(0, format!("a new index of {messages}"));
        does.append(&mut mailbox.stored_anew);
        let about = About {
            codes: mailbox.codes,
            lost: mailbox.lost,
            ..About::in_mailbox(&identity.name, does.join("; "))
        };
        for name in OLD.into_iter().chain([CACHE]) {
            if mails.has_indexed(name)? {
                let about =
                    About::in_mailbox(&identity.name, "it does not belong to the new index");
                let places = &store.tree.places;
                places.push_indexed(&mut self.plan, &mails.index_at, name, Act::Remove, about);
            }
        }
        let generation = mails.next_generation(self.options.now);
        self.put_index(
            &identity,
            generation,
            &mailbox.entries,
            &about,
            &mails.index_at,
        );
        Ok(())
    }

    /// Writes the index of these messages.
    pub(super) fn put_index(
        &mut self,
        identity: &model::Mailbox,
        generation: Generation,
        entries: &[Entry],
        about: &About,
        at: &IndexAt,
    ) {
        let own = Own {
            header: Some(HEADER),
            first_word: self.map.uid_validity,
            fields: &[(MAIL, 8, 4), (GUID, 16, 1)],
            saved_in_cache: false,
            received_in_cache: false,
        };
        let now = self.options.now;
        let (mut index, fields) = MailboxIndex::of(identity, now, generation, &own);
        for entry in entries {
            let nth = index.push(&entry.message);
            let received = Some(entry.message.received).filter(|date| *date > 0);
            let saved = entry.message.saved.or(received);
            let record = MailRecord {
                map_uid: entry.map_uid.into(),
                save_date: saved.map_or(now, seconds).into(),
            };
            index.set(nth, fields[0], record.as_bytes());
            index.set(nth, fields[1], &entry.guid);
        }
        for (name, content) in index.files(self.map.uid_validity) {
            let about = match name {
                INDEX => about.clone(),
                _ => About::in_mailbox(&identity.name, "the log that belongs to it"),
            };
            let places = &self.store.tree.places;
            places.push_indexed(&mut self.plan, at, name, Act::put(content), about);
        }
    }
}

fn without_date(entries: &[Entry]) -> Option<String> {
    let undated = entries.iter().filter(|entry| entry.is_undated());
    let uids: Vec<_> = undated.map(|entry| entry.message.uid).collect();
    let dates = if uids.len() == 1 { "date" } else { "dates" };
    (!uids.is_empty()).then(|| format!("uid {}: the saved {dates}", shown(&uids)))
}

/// A list that is behind the index may count what was expunged since; so may this line.
fn not_there(mails: &Mails, there: usize) -> Option<String> {
    let listed = mails.listed?.messages? as usize;
    let missing = listed.checked_sub(there).filter(|missing| *missing > 0)?;
    Some(format!(
        "{missing} of {}, as {LIST} counts them: expunged since then, or lost",
        counted(listed as u64, "message")
    ))
}

/// Nobody knows which UIDs they had. Above those that are known, some may have come and gone; without any, they
/// begin with the `least`.
fn number_anew(entries: &mut [Entry], least: u32, next: &mut u32) {
    let known = entries.iter().filter(|entry| !entry.is_new());
    let highest = known.map(|entry| entry.message.uid.get()).max();
    let first = highest.map_or(least, |uid| uid.max(*next - 1).saturating_add(UNKNOWN_UIDS));
    let new = entries.iter_mut().filter(|entry| entry.is_new());
    for (entry, uid) in new.zip(first..) {
        entry.message.uid = Uid::new(uid).unwrap_or(entry.message.uid);
    }
    entries.sort_by_key(|entry| entry.message.uid);
    let last = entries.last().map_or(0, |entry| entry.message.uid.get());
    *next = last.saturating_add(1).max(*next);
}
