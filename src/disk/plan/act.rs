//! Prepares a plan, carries it out, and takes it back.

use std::io::{ErrorKind, Read};

use bstr::BString;

use super::journal::{DONE, Entry, Journal, PLAN, UNDO, staged};
use super::{Act, Path, Plan, REPLACED, Step, parent};
use crate::disk::{Dir, Kind, Owner, Stat, remove_tree};
use crate::error::{At, Error, Result};

/// What will take a place.
const NEW: &str = "new";
/// Longer names would not fit with a number in front.
const LONGEST_NAME: usize = 200;

/// Carries out a plan: prepares all of it, then does step by step. Returns the folder of what is kept.
pub fn carry_out(root: &Dir, plan: &Plan, date: &str) -> Result<String> {
    let stat = root.own_stat()?;
    let replaced = like(root, REPLACED.as_bytes(), &stat)?;
    let (folder, name) = new_folder(&replaced, date, &stat)?;
    let journal = prepare(root, plan, &folder)?;
    // All that is new is on the device before the journal is, and the journal before a step is done.
    root.sync_file_system()?;
    write_new(&folder, PLAN, &journal.text(), &stat)?;
    folder.sync()?;
    replaced.sync()?;
    do_all(root, &folder, &journal)?;
    Ok(name)
}

/// Finishes what an earlier run had begun, to do or to undo. Returns how many plans that were.
pub fn finish_what_was_begun(root: &Dir) -> Result<usize> {
    let Some(replaced) = root.dir_if_there(REPLACED)? else {
        return Ok(0);
    };
    let mut finished = 0;
    for (name, folder) in folders(&replaced)? {
        if let Some(journal) = Journal::read(&folder, PLAN)? {
            do_all(root, &folder, &journal)?;
            finished += 1;
        } else if let Some(journal) = Journal::read(&folder, UNDO)? {
            undo_all(root, &replaced, &name, &folder, &journal)?;
            finished += 1;
        } else {
            clean_up(&replaced, &name, &folder)?;
        }
    }
    gone_if_empty(root, REPLACED.as_bytes())?;
    Ok(finished)
}

/// Removes what is left of a plan that was never begun, or is undone; what was kept stays.
fn clean_up(replaced: &Dir, name: &BString, folder: &Dir) -> Result<()> {
    match (folder.stat_if_there(DONE)?, folder.dir_if_there(NEW)?) {
        (None, Some(_)) => remove_tree(replaced, name),
        (None, None) => gone_if_empty(replaced, name),
        (Some(_), Some(_)) => remove_tree(folder, NEW.as_bytes()),
        (Some(_), None) => Ok(()),
    }
}

/// Takes the last plan back. Returns its folder; `None` where there is none.
pub fn undo(root: &Dir) -> Result<Option<String>> {
    let Some(replaced) = root.dir_if_there(REPLACED)? else {
        return Ok(None);
    };
    let Some((name, folder)) = folders(&replaced)?.pop() else {
        return Ok(None);
    };
    let Some(journal) = Journal::read(&folder, DONE)? else {
        return Ok(None);
    };
    for entry in &journal.steps {
        as_we_left_it(root, entry)?;
    }
    folder.rename_new(DONE, UNDO)?;
    folder.sync()?;
    undo_all(root, &replaced, &name, &folder, &journal)?;
    gone_if_empty(root, REPLACED.as_bytes())?;
    Ok(Some(name.to_string()))
}

/// The folders of plans, the oldest first.
fn folders(replaced: &Dir) -> Result<Vec<(BString, Dir)>> {
    let mut names: Vec<_> = replaced.entries()?;
    names.retain(|entry| entry.kind == Kind::Dir);
    names.sort_by(|a, b| a.name.cmp(&b.name));
    let opened = names.into_iter().map(|entry| {
        let dir = replaced.dir(&entry.name)?;
        Ok((entry.name, dir))
    });
    opened.collect()
}

