//! Where the parts of a dbox account lie: beside one another, or where the location says.
//!
//! ```text
//! PATH/mailboxes/NAME/dbox-Mails      messages of sdbox, and the index where INDEX= names no place
//! INDEX/mailboxes/NAME                the index: no dbox-Mails there     INDEX/storage   the map of mdbox
//! ALT/mailboxes/NAME/dbox-Mails       messages that were moved (sdbox)   ALT/storage     the same, mdbox
//! CONTROL                             subscriptions, dovecot-uidvalidity
//! MAILBOXDIR= stands for `mailboxes` in all of them, DIRNAME= for `dbox-Mails`
//! ```
//! Source: Dovecot 2.3, `src/lib-storage/mailbox-list.c`, `dbox-common/dbox-storage.c`; looked at in stores
//! that it made.

use std::collections::BTreeSet;
use std::sync::Arc;

use bstr::{BString, ByteSlice};

use super::DboxMailbox;
use super::layout::{MAILBOXES, MAILS};
use super::mailbox::mailbox_guid;
use super::outvoted::Given;
use crate::disk::plan::{About, Act, Place, Plan};
use crate::disk::{Dir, Kind, plan};
use crate::error::Result;
use crate::format::dovecot_index::{
    self, CACHE, Cache, DATE_SAVE, Generation, HoldsUp, INDEX, Index, LOG,
};
use crate::format::mailbox_list::Listed;
use crate::format::{Elsewhere, OpenOptions, mailbox_log};
use crate::model::{MailboxGuid, MailboxName};
use crate::report::Finding;
use crate::report::catalogue::{
    DBOX_ALT, INDEX_BEHIND, INDEX_BROKEN, INDEX_LOG_GAP, INDEX_LOG_LOST, INDEX_LOST,
};
use crate::store::Found;

/// A link that a server leaves in the root where `ALT` was ever named.
const ALT_ROOT: &str = "dbox-alt-root";

/// Where the parts of an account lie.
#[derive(Debug)]
pub struct Places {
    /// `mailboxes`, or what `MAILBOXDIR=` says.
    pub(super) mailboxes: String,
    /// `dbox-Mails`, or what `DIRNAME=` says.
    pub(super) mails: String,
    pub(super) index: Option<Dir>,
    pub(super) control: Option<Dir>,
    alt: Elsewhere,
    /// What it is where messages may be missing because ALT is not there.
    alt_missing: bool,
    attachments: Elsewhere,
}

/// Where one mailbox lies.
#[derive(Debug)]
pub struct Mails {
    /// The directory that makes it a mailbox: the messages of an sdbox, the ACL.
    pub dir: Dir,
    /// The same from the account's root, for findings.
    pub path: BString,
    /// Where its index lies, and what that is called in findings; `None` where INDEX has no such directory.
    pub index: Option<(Dir, BString)>,
    /// The place of messages of an sdbox that were moved.
    pub alt: Option<Dir>,
    /// Where a repair puts its index.
    pub index_at: IndexAt,
    /// What the server's list of mailboxes tells of it.
    pub listed: Option<Listed>,
    /// What a conversion gave it.
    pub(super) given: Option<Arc<Given>>,
}

/// A directory of an index, there or not.
#[derive(Debug, Clone)]
pub struct IndexAt {
    place: Place,
    path: plan::Path,
}

impl Places {
    /// What the location says of them.
    pub fn new(root: &Dir, options: &OpenOptions, found: Found<'_>) -> Result<Self> {
        // As to Dovecot, an empty name is the usual one.
        let name = |told: &Option<String>, usual: &str| {
            let told = told.clone().filter(|name| !name.is_empty());
            told.unwrap_or_else(|| usual.into())
        };
        let again = |dir: &Option<Dir>| dir.as_ref().map(Dir::again).transpose();
        let mut this = Self {
            mailboxes: name(&options.mailboxdir, MAILBOXES),
            mails: name(&options.dirname, MAILS),
            index: again(&options.index)?,
            control: again(&options.control)?,
            alt: options.alt.again()?,
            alt_missing: false,
            attachments: options.attachments.again()?,
        };
        if let Some(why) = this.why_alt_is_missing(root)? {
            this.alt_missing = true;
            found(Finding::new(&DBOX_ALT, why).path(ALT_ROOT));
        }
        Ok(this)
    }

