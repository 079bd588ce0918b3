//! Writes an mdbox account into a directory that nobody else knows yet.
//!
//! ```text
//! threads   read, measure, put on a coat     side by side, each into its own buffer
//! in turn   known already? a reference more : a place in m.N (and a map UID)
//! threads   write to that place              side by side again
//! ```
//! A message that is too large for that is written in its turn, as it is read.

use bstr::BString;
use zerocopy::IntoBytes;

use super::layout::{GUID, HEADER, MAIL, MailRecord, STORAGE};
use super::pool::Pool;
use super::queue::{Queue, Ready};
use crate::digest::{Facts, short};
use crate::disk::Dir;
use crate::error::Result;
use crate::format::dbox::record::{self, Head, Record};
use crate::format::dbox::{MAILBOXES, finish_account, guid_128, make_mailbox};
use crate::format::dovecot_index::{ExtId, MailboxIndex, Own, seconds};
use crate::format::only_above::OnlyAbove;
use crate::format::writing::Writing;
use crate::model::{Account, Mailbox, MailboxName, Message, mutf7};
use crate::store::{CreateOptions, Destination, Form, Incoming, MailboxWriter, StoreError, Stored};

/// Begins an account in `root`, which is empty.
pub fn create(root: Dir, options: &CreateOptions) -> Result<Box<dyn Destination>> {
    let writing = Writing::new(options);
    writing.make(&root, MAILBOXES)?;
    let storage = writing.make(&root, STORAGE)?;
    Ok(Box::new(MdboxAccount {
        pool: Pool::new(storage, writing, options.form.rotate_size),
        root,
        writing,
        form: options.form,
    }))
}

struct MdboxAccount {
    root: Dir,
    pool: Pool,
    writing: Writing,
    form: Form,
}

impl Destination for MdboxAccount {
    fn mailbox<'a>(&'a self, mailbox: &Mailbox) -> Result<Box<dyn MailboxWriter + 'a>> {
        let Some(dir) = make_mailbox(&self.root, mailbox, &self.writing)? else {
            return Ok(Box::new(OnlyAbove::of(mailbox)));
        };
        let own = Own {
            header: Some(HEADER),
            first_word: self.pool.uid_validity(),
            fields: &[(MAIL, 8, 4), (GUID, 16, 1)],
            saved_in_cache: false,
            received_in_cache: false,
        };
        let (index, fields) = MailboxIndex::new(mailbox, self.writing.now(), &own);
        Ok(Box::new(MdboxMailbox {
            account: self,
            dir,
            index,
            queue: Queue::default(),
            mail: fields[0],
            guid: fields[1],
            name: storage_name(&mailbox.name),
        }))
    }

    fn finish(&self, account: &Account) -> Result<()> {
        self.pool.finish()?;
        finish_account(&self.root, account, &self.writing)
    }
}

/// The name as the metadata of a message has it.
fn storage_name(name: &MailboxName) -> BString {
    let levels = name.levels().iter().map(|level| mutf7::encode(level));
    levels.collect::<Vec<_>>().join("/").into()
}

struct MdboxMailbox<'a> {
    account: &'a MdboxAccount,
    dir: Dir,
    index: MailboxIndex,
    queue: Queue,
    mail: ExtId,
    guid: ExtId,
    name: BString,
}

/// A message up to this size is held in memory until its turn comes.
const MOST_IN_MEMORY: usize = 4 << 20;

/// Header, metadata, and the piece that shows that the body is at its end.
const BESIDE_BODY: usize = 1024;

impl MailboxWriter for MdboxMailbox<'_> {
    fn store(&self, incoming: Incoming<'_>) -> Result<Stored, StoreError> {
        let pool = &self.account.pool;
        let head = Head {
            message: incoming.message,
            coat: incoming.new_coat(&self.account.form),
            first_mailbox: Some(&self.name),
        };
        let uid = incoming.message.uid.get();
        let (mut body, turn, hint) = (incoming.body, incoming.turn, incoming.hint);
        let mut bytes = pool.buffer(room_for(hint));
        let mut large = None;
        let record = record::write(head, &mut body, &mut bytes, &mut |buffer| {
            let large = match &mut large {
                Some(large) => large,
                None if buffer.len() < MOST_IN_MEMORY => return Ok(()),
                None => {
                    self.queue.until_turn(&turn, pool);
                    large.insert(pool.begin_large(hint)?)
                }
            };
            large.append(buffer)
        });
        match (large, record) {
            (None, record) => {
                let record = record?;
                let identity = identity(&head, &record.facts);
                let ready = Ready {
                    turn,
                    bytes,
                    identity,
                    uid,
                };
                self.queue.put(ready, pool)?;
                Ok(stored(record))
            }
            (Some(mut large), Ok(record)) => {
                large.append(&mut bytes)?;
                let identity = identity(&head, &record.facts);
                self.queue.placed(uid, large.finish(&identity, &record)?);
                drop(turn);
                self.queue.go_on(pool);
                Ok(stored(record))
            }
            (Some(large), Err(error)) => {
                large.forget()?;
                Err(error)
            }
        }
    }

    fn commit(&mut self, message: &Message, _: &Stored) -> Result<()> {
        let nth = self.index.push(message);
        let saved = message.saved.map_or(self.account.writing.now(), seconds);
        // Who waited for a message that could not be stored.
        self.queue.go_on(&self.account.pool);
        self.queue.failed()?;
        let map_uid = self.queue.map_uid(message.uid.get());
        let map_uid = map_uid.expect("BUG: what is stored is in place, or has failed, by now");
        let record = MailRecord {
            map_uid: map_uid.into(),
            save_date: saved.into(),
        };
        self.index.set(nth, self.mail, record.as_bytes());
        self.index.set(nth, self.guid, &guid_128(&message.guid));
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<()> {
        let account = self.account;
        let map_uid_validity = account.pool.uid_validity();
        self.index
            .finish(&self.dir, map_uid_validity, &account.writing)
    }
}

/// A claimed size is only a hint: a message that is larger than memory is to hold never gets more.
fn room_for(hint: Option<u64>) -> usize {
    let size = hint.and_then(|hint| usize::try_from(hint).ok());
    size.map_or(0, |size| size.min(MOST_IN_MEMORY) + BESIDE_BODY)
}

fn stored(record: Record) -> Stored {
    Stored {
        facts: record.facts,
        place: 0,
        damage: record.damage,
    }
}

/// A digest of all that messages must have in common to share a stored one.
fn identity(head: &Head<'_>, facts: &Facts) -> [u8; 16] {
    let message = head.message;
    let mut alike = Vec::with_capacity(256);
    let mut text = |bytes: Option<&[u8]>| {
        let len = bytes.map_or(u64::MAX, |bytes| bytes.len() as u64);
        alike.extend(len.to_le_bytes());
        alike.extend(bytes.unwrap_or_default());
    };
    text(Some(&message.guid));
    text(message.pop3_uidl.as_ref().map(|uidl| uidl.as_slice()));
    text(
        message
            .pop3_order
            .map(u32::to_le_bytes)
            .as_ref()
            .map(|order| &order[..]),
    );
    text(Some(&seconds(message.received).to_le_bytes()));
    text(Some(&facts.content));
    text(Some(&facts.size.to_le_bytes()));
    text(Some(&facts.crc32.to_le_bytes()));
    text(head.coat.map(|coat| coat.name().as_bytes()));
    short(&alike)
}
