//! One mdbox mailbox, open for reading.

mod found;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::fields;
use super::layout::{FILE, HEADER, MAP, MailRecord, STORAGE};
use super::made::{self, made_from, missing_index};
use super::map::Place;
use super::read::Mdbox;
use crate::digest::Facts;
use crate::disk::Dir;
use crate::error::Result;
use crate::format::dbox::{About, DboxMailbox, Mails, StoredMessage, casts_doubt, indexed_guid};
use crate::format::dovecot_index::INDEX;
use crate::model::{Flags, Mailbox, MailboxName, Message, Uid};
use crate::report::catalogue as rules;
use crate::report::{Finding, Rule, counted};
use crate::store::{Access, BelievedUsage, Claims, Found, MadeUp, MailboxSource, Opened};

pub(super) struct MdboxMailbox<'a> {
    store: &'a Mdbox,
    nth: usize,
    pub(super) dbox: DboxMailbox,
    /// It has no index.
    pub(super) is_made: bool,
    /// Its index may not name all that it has.
    pub(super) in_doubt: bool,
    /// The last of its messages, which no index names: where they are, and their GUIDs.
    unnamed: Vec<(Place, [u8; 16])>,
    /// Messages that were found in another way: where, and what is to be said of that until it is.
    notes: Mutex<Notes>,
}

/// By message: where it was found, and what is still to be said of that.
type Notes = BTreeMap<usize, (Place, Option<Box<Finding>>)>;

impl<'a> MdboxMailbox<'a> {
    pub(super) fn open(
        store: &'a Mdbox,
        nth: usize,
        mails: &Mails,
        found: Found<'_>,
    ) -> Result<Self> {
        let name = &store.tree.names[nth];
        let mut in_doubt = false;
        let index = made::load(store, name, mails, &mut |finding| {
            in_doubt |= casts_doubt(&finding);
            found(finding);
        })?;
        let is_made = index.is_none();
        let within = |finding: Finding| DboxMailbox::within(finding, name, &mails.path);
        let mut told = |finding: Finding| found(within(finding));
        let (index, unnamed) = match index {
            Some(mut index) if in_doubt => {
                let unnamed = made::complete(store, nth, mails, &mut index, &mut told);
                (index, unnamed)
            }
            Some(index) => (index, Vec::new()),
            None => {
                let unnamed = store.unnamed(nth);
                told(missing_index(unnamed.len()));
                (made_from(unnamed.len()), unnamed)
            }
        };
        // New UIDs under an old UIDVALIDITY would show clients the wrong messages.
        let listed = mails.listed.filter(|_| !is_made || unnamed.is_empty());
        let dbox = DboxMailbox::new(name, mails, index, HEADER, listed, &mut told);
        let this = Self {
            store,
            nth,
            dbox,
            is_made,
            in_doubt: in_doubt || is_made,
            unnamed,
            notes: Mutex::default(),
        };
        if !this.in_doubt {
            mails.cache(&this.dbox.index, name, found)?;
        }
        this.compare_with_map(name, found);
        Ok(this)
    }

    /// The mailbox must have been written for this map.
    fn compare_with_map(&self, name: &MailboxName, found: Found<'_>) {
        let map = self.store.storage.map.as_ref();
        let (Some(map), Some(told)) = (map, self.dbox.first_word()) else {
            return;
        };
        // Zero was written before there was a map.
        let belongs = told == map.uid_validity() || (told == 0 && self.is_empty());
        if !belongs {
            let detail = format!(
                "the mailbox was written for map {told}, this is map {}; messages are checked by their GUIDs",
                map.uid_validity()
            );
            found(Finding::new(&rules::MDBOX_MAP_UIDVALIDITY, detail).mailbox(name));
        }
    }

    /// Where a message is that no index names, and its GUID.
    pub(super) fn unnamed(&self, nth: usize) -> Option<(Place, [u8; 16])> {
        let named = self.len() - self.unnamed.len();
        self.unnamed.get(nth.checked_sub(named)?).copied()
    }

    pub(super) fn record(&self, nth: usize) -> Option<MailRecord> {
        if self.unnamed(nth).is_some() {
            return None;
        }
        fields::record(&self.dbox.index, nth)
    }

