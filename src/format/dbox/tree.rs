//! The tree of mailboxes that sdbox and mdbox share, and what belongs to the account as a whole.

use std::collections::BTreeMap;
use std::io;

use bstr::{BString, ByteSlice};

use super::layout::{INDEX, LOG, MAILBOXES, MAILS};
use crate::digest::Facts;
use crate::disk::{Dir, Kind};
use crate::error::{Error, Result};
use crate::format::names::{self, Spelling};
use crate::format::writing::Writing;
use crate::format::{OpenOptions, side_files, stamp::Stamper};
use crate::model::{Account, Flags, Mailbox, MailboxName, Message, Uid, UidValidity, mutf7};
use crate::report::Finding;
use crate::report::catalogue::{MAILBOX_UNREADABLE, SUBSCRIPTIONS_UNREADABLE};
use crate::store::{
    Claims, Found, Incoming, MailboxSource, MailboxWriter, Opened, StoreError, Stored,
};

/// Deeper trees are not made by any server.
const DEEPEST: usize = 64;

/// An account's mailboxes by name, and what belongs to it as a whole.
#[derive(Debug)]
pub struct Tree {
    /// In name order.
    pub names: Vec<MailboxName>,
    /// The same, as they lie there.
    folders: Vec<Folder>,
    mailboxes: Dir,
    /// From the account's root, for findings.
    at: BString,
    /// What belongs to the account as a whole.
    pub account: Account,
}

#[derive(Debug)]
struct Folder {
    path: Vec<BString>,
    selectable: bool,
}

impl Tree {
    /// Finds the mailboxes of the account in `root`; `format` is for the message where there are none.
    pub fn open(root: &Dir, format: &str, options: &OpenOptions, found: Found<'_>) -> Result<Self> {
        let name = options.mailboxdir.as_deref().unwrap_or(MAILBOXES);
        let mailboxes = if name.is_empty() {
            root.again()?
        } else {
            let there = root.dir_if_there(name)?;
            there.ok_or_else(|| Error::Missing {
                what: format!("{} holds no {format}: no {name}", root.path().display()),
            })?
        };
        let mut folders = BTreeMap::new();
        walk(&mailboxes, &mut Vec::new(), options, &mut folders, found);
        let (names, folders) = folders.into_iter().unzip();
        Ok(Self {
            names,
            folders,
            mailboxes,
            at: name.into(),
            account: account(root, options, found),
        })
    }

    /// The directory of the `nth` mailbox, and its path for findings; `None` for a name that only
    /// stands above others.
    pub fn mails(&self, nth: usize) -> Result<Option<(Dir, BString)>> {
        let folder = &self.folders[nth];
        if !folder.selectable {
            return Ok(None);
        }
        let dir = self.mailboxes.descend(&folder.path)?.dir(MAILS)?;
        let names = [self.at.as_bstr()]
            .into_iter()
            .chain(folder.path.iter().map(|level| level.as_bstr()))
            .chain([MAILS.into()]);
        let names: Vec<_> = names.filter(|name| !name.is_empty()).collect();
        Ok(Some((dir, bstr::join("/", names).into())))
    }

    /// The name of the `nth` mailbox on disk, `/` between levels.
    pub fn storage_name(&self, nth: usize) -> BString {
        bstr::join("/", &self.folders[nth].path).into()
    }

    /// The mailboxes that have messages of their own.
    pub fn selectable(&self) -> impl Iterator<Item = usize> + '_ {
        let all = self.folders.iter().enumerate();
        all.filter(|(_, folder)| folder.selectable)
            .map(|(nth, _)| nth)
    }
}

/// Finds every name below `dir`; a name without messages stands above others, or is an empty folder.
fn walk(
    dir: &Dir,
    at: &mut Vec<BString>,
    options: &OpenOptions,
    folders: &mut BTreeMap<MailboxName, Folder>,
    found: Found<'_>,
) {
    let entries = match dir.entries() {
        Ok(entries) => entries,
        Err(error) => {
            found(Finding::new(&MAILBOX_UNREADABLE, error.chain()).path(bstr::join("/", &*at)));
            return;
        }
    };
    for entry in entries {
        if entry.kind != Kind::Dir || entry.name == MAILS || at.len() >= DEEPEST {
            continue;
        }
        at.push(entry.name.clone());
        match dir.dir(&entry.name) {
            Ok(inner) => {
                add(&inner, at, options, folders, found);
                walk(&inner, at, options, folders, found);
            }
            Err(error) => {
                found(Finding::new(&MAILBOX_UNREADABLE, error.chain()).path(bstr::join("/", &*at)));
            }
        }
        at.pop();
    }
}

