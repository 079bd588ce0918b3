//! Two of three that tell the UIDVALIDITY of a mailbox outvote the third.
//!
//! ```text
//! dovecot.index         a server goes by it: where it is wrong, clients load all messages again
//! dovecot.list.index    the server's list of mailboxes
//! mailtally.state       what a conversion gave it
//! ```
//! The list speaks only for the mailbox with the GUID that the index has. Of two alone nobody knows which
//! is right. That index and list differ is said; that index and state do, where the index is still the one that the
//! conversion wrote, and its UIDVALIDITY is that of no other mailbox, from which it may have its name.
//!
//! A server gives a mailbox that gets another name a new UIDVALIDITY, and the list may not know it yet: one that
//! `dovecot-uidvalidity` tells was given out since is never wrong.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use super::RECALLED_FROM;
use crate::disk::Dir;
use crate::format::dovecot_index::{INDEX, Index};
use crate::format::mailbox_list::{LIST, Listed};
use crate::format::tally;
use crate::model::{MailboxGuid, MailboxName};
use crate::report::catalogue::{INDEX_UIDVALIDITY_DIFFERS, INDEX_UIDVALIDITY_WRONG};
use crate::report::{Finding, escape};
use crate::store::Found;

/// What a conversion gave the mailboxes of an account.
#[derive(Debug)]
pub struct Given {
    root: Dir,
    /// The last UIDVALIDITY that a server gave out.
    last: u32,
    /// Read at the first question.
    read: OnceLock<State>,
}

#[derive(Debug, Default)]
struct State {
    created: String,
    format: String,
    mailboxes: BTreeMap<String, Converted>,
}

/// A mailbox as a conversion made it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Converted {
    pub(super) uidvalidity: u32,
    pub(super) guid: Option<MailboxGuid>,
    pub(super) messages: u64,
}

impl Given {
    /// To the account in `root`.
    pub(super) fn to(root: Dir, last: u32) -> Self {
        let read = OnceLock::new();
        Self { root, last, read }
    }

    /// True where a server can have given it out after the other one.
    fn is_newer(&self, uidvalidity: u32, than: u32) -> bool {
        (than.saturating_add(1)..=self.last).contains(&uidvalidity)
    }

    fn read(&self) -> &State {
        self.read.get_or_init(|| {
            // What cannot be read is told by who holds messages against it.
            let Ok(Some((head, lines))) = tally::read_state_mailboxes(&self.root) else {
                return State::default();
            };
            let each = lines.into_iter().map(|it| {
                let converted = Converted {
                    uidvalidity: it.line.uidvalidity,
                    guid: it.guid(),
                    messages: it.line.messages,
                };
                (it.line.mailbox, converted)
            });
            State {
                created: head.created,
                format: head.format,
                mailboxes: each.collect(),
            }
        })
    }

    /// The mailboxes of an account of this format, by the names that a client sees; none of another one.
    pub(super) fn mailboxes(&self, format: &str) -> Option<&BTreeMap<String, Converted>> {
        let state = self.read();
        (state.format == format).then_some(&state.mailboxes)
    }

    fn uidvalidity(&self, name: &MailboxName) -> Option<u32> {
        let shown = escape(name.to_string().as_bytes());
        let converted = self.read().mailboxes.get(&shown);
        converted.map(|it| it.uidvalidity)
    }

    /// The same for a mailbox whose index the conversion wrote, if it surely has it no more.
    fn other_uidvalidity(&self, name: &MailboxName, index: &Index) -> Option<u32> {
        let State {
            created, mailboxes, ..
        } = self.read();
        let is_of_conversion = *created == tally::time(index.indexid.into());
        let is_of_none =
            { mailboxes.values() }.all(|given| given.uidvalidity != index.uid_validity);
        let given = self.uidvalidity(name);
        let is_newer = |given: &u32| self.is_newer(index.uid_validity, *given);
        given.filter(|given| is_of_conversion && is_of_none && !is_newer(given))
    }
}

/// Puts the UIDVALIDITY of an index right where it is outvoted; what was wrong with it then.
pub(super) fn outvote(
    name: &MailboxName,
    guid: Option<MailboxGuid>,
    index: &mut Index,
    (listed, given): (Listed, &Given),
    found: Found<'_>,
) -> Option<String> {
    let indexed = index.uid_validity;
    if indexed == 0 {
        return None;
    }
    let Some(told) = listed.uidvalidity else {
        if let Some(given) = given.other_uidvalidity(name, index) {
            let detail = format!("UIDVALIDITY {indexed}; {RECALLED_FROM} tells {given}");
            found(Finding::new(&INDEX_UIDVALIDITY_DIFFERS, detail).path(INDEX));
        }
        return None;
    };
    let told = told.get();
    let is_same = listed.guid.is_some() && listed.guid == guid;
    let may_be = told == indexed || !is_same || given.is_newer(indexed, told);
    if may_be {
        return None;
    }
    if given.uidvalidity(name) != Some(told) {
        let detail = format!("UIDVALIDITY {indexed}; {LIST} tells {told}");
        found(Finding::new(&INDEX_UIDVALIDITY_DIFFERS, detail).path(INDEX));
        return None;
    }
    let detail = format!("UIDVALIDITY {indexed}; {LIST} and {RECALLED_FROM} tell {told}");
    index.uid_validity = told;
    found(Finding::new(&INDEX_UIDVALIDITY_WRONG, &detail[..]).path(INDEX));
    Some(detail)
}