    /// Where in the map its messages are.
    fn mapped(&self) -> impl Iterator<Item = usize> + '_ {
        let map = self.store.storage.map.as_ref();
        (0..self.len()).filter_map(move |nth| match self.unnamed(nth) {
            Some((place, _)) => self.store.named().position(place),
            None => map?.position(self.record(nth)?.map_uid.get()),
        })
    }

    /// The GUID in short, as the index has it.
    pub(super) fn guid(&self, nth: usize) -> Option<[u8; 16]> {
        if let Some((_, guid)) = self.unnamed(nth) {
            return Some(guid);
        }
        indexed_guid(&self.dbox.index, nth)
    }

    /// What the index alone tells of a message.
    pub(super) fn as_known(&self, nth: usize) -> Message {
        self.dbox.as_known(nth, self.saved(nth))
    }

    /// When a message came into the mailbox, as the index has it. No server writes a zero: in a damaged index, the
    /// date is gone.
    fn saved(&self, nth: usize) -> Option<i64> {
        let saved = self.record(nth)?.save_date.get();
        (saved != 0 || !self.in_doubt).then_some(saved.into())
    }

    /// The index has the message, and no longer knows when it came into the mailbox.
    pub(super) fn lost_its_date(&self, nth: usize) -> bool {
        self.record(nth).is_some() && self.saved(nth).is_none()
    }

    /// A part of its record is gone: no server writes one without these.
    pub(super) fn is_damaged(&self, nth: usize) -> bool {
        let record = self.record(nth).filter(|_| self.in_doubt);
        record.is_some_and(|record| record.map_uid.get() == 0)
            || (self.in_doubt && self.guid(nth).is_none())
            || self.lost_its_date(nth)
    }

    fn tell_lost_dates(&self, found: Found<'_>) {
        let all = (0..self.len()).filter(|nth| self.lost_its_date(*nth));
        let uids: Vec<_> = all.map(|nth| self.uid(nth)).collect();
        if let Some(first) = uids.first() {
            let records = counted(uids.len() as u64, "record");
            let detail = format!("{records} without a saved date, the first is of UID {first}");
            let finding = Finding::new(&rules::INDEX_LOST, detail).path(INDEX);
            found(DboxMailbox::within(
                finding,
                &self.dbox.mailbox.name,
                &self.dbox.path,
            ));
        }
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn finding(
        &self,
        rule: &'static Rule,
        nth: usize,
        file: &str,
        detail: impl Into<String>,
    ) -> Box<Finding> {
        let path = format_args!("{STORAGE}/{file}");
        self.dbox.finding(rule, nth, &path, detail)
    }

    /// The file of a message, for findings.
    fn shown_file(&self, nth: usize) -> Shown<'_, '_> {
        Shown { mailbox: self, nth }
    }

    /// Says how a message was found, if that is to be said and was not.
    fn tell_note(&self, nth: usize, found: Found<'_>) {
        let note = self.notes().get_mut(&nth).and_then(|(_, note)| note.take());
        if let Some(note) = note {
            found(*note);
        }
    }

    pub(super) fn opened<'s>(
        &'s self,
        nth: usize,
        place: Place,
        stored: StoredMessage<'s>,
    ) -> Result<Opened<'s>, Box<Finding>> {
        let about = About {
            file: &format_args!("{STORAGE}/{FILE}{}", place.file_id),
            saved: self.saved(nth),
            attachments: self.store.tree.places.attachments(),
            named_by_message: false,
        };
        let mut opened = self.dbox.opened(nth, stored, about)?;
        // Without an index nobody knows better, and that there is none was said.
        let message = &mut opened.message;
        message.saved = message.saved.or(Some(message.received));
        Ok(opened)
    }
}

/// The file of a message: the one that it was found in.
struct Shown<'m, 'a> {
    mailbox: &'m MdboxMailbox<'a>,
    nth: usize,
}

impl fmt::Display for Shown<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = self.mailbox.notes().get(&self.nth).map(|(place, _)| *place);
        match found.map_or_else(|| self.mailbox.place(self.nth), Ok) {
            Ok(place) => write!(f, "{STORAGE}/{FILE}{}", place.file_id),
            Err(_) => write!(f, "{STORAGE}/{MAP}"),
        }
    }
}

impl MailboxSource for MdboxMailbox<'_> {
    fn was_expunged(&self, uid: u32) -> bool {
        self.dbox.index.was_expunged(uid)
    }

    fn mailbox(&self) -> &Mailbox {
        &self.dbox.mailbox
    }

    fn len(&self) -> usize {
        self.dbox.index.uids.len()
    }

    fn uid(&self, nth: usize) -> Uid {
        self.dbox.uid(nth)
    }

    fn marks(&self, nth: usize) -> (Flags, Vec<u32>) {
        self.dbox.marks(nth)
    }

    fn open<'a>(
        &'a self,
        nth: usize,
        scratch: &'a mut Vec<u8>,
    ) -> Result<Opened<'a>, Box<Finding>> {
        let (place, stored) = self.find(nth, scratch)?;
        self.opened(nth, place, stored)
    }

    fn judge(
        &self,
        nth: usize,
        message: &Message,
        claims: Claims,
        facts: &Facts,
        found: Found<'_>,
    ) {
        self.tell_note(nth, found);
        let path = self.shown_file(nth);
        self.dbox.judge(nth, &path, message, claims, facts, found);
    }

    fn broken(&self, nth: usize, error: &io::Error, recovered: u64) -> Finding {
        let path = self.shown_file(nth);
        self.dbox.broken(nth, &path, error, recovered)
    }

    fn judge_broken(
        &self,
        nth: usize,
        told: (&Message, Claims),
        error: &io::Error,
        facts: &Facts,
        found: Found<'_>,
    ) {
        let path = &self.shown_file(nth);
        self.dbox.judge_broken(nth, path, told, error, facts, found);
    }

    fn conclude(&self, found: Found<'_>) {
        // Those whose bodies broke off were not judged.
        let noted: Vec<_> = self.notes().keys().copied().collect();
        for nth in noted {
            self.tell_note(nth, found);
        }
        self.tell_lost_dates(found);
        self.store.conclude(self.nth, self.mapped(), found);
    }

    fn made_up(&self) -> MadeUp {
        let uids = self.is_made && !self.is_empty();
        MadeUp {
            uids,
            ..self.dbox.made_up
        }
    }

    fn dir_access(&self) -> Option<Access> {
        self.dbox.access
    }

    fn believed_usage(&self) -> Option<BelievedUsage> {
        self.dbox.index.believed_usage()
    }

    fn index_place(&self) -> Result<Option<Dir>> {
        self.dbox.index_place()
    }
}
