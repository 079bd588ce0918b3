//! The on-disk formats: one room each, and the shelves that rooms share.
//!
//! ```text
//! rooms     maildir  sdbox  mdbox               a whole store each; no room imports another
//! shelves   dbox  dovecot_index  compress       file formats
//!           mailbox_list  mailbox_log  side_files  names  only_above  received  stamp  writing  pour
//! apart     tally                               fingerprints of a store, in a file
//!           location                            what names a store on the command line
//! ```

pub mod compress;
pub mod dbox;
pub mod dovecot_index;
#[cfg(test)]
mod golden;
pub mod location;
pub mod mailbox_list;
pub mod mailbox_log;
pub mod maildir;
pub mod mdbox;
pub mod names;
pub mod only_above;
pub mod pour;
pub mod received;
pub mod sdbox;
pub mod side_files;
pub mod stamp;
pub mod tally;
pub mod writing;

use std::collections::BTreeMap;

use bstr::BString;

use crate::digest::Digest;
use crate::disk::Dir;
use crate::disk::plan::Plan;
use crate::error::Result;
use crate::model::QuotaLimits;
use crate::store::{
    BelievedUsage, CreateOptions, Destination, Form, Found, Holds, NameCheck, Source, Takes,
};

/// Every format that is known.
pub static ROOMS: &[Room] = &[maildir::ROOM, sdbox::ROOM, mdbox::ROOM];

/// What a format offers.
pub struct Room {
    /// As on the command line.
    pub name: &'static str,
    /// Does a store of this format lie here?
    pub detect: fn(&Dir) -> Likeness,
    /// Opens a store; nothing is ever written through it.
    pub open: fn(Dir, &OpenOptions, Found<'_>) -> Result<Box<dyn Source>>,
    /// Begins a store in an empty directory; `None`: read only.
    pub create: Option<Create>,
    /// What it has a place for.
    pub holds: Holds,
    /// Which files it is made of.
    pub takes: Takes,
    /// Why a name does not fit.
    pub name_problem: NameCheck,
    /// A digest that changes when anyone writes to the store.
    pub stamp: fn(&Dir) -> Result<Digest>,
    /// Finds what is to be done so that the store is sound; `None`: it is not repaired.
    pub repair: Option<Repair>,
    /// Names from the root down to where no server takes a directory for a mailbox.
    pub hidden: fn(&OpenOptions) -> Vec<BString>,
    /// The file that keeps the account's usage, where the format has one.
    pub quota: Option<QuotaFile>,
    /// Makes the index in a directory say what the messages of its mailbox add up to; false where a
    /// server would not read that.
    pub correct_usage: fn(&Dir, &BelievedUsage) -> Result<bool>,
}

/// Looks at a store, and plans what is to be done so that it is sound.
pub type Repair = fn(&Dir, &OpenOptions, RepairOptions) -> Result<Plan>;

/// What a repair may do.
#[derive(Debug, Clone, Copy, Default)]
pub struct RepairOptions {
    /// The time that goes into new files.
    pub now: u32,
    /// Take in messages that no mailbox names.
    pub recover_orphans: bool,
    /// Mend dates that are plainly those of a copy.
    pub dates: bool,
}

/// A file that keeps an account's usage.
#[derive(Debug, Clone, Copy)]
pub struct QuotaFile {
    /// Its name.
    pub name: &'static str,
    /// What it says; `None` where it is not there.
    pub read: fn(&Dir, &OpenOptions) -> Result<Option<StoredUsage>>,
    /// Makes it say so many bytes and messages; limits stay.
    pub write: fn(&Dir, &OpenOptions, u64, u64) -> Result<()>,
}

/// What a file says of an account's usage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoredUsage {
    /// The limits.
    pub limits: QuotaLimits,
    /// Bytes and messages in use; `None` where that cannot be read.
    pub used: Option<(i64, i64)>,
    /// Where limits stand, something else stands too.
    pub has_no_limits: bool,
}

impl StoredUsage {
    /// What is said of that.
    pub const NO_LIMITS: &str = "its first line has what is no limit, such as 1000S or 10C";
}

impl std::fmt::Debug for Room {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Room({})", self.name)
    }
}

impl Room {
    /// What it has a place for in this form: where directories stand for levels, one can be empty, and a
    /// link with a dot is no mailbox; only a Maildir++ has a file for quota limits.
    pub fn holds_in(&self, form: &Form) -> Holds {
        Holds {
            bare_names: self.holds.bare_names || form.fs_layout,
            links_in_root: self.holds.links_in_root || form.fs_layout,
            quota_limits: self.holds.quota_limits && !form.fs_layout,
            ..self.holds
        }
    }
}

