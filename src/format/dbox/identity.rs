//! What makes a mailbox the same one: from its index, or from the best source that is left.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use super::gone::Gone;
use super::mailbox::mailbox_guid;
use super::recalled::{RECALLED_FROM, Recall, Recalled};
use super::remembered::Remembered;
use super::{DboxMailbox, Tree};
use crate::disk::Dir;
use crate::disk::plan::{About, Act, Place, Plan};
use crate::error::Result;
use crate::format::dovecot_index::Origin;
use crate::format::mailbox_list::{self, UNKNOWN_UIDS};
use crate::format::names::made_guid;
use crate::format::side_files;
use crate::format::tally::shown;
use crate::model::{Mailbox, MailboxGuid, MailboxName, UidValidity};

/// What a mailbox is called that takes in messages of none; with a number where there is one.
const RECOVERED: &str = "Recovered";

/// The identities of an account's mailboxes.
#[derive(Debug)]
pub struct Identities {
    remembered: Remembered,
    /// Read at the first question.
    recalled: OnceCell<Recalled>,
    /// Mailboxes that are not there.
    gone: Vec<Gone>,
    last: u32,
    /// No mailbox has a higher UIDVALIDITY; asked once.
    highest: Option<u32>,
    is_new: bool,
    now: u32,
}

impl Identities {
    /// Of the account in `root`.
    pub fn new(root: &Dir, tree: &Tree, now: u32) -> Self {
        Self {
            remembered: Remembered::of_both(&tree.listed, &tree.given.conversion),
            recalled: OnceCell::new(),
            gone: tree.gone(root),
            last: tree.account.last_uidvalidity,
            highest: None,
            is_new: false,
            now,
        }
    }

    /// What a conversion wrote of the messages of the `nth` mailbox, in UID order; nothing where the mailbox
    /// is another one since. `root` is the account's.
    pub fn recalled(&self, root: &Dir, tree: &Tree, nth: usize) -> &[Recall] {
        if !self.is_as_converted(tree, nth) {
            return &[];
        }
        self.written(root, tree, &tree.names[nth])
    }

    /// The same for a mailbox with this UIDVALIDITY, if it had that one then; 0 where its index does not tell it.
    pub fn recalled_under(
        &self,
        root: &Dir,
        tree: &Tree,
        nth: usize,
        uidvalidity: u32,
    ) -> &[Recall] {
        let name = &tree.names[nth];
        let then = self.remembered.converted_uidvalidity(name);
        match UidValidity::new(uidvalidity) {
            None => self.recalled(root, tree, nth),
            now if now == then => self.written(root, tree, name),
            Some(_) => &[],
        }
    }

    fn written(&self, root: &Dir, tree: &Tree, name: &MailboxName) -> &[Recall] {
        let conversion = &tree.given.conversion;
        let recalled = self
            .recalled
            .get_or_init(|| Recalled::read(root, conversion));
        recalled.of(&shown(name))
    }

    /// True where a conversion wrote what the `nth` mailbox had, and it is no other one since.
    pub fn is_as_converted(&self, tree: &Tree, nth: usize) -> bool {
        let (path, name) = (tree.storage_name(nth), &tree.names[nth]);
        self.remembered.is_as_converted(&path, name)
    }

