//! The tree of mailboxes that sdbox and mdbox share, and what belongs to the account as a whole.

use std::collections::BTreeMap;
use std::sync::Arc;

use bstr::{BString, ByteSlice};

use super::conversion::Conversion;
use super::kind::holds_storage;
use super::layout::{MAILBOXES, MAILS};
use super::outvoted::Given;
use super::places::{Mails, Places};
use super::recalled::RECALLED_FROM;
use crate::disk::{Dir, Entry, Kind};
use crate::error::{Error, Result};
use crate::format::dovecot_index::{INDEX, Index, LOG, mended_by_a_new_index};
use crate::format::mailbox_list::{self, Listed};
use crate::format::names::{self, Spelling};
use crate::format::writing::Writing;
use crate::format::{Absent, OpenOptions, side_files, stamp::Stamper};
use crate::model::{Account, Mailbox, MailboxName, mutf7};
use crate::report::Finding;
use crate::report::catalogue::{MAILBOX_NAME, MAILBOX_UNREADABLE, SUBSCRIPTIONS_UNREADABLE};
use crate::store::Found;

/// Deeper trees are not made by any server.
const DEEPEST: usize = 64;
const SUBSCRIPTIONS: &str = "subscriptions";
/// The format that keeps its messages beside the mailboxes.
const MDBOX: &str = "mdbox";

/// An account's mailboxes by name, and what belongs to it as a whole.
#[derive(Debug)]
pub struct Tree {
    /// In name order.
    pub names: Vec<MailboxName>,
    /// Where everything lies.
    pub places: Arc<Places>,
    /// The same as `names`, as they lie there.
    folders: Vec<Folder>,
    /// `None` where it is lost.
    mailboxes: Option<Dir>,
    /// What the server's list tells, by the names on disk.
    pub(super) listed: BTreeMap<BString, Listed>,
    pub(super) given: Arc<Given>,
    /// Its format.
    pub(super) format: &'static str,
    /// What is wrong with the list.
    pub(super) list_codes: Vec<&'static str>,
    /// The name of the file.
    subscriptions: String,
    /// What belongs to the account as a whole.
    pub account: Account,
    /// There may be mailboxes that cannot be seen.
    pub is_partly_hidden: bool,
    /// How names are spelled on disk.
    pub utf8: bool,
}

#[derive(Debug)]
struct Folder {
    path: Vec<BString>,
    selectable: bool,
}

impl Tree {
    /// Finds the mailboxes of the account in `root`; `format` is for the message where there are none.
    pub fn open(
        root: &Dir,
        format: &'static str,
        options: &OpenOptions,
        found: Found<'_>,
    ) -> Result<Self> {
        let places = Places::new(root, options, found)?;
        let name = &places.mailboxes;
        let mailboxes = part(root, name)?;
        if mailboxes.is_none() {
            let keeps_messages = format == MDBOX && holds_storage(root)?;
            if !keeps_messages && is_converted(root)? {
                return Err(lost_all(root, name));
            }
            refuse_without(root, format, name, keeps_messages, options.absent)?;
        }
        let mut walk = Walk {
            mails: &places.mails,
            utf8: options.utf8,
            at: Vec::new(),
            folders: BTreeMap::new(),
        };
        let mut is_partly_hidden = false;
        if let Some(mailboxes) = &mailboxes {
            walk.through(mailboxes, &mut |finding| {
                is_partly_hidden |= finding.rule == &MAILBOX_UNREADABLE;
                found(finding);
            });
        }
        let (names, folders) = walk.folders.into_iter().unzip();
        let subscriptions = options.subscriptions.as_deref().unwrap_or(SUBSCRIPTIONS);
        let mut list_codes = Vec::new();
        let lists = places.index.as_ref().unwrap_or(root);
        let listed = mailbox_list::read_and_tell(lists, &mut |finding| {
            if mended_by_a_new_index(finding.rule) {
                list_codes.push(finding.rule.code);
            }
            found(finding);
        });
        list_codes.dedup();
        let account = account(root, &places, subscriptions, options.utf8, found);
        let given = Arc::new(Given {
            conversion: Conversion::of(root.again()?),
            last: account.last_uidvalidity,
        });
        let this = Self {
            names,
            folders,
            account,
            mailboxes,
            listed,
            given,
            format,
            list_codes,
            is_partly_hidden,
            utf8: options.utf8,
            subscriptions: subscriptions.into(),
            places: Arc::new(places),
        };
        this.gone(root)
            .into_iter()
            .for_each(|gone| found(gone.finding()));
        Ok(this)
    }

