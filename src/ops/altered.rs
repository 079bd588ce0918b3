//! Messages that are not what the conversion that made the store proved them to be.

use super::carry::CarriedMailbox;
use super::teller::Teller;
use crate::disk::Dir;
use crate::format::tally::{Proven, shown};
use crate::report::catalogue::MESSAGE_ALTERED;
use crate::report::{Finding, counted};

/// What is known of an account's messages.
#[derive(Debug)]
pub struct Altered(Proven);

impl Altered {
    /// Of the account in `root`.
    pub fn of(root: &Dir) -> Self {
        Self(Proven::read(root))
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