/// Begins a store in an empty directory.
pub type Create = fn(Dir, &CreateOptions) -> Result<Box<dyn Destination>>;

/// How much a directory looks like a format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Likeness {
    /// Not at all.
    No,
    /// It could be.
    Maybe,
    /// It is.
    Yes,
}

/// What the location says beside the path.
#[derive(Debug, Default)]
pub struct OpenOptions {
    /// `LAYOUT=fs`: directories stand for levels.
    pub fs_layout: bool,
    /// `DIRNAME`: the directory that holds a mailbox's messages.
    pub dirname: Option<String>,
    /// `INBOX`: where the INBOX lies, if not in the root.
    pub inbox: Option<Dir>,
    /// `CONTROL`: where uidlists, keywords and subscriptions lie; of a dbox, the subscriptions.
    pub control: Option<Dir>,
    /// `INDEX`: where indexes lie.
    pub index: Option<Dir>,
    /// `ALT`: where messages lie that were moved to slower storage.
    pub alt: Elsewhere,
    /// `ATTACHMENTS`: Dovecot's `mail_attachment_dir`.
    pub attachments: Elsewhere,
    /// `INDEX=MEMORY`: there are none.
    pub no_index: bool,
    /// `MAILBOXDIR`: in place of `mailboxes`; empty: as if it were not there.
    pub mailboxdir: Option<String>,
    /// `SUBSCRIPTIONS`: the name of that file.
    pub subscriptions: Option<String>,
    /// `UTF-8`: names on disk are UTF-8.
    pub utf8: bool,
    /// The clock, for what is said about dates.
    pub now: i64,
    /// UIDNEXT of mailboxes as an earlier pass left them at the destination: a UID that was made up
    /// then is never made up again for another message.
    pub uidnext_before: BTreeMap<String, u32>,
    /// The account that an earlier pass made of this one: a message to which no server gave a UID has the
    /// one that it has there.
    pub earlier: Option<Dir>,
    /// What is to be thought of a part of the account that is not there.
    pub absent: Absent,
}

/// What a part of the account is that is not there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Absent {
    /// It may be out of sight, as on a disk that is not mounted.
    #[default]
    MayComeBack,
    /// It is lost: a repair goes on without it.
    IsLost,
}

/// A place that a location may name, and that matters only where something lies there.
#[derive(Debug, Default)]
pub enum Elsewhere {
    /// The location names none.
    #[default]
    NotNamed,
    /// It is there.
    At(Dir),
    /// It is named and cannot be opened, as where a disk is not mounted; why.
    Gone(String),
}

impl Elsewhere {
    /// The place, if it is there.
    pub fn dir(&self) -> Option<&Dir> {
        match self {
            Self::At(dir) => Some(dir),
            Self::NotNamed | Self::Gone(_) => None,
        }
    }

    /// The same once more.
    pub fn again(&self) -> Result<Self> {
        Ok(match self {
            Self::NotNamed => Self::NotNamed,
            Self::At(dir) => Self::At(dir.again()?),
            Self::Gone(why) => Self::Gone(why.clone()),
        })
    }
}

impl OpenOptions {
    /// Those that open a store of this form.
    pub fn of(form: &Form) -> Self {
        Self {
            fs_layout: form.fs_layout,
            ..Self::default()
        }
    }

    /// The same options once more.
    pub fn again(&self) -> Result<Self> {
        let again = |dir: &Option<Dir>| dir.as_ref().map(Dir::again).transpose();
        Ok(Self {
            fs_layout: self.fs_layout,
            dirname: self.dirname.clone(),
            inbox: again(&self.inbox)?,
            control: again(&self.control)?,
            index: again(&self.index)?,
            alt: self.alt.again()?,
            attachments: self.attachments.again()?,
            no_index: self.no_index,
            mailboxdir: self.mailboxdir.clone(),
            subscriptions: self.subscriptions.clone(),
            utf8: self.utf8,
            now: self.now,
            uidnext_before: self.uidnext_before.clone(),
            earlier: again(&self.earlier)?,
            absent: self.absent,
        })
    }
}

/// The room of that name.
pub fn room(name: &str) -> Option<&'static Room> {
    ROOMS.iter().find(|room| room.name == name)
}

/// The rooms that a directory looks most like.
pub fn detect(dir: &Dir) -> Vec<&'static Room> {
    let liked: Vec<_> = ROOMS
        .iter()
        .map(|room| ((room.detect)(dir), room))
        .collect();
    let best = liked.iter().map(|(likeness, _)| *likeness).max();
    let best = best.filter(|likeness| *likeness > Likeness::No);
    let rooms = liked.into_iter();
    rooms
        .filter(|(likeness, _)| Some(*likeness) == best)
        .map(|(_, room)| room)
        .collect()
}