fn add(
    dir: &Dir,
    at: &[BString],
    options: &OpenOptions,
    folders: &mut BTreeMap<MailboxName, Folder>,
    found: Found<'_>,
) {
    let mut spelling = Spelling::new(options.utf8);
    let name = MailboxName::new(at.iter().map(|level| spelling.level(level)));
    let path = bstr::join("/", at);
    spelling.tell(&name, &path, found);
    let selectable = matches!(dir.stat_if_there(MAILS), Ok(Some(stat)) if stat.kind == Kind::Dir);
    folders.insert(
        name,
        Folder {
            path: at.to_vec(),
            selectable,
        },
    );
}

fn account(root: &Dir, options: &OpenOptions, found: Found<'_>) -> Account {
    let name = options.subscriptions.as_deref().unwrap_or("subscriptions");
    let subscriptions = match root.read_if_there(name, side_files::MOST) {
        Ok(bytes) => side_files::read_subscriptions(&bytes.unwrap_or_default(), b'/', |level| {
            names::level(level, options.utf8)
        }),
        Err(error) => {
            found(Finding::new(&SUBSCRIPTIONS_UNREADABLE, error.chain()).path(name));
            Vec::new()
        }
    };
    Account {
        subscriptions,
        sieve: side_files::read_sieve(root, found),
        quota: None,
        last_uidvalidity: side_files::read_uidvalidity(root).unwrap_or(0),
    }
}

/// A digest of all that changes in the tree when a server works on the account.
pub fn stamp_tree(root: &Dir, stamper: &mut Stamper) -> Result<()> {
    stamper.file(root, "subscriptions")?;
    stamp_folder(&root.dir(MAILBOXES)?, stamper, 0)
}

fn stamp_folder(dir: &Dir, stamper: &mut Stamper, depth: usize) -> Result<()> {
    stamper.dir(dir)?;
    for name in [INDEX, LOG, side_files::ACL] {
        stamper.file(dir, name)?;
    }
    for entry in stamper.folders(dir)? {
        if depth < DEEPEST {
            stamper.name(&entry);
            stamp_folder(&dir.dir(&entry)?, stamper, depth + 1)?;
        }
    }
    Ok(())
}

/// Makes the directories of a mailbox; returns the one for its messages, if it is to have any.
pub fn make_mailbox(root: &Dir, mailbox: &Mailbox, writing: &Writing) -> Result<Option<Dir>> {
    let mut dir = root.dir(MAILBOXES)?;
    for level in mailbox.name.levels() {
        dir = writing.make_or_open(&dir, mutf7::encode(level))?;
    }
    if !mailbox.selectable {
        return Ok(None);
    }
    let dir = writing.make(&dir, MAILS)?;
    if let Some(acl) = &mailbox.acl {
        writing.write(&dir, side_files::ACL, acl)?;
    }
    Ok(Some(dir))
}

/// Writes what belongs to the account as a whole.
pub fn finish_account(root: &Dir, account: &Account, writing: &Writing) -> Result<()> {
    let subscriptions = side_files::write_subscriptions(&account.subscriptions);
    writing.write(root, "subscriptions", &subscriptions)?;
    side_files::write_uidvalidity(root, account.last_uidvalidity, writing)?;
    side_files::write_sieve(root, &account.sieve, writing)
}

/// A name that holds no messages: its directory is all there is.
#[derive(Debug)]
pub struct OnlyAbove(Mailbox);

impl OnlyAbove {
    /// Of this name; `dir` is the account's.
    pub fn new(name: &MailboxName, dir: &Dir) -> Self {
        Self(Mailbox {
            name: name.clone(),
            selectable: false,
            guid: names::made_guid(dir, name),
            uidvalidity: UidValidity::ONE,
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