    /// The `nth` mailbox as its new index is to have it, and where that comes from. What nobody knows is
    /// lost.
    pub fn of(
        &mut self,
        tree: &Tree,
        nth: usize,
        mailbox: &DboxMailbox,
        uids_are_made: bool,
        lost: &mut Vec<String>,
    ) -> (Mailbox, Vec<String>) {
        let mut identity = mailbox.mailbox.clone();
        identity.uidnext = mailbox.index.next_uid;
        let mut does = Vec::new();
        if mailbox.index.origin == Origin::Damaged {
            does.push("UIDs, flags and keywords from the records of the damaged index".into());
        }
        does.extend({ mailbox.outvoted.iter() }.map(|what| format!("it had {what}")));
        let mut known = self.remembered.of(&tree.storage_name(nth), &identity.name);
        let is_listed = |from| from == mailbox_list::LIST;
        if uids_are_made && !known.uidnext.is_some_and(|(_, from)| is_listed(from)) {
            // UIDs that others had would show clients the wrong messages.
            (known.uidvalidity, known.uidnext) = (None, None);
        }
        if mailbox.index.uid_validity == 0 {
            match known.uidvalidity {
                Some((value, from)) => {
                    identity.uidvalidity = value;
                    let told = known.uidnext.map_or(0, |(next, _)| next);
                    let told = if uids_are_made { told } else { 0 };
                    identity.uidnext = identity.uidnext.max(told).saturating_add(UNKNOWN_UIDS);
                    does.push(format!(
                        "UIDVALIDITY from {from}; UIDNEXT {UNKNOWN_UIDS} higher, for messages that came and went"
                    ));
                }
                None => {
                    identity.uidvalidity = self.new_uidvalidity(tree);
                    lost.push("UIDVALIDITY: clients load all messages again".into());
                }
            }
        }
        if !mailbox.has_guid() {
            let is_free = |known: &_| is_listed_or_free(tree, nth, known);
            match known.guid.filter(is_free) {
                Some((guid, from)) => {
                    identity.guid = guid;
                    does.push(format!("mailbox GUID from {from}"));
                }
                None => does.push("a new mailbox GUID".into()),
            }
        }
        let (index, modseq) = (&mailbox.index, identity.highest_modseq);
        if index.is_whole() && index.highest_modseq < modseq {
            lost.push(format!(
                "what was changed between HIGHESTMODSEQ {} and {modseq}: the index is older than {}",
                index.highest_modseq,
                mailbox_list::LIST
            ));
        } else if index.is_torn && !mailbox.is_listed_as_it_is {
            lost.push(
                "perhaps what was changed last: the log of the index ends in a half record".into(),
            );
        }
        if let Some((next, from)) = known.uidnext.filter(|(next, _)| *next > identity.uidnext) {
            if from == mailbox_list::LIST && mailbox.index.uid_validity != 0 {
                let (first, last) = (identity.uidnext, next - 1);
                lost.push(format!(
                    "what had UIDs from {first} to {last}: the index is older than {from}"
                ));
            }
            identity.uidnext = next;
            does.push(format!("UIDNEXT from {from}"));
        }
        (identity, does)
    }

    /// A new mailbox for so many messages that belong to none.
    pub fn recovered(&mut self, root: &Dir, tree: &Tree, messages: usize) -> Mailbox {
        let name = free_name(tree);
        Mailbox {
            selectable: true,
            guid: made_guid(root, &name),
            uidvalidity: self.new_uidvalidity(tree),
            uidnext: u32::try_from(messages).unwrap_or(u32::MAX - 1) + 1,
            first_recent: 1,
            highest_modseq: 1,
            keywords: Vec::new(),
            acl: None,
            name,
        }
    }

    /// What was stored of mailboxes that are gone is in a new one: what that one does not tell, which they were.
    pub fn recover_gone(&mut self) -> Vec<String> {
        let gone = std::mem::take(&mut self.gone);
        gone.iter().map(Gone::lost).collect()
    }

    /// Those that a conversion wrote and that only its state has: as they were, with what it wrote of their messages.
    pub fn gone_since_conversion(&self, root: &Dir, tree: &Tree) -> Vec<(Mailbox, &[Recall])> {
        let gone = { self.gone.iter() }.filter(|gone| gone.known_by == RECALLED_FROM);
        gone.filter_map(|Gone { name, .. }| {
            Some((self.converted(root, name)?, self.written(root, tree, name)))
        })
        .collect()
    }

