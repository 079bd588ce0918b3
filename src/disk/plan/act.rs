//! Carries a plan out, finishes it, and takes it back.

use bstr::BString;

use super::journal::{DONE, Entry, Journal, PLAN, UNDO, UNTOLD};
use super::places::{Folders, NEW, gone_if_empty, names, other_owner};
use super::prepare::prepare;
use super::step;
use super::{Place, Places, Plan, parent};
use crate::disk::{Dir, Stat, remove_tree};
use crate::error::Result;

/// A plan that is or will be carried out.
#[derive(Debug)]
pub struct Carried {
    /// The folder of what is kept.
    pub folder: String,
    /// In order; none where it is being taken back.
    pub steps: Vec<Entry>,
}

impl Carried {
    fn new(folder: &BString, steps: Vec<Entry>) -> Self {
        let folder = folder.to_string();
        Self { folder, steps }
    }
}

/// Carries out a plan: prepares all of it, then does step by step.
pub fn carry_out(places: &Places<'_>, plan: &Plan, date: &str) -> Result<Carried> {
    let stat = places.root.own_stat()?;
    check_writable(places, plan)?;
    let folders = Folders::make(places, plan, date)?;
    let journal = prepare(&folders, plan)?;
    write_new(folders.root(), UNTOLD, b"", &stat)?;
    // All that is new is on the device before the journal is, and the journal before a step is done.
    folders.sync_file_systems()?;
    write_new(folders.root(), PLAN, &journal.text(), &stat)?;
    folders.root().sync()?;
    if let Some(replaced) = places.replaced(Place::Root)? {
        replaced.sync()?;
    }
    do_all(&folders, &journal)?;
    Ok(Carried::new(&folders.name, journal.steps))
}

/// What is begun must not stop half way because a name cannot be changed.
pub fn check_writable(places: &Places<'_>, plan: &Plan) -> Result<()> {
    for step in &plan.steps {
        if let Ok((dir, _)) = parent(places.dir(step.place)?, &step.path) {
            dir.check_writable()?;
        }
    }
    for place in plan.places() {
        places.above_folder(place)?.check_writable()?;
    }
    Ok(())
}

/// Finishes what an earlier run had begun, to do or to undo. Returns what nobody was told yet.
pub fn finish_what_was_begun(places: &Places<'_>) -> Result<Vec<Carried>> {
    let mut finished = Vec::new();
    if let Some(replaced) = places.replaced(Place::Root)? {
        for name in names(&replaced)? {
            finished.extend(finish(places, &replaced, name)?);
        }
    }
    for (place, _) in places.all() {
        without_journal(places, place)?;
        places.no_empty_folder(place)?;
    }
    Ok(finished)
}

/// What was left to finish.
fn finish(places: &Places<'_>, replaced: &Dir, name: BString) -> Result<Option<Carried>> {
    let folders = Folders::open(places, name)?;
    if let Some(journal) = Journal::read(folders.root(), PLAN)? {
        do_all(&folders, &journal)?;
        return Ok(Some(Carried::new(&folders.name, journal.steps)));
    }
    if let Some(journal) = Journal::read(folders.root(), UNDO)? {
        undo_all(&folders, &journal)?;
        return Ok(Some(Carried::new(&folders.name, Vec::new())));
    }
    if folders.root().stat_if_there(DONE)?.is_some() {
        folders.without_new()?;
        return if_untold(folders.root(), &folders.name);
    }
    if folders.root().dir_if_there(NEW)?.is_some() {
        remove_tree(replaced, &folders.name)?;
    } else {
        gone_if_empty(replaced, &folders.name)?;
    }
    Ok(None)
}

