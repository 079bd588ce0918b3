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

use super::RECALLED_FROM;
use super::conversion::Conversion;
use crate::format::dovecot_index::{INDEX, Index};
use crate::format::mailbox_list::{LIST, Listed};
use crate::format::tally;
use crate::model::{MailboxGuid, MailboxName};
use crate::report::Finding;
use crate::report::catalogue::{INDEX_UIDVALIDITY_DIFFERS, INDEX_UIDVALIDITY_WRONG};
use crate::store::Found;

/// What a conversion and a server gave the mailboxes of an account.
#[derive(Debug)]
pub struct Given {
    pub(super) conversion: Conversion,
    /// The last UIDVALIDITY that a server gave out.
    pub(super) last: u32,
}

impl Given {
    /// True where a server can have given it out after the other one.
    fn is_newer(&self, uidvalidity: u32, than: u32) -> bool {
        (than.saturating_add(1)..=self.last).contains(&uidvalidity)
    }

    fn uidvalidity(&self, name: &MailboxName) -> Option<u32> {
        let converted = self.conversion.mailbox(name);
        converted.map(|it| it.line.uidvalidity)
    }

    /// The same for a mailbox whose index the conversion wrote, if it surely has it no more.
    fn other_uidvalidity(&self, name: &MailboxName, index: &Index) -> Option<u32> {
        let is_of_conversion = self.conversion.created() == tally::time(index.indexid.into());
        let mut all = self.conversion.mailboxes().values();
        let is_of_none = all.all(|given| given.line.uidvalidity != index.uid_validity);
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
