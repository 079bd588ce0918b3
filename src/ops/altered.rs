//! Messages that are not what the conversion that made the store proved them to be.

use super::carry::CarriedMailbox;
use super::teller::Teller;
use crate::disk::Dir;
use crate::format::tally::{Proven, STATE, shown};
use crate::report::catalogue::{ACCOUNT_STATE, MESSAGE_ALTERED};
use crate::report::{Finding, counted};

/// What is known of an account's messages.
#[derive(Debug)]
pub struct Altered(Proven);

impl Altered {
    /// Of the account in `root`. Where that cannot be read it is said: it guards nothing then.
    pub fn of(root: &Dir, teller: &Teller<'_>) -> Self {
        Self(Proven::read(root).unwrap_or_else(|why| {
            teller.found(Finding::new(&ACCOUNT_STATE, why).path(STATE));
            Proven::default()
        }))
    }

    /// Says which messages of a mailbox that was read are others.
    pub fn tell(&self, read: &CarriedMailbox, teller: &Teller<'_>) {
        let name = &read.mailbox.name;
        let (mailbox, uidvalidity) = (shown(name), read.line.uidvalidity);
        for message in &read.messages {
            if self
                .0
                .is_altered(&mailbox, uidvalidity, message.uid, &message.content)
            {
                let finding = Finding::new(&MESSAGE_ALTERED, counted(message.size, "byte"));
                teller.found(finding.mailbox(name).uid(message.uid));
            }
        }
    }
}
