//! Reads an sdbox account, as we or a live Dovecot left it.

use std::collections::BTreeMap;

use bstr::BString;

use super::layout::{INDEX, LOG, MAILBOXES, MAILS};
use super::mailbox::SdboxMailbox;
use crate::digest::Digest;
use crate::disk::{Dir, Kind};
use crate::error::{Error, Result};
use crate::format::names::{self, Spelling};
use crate::format::{OpenOptions, side_files, stamp::Stamper};
use crate::model::{Account, MailboxName};
use crate::report::Finding;
use crate::report::catalogue::{MAILBOX_UNREADABLE, SUBSCRIPTIONS_UNREADABLE};
use crate::store::{Found, MailboxSource, Source};

/// Deeper trees are not made by any server.
const DEEPEST: usize = 64;

/// Opens the account in `root`.
pub fn open(root: Dir, options: &OpenOptions, found: Found<'_>) -> Result<Box<dyn Source>> {
    let tree = match &options.mailboxdir {
        Some(name) if name.is_empty() => root.again()?,
        Some(name) => root.dir(name.as_bytes())?,
        None => root
            .dir_if_there(MAILBOXES)?
            .ok_or_else(|| Error::Missing {
                what: format!("{} holds no sdbox: no {MAILBOXES}", root.path().display()),
            })?,
    };
    let mut folders = BTreeMap::new();
    walk(&tree, &mut Vec::new(), options, &mut folders, found);
    let (names, paths) = folders.into_iter().unzip();
    let account = account(&root, options, found);
    Ok(Box::new(Sdbox {
        root,
        tree,
        names,
        paths,
        account,
    }))
}

/// A digest of all that changes when a server works on the account.
pub fn stamp(root: &Dir) -> Result<Digest> {
    let mut stamper = Stamper::default();
    stamper.file(root, "subscriptions")?;
    stamp_tree(&root.dir(MAILBOXES)?, &mut stamper, 0)?;
    Ok(stamper.digest())
}

fn stamp_tree(dir: &Dir, stamper: &mut Stamper, depth: usize) -> Result<()> {
    stamper.dir(dir)?;
    for name in [INDEX, LOG, side_files::ACL] {
        stamper.file(dir, name)?;
    }
    for entry in stamper.folders(dir)? {
        if depth < DEEPEST {
            stamper.name(&entry);
            stamp_tree(&dir.dir(&entry)?, stamper, depth + 1)?;
        }
    }
    Ok(())
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

struct Folder {
    path: Vec<BString>,
    selectable: bool,
}

struct Sdbox {
    root: Dir,
    tree: Dir,
    names: Vec<MailboxName>,
    paths: Vec<Folder>,
    account: Account,
}

impl Source for Sdbox {
    fn account(&self) -> &Account {
        &self.account
    }

    fn mailboxes(&self) -> &[MailboxName] {
        &self.names
    }

    fn mailbox<'a>(&'a self, nth: usize, found: Found<'_>) -> Result<Box<dyn MailboxSource + 'a>> {
        let (name, folder) = (&self.names[nth], &self.paths[nth]);
        let above = self.tree.descend(&folder.path)?;
        if !folder.selectable {
            return Ok(Box::new(SdboxMailbox::only_above(name.clone(), above)));
        }
        SdboxMailbox::open(name, above.dir(MAILS)?, &folder.path, found)
            .map(|mailbox| Box::new(mailbox) as Box<dyn MailboxSource>)
    }

    fn root(&self) -> &Dir {
        &self.root
    }

    fn estimate(&self) -> u64 {
        let folders = self.paths.iter().filter(|folder| folder.selectable);
        let dirs = folders.filter_map(|folder| self.tree.descend(&folder.path).ok());
        dirs.map(|dir| dir.dir(MAILS).map_or(0, |mails| mails.count()))
            .sum()
    }

    fn stamp(&self) -> Result<Digest> {
        stamp(&self.root)
    }
}
