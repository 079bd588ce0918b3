//! Where the parts of an account lie, and the folder that a plan has in each of them.

use std::collections::BTreeMap;
use std::io::ErrorKind;

use bstr::BString;
use serde::{Deserialize, Serialize};

use super::{Plan, REPLACED};
use crate::disk::{Dir, Kind, Owner, Stat, remove_tree};
use crate::error::{Error, Result};

/// What will take a place.
pub(super) const NEW: &str = "new";

/// A part of an account that may lie elsewhere.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// The account's own directory.
    #[default]
    Root,
    /// `INBOX=`
    Inbox,
    /// `CONTROL=`
    Control,
    /// `INDEX=`
    Index,
}

impl Place {
    /// True for the account's own directory.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
    pub(super) fn is_root(&self) -> bool {
        *self == Self::Root
    }

    /// As it is called in a location.
    fn key(self) -> &'static str {
        match self {
            Self::Root => "the path",
            Self::Inbox => "INBOX=",
            Self::Control => "CONTROL=",
            Self::Index => "INDEX=",
        }
    }
}

/// The directories of an account.
#[derive(Debug, Clone)]
pub struct Places<'d> {
    /// Its own.
    pub root: &'d Dir,
    /// Names from there down to where no server takes a directory for a mailbox: what is replaced is
    /// kept there.
    pub hidden: Vec<BString>,
    /// Those that lie elsewhere.
    pub elsewhere: Vec<(Place, &'d Dir)>,
}

impl<'d> Places<'d> {
    /// An account that lies in one place, where directories in the root are no mailboxes.
    pub fn one(root: &'d Dir) -> Self {
        Self {
            root,
            hidden: Vec::new(),
            elsewhere: Vec::new(),
        }
    }

    /// All of them, the root first.
    pub fn all(&self) -> impl Iterator<Item = (Place, &'d Dir)> + '_ {
        std::iter::once((Place::Root, self.root)).chain(self.elsewhere.iter().copied())
    }

    /// The directory of a place.
    pub(super) fn dir(&self, place: Place) -> Result<&'d Dir> {
        let found = self.all().find(|(here, _)| *here == place);
        found.map(|(_, dir)| dir).ok_or_else(|| Error::Usage {
            what: format!(
                "a repair of {} has steps in another place, which is not named",
                self.root.path().display()
            ),
            help: format!("name it with {} as for that repair", place.key()),
        })
    }

    /// Names down to what is replaced, and kept.
    fn hidden_in(&self, place: Place) -> &[BString] {
        match place {
            Place::Root | Place::Inbox => &self.hidden,
            Place::Control | Place::Index => &[],
        }
    }

    /// Where what was replaced is kept, if anything is.
    pub(super) fn replaced(&self, place: Place) -> Result<Option<Dir>> {
        let mut dir = self.dir(place)?.again()?;
        for name in self.hidden_in(place) {
            match dir.dir_if_there(name)? {
                Some(inner) => dir = inner,
                None => return Ok(None),
            }
        }
        dir.dir_if_there(REPLACED)
    }

    /// Where the next name is made on the way to what is kept.
    pub(super) fn above_folder(&self, place: Place) -> Result<Dir> {
        let names = self.hidden_in(place).iter().map(|name| name.as_slice());
        let mut dir = self.dir(place)?.again()?;
        for name in names.chain([REPLACED.as_bytes()]) {
            match dir.dir_if_there(name)? {
                Some(inner) => dir = inner,
                None => break,
            }
        }
        Ok(dir)
    }

    /// The same; it is made where it is not there.
    fn make_replaced(&self, place: Place, stat: &Stat) -> Result<Dir> {
        let mut dir = self.dir(place)?.again()?;
        for name in self.hidden_in(place) {
            like_above(&dir, name)?;
            dir = dir.dir(name)?;
        }
        like(&dir, REPLACED.as_bytes(), stat)
    }

    /// Removes it where it holds nothing.
    pub(super) fn no_empty_folder(&self, place: Place) -> Result<()> {
        match self.dir(place)?.descend(self.hidden_in(place)) {
            Ok(dir) => match gone_if_empty(&dir, REPLACED.as_bytes()) {
                // It harms nobody, and is no reason to repair nothing.
                Err(error) if error.io_kind() == Some(ErrorKind::PermissionDenied) => Ok(()),
                gone => gone,
            },
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// What is kept is kept here, for people.
    pub fn shown(&self, folder: &str) -> String {
        let names = self.hidden.iter().map(ToString::to_string);
        let names: Vec<_> = names.chain([REPLACED.into(), folder.into()]).collect();
        crate::report::escape(names.join("/").as_bytes())
    }
}

/// The folders of one plan, by place.
#[derive(Debug)]
pub(super) struct Folders<'p> {
    pub places: &'p Places<'p>,
    pub name: BString,
    open: BTreeMap<Place, Dir>,
}

impl<'p> Folders<'p> {
    /// Makes them, each with an empty `new/`, the root's first.
    pub fn make(places: &'p Places<'p>, plan: &Plan, date: &str) -> Result<Self> {
        let stat = places.root.own_stat()?;
        let mut replaced = Vec::new();
        for place in plan.places() {
            replaced.push((place, places.make_replaced(place, &stat)?));
        }
        let name = free_name(&replaced, date)?;
        let mut open = BTreeMap::new();
        for (place, replaced) in replaced {
            let folder = like(&replaced, &name, &stat)?;
            folder.make_dir(NEW)?;
            open.insert(place, folder);
        }
        Ok(Self { places, name, open })
    }

