//! One of two things that are compared: a store that is read as it goes, or a tally of one.

use std::collections::{BTreeSet, VecDeque};

use super::super::teller::Teller;
use super::look::{Look, Looked};
use crate::error::Result;
use crate::format::tally::{AccountPrint, MailboxPrint, MessagePrint};
use crate::model::{Flags, MailboxName, Uid};
use crate::report::{Finding, Side as Which};
use crate::store::{Holds, MailboxSource};

/// What is known of a side before its mailboxes.
#[derive(Debug, Clone)]
pub struct About {
    /// The format of the store.
    pub format: String,
    /// What it has a place for.
    pub holds: Holds,
    /// It is a tally, not the store itself.
    pub is_file: bool,
}

/// A stream of mailboxes in name order, each with its messages in UID order.
pub trait Side {
    /// What it is.
    fn about(&self) -> &About;
    /// What belongs to the account as a whole.
    fn account(&self) -> &AccountPrint;
    /// The name of the next mailbox, under which it is compared; `None` behind the last.
    fn ahead(&mut self) -> Result<Option<MailboxName>>;
    /// Opens that mailbox; `None` where it cannot be opened, which is a finding.
    fn enter(&mut self) -> Result<Option<MailboxPrint>>;
    /// Puts the next messages behind those in `out`; false where there are none left.
    fn more(&mut self, out: &mut VecDeque<MessagePrint>) -> Result<bool>;
    /// The same, where `twin` stands in the mailbox of that name: a store that has the same messages can have
    /// them read together with its own.
    fn more_beside(
        &mut self,
        _twin: &mut dyn Side,
        out: &mut VecDeque<MessagePrint>,
    ) -> Result<bool> {
        self.more(out)
    }
    /// What can be read beside another side: the messages of the mailbox at hand from some place on.
    fn unread(&self) -> Option<Unread<'_>> {
        None
    }
    /// Takes what was read beside another side, in order.
    fn was_read(&mut self, _: Vec<(usize, Looked)>) {}
    /// Closes the mailbox, and tells what it adds up to.
    fn leave(&mut self) -> Result<Sums>;
    /// True for a store, which may change while it is read.
    fn is_live(&self) -> bool {
        false
    }
    /// Opens the mailbox at hand once more, for [`Side::reread`]; `None` where it cannot be opened now.
    fn again(&mut self) -> Option<MailboxPrint> {
        None
    }
    /// Reads messages once more, UIDs ascending; those that are there.
    fn reread(&mut self, _: &[Uid]) -> Result<Vec<MessagePrint>> {
        Ok(Vec::new())
    }
    /// The same, by GUID; all that have one of these.
    fn reread_named(&mut self, _: &BTreeSet<String>) -> Result<Vec<(String, MessagePrint)>> {
        Ok(Vec::new())
    }
    /// The GUID of a message of the mailbox at hand that could not be opened, where the list tells it.
    fn known_as(&self, _: Uid) -> Option<String> {
        None
    }
}

/// The messages of a mailbox that were not read yet.
pub struct Unread<'a> {
    /// The mailbox.
    pub source: &'a dyn MailboxSource,
    /// The first of them.
    pub from: usize,
    /// How they are looked at.
    pub look: Look,
}

/// What a mailbox adds up to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sums {
    /// How many messages.
    pub messages: u64,
    /// How many of them cannot be read: they are listed, and count nowhere else.
    pub unread: u64,
    /// How many of the others without `\Seen`.
    pub unseen: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Their bytes with CRLF line ends.
    pub virtual_bytes: u64,
    /// The digest, where every message was read.
    pub digest: Option<crate::digest::Digest>,
}

impl Sums {
    /// One message more.
    pub fn add(&mut self, print: &MessagePrint) {
        let (size, virtual_size) = print.sizes();
        self.messages += 1;
        if print.body.is_lost() {
            self.unread += 1;
            return;
        }
        self.unseen += u64::from(!print.flags.contains(Flags::SEEN));
        self.bytes += size.or(virtual_size).unwrap_or(0);
        self.virtual_bytes += virtual_size.or(size).unwrap_or(0);
    }

    /// How many messages there are for people: as `inspect` and `convert` count them.
    pub fn readable(&self) -> u64 {
        self.messages - self.unread
    }
}

/// Who says what is found on a side.
#[derive(Clone, Copy)]
pub struct Voice<'a> {
    /// Of the account.
    pub teller: &'a Teller<'a>,
    /// Which side; none where there is only one.
    pub which: Option<Which>,
}

impl Voice<'_> {
    /// Something an administrator should know of.
    pub fn found(&self, mut finding: Finding) {
        finding.side = self.which;
        self.teller.found(finding);
    }
}