    /// The index of the `nth` mailbox, for who only wants to know what it is.
    pub fn index_of(&self, nth: usize) -> Result<Option<Index>> {
        let Some(mails) = self.mails(nth, &mut |_| ())? else {
            return Ok(None);
        };
        mails.load(&self.names[nth], &mut |_, _| false, &mut |_| ())
    }

    /// Where the `nth` mailbox lies; `None` for a name that only stands above others.
    pub fn mails(&self, nth: usize, found: Found<'_>) -> Result<Option<Mails>> {
        let folder = &self.folders[nth];
        if !folder.selectable {
            return Ok(None);
        }
        let mut told = |finding: Finding| found(finding.mailbox(&self.names[nth]));
        let Some(mailboxes) = &self.mailboxes else {
            return Ok(None);
        };
        let mut mails = self.places.of(mailboxes, &folder.path, &mut told)?;
        mails.given = Some(Arc::clone(&self.given));
        mails.listed = self.listed.get(&self.storage_name(nth)).copied();
        Ok(Some(mails))
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

    /// Puts all that changes when a server works on the account into its stamp; `root` is the account's.
    pub fn stamp(&self, root: &Dir, stamper: &mut Stamper) -> Result<()> {
        let control = self.places.control.as_ref().unwrap_or(root);
        stamper.file(control, &self.subscriptions)?;
        let others = [self.places.index_mailboxes()?, self.places.alt_mailboxes()?];
        for mailboxes in self.mailboxes.iter().chain(others.iter().flatten()) {
            stamp_folder(mailboxes, stamper, 0)?;
        }
        Ok(())
    }
}

/// True with what a conversion wrote, in anything but a Maildir.
fn is_converted(root: &Dir) -> Result<bool> {
    let is_there = |name: &str| Ok::<_, Error>(root.stat_if_there(name)?.is_some());
    Ok(is_there(RECALLED_FROM)? && !is_there("cur")?)
}

/// It is an account, and nothing of its mail is left.
fn lost_all(root: &Dir, mailboxes: &str) -> Error {
    let root = root.path().display();
    Error::Missing {
        what: format!(
            "{root}/{mailboxes} is not there: the messages of this account lie in it, and only {RECALLED_FROM} is left"
        ),
        help: "is it mounted? Else restore it from a backup".into(),
    }
}

/// Without the folder of its mailboxes, an account is none. An mdbox that has its messages may only be partly out of
/// sight; or the folder is lost, and they are not.
fn refuse_without(
    root: &Dir,
    format: &str,
    mailboxes: &str,
    keeps_messages: bool,
    absent: Absent,
) -> Result<()> {
    let root = root.path().display();
    let (what, help) = match (keeps_messages, absent) {
        (true, Absent::IsLost) => return Ok(()),
        (true, Absent::MayComeBack) => (
            format!("{root}/{mailboxes} is not there: which mailboxes have the messages of this mdbox is told in it"),
            "is it mounted? Else restore it from a backup; if it is gone for good, repair --accept-loss \
             --recover-orphans puts the stored messages into a mailbox Recovered"
                .into(),
        ),
        (false, _) => (
            format!("{root} holds no {format}: no {mailboxes}"),
            format!("name the directory of the account, the one that holds {mailboxes}"),
        ),
    };
    Err(Error::Missing { what, help })
}

/// On the way through the tree.
struct Walk<'a> {
    mails: &'a str,
    utf8: bool,
    /// The levels from `mailboxes` on.
    at: Vec<BString>,
    folders: BTreeMap<MailboxName, Folder>,
}

