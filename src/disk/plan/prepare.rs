//! Before anything is touched: what is new is made, and what is old is kept under another name.

use std::io::Read;

use bstr::BString;

use super::journal::{Entry, Journal, staged};
use super::places::{Folders, NEW, other_owner};
use super::{Act, Path, Plan, Step, parent};
use crate::disk::{Dir, Stat};
use crate::error::{At, Result};

/// Longer names would not fit with a number in front.
const LONGEST_NAME: usize = 200;

/// The mode of a file that tells something by its name alone.
const MARK: u32 = 0o444;

/// Makes what is new, and keeps what is old.
pub(super) fn prepare(folders: &Folders<'_>, plan: &Plan) -> Result<Journal> {
    let mut entries = Vec::new();
    for (nth, step) in plan.steps.iter().enumerate() {
        entries.push(one(folders, nth + 1, step)?);
    }
    Ok(Journal::new(entries))
}

fn one(folders: &Folders<'_>, nth: usize, step: &Step) -> Result<Entry> {
    let top = folders.places.dir(step.place)?;
    let folder = folders
        .get(step.place)
        .expect("BUG: every place of the plan has a folder");
    let (new, name) = (folder.dir(NEW)?, staged(nth));
    let digest = match &step.act {
        Act::Replace(fill) => {
            let mut file = new.create(&name)?;
            fill(&mut file)?;
            file.become_like(&model(top, &step.path)?)?;
            Some(content(&new, name.as_bytes())?)
        }
        Act::Mark => {
            let file = new.create(&name)?;
            file.become_like(&Stat {
                mode: MARK,
                ..model(top, &step.path)?
            })?;
            Some(content(&new, name.as_bytes())?)
        }
        Act::MakeDir => {
            make_dir(top, &step.path, &new, &name)?;
            None
        }
        Act::Remove | Act::Rename(_) | Act::SetTime { .. } => None,
    };
    let kept = match &step.act {
        Act::Replace(_) | Act::Mark => keep(top, folder, nth, &step.path)?,
        // It is kept by the step itself: a second name would make the file seem newer than others.
        Act::Remove => there(top, &step.path)?.map(|(_, name)| kept_as(nth, name)),
        Act::Rename(_) | Act::MakeDir | Act::SetTime { .. } => None,
    };
    Ok(Entry::of(nth, step, kept, digest))
}

/// A directory as the one that it will be in, or as the top where an earlier step makes that.
fn make_dir(top: &Dir, path: &Path, new: &Dir, name: &str) -> Result<()> {
    let stat = match parent(top, path) {
        Ok((above, _)) => above.own_stat()?,
        Err(_) => top.own_stat()?,
    };
    let dir = new.make_dir(name)?;
    if let Some(owner) = other_owner(&stat) {
        dir.give_self(owner)?;
    }
    dir.set_own_mode(stat.mode)
}

/// Owner and mode of a new file: those of the old one, or what follows from its directory.
fn model(top: &Dir, path: &Path) -> Result<Stat> {
    let Ok((dir, name)) = parent(top, path) else {
        // Its directory is made by an earlier step.
        let stat = top.own_stat()?;
        return Ok(Stat {
            mode: stat.mode & 0o666,
            ..stat
        });
    };
    if let Some(stat) = dir.stat_if_there(name)? {
        return Ok(stat);
    }
    let stat = dir.own_stat()?;
    Ok(Stat {
        mode: stat.mode & 0o666,
        ..stat
    })
}

fn keep(top: &Dir, folder: &Dir, nth: usize, path: &Path) -> Result<Option<BString>> {
    let Some((dir, name)) = there(top, path)? else {
        return Ok(None);
    };
    let kept = kept_as(nth, name);
    dir.keep_as(name, folder, &kept)?;
    Ok(Some(kept))
}

/// The directory and the name of what is there.
fn there<'p>(top: &Dir, path: &'p Path) -> Result<Option<(Dir, &'p BString)>> {
    let Ok((dir, name)) = parent(top, path) else {
        return Ok(None);
    };
    Ok(dir.stat_if_there(name)?.map(|_| (dir, name)))
}

fn kept_as(nth: usize, name: &BString) -> BString {
    let shown = &name[..name.len().min(LONGEST_NAME)];
    [format!("{nth:04}.").as_bytes(), shown].concat().into()
}

/// BLAKE3 of a file.
pub(super) fn content(dir: &Dir, name: &[u8]) -> Result<String> {
    let mut file = dir.file(name)?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = file.read(&mut buffer).at("read", &dir.path_of(name))?;
        if read == 0 {
            return Ok(crate::digest::hex(hasher.finalize().as_bytes()));
        }
        hasher.update(&buffer[..read]);
    }
}