/// Removes what was made for a plan that was never begun; what is kept of others stays.
fn without_journal(places: &Places<'_>, place: Place) -> Result<()> {
    let (Some(replaced), root) = (places.replaced(place)?, places.replaced(Place::Root)?) else {
        return Ok(());
    };
    for name in names(&replaced)? {
        let is_done = match &root {
            Some(root) => root.dir_if_there(&name)?.is_some(),
            None => false,
        };
        let folder = replaced.dir(&name)?;
        if is_done {
            continue;
        }
        match folder.dir_if_there(NEW)? {
            Some(_) => remove_tree(&replaced, &name)?,
            None => gone_if_empty(&replaced, &name)?,
        }
    }
    Ok(())
}

/// Takes the last plan back. Returns its folder; `None` where there is none.
pub fn undo(places: &Places<'_>) -> Result<Option<String>> {
    let Some(replaced) = places.replaced(Place::Root)? else {
        return Ok(None);
    };
    let Some(name) = names(&replaced)?.pop() else {
        return Ok(None);
    };
    let folders = Folders::open(places, name)?;
    let Some(journal) = Journal::read(folders.root(), DONE)? else {
        return Ok(None);
    };
    for entry in &journal.steps {
        step::is_as_we_left_it(&folders, entry)?;
    }
    folders.root().rename_new(DONE, UNDO)?;
    folders.root().sync()?;
    undo_all(&folders, &journal)?;
    Ok(Some(folders.name.to_string()))
}

/// The plan that was begun, to do or to undo, and not finished.
pub fn begun(places: &Places<'_>) -> Result<Option<Carried>> {
    let Some(replaced) = places.replaced(Place::Root)? else {
        return Ok(None);
    };
    for name in names(&replaced)? {
        let folder = replaced.dir(&name)?;
        if folder.stat_if_there(UNDO)?.is_some() {
            return Ok(Some(Carried::new(&name, Vec::new())));
        }
        if let Some(journal) = Journal::read(&folder, PLAN)? {
            return Ok(Some(Carried::new(&name, journal.steps)));
        }
    }
    Ok(None)
}

/// Plans that are done, of which nobody was told.
pub fn untold(places: &Places<'_>) -> Result<Vec<Carried>> {
    let mut untold = Vec::new();
    if let Some(replaced) = places.replaced(Place::Root)? {
        for name in names(&replaced)? {
            untold.extend(if_untold(&replaced.dir(&name)?, &name)?);
        }
    }
    Ok(untold)
}

fn if_untold(folder: &Dir, name: &BString) -> Result<Option<Carried>> {
    if folder.stat_if_there(UNTOLD)?.is_none() {
        return Ok(None);
    }
    let journal = Journal::read(folder, DONE)?;
    Ok(journal.map(|journal| Carried::new(name, journal.steps)))
}

/// Whoever asked for these plans has read what came of them: no later run tells it again.
pub fn told(places: &Places<'_>, folders: &[String]) -> Result<()> {
    let Some(replaced) = places.replaced(Place::Root)? else {
        return Ok(());
    };
    for name in folders {
        if let Some(folder) = replaced.dir_if_there(name)? {
            no_longer_untold(&folder)?;
        }
    }
    Ok(())
}

fn no_longer_untold(folder: &Dir) -> Result<()> {
    match folder.remove_file(UNTOLD) {
        Err(error) if error.is_not_found() => Ok(()),
        done => done,
    }
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

fn do_all(folders: &Folders<'_>, journal: &Journal) -> Result<()> {
    for entry in &journal.steps {
        step::act(folders, entry)?;
    }
    folders.sync_file_systems()?;
    folders.root().rename_new(PLAN, DONE)?;
    folders.root().sync()?;
    folders.without_new()
}

fn undo_all(folders: &Folders<'_>, journal: &Journal) -> Result<()> {
    for entry in journal.steps.iter().rev() {
        step::undo(folders, entry)?;
    }
    folders.sync_file_systems()?;
    folders.without_new()?;
    no_longer_untold(folders.root())?;
    folders.root().remove_file(UNDO)?;
    folders.no_empty_ones()?;
    // What was kept lay in a directory that the plan had made.
    let made = journal.steps.iter().rev();
    let mut made = made.filter(|entry| entry.act == "make-dir");
    made.try_for_each(|entry| step::undo(folders, entry))
}