    /// Those that are there.
    pub fn open(places: &'p Places<'p>, name: BString) -> Result<Self> {
        let mut open = BTreeMap::new();
        for (place, _) in places.all() {
            if let Some(replaced) = places.replaced(place)?
                && let Some(folder) = replaced.dir_if_there(&name)?
            {
                open.insert(place, folder);
            }
        }
        Ok(Self { places, name, open })
    }

    /// The one in a place.
    pub fn get(&self, place: Place) -> Option<&Dir> {
        self.open.get(&place)
    }

    /// The one that has the journal.
    pub fn root(&self) -> &Dir {
        self.open
            .get(&Place::Root)
            .expect("BUG: the root's folder is opened first")
    }

    /// Waits until all of it is on the devices.
    pub fn sync_file_systems(&self) -> Result<()> {
        let mut synced = self.open.keys().map(|place| self.places.dir(*place));
        synced.try_for_each(|dir| dir?.sync_file_system())
    }

    /// Removes what was to take a place.
    pub fn without_new(&self) -> Result<()> {
        for folder in self.open.values() {
            if folder.dir_if_there(NEW)?.is_some() {
                remove_tree(folder, NEW.as_bytes())?;
            }
        }
        Ok(())
    }

    /// Removes those that hold nothing, the root's last, and what is above them.
    pub fn no_empty_ones(&self) -> Result<()> {
        for place in self.open.keys().rev() {
            if let Some(replaced) = self.places.replaced(*place)? {
                gone_if_empty(&replaced, &self.name)?;
            }
            self.places.no_empty_folder(*place)?;
        }
        Ok(())
    }
}

/// A name that no plan has in any place: a second one of the same second has a number.
fn free_name(replaced: &[(Place, Dir)], date: &str) -> Result<BString> {
    let is_free = |name: &str| {
        let mut taken = replaced.iter().map(|(_, dir)| dir.stat_if_there(name));
        taken.try_fold(true, |free, stat| Ok(free && stat?.is_none()))
    };
    let mut name = date.to_owned();
    for nth in 2.. {
        if is_free(&name)? {
            break;
        }
        name = format!("{date}.{nth:03}");
    }
    Ok(name.into())
}

/// The folders of plans, the oldest first.
pub(super) fn names(replaced: &Dir) -> Result<Vec<BString>> {
    let mut entries = replaced.entries()?;
    entries.retain(|entry| entry.kind == Kind::Dir);
    let mut names: Vec<_> = entries.into_iter().map(|entry| entry.name).collect();
    names.sort();
    Ok(names)
}

/// A directory of ours: for the owner of the account alone.
fn like(above: &Dir, name: &[u8], stat: &Stat) -> Result<Dir> {
    if let Some(dir) = above.dir_if_there(name)? {
        return Ok(dir);
    }
    let dir = above.make_dir(name)?;
    if let Some(owner) = other_owner(stat) {
        dir.give_self(owner)?;
    }
    Ok(dir)
}

/// A directory of the store, as the one that it is in.
fn like_above(above: &Dir, name: &[u8]) -> Result<()> {
    if above.stat_if_there(name)?.is_some() {
        return Ok(());
    }
    let stat = above.own_stat()?;
    let dir = above.make_dir(name)?;
    if let Some(owner) = other_owner(&stat) {
        dir.give_self(owner)?;
    }
    dir.set_own_mode(stat.mode)
}

/// Who is to own what is made, if that is not who makes it.
pub(super) fn other_owner(stat: &Stat) -> Option<Owner> {
    let owner = Owner {
        uid: stat.uid,
        gid: stat.gid,
    };
    (owner != Owner::of_this_process()).then_some(owner)
}

/// Removes a directory that holds nothing.
pub(super) fn gone_if_empty(dir: &Dir, name: &[u8]) -> Result<()> {
    match dir.remove_dir(name) {
        Err(error) if error.is_not_found() => Ok(()),
        Err(error) if error.io_kind() == Some(ErrorKind::DirectoryNotEmpty) => Ok(()),
        done => done,
    }
}
