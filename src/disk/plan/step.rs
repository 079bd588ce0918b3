//! One step: done where it was not done already, and taken back.

use bstr::BString;

use super::journal::{Entry, Times};
use super::places::{Folders, NEW, gone_if_empty};
use super::prepare::content;
use super::{Path, parent};
use crate::disk::Dir;
use crate::error::{Error, Result};

/// Does a step, where it was not done already.
pub(super) fn act(folders: &Folders<'_>, entry: &Entry) -> Result<()> {
    let top = folders.places.dir(entry.place)?;
    let (dir, name) = parent(top, &entry.path)?;
    match (entry.act.as_str(), entry.times) {
        ("make-dir", _) => match (staged(folders, entry)?, dir.stat_if_there(name)?) {
            (Some(new), None) => new.move_new(entry.staged(), &dir, name),
            _ => Ok(()),
        },
        ("remove", _) => remove(folders, entry, &dir, name),
        ("rename", _) => rename(top, &entry.path, &entry.to),
        ("set-time", Some(Times { to, .. })) => set_time(&dir, name, (to, 0)),
        _ => match staged(folders, entry)? {
            Some(new) => new.rename_over(entry.staged(), &dir, name),
            None => Ok(()),
        },
    }
}

/// The directory of what is to take the place, while it is there.
fn staged(folders: &Folders<'_>, entry: &Entry) -> Result<Option<Dir>> {
    let Some(folder) = folders.get(entry.place) else {
        return Ok(None);
    };
    let Some(new) = folder.dir_if_there(NEW)? else {
        return Ok(None);
    };
    let there = new.stat_if_there(entry.staged())?.is_some();
    Ok(there.then_some(new))
}

/// Takes a step back, where that was not done already.
pub(super) fn undo(folders: &Folders<'_>, entry: &Entry) -> Result<()> {
    let top = folders.places.dir(entry.place)?;
    let (dir, name) = match parent(top, &entry.path) {
        // The plan had made the directory, and it is gone again.
        Err(error) if error.is_not_found() => return Ok(()),
        there => there?,
    };
    match (entry.act.as_str(), entry.times, &entry.kept) {
        ("rename", ..) => rename(top, &entry.to, &entry.path),
        ("make-dir", ..) => gone_if_empty(&dir, name),
        ("set-time", Some(Times { was, .. }), _) => set_time(&dir, name, was),
        (_, _, Some(kept)) => match folders.get(entry.place) {
            Some(folder) if folder.stat_if_there(kept)?.is_some() => {
                folder.rename_over(kept, &dir, name)
            }
            _ => Ok(()),
        },
        (_, _, None) => gone(&dir, name),
    }
}

/// What we made may be taken back only while nobody has changed it.
pub(super) fn is_as_we_left_it(folders: &Folders<'_>, entry: &Entry) -> Result<()> {
    let path = if entry.act == "rename" {
        &entry.to
    } else {
        &entry.path
    };
    let (dir, name) = parent(folders.places.dir(entry.place)?, path)?;
    let there = dir.stat_if_there(name)?;
    let same = match (entry.act.as_str(), &entry.new, entry.times) {
        ("remove", ..) => there.is_none(),
        ("make-dir", ..) => true,
        ("set-time", _, Some(times)) => there.is_some_and(|stat| stat.mtime == times.to),
        (_, Some(digest), _) => there.is_some() && content(&dir, name)? == *digest,
        _ => there.is_some(),
    };
    if same {
        return Ok(());
    }
    Err(Error::Occupied {
        path: dir.path_of(name),
        why: "it was changed since the repair".into(),
        help: "what was replaced is kept in mailtally-replaced: take back by hand what is wanted of it"
            .into(),
    })
}

/// It goes to what is kept, in one step; an earlier version had kept it before.
fn remove(folders: &Folders<'_>, entry: &Entry, dir: &Dir, name: &BString) -> Result<()> {
    match (
        dir.stat_if_there(name)?,
        folders.get(entry.place),
        &entry.kept,
    ) {
        (Some(_), Some(folder), Some(kept)) if folder.stat_if_there(kept)?.is_none() => {
            dir.rename_over(name, folder, kept)
        }
        (Some(_), ..) => dir.remove_file(name),
        (None, ..) => Ok(()),
    }
}

fn gone(dir: &Dir, name: &[u8]) -> Result<()> {
    match dir.stat_if_there(name)? {
        Some(_) => dir.remove_file(name),
        None => Ok(()),
    }
}

fn rename(top: &Dir, from: &Path, to: &Path) -> Result<()> {
    let (from_dir, from) = parent(top, from)?;
    let (to_dir, to) = parent(top, to)?;
    if from_dir.stat_if_there(from)?.is_none() && to_dir.stat_if_there(to)?.is_some() {
        return Ok(());
    }
    from_dir.move_new(from, &to_dir, to)
}

/// A file that has its old name back already has its old time too.
fn set_time(dir: &Dir, name: &[u8], time: (i64, u32)) -> Result<()> {
    match dir.stat_if_there(name)? {
        Some(stat) if (stat.mtime, stat.mtime_nanos) != time => dir.set_time(name, time),
        _ => Ok(()),
    }
}