fn new_folder(replaced: &Dir, date: &str, stat: &Stat) -> Result<(Dir, String)> {
    let mut name = date.to_owned();
    for nth in 2.. {
        if replaced.stat_if_there(&name)?.is_none() {
            break;
        }
        name = format!("{date}.{nth:03}");
    }
    Ok((like(replaced, name.as_bytes(), stat)?, name))
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

fn other_owner(stat: &Stat) -> Option<Owner> {
    let owner = Owner {
        uid: stat.uid,
        gid: stat.gid,
    };
    (owner != Owner::of_this_process()).then_some(owner)
}

fn write_new(dir: &Dir, name: &str, content: &[u8], stat: &Stat) -> Result<()> {
    let temp = format!("{name}.new");
    let mut file = dir.create(&temp)?;
    file.append(content)?;
    if let Some(owner) = other_owner(stat) {
        file.give(owner)?;
    }
    file.sync()?;
    dir.rename_new(&temp, name)
}

/// Makes what is new, and keeps what is old under another name.
fn prepare(root: &Dir, plan: &Plan, folder: &Dir) -> Result<Journal> {
    let new = folder.make_dir(NEW)?;
    let mut entries = Vec::new();
    for (nth, step) in plan.steps.iter().enumerate() {
        entries.push(prepare_one(root, folder, &new, nth + 1, step)?);
    }
    Ok(Journal::new(entries))
}

fn prepare_one(root: &Dir, folder: &Dir, new: &Dir, nth: usize, step: &Step) -> Result<Entry> {
    let digest = match &step.act {
        Act::Replace(fill) => {
            let name = staged(nth);
            let mut file = new.create(&name)?;
            fill(&mut file)?;
            file.become_like(&model(root, &step.path)?)?;
            Some(content(new, name.as_bytes())?)
        }
        _ => None,
    };
    let kept = match &step.act {
        Act::Replace(_) | Act::Remove => keep(root, folder, nth, &step.path)?,
        Act::Rename(_) | Act::MakeDir => None,
    };
    Ok(Entry::of(nth, step, kept, digest))
}

/// Owner and mode of a new file: those of the old one, or what follows from its directory.
fn model(root: &Dir, path: &Path) -> Result<Stat> {
    let Ok((dir, name)) = parent(root, path) else {
        // Its directory is made by an earlier step.
        let stat = root.own_stat()?;
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

fn keep(root: &Dir, folder: &Dir, nth: usize, path: &Path) -> Result<Option<BString>> {
    let Ok((dir, name)) = parent(root, path) else {
        return Ok(None);
    };
    if dir.stat_if_there(name)?.is_none() {
        return Ok(None);
    }
    let shown = &name[..name.len().min(LONGEST_NAME)];
    let kept = BString::from([format!("{nth:04}.").as_bytes(), shown].concat());
    dir.keep_as(name, folder, &kept)?;
    Ok(Some(kept))
}

/// BLAKE3 of a file.
fn content(dir: &Dir, name: &[u8]) -> Result<String> {
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

fn do_all(root: &Dir, folder: &Dir, journal: &Journal) -> Result<()> {
    let new = folder.dir_if_there(NEW)?;
    for entry in &journal.steps {
        do_one(root, new.as_ref(), entry)?;
    }
    root.sync_file_system()?;
    folder.rename_new(PLAN, DONE)?;
    folder.sync()?;
    if new.is_some() {
        remove_tree(folder, NEW.as_bytes())?;
    }
    Ok(())
}

/// Does a step, where it was not done already.
fn do_one(root: &Dir, new: Option<&Dir>, entry: &Entry) -> Result<()> {
    let (dir, name) = parent(root, &entry.path)?;
    match entry.act.as_str() {
        "make-dir" => like_above(&dir, name),
        "remove" => match dir.stat_if_there(name)? {
            Some(_) => dir.remove_file(name),
            None => Ok(()),
        },
        "rename" => rename(root, &entry.path, &entry.to),
        _ => match new {
            Some(new) if new.stat_if_there(entry.staged())?.is_some() => {
                new.rename_over(entry.staged(), &dir, name)
            }
            _ => Ok(()),
        },
    }
}

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

fn rename(root: &Dir, from: &Path, to: &Path) -> Result<()> {
    let (from_dir, from) = parent(root, from)?;
    let (to_dir, to) = parent(root, to)?;
    if from_dir.stat_if_there(from)?.is_none() && to_dir.stat_if_there(to)?.is_some() {
        return Ok(());
    }
    from_dir.move_new(from, &to_dir, to)
}

/// What we made may be taken back only while nobody has changed it.
fn as_we_left_it(root: &Dir, entry: &Entry) -> Result<()> {
    let path = if entry.act == "rename" {
        &entry.to
    } else {
        &entry.path
    };
    let (dir, name) = parent(root, path)?;
    let there = dir.stat_if_there(name)?;
    let same = match (entry.act.as_str(), &entry.new) {
        ("remove", _) => there.is_none(),
        ("make-dir", _) => true,
        (_, Some(digest)) => there.is_some() && content(&dir, name)? == *digest,
        _ => there.is_some(),
    };
    if same {
        return Ok(());
    }
    Err(Error::Occupied {
        path: dir.path_of(name),
        why: "it was changed since the repair".into(),
    })
}

fn undo_all(
    root: &Dir,
    replaced: &Dir,
    name: &BString,
    folder: &Dir,
    journal: &Journal,
) -> Result<()> {
    for entry in journal.steps.iter().rev() {
        undo_one(root, folder, entry)?;
    }
    root.sync_file_system()?;
    if folder.dir_if_there(NEW)?.is_some() {
        remove_tree(folder, NEW.as_bytes())?;
    }
    folder.remove_file(UNDO)?;
    gone_if_empty(replaced, name)
}

fn undo_one(root: &Dir, folder: &Dir, entry: &Entry) -> Result<()> {
    let (dir, name) = parent(root, &entry.path)?;
    match (entry.act.as_str(), &entry.kept) {
        ("rename", _) => rename(root, &entry.to, &entry.path),
        ("make-dir", _) => gone_if_empty(&dir, name),
        (_, Some(kept)) => match folder.stat_if_there(kept)? {
            Some(_) => folder.rename_over(kept, &dir, name),
            None => Ok(()),
        },
        (_, None) => match dir.stat_if_there(name)? {
            Some(_) => dir.remove_file(name),
            None => Ok(()),
        },
    }
}

/// Removes a directory that holds nothing.
fn gone_if_empty(dir: &Dir, name: &[u8]) -> Result<()> {
    match dir.remove_dir(name) {
        Err(error) if error.is_not_found() => Ok(()),
        Err(error) if error.io_kind() == Some(ErrorKind::DirectoryNotEmpty) => Ok(()),
        done => done,
    }
}