impl Walk<'_> {
    /// Finds every name below `dir`; a name without messages stands above others, or is an empty folder.
    fn through(&mut self, dir: &Dir, found: Found<'_>) {
        let mut entries = dir.entries().unwrap_or_else(|error| {
            self.unreadable(error.chain(), found);
            Vec::new()
        });
        // Of two that read as one name, the same one has it at every run.
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        for entry in entries {
            let is_name = matches!(entry.kind, Kind::Dir | Kind::Link);
            if !is_name || entry.name == self.mails {
                continue;
            }
            self.at.push(entry.name.clone());
            self.enter(dir, &entry, found);
            self.at.pop();
        }
    }

    fn enter(&mut self, dir: &Dir, entry: &Entry, found: Found<'_>) {
        if entry.kind == Kind::Link {
            self.unreadable("a symbolic link, which is not followed".into(), found);
        } else if self.at.len() > DEEPEST {
            let why = format!("it lies deeper than {DEEPEST} levels");
            self.unreadable(why, found);
        } else {
            match dir.dir(&entry.name) {
                Ok(inner) => {
                    self.add(&inner, found);
                    self.through(&inner, found);
                }
                Err(error) => self.unreadable(error.chain(), found),
            }
        }
    }

    fn unreadable(&self, why: String, found: Found<'_>) {
        let path = bstr::join("/", &self.at);
        found(Finding::new(&MAILBOX_UNREADABLE, why).path(path));
    }

    fn add(&mut self, dir: &Dir, found: Found<'_>) {
        let mut spelling = Spelling::new(self.utf8);
        let levels: Vec<_> = self.at.iter().map(|level| spelling.level(level)).collect();
        let wanted = MailboxName::new(&levels);
        let path = bstr::join("/", &self.at);
        let name = self.free(&wanted, levels);
        if name == wanted {
            spelling.tell(&name, &path, found);
        } else {
            let detail = format!("read as {wanted}, which is taken; carried as {name}");
            found(
                Finding::new(&MAILBOX_NAME, detail)
                    .mailbox(&name)
                    .path(path),
            );
        }
        let selectable = self.is_selectable(dir, &name, found);
        let path = self.at.clone();
        self.folders.insert(name, Folder { path, selectable });
    }

    /// The name, or what stands on disk where another one reads so too, or with a number.
    fn free(&self, wanted: &MailboxName, levels: Vec<String>) -> MailboxName {
        let last = levels.last().cloned().unwrap_or_default();
        let verbatim = MailboxName::verbatim(levels);
        let numbered = (2..).map(|nth| verbatim.with_last(format!("{last}_{nth}")));
        [wanted.clone(), verbatim.clone()]
            .into_iter()
            .chain(numbered)
            .find(|name| !self.folders.contains_key(name))
            .expect("BUG: names do not run out")
    }

    /// True for a mailbox with messages of its own, that is with a directory for them.
    fn is_selectable(&self, dir: &Dir, name: &MailboxName, found: Found<'_>) -> bool {
        let why = match dir.stat_if_there(self.mails) {
            Ok(None) => return false,
            Ok(Some(stat)) if stat.kind == Kind::Dir => return true,
            Ok(Some(stat)) if stat.kind == Kind::Link => {
                "a symbolic link, which is not followed".into()
            }
            Ok(Some(_)) => "not a directory".into(),
            Err(error) => error.chain(),
        };
        let path = format!("{}/{}", bstr::join("/", &self.at).as_bstr(), self.mails);
        found(
            Finding::new(&MAILBOX_UNREADABLE, why)
                .mailbox(name)
                .path(path),
        );
        false
    }
}

fn account(root: &Dir, places: &Places, name: &str, utf8: bool, found: Found<'_>) -> Account {
    let control = places.control.as_ref().unwrap_or(root);
    let subscriptions = match control.read_if_there(name, side_files::MOST) {
        Ok(bytes) => side_files::read_subscriptions(&bytes.unwrap_or_default(), b'/', |level| {
            names::level(level, utf8)
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
        last_uidvalidity: side_files::read_uidvalidity(control).unwrap_or(0),
    }
}

/// A directory that a dbox account has in its root.
pub fn part(root: &Dir, name: &str) -> Result<Option<Dir>> {
    match root.stat_if_there(name)? {
        Some(stat) if stat.kind != Kind::Dir => {
            let is = match stat.kind {
                Kind::Link => "a symbolic link, which is not followed",
                _ => "no directory",
            };
            let path = root.path_of(name.as_bytes());
            Err(Error::Missing {
                what: format!(
                    "{} is {is}: mail lies in a directory of this name",
                    path.display()
                ),
                help: "restore the directory from a backup, or name another account".into(),
            })
        }
        _ => root.dir_if_there(name),
    }
}

/// A digest of all that changes in the tree when a server works on the account.
pub fn stamp_tree(root: &Dir, stamper: &mut Stamper) -> Result<()> {
    stamper.file(root, SUBSCRIPTIONS)?;
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
            let inner = dir.dir(&entry);
            // That it cannot be read is said where it is opened, and is no reason to leave the others.
            if inner
                .and_then(|inner| stamp_folder(&inner, stamper, depth + 1))
                .is_err()
            {
                stamper.name(b"unreadable");
            }
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
    writing.write(root, SUBSCRIPTIONS, &subscriptions)?;
    side_files::write_uidvalidity(root, account.last_uidvalidity, writing)?;
    side_files::write_sieve(root, &account.sieve, writing)
}