    /// The link is the user's and is not followed; where it points is only said.
    fn why_alt_is_missing(&self, root: &Dir) -> Result<Option<String>> {
        let why = match &self.alt {
            Elsewhere::At(_) => return Ok(None),
            Elsewhere::Gone(why) => return Ok(Some(why.clone())),
            Elsewhere::NotNamed => root.stat_if_there(ALT_ROOT)?,
        };
        Ok(match why {
            Some(stat) if stat.kind == Kind::Link => {
                let target = root.read_link(ALT_ROOT)?;
                Some(format!(
                    "the location has no ALT=, and the store had {target}"
                ))
            }
            _ => None,
        })
    }

    /// The names of the directory of mailboxes and of that for a mailbox's messages.
    pub fn names(&self) -> (&str, &str) {
        (&self.mailboxes, &self.mails)
    }

    /// True where messages may be missing because the alternative storage is.
    pub fn alt_is_missing(&self) -> bool {
        self.alt_missing
    }

    /// True where the location has INDEX.
    pub fn index_is_elsewhere(&self) -> bool {
        self.index.is_some()
    }

    /// Dovecot's `mail_attachment_dir`.
    pub fn attachments(&self) -> &Elsewhere {
        &self.attachments
    }

    /// The places that may hold parts of the account beside its mailboxes; `root` is the account's.
    pub fn index_or<'a>(&'a self, root: &'a Dir) -> impl Iterator<Item = &'a Dir> {
        std::iter::once(root).chain(&self.index)
    }

    /// Mailboxes that a client deleted, as far as the server's records go.
    pub fn deleted_mailboxes(&self, root: &Dir) -> Option<BTreeSet<MailboxGuid>> {
        mailbox_log::deleted(self.index.as_ref().unwrap_or(root))
    }

    /// Where the index of the mailbox of these levels is put.
    pub fn index_at(&self, levels: &[BString]) -> IndexAt {
        let above = std::iter::once(self.mailboxes.as_str().into()).chain(levels.iter().cloned());
        match self.index {
            Some(_) => IndexAt {
                place: Place::Index,
                path: above.collect(),
            },
            None => IndexAt {
                place: Place::Root,
                path: above.chain([self.mails.as_str().into()]).collect(),
            },
        }
    }

    /// The same of the map of an mdbox.
    pub fn map_at(&self, storage: &str) -> IndexAt {
        IndexAt {
            place: self.lists_at(),
            path: vec![storage.into()],
        }
    }

    /// Where the server's list of mailboxes lies.
    pub fn lists_at(&self) -> Place {
        self.index.as_ref().map_or(Place::Root, |_| Place::Index)
    }

    /// Where the server notes what it gave out.
    pub fn control_at(&self) -> Place {
        self.control
            .as_ref()
            .map_or(Place::Root, |_| Place::Control)
    }

    /// Plans a step with a file of an index. Directories on the way are made.
    pub fn push_indexed(&self, plan: &mut Plan, at: &IndexAt, name: &str, act: Act, about: About) {
        if let (Some(index), Place::Index) = (&self.index, at.place) {
            plan.make_dirs((at.place, index), &at.path, "the index has no place there");
        }
        let path = at.path.iter().cloned().chain([name.into()]).collect();
        plan.push_in(at.place, path, act, about);
    }

    /// Where the map index of an mdbox lies; `root` is the account's.
    pub fn map_index(&self, root: &Dir, storage: &str) -> Result<Option<Dir>> {
        self.index.as_ref().unwrap_or(root).dir_if_there(storage)
    }

