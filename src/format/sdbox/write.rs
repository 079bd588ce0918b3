//! Writes an sdbox account into a directory that nobody else knows yet.

use std::cell::RefCell;

use super::layout::{HEADER, file_name};
use crate::digest::Measured;
use crate::disk::{Dir, NewFile};
use crate::error::Result;
use crate::format::dbox::record::{self, Head, Record};
use crate::format::dbox::{MAILBOXES, file_header, finish_account, make_mailbox};
use crate::format::dovecot_index::{MailboxIndex, Own};
use crate::format::only_above::OnlyAbove;
use crate::format::pour::PIECE;
use crate::format::writing::Writing;
use crate::model::{Account, Mailbox, Message};
use crate::store::{
    CreateOptions, Destination, Form, Incoming, MailboxWriter, Opened, StoreError, Stored,
};

/// Begins an account in `root`, which is empty.
pub fn create(root: Dir, options: &CreateOptions) -> Result<Box<dyn Destination>> {
    let account = SdboxAccount {
        root,
        writing: Writing::new(options),
        form: options.form,
    };
    account.writing.make(&account.root, MAILBOXES)?;
    Ok(Box::new(account))
}

/// Writes a message that is open as a file of its own, in the coat that it had.
pub(super) fn rewrite(opened: Opened<'_>, now: u32, file: &mut NewFile) -> Result<()> {
    let mut buffer = file_header(now);
    let header_at = buffer.len() as u64;
    let head = Head {
        message: &opened.message,
        coat: opened.coat.filter(|_| opened.message.sealed.is_none()),
        first_mailbox: None,
    };
    let mut body = Measured::new(opened.body);
    let record = record::write_to(file, header_at, head, &mut body, &mut buffer);
    let path = file.path();
    record.map(|_| ()).map_err(|error| error.into_error(&path))
}

struct SdboxAccount {
    root: Dir,
    writing: Writing,
    form: Form,
}

impl Destination for SdboxAccount {
    fn mailbox<'a>(&'a self, mailbox: &Mailbox) -> Result<Box<dyn MailboxWriter + 'a>> {
        let Some(dir) = make_mailbox(&self.root, mailbox, &self.writing)? else {
            return Ok(Box::new(OnlyAbove::of(mailbox)));
        };
        let own = Own {
            header: Some(HEADER),
            first_word: 0,
            fields: &[],
            saved_in_cache: true,
            received_in_cache: false,
        };
        let (index, _) = MailboxIndex::new(mailbox, self.writing.now(), &own);
        Ok(Box::new(SdboxMailbox {
            account: self,
            dir,
            index,
        }))
    }

    fn finish(&self, account: &Account) -> Result<()> {
        finish_account(&self.root, account, &self.writing)
    }
}

struct SdboxMailbox<'a> {
    account: &'a SdboxAccount,
    dir: Dir,
    index: MailboxIndex,
}

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(Vec::with_capacity(PIECE + PIECE / 2));
}

impl MailboxWriter for SdboxMailbox<'_> {
    fn store(&self, mut incoming: Incoming<'_>) -> Result<Stored, StoreError> {
        let name = file_name(incoming.message.uid.get());
        let file = self.account.writing.create(&self.dir, &name)?;
        let record = BUFFER.with_borrow_mut(|buffer| self.write(file, &mut incoming, buffer));
        match record {
            Ok(record) => Ok(Stored {
                facts: record.facts,
                place: 0,
                damage: record.damage,
            }),
            Err(error) => {
                if let StoreError::Source { .. } = error {
                    self.dir.remove_file(&name)?;
                }
                Err(error)
            }
        }
    }

    fn commit(&mut self, message: &Message, _: &Stored) -> Result<()> {
        self.index.push(message);
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<()> {
        self.index.finish(&self.dir, 0, &self.account.writing)
    }
}

impl SdboxMailbox<'_> {
    fn write(
        &self,
        mut file: NewFile,
        incoming: &mut Incoming<'_>,
        buffer: &mut Vec<u8>,
    ) -> Result<Record, StoreError> {
        buffer.clear();
        buffer.extend(file_header(self.account.writing.now()));
        let header_at = buffer.len() as u64;
        let head = Head {
            message: incoming.message,
            coat: incoming.new_coat(&self.account.form),
            first_mailbox: None,
        };
        record::write_to(&mut file, header_at, head, &mut incoming.body, buffer)
    }
}
