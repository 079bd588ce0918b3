//! A name that holds no messages, and only stands above others (`\NoSelect`).

use std::io;

use super::names::made_guid;
use crate::digest::Facts;
use crate::disk::Dir;
use crate::error::{Error, Result};
use crate::model::{Flags, Mailbox, MailboxName, Message, Uid, UidValidity};
use crate::report::Finding;
use crate::store::{
    Claims, Found, Incoming, MailboxSource, MailboxWriter, Opened, StoreError, Stored,
};

/// One to read, and one to write: its directory is all there is, where it has one.
#[derive(Debug)]
pub struct OnlyAbove(Mailbox);

impl OnlyAbove {
    /// Of this name; `root` is the account's.
    pub fn new(name: &MailboxName, uidvalidity: UidValidity, root: &Dir) -> Self {
        Self(Mailbox {
            name: name.clone(),
            selectable: false,
            guid: made_guid(root, name),
            uidvalidity,
            uidnext: 1,
            first_recent: 1,
            highest_modseq: 1,
            keywords: Vec::new(),
            acl: None,
        })
    }

    /// Of this mailbox.
    pub fn of(mailbox: &Mailbox) -> Self {
        Self(mailbox.clone())
    }
}

const ASKED: &str = "BUG: a name without messages was asked for one";

impl MailboxSource for OnlyAbove {
    fn mailbox(&self) -> &Mailbox {
        &self.0
    }
    fn len(&self) -> usize {
        0
    }
    fn uid(&self, _: usize) -> Uid {
        unreachable!("{ASKED}")
    }
    fn marks(&self, _: usize) -> (Flags, Vec<u32>) {
        unreachable!("{ASKED}")
    }
    fn open<'a>(&'a self, _: usize, _: &'a mut Vec<u8>) -> Result<Opened<'a>, Box<Finding>> {
        unreachable!("{ASKED}")
    }
    fn judge(&self, _: usize, _: &Message, _: Claims, _: &Facts, _: Found<'_>) {}
    fn broken(&self, _: usize, _: &io::Error, _: u64) -> Finding {
        unreachable!("{ASKED}")
    }
    fn conclude(&self, _: Found<'_>) {}
}

impl MailboxWriter for OnlyAbove {
    fn store(&self, _: Incoming<'_>) -> Result<Stored, StoreError> {
        Err(StoreError::Destination(Error::Bug(
            "a name without a mailbox was given a message".into(),
        )))
    }
    fn commit(&mut self, _: &Message, _: &Stored) -> Result<()> {
        Ok(())
    }
    fn finish(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}