    /// Where the storage files of an mdbox lie that were moved.
    pub fn alt_storage(&self, storage: &str) -> Result<Option<Dir>> {
        match self.alt.dir() {
            Some(alt) => alt.dir_if_there(storage),
            None => Ok(None),
        }
    }

    /// Where ALT has the mailboxes.
    pub(super) fn alt_mailboxes(&self) -> Result<Option<Dir>> {
        match self.alt.dir() {
            Some(alt) => alt.dir_if_there(&self.mailboxes),
            None => Ok(None),
        }
    }

    /// Where INDEX has the mailboxes.
    pub(super) fn index_mailboxes(&self) -> Result<Option<Dir>> {
        match &self.index {
            Some(index) => index.dir_if_there(&self.mailboxes),
            None => Ok(None),
        }
    }

    /// The places of the mailbox whose directory, in `mailboxes`, this is.
    pub(super) fn of(
        &self,
        mailboxes: &Dir,
        levels: &[BString],
        found: Found<'_>,
    ) -> Result<Mails> {
        let dir = mailboxes.descend(levels)?.dir(&self.mails)?;
        let names = [self.mailboxes.as_bytes()]
            .into_iter()
            .chain(levels.iter().map(|level| level.as_slice()))
            .chain([self.mails.as_bytes()]);
        let path = BString::from(bstr::join("/", names.collect::<Vec<_>>()));
        let index = match &self.index {
            None => Some((dir.again()?, path.clone())),
            Some(_) => beneath(self.index_mailboxes()?, levels)?.map(|index| {
                let named = index.path().as_os_str().as_encoded_bytes().into();
                (index, named)
            }),
        };
        let alt = self.alt_of(levels).unwrap_or_else(|error| {
            found(Finding::new(&DBOX_ALT, error.chain()).path(&path));
            None
        });
        Ok(Mails {
            dir,
            path,
            index,
            index_at: self.index_at(levels),
            alt,
            listed: None,
            given: None,
        })
    }

    fn alt_of(&self, levels: &[BString]) -> Result<Option<Dir>> {
        match beneath(self.alt_mailboxes()?, levels)? {
            Some(dir) => dir.dir_if_there(&self.mails),
            None => Ok(None),
        }
    }
}

/// The directory of these names, if it is there.
fn beneath(dir: Option<Dir>, names: &[BString]) -> Result<Option<Dir>> {
    names.iter().try_fold(dir, |dir, name| match dir {
        Some(dir) => dir.dir_if_there(name),
        None => Ok(None),
    })
}

