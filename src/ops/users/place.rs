//! Where one account lies, and the way there.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bstr::BString;

use super::{Context, User, usage};
use crate::disk::{Dir, Disk, Kind, Owner, parent_and_name};
use crate::error::Result;
use crate::format::location::{Split, Template};
use crate::report::escape;

/// Where one account lies: the administrator's path, and the names in the hands of users below it.
#[derive(Debug, Clone)]
pub struct Place {
    split: Split,
    path: PathBuf,
    disk: Arc<dyn Disk>,
}

/// What is to be seen at a place.
pub(super) enum Sight {
    /// A directory.
    There,
    /// Nothing, or something that is no directory.
    Missing,
    /// Something that is not entered, and why.
    Refused(String),
}

impl Place {
    /// What a path stands for, for this user. Also for the other paths of a location (`INDEX=`, …).
    pub fn of(template: &Template, user: &User, disk: &Arc<dyn Disk>) -> Result<Self> {
        Ok(Self {
            split: template.split(user)?,
            path: template.expand(user)?,
            disk: Arc::clone(disk),
        })
    }

    /// A path that stands for one account is the administrator's as a whole, home or not.
    pub(super) fn own(path: &Template, context: &Context, disk: &Arc<dyn Disk>) -> Result<Self> {
        let path = path.expand(&context.user(""))?;
        Ok(Self::named(path, disk))
    }

    /// The part of a path that all users share; `None` if it begins at the homes.
    pub(super) fn base_of(template: &Template, disk: &Arc<dyn Disk>) -> Option<Self> {
        template.base().map(|base| Self::named(base, disk))
    }

    /// A path that is the administrator's as a whole.
    pub fn named(path: PathBuf, disk: &Arc<dyn Disk>) -> Self {
        let split = Split {
            base: path.clone(),
            steps: vec![],
        };
        let disk = Arc::clone(disk);
        Self { split, path, disk }
    }

    /// The whole path, for messages. To open it would follow whatever links lie there.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn steps(&self) -> &[BString] {
        &self.split.steps
    }

    /// Opens it; no link of a user is followed.
    pub fn open(&self) -> Result<Dir> {
        let mut dir = Dir::open(&self.split.base, Arc::clone(&self.disk))?;
        for step in &self.split.steps {
            dir = dir.dir(step)?;
        }
        Ok(dir)
    }

    /// The directory that it lies in, if that is there, and its name in it.
    pub fn parent_if_there(&self) -> Result<Option<(Dir, BString)>> {
        let (base, way, name) = self.way()?;
        let opened = Dir::open(base, Arc::clone(&self.disk)).and_then(|dir| dir.descend(way));
        match opened {
            Ok(dir) => Ok(Some((dir, name))),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The administrator's part of the way, the users' part of it, and the name at its end.
    fn way(&self) -> Result<(&Path, &[BString], BString)> {
        if let Some((last, way)) = self.split.steps.split_last() {
            return Ok((&self.split.base, way, last.clone()));
        }
        let base = &self.split.base;
        let Some((parent, name)) = parent_and_name(base) else {
            let what = format!("{} cannot be a new directory", base.display());
            return usage(what, "name a directory that is not there yet");
        };
        Ok((parent, &[], name.into()))
    }

    /// The directory that it will lie in, and its name there. Directories on the way that are missing
    /// are made as the one above them is: the same owner, the same mode.
    pub fn make_parent(&self) -> Result<(Dir, BString)> {
        let (base, way, name) = self.way()?;
        let mut dir = self.open_or_make(base)?;
        for step in way {
            dir = make_or_open(&dir, step)?;
        }
        Ok((dir, name))
    }

    fn open_or_make(&self, path: &Path) -> Result<Dir> {
        match Dir::open(path, Arc::clone(&self.disk)) {
            Err(error) if error.is_not_found() => {
                let (above, name) = parent_and_name(path).ok_or(error)?;
                let above = self.open_or_make(above)?;
                make_or_open(&above, name)
            }
            opened => opened,
        }
    }

    /// The nearest directory that is there: where the room is that an account would take.
    pub fn nearest(&self) -> Result<Dir> {
        let mut path: &Path = &self.path;
        loop {
            let (above, _) = parent_and_name(path).unwrap_or((Path::new("/"), b""));
            match Dir::open(above, Arc::clone(&self.disk)) {
                Err(error) if error.is_not_found() && above != Path::new("/") => path = above,
                opened => return opened,
            }
        }
    }

    /// Looks without entering the account itself.
    pub(super) fn look(&self) -> Sight {
        self.look_for()
            .unwrap_or_else(|error| Sight::Refused(error.chain()))
    }

    fn look_for(&self) -> Result<Sight> {
        let mut dir = match Dir::open(&self.split.base, Arc::clone(&self.disk)) {
            Err(error) if is_nothing(error.io_kind()) => return Ok(Sight::Missing),
            opened => opened?,
        };
        for (nth, step) in self.split.steps.iter().enumerate() {
            match dir.stat_if_there(step)?.map(|stat| stat.kind) {
                Some(Kind::Link) => return Ok(Sight::Refused(is_link(&dir, step))),
                Some(Kind::Dir) if nth + 1 < self.split.steps.len() => dir = dir.dir(step)?,
                Some(Kind::Dir) => {}
                Some(Kind::File | Kind::Other) | None => return Ok(Sight::Missing),
            }
        }
        Ok(Sight::There)
    }
}

fn make_or_open(dir: &Dir, name: &[u8]) -> Result<Dir> {
    if let Some(there) = dir.dir_if_there(name)? {
        return Ok(there);
    }
    match dir.make_dir(name) {
        // The account of another user came first.
        Err(error) if error.io_kind() == Some(io::ErrorKind::AlreadyExists) => dir.dir(name),
        new => {
            let new = new?;
            let above = dir.own_stat()?;
            let owner = Owner {
                uid: above.uid,
                gid: above.gid,
            };
            if Owner::of_this_process().uid == 0 {
                new.give_self(owner)?;
            }
            new.set_own_mode(above.mode & 0o2777)?;
            dir.sync()?;
            Ok(new)
        }
    }
}

fn is_nothing(kind: Option<io::ErrorKind>) -> bool {
    matches!(
        kind,
        Some(io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
    )
}

/// Why a link is not entered, and what to write instead.
pub(super) fn is_link(dir: &Dir, name: &[u8]) -> String {
    let to = dir.read_link(name).map(|target| escape(&target));
    let to = to.map_or_else(|_| String::new(), |to| format!(" to {to}"));
    format!(
        "`{}` is a symbolic link{to}, which the user may have made: it is not followed; \
         write a location that leads to the place itself",
        escape(name)
    )
}
