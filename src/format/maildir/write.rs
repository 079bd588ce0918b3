//! Writes a Maildir account into a directory that nobody else knows yet.
//!
//! ```text
//! small body    poured, measured, named        created in cur/ or new/ under its name
//! large one     poured into tmp/, measured     moved there when its name is known
//! commit        a line of the uidlist, in UID order
//! ```

use std::cell::RefCell;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bstr::BString;

use super::base_name::{BaseNames, Choice, Sizes, info};
use super::names::{self, PLACES};
use super::wrapping::Wrapping;
use super::{keywords, quota, read, uidlist};
use crate::digest::{Facts, Measured};
use crate::disk::{Dir, NewFile};
use crate::error::Result;
use crate::format::compress::Codec;
use crate::format::only_above::OnlyAbove;
use crate::format::pour::{PIECE, pour};
use crate::format::side_files;
use crate::format::writing::Writing;
use crate::model::{Account, Mailbox, Message};
use crate::store::{
    CreateOptions, Destination, Form, Incoming, MailboxWriter, StoreError, Stored, Turn,
};

/// Lines of the uidlist are written in pieces of this size.
const LINES: usize = 64 * 1024;

/// Begins an account in `root`, which is empty.
pub fn create(root: Dir, options: &CreateOptions) -> Result<Box<dyn Destination>> {
    let account = MaildirAccount {
        root,
        writing: Writing::new(options),
        form: options.form,
        bytes: AtomicU64::new(0),
        messages: AtomicU64::new(0),
    };
    for place in PLACES {
        account.writing.make(&account.root, place)?;
    }
    Ok(Box::new(account))
}

struct MaildirAccount {
    root: Dir,
    writing: Writing,
    form: Form,
    /// What the messages take, their coats taken off: for maildirsize.
    bytes: AtomicU64,
    messages: AtomicU64,
}

impl Destination for MaildirAccount {
    fn mailbox<'a>(&'a self, mailbox: &Mailbox) -> Result<Box<dyn MailboxWriter + 'a>> {
        if !mailbox.selectable {
            if self.form.fs_layout {
                self.make_levels(mailbox)?;
            }
            return Ok(Box::new(OnlyAbove::of(mailbox)));
        }
        let mailbox = MaildirMailbox::begin(self, mailbox)?;
        Ok(Box::new(mailbox))
    }

    fn finish(&self, account: &Account) -> Result<()> {
        let (root, writing) = (&self.root, &self.writing);
        let subscriptions = side_files::write_subscriptions(&account.subscriptions);
        writing.write(root, "subscriptions", &subscriptions)?;
        side_files::write_uidvalidity(root, account.last_uidvalidity, writing)?;
        side_files::write_sieve(root, &account.sieve, writing)?;
        if self.form.fs_layout {
            return Ok(());
        }
        let bytes = self.bytes.load(Ordering::Relaxed);
        let messages = self.messages.load(Ordering::Relaxed);
        let text = quota::write(account.quota, bytes, messages);
        writing.write(root, "maildirsize", text.as_bytes())
    }
}

impl MaildirAccount {
    /// The directory of a mailbox, made level by level.
    fn make_levels(&self, mailbox: &Mailbox) -> Result<Dir> {
        let path = names::path(&mailbox.name, &self.form);
        let make = |dir: Dir, level: &String| self.writing.make_or_open(&dir, level);
        path.iter().try_fold(self.root.again()?, make)
    }

    /// The directory of a mailbox with its three places.
    fn make_mailbox(&self, mailbox: &Mailbox) -> Result<Dir> {
        let dir = self.make_levels(mailbox)?;
        if mailbox.name.is_inbox() {
            return Ok(dir); // has them already
        }
        for place in PLACES {
            self.writing.make(&dir, place)?;
        }
        if !self.form.fs_layout {
            self.writing.write(&dir, "maildirfolder", b"")?;
        }
        Ok(dir)
    }
}

struct MaildirMailbox<'a> {
    account: &'a MaildirAccount,
    dir: Dir,
    cur: Dir,
    new: Dir,
    tmp: Dir,
    first_recent: u32,
    keywords: Vec<BString>,
    names: Mutex<BaseNames>,
    uidlist: NewFile,
    /// Lines that are still to be written.
    lines: Vec<u8>,
}

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(Vec::with_capacity(PIECE + PIECE / 2));
}

impl<'a> MaildirMailbox<'a> {
    fn begin(account: &'a MaildirAccount, mailbox: &Mailbox) -> Result<Self> {
        let dir = account.make_mailbox(mailbox)?;
        if let Some(acl) = &mailbox.acl {
            account.writing.write(&dir, side_files::ACL, acl)?;
        }
        Ok(Self {
            cur: dir.dir("cur")?,
            new: dir.dir("new")?,
            tmp: dir.dir("tmp")?,
            first_recent: mailbox.first_recent,
            keywords: mailbox.keywords.clone(),
            names: Mutex::new(BaseNames::of(mailbox)),
            uidlist: account.writing.create(&dir, read::UIDLISTS[0])?,
            lines: uidlist::header(mailbox).into_bytes(),
            account,
            dir,
        })
    }

