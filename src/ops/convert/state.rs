//! What the next pass goes by: the head of the state that a pass leaves in the destination.

use super::{Run, selectable};
use crate::digest::{Digest, hex, merkle};
use crate::error::Result;
use crate::format::tally::{AccountLine, AccountPrint, Head, StateWriter};
use crate::format::writing::Writing;
use crate::model::{Mailbox, MailboxName};
use crate::ops::carry::CarriedMailbox;
use crate::ops::rfc3339;
use crate::ops::staging::Staging;
use crate::report::escape;
use crate::store::{CreateOptions, Source};

/// Names of mailboxes that have room in a head line.
const LONGEST_NAMES: usize = 128 * 1024;

/// Where a source lies.
pub(super) fn path_of(source: &dyn Source) -> String {
    let path = source.root().path();
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    escape(path.as_os_str().as_encoded_bytes())
}

/// What an account's INBOX is known by, wherever it lies.
pub(super) fn inbox_of(source: &dyn Source) -> String {
    let inbox = source.mailboxes().iter().position(MailboxName::is_inbox);
    let inbox = inbox.and_then(|nth| source.mailbox(nth, &mut |_| ()).ok());
    inbox.map_or_else(String::new, |inbox| identity(inbox.mailbox()))
}

fn identity(mailbox: &Mailbox) -> String {
    format!("{} {}", mailbox.uidvalidity, mailbox.guid)
}

fn account_digest<'a>(mailboxes: impl Iterator<Item = &'a CarriedMailbox>) -> Digest {
    let digests: Vec<_> = mailboxes.map(|carried| carried.digest).collect();
    merkle::account(&digests)
}

impl Run<'_> {
    /// Begins it: mailboxes and messages follow as they are proven.
    pub(super) fn begin_state(
        &self,
        staging: &Staging<'_>,
        read: &dyn Source,
        carried: &[(usize, CarriedMailbox)],
        options: &CreateOptions,
    ) -> Result<StateWriter> {
        let digest = account_digest(selectable(carried));
        let created = rfc3339(i64::from(self.options.now));
        let mut head = Head::new(created, self.to.name, hex(&digest));
        head.user = self.teller.user().into();
        head.source.clone_from(&self.path);
        head.form = self.options.form.text();
        let inbox = carried.iter().map(|(_, carried)| &carried.mailbox);
        let inbox = inbox.into_iter().find(|mailbox| mailbox.name.is_inbox());
        head.inbox = inbox.map_or_else(String::new, identity);
        head.source_stamp.clone_from(&self.stamp);
        head.destination_stamp = hex(&read.stamp()?);
        head.clean = !self.teller.counts().attention;
        // A head line has its limits; an account beyond them is only made anew more often.
        let names: usize = self.open.uidnext_before.keys().map(String::len).sum();
        if !head.clean && names < LONGEST_NAMES {
            head.made_up_from.clone_from(&self.open.uidnext_before);
        }
        let mut state = StateWriter::create(&staging.dir, &Writing::new(options))?;
        state.line(&head)?;
        let user = head.user.clone();
        let print = AccountPrint::of(read.account());
        state.line(&AccountLine { user, print })?;
        Ok(state)
    }
}