/// To a dbox its index is data: what cannot be read of it and its log is lost.
fn as_data(
    found: Found<'_>,
    load: impl FnOnce(Found<'_>) -> Result<Option<Index>>,
) -> Result<Option<Index>> {
    let mut findings = Vec::new();
    let index = load(&mut |finding| findings.push(finding))?;
    let is_unread = |detail: &str| { index.iter() }.any(|it| it.unread_part(detail).is_some());
    for finding in findings {
        found(if finding.rule == &INDEX_LOG_GAP {
            finding.of(&INDEX_LOG_LOST)
        } else if is_unread(&finding.detail) {
            finding.of(&INDEX_LOST)
        } else {
            finding
        });
    }
    Ok(index)
}

impl Mails {
    /// The directory of its index.
    pub fn index_dir(&self) -> Result<Option<Dir>> {
        let dir = self.index.as_ref().map(|(dir, _)| dir.again());
        dir.transpose()
    }

    /// True where a file of that name lies beside the index.
    pub fn has_indexed(&self, name: &str) -> Result<bool> {
        match &self.index {
            Some((dir, _)) => Ok(dir.stat_if_there(name)?.is_some()),
            None => Ok(false),
        }
    }

    /// What a new index in the place of this one says of itself.
    pub fn next_generation(&self, now: u32) -> Generation {
        Generation::after(self.index.as_ref().map(|(dir, _)| dir), INDEX, now)
    }

    /// A file beside the messages, from the account's root down.
    pub fn path_of(&self, name: &str) -> plan::Path {
        let names = self.path.split_str("/").map(BString::from);
        names.chain([name.into()]).collect()
    }

    /// The index, with what was found in it put into its place.
    /// One with a damaged header is used if it holds up.
    pub fn load(
        &self,
        name: &MailboxName,
        holds_up: &mut HoldsUp<'_>,
        found: Found<'_>,
    ) -> Result<Option<Index>> {
        let Some((dir, path)) = &self.index else {
            return Ok(None);
        };
        let mut told = |finding: Finding| found(DboxMailbox::within(finding, name, path));
        let index = as_data(&mut told, |found| {
            dovecot_index::load_checked(dir, INDEX, holds_up, found)
        })?;
        if index.is_some() && dir.stat_if_there(LOG)?.is_none() {
            told(Finding::new(&INDEX_LOG_LOST, "there is none").path(LOG));
        }
        if let Some(why) = index.as_ref().and_then(Index::to_be_rebuilt) {
            told(Finding::new(&INDEX_BROKEN, why).path(INDEX));
        }
        let behind = index.as_ref().and_then(|index| self.is_behind(index));
        if let Some(detail) = behind {
            told(Finding::new(&INDEX_BEHIND, detail).path(INDEX));
        }
        Ok(index)
    }

    /// The list is written behind the index: it never knows a UID or a change before it.
    fn is_behind(&self, index: &Index) -> Option<String> {
        let listed = self.listed?;
        let (known, next) = (index.next_uid, listed.uidnext_of(index.uid_validity)?);
        if known < next {
            return Some(format!("the list has UIDNEXT {next}, the index {known}"));
        }
        // What cannot be read of it is told for itself.
        let modseq = listed.modseq_of(mailbox_guid(index), index.uid_validity)?;
        let known = index.highest_modseq;
        (index.is_whole() && known < modseq)
            .then(|| format!("the list has HIGHESTMODSEQ {modseq}, the index {known}"))
    }

    /// Where there is no index, what its log says of messages that are there.
    pub fn load_over(
        &self,
        name: &MailboxName,
        there: &Index,
        found: Found<'_>,
    ) -> Result<Option<Index>> {
        let Some((dir, path)) = &self.index else {
            return Ok(None);
        };
        let mut told = |finding: Finding| found(DboxMailbox::within(finding, name, path));
        as_data(&mut told, |found| {
            dovecot_index::load_over(dir, INDEX, there, found)
        })
    }

    /// The server's cache. What of it cannot be read is told: a server that meets that complains.
    pub fn cache(
        &self,
        index: &Index,
        name: &MailboxName,
        found: Found<'_>,
    ) -> Result<Option<Cache>> {
        let Some((dir, path)) = &self.index else {
            return Ok(None);
        };
        let mut told = |finding: Finding| found(DboxMailbox::within(finding, name, path));
        let cache = Cache::open(dir, CACHE, index, &mut told)?;
        if let Some(cache) = &cache {
            cache.tell_broken(CACHE, index, &mut told);
        }
        Ok(cache)
    }

    /// Saved dates by place, where the cache tells them.
    pub fn saved_dates(
        &self,
        index: &Index,
        name: &MailboxName,
        found: Found<'_>,
    ) -> Result<Vec<Option<u32>>> {
        let cache = self.cache(index, name, found)?;
        let Some(cache) = cache.filter(|cache| cache.has(DATE_SAVE)) else {
            return Ok(Vec::new());
        };
        let places = 0..index.uids.len();
        let dates = places.map(|nth| cache.u32_of(index, nth, DATE_SAVE));
        Ok(dates.collect())
    }
}