    fn names(&self) -> MutexGuard<'_, BaseNames> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a message its name when it is its turn.
    fn name(&self, message: &Message, sizes: Sizes, turn: &Turn) -> (Choice, BString) {
        turn.wait();
        let mut names = self.names();
        let choice = names.take(message, sizes);
        (choice, names.name(choice, message, sizes))
    }

    fn is_recent(&self, message: &Message) -> bool {
        message.uid.get() >= self.first_recent
    }

    /// Where a message lies, and its whole name there.
    fn place(&self, message: &Message, mut base: BString) -> (&Dir, BString) {
        let recent = self.is_recent(message);
        base.extend(info(message, recent).bytes());
        (if recent { &self.new } else { &self.cur }, base)
    }

    /// Pours a body; what does not fit `buffer` lies in `large` then.
    fn pour(
        &self,
        body: &mut Measured<'_>,
        coat: Option<Codec>,
        buffer: &mut Vec<u8>,
        large: &mut Large<'_>,
    ) -> Result<(Facts, Option<io::Error>), StoreError> {
        buffer.clear();
        let poured = pour(body, coat, buffer, &mut |buffer| {
            large.wrapping.wrap(buffer)?;
            large.open(&self.account.writing)?.append(buffer)?;
            buffer.clear();
            Ok(())
        });
        match poured {
            Ok(damage) => {
                large.wrapping.finish(buffer)?;
                Ok((body.facts(), damage))
            }
            Err(error) => {
                if let StoreError::Source { .. } = error {
                    large.remove()?;
                }
                Err(error)
            }
        }
    }

    /// Puts the file into its place, with the rest of the bytes and its date.
    fn put(&self, message: &Message, base: BString, rest: &[u8], large: Large<'_>) -> Result<()> {
        let (place, name) = self.place(message, base);
        match large.file {
            None => {
                let mut file = self.account.writing.create(place, &name)?;
                file.append(rest)?;
                file.set_time(message.received)
            }
            Some(mut file) => {
                file.append(rest)?;
                file.set_time(message.received)?;
                self.tmp.move_new(&large.name, place, &name)
            }
        }
    }

    fn write_lines(&mut self) -> Result<()> {
        self.uidlist.append(&self.lines)?;
        self.lines.clear();
        Ok(())
    }
}

/// A message that takes more than a buffer: the first of it lies in `tmp/`.
struct Large<'a> {
    tmp: &'a Dir,
    name: String,
    file: Option<NewFile>,
    wrapping: Wrapping,
}

impl Large<'_> {
    fn open(&mut self, writing: &Writing) -> Result<&mut NewFile> {
        match &mut self.file {
            Some(file) => Ok(file),
            none => Ok(none.insert(writing.create(self.tmp, &self.name)?)),
        }
    }

    fn remove(&mut self) -> Result<()> {
        match self.file.take() {
            Some(_) => self.tmp.remove_file(&self.name),
            None => Ok(()),
        }
    }
}

impl MailboxWriter for MaildirMailbox<'_> {
    fn store(&self, incoming: Incoming<'_>) -> Result<Stored, StoreError> {
        let coat = incoming.new_coat(&self.account.form);
        let Incoming {
            message,
            mut body,
            turn,
            ..
        } = incoming;
        let mut large = Large {
            tmp: &self.tmp,
            name: format!("{}.mailtally", message.uid),
            file: None,
            wrapping: Wrapping::new(coat.is_none() && message.sealed.is_none()),
        };
        BUFFER.with_borrow_mut(|buffer| {
            let (facts, damage) = self.pour(&mut body, coat, buffer, &mut large)?;
            let (choice, base) = self.name(message, Sizes::of(message, &facts), &turn);
            drop(turn); // the next can have its name while this one is written
            self.put(message, base, buffer, large)?;
            Ok(Stored {
                facts,
                place: choice.number(),
                damage,
            })
        })
    }

    fn commit(&mut self, message: &Message, stored: &Stored) -> Result<()> {
        let sizes = Sizes::of(message, &stored.facts);
        let choice = Choice::of_number(stored.place);
        let base = self.names().name(choice, message, sizes);
        let guid = (choice != Choice::Guid).then_some(&message.guid);
        uidlist::row(message, &base, guid, &mut self.lines);
        let plain = message.sealed.map_or(stored.facts.size, |(plain, _)| plain);
        self.account.bytes.fetch_add(plain, Ordering::Relaxed);
        self.account.messages.fetch_add(1, Ordering::Relaxed);
        if self.lines.len() >= LINES {
            self.write_lines()?;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        self.write_lines()?;
        if self.keywords.is_empty() {
            return Ok(());
        }
        let text = keywords::write(&self.keywords);
        let writing = &self.account.writing;
        writing.write(&self.dir, keywords::DOVECOT, &text)
    }
}

#[cfg(test)]
mod tests;