    fn converted(&self, root: &Dir, name: &MailboxName) -> Option<Mailbox> {
        let known = self.remembered.converted(name)?;
        Some(Mailbox {
            name: name.clone(),
            selectable: true,
            guid: known
                .guid
                .map_or_else(|| made_guid(root, name), |(guid, _)| guid),
            uidvalidity: known.uidvalidity?.0,
            uidnext: known.uidnext?.0.saturating_add(UNKNOWN_UIDS),
            first_recent: 1,
            highest_modseq: 1,
            keywords: Vec::new(),
            acl: None,
        })
    }

    /// It is there again.
    pub fn has_made_again(&mut self, name: &MailboxName) {
        self.gone.retain(|gone| gone.name != *name);
    }

    /// One that no mailbox of the account has had.
    fn new_uidvalidity(&mut self, tree: &Tree) -> UidValidity {
        let known = self.remembered.highest_uidvalidity();
        let highest = *self.highest.get_or_insert_with(|| {
            let all = tree.selectable();
            let told = all.filter_map(|nth| Some(tree.index_of(nth).ok()??.uid_validity));
            told.max().unwrap_or(0).max(known)
        });
        let last = self.last.max(highest).max(self.now);
        self.last = last.saturating_add(1);
        self.is_new = true;
        UidValidity::new(self.last).unwrap_or(UidValidity::ONE)
    }

    /// What an account whose indexes are new must have and must not have.
    pub fn finish(&self, root: &Dir, tree: &Tree, plan: &mut Plan) -> Result<()> {
        let places = &tree.places;
        if self.is_new {
            let control = places.control.as_ref().unwrap_or(root);
            self.note_last(control, places.control_at(), plan)?;
        }
        // Nothing else would tell that mailboxes are gone, where their messages are not in a new one. A server
        // sees by the logs what is new to its list.
        let is_needed = !self.gone.is_empty();
        let is_damaged = !tree.list_codes.is_empty();
        if (plan.is_empty() && !is_damaged) || is_needed {
            return Ok(());
        }
        let lists = places.index.as_ref().unwrap_or(root);
        for name in mailbox_list::FILES {
            if lists.stat_if_there(name)?.is_some() {
                let about = About {
                    codes: tree.list_codes.clone(),
                    ..About::of("the server lists its mailboxes anew")
                };
                plan.push_in(places.lists_at(), vec![name.into()], Act::Remove, about);
            }
        }
        Ok(())
    }

    /// A server must not give a new UIDVALIDITY out once more.
    fn note_last(&self, control: &Dir, place: Place, plan: &mut Plan) -> Result<()> {
        let about = About::of("the last UIDVALIDITY that was given out");
        let ((name, content), named) = side_files::uidvalidity_files(self.last);
        let entries = control.entries()?.into_iter();
        let pairs = entries.filter(|entry| side_files::is_uidvalidity_name(&entry.name));
        let mut steps: BTreeMap<_, _> = pairs.map(|entry| (entry.name, Act::Remove)).collect();
        steps.insert(name.into(), Act::put(content));
        steps.insert(named.into(), Act::Mark);
        for (name, act) in steps {
            plan.push_in(place, vec![name], act, about.clone());
        }
        Ok(())
    }
}

/// A mailbox that got another name may have the GUID that a conversion gave to the one of this name.
fn is_listed_or_free(tree: &Tree, nth: usize, (guid, from): &(MailboxGuid, &str)) -> bool {
    let has = |other: usize| match tree.index_of(other) {
        Ok(index) => index.is_some_and(|index| mailbox_guid(&index) == Some(*guid)),
        Err(_) => true,
    };
    *from == mailbox_list::LIST || !tree.selectable().any(|other| other != nth && has(other))
}

fn free_name(tree: &Tree) -> MailboxName {
    let numbered = (2..).map(|nth| format!("{RECOVERED}-{nth}"));
    let names = std::iter::once(RECOVERED.to_owned()).chain(numbered);
    let mut names = names.map(|name| MailboxName::new([name]));
    let free = names.find(|name| !tree.names.contains(name));
    free.expect("BUG: an account has no end of mailboxes")
}
