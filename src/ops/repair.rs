//! Brings index, UID and quota data back from the messages, losing no flag that can still be read.
//!
//! ```text
//! look        the room reads the store, and plans
//! keep aside  what is replaced stays in mailtally-replaced/DATE    `disk::plan`
//! act         step by step; the next run finishes what was cut off
//! look again  decides how it ended
//! ```

use super::inspect;
use super::teller::Teller;
use super::workers::Workers;
use crate::disk::plan::{self, Carried, Entry, Ours, Place, Places, Plan, REPLACED};
use crate::disk::{Dir, in_use};
use crate::error::{Error, Result};
use crate::format::{Absent, OpenOptions, Repair, RepairOptions, Room};
use crate::report::catalogue::{
    ACCOUNT_READ_ONLY, ACCOUNT_REPAIR_BEGUN, ACCOUNT_REPAIR_FINISHED, ACCOUNT_REPAIR_UNDONE,
};
use crate::report::{Event, Finding, Status, StepLine, UserLine, counted, escape};

/// What the command line says.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Show the plan, and do nothing of it.
    pub dry_run: bool,
    /// Take the last repair back.
    pub undo: bool,
    /// The operator vouches for it that no server works on the account.
    pub offline: bool,
    /// What may be done.
    pub repair: RepairOptions,
}

/// What a repair of an account came to.
#[derive(Debug)]
pub struct Repaired {
    /// How it ended.
    pub line: UserLine,
    /// Plans whose steps were passed on: once people have them, that is said to [`told`].
    pub plans: Vec<String>,
}

/// Repairs one account. What was done is told again by the next repair, until [`told`] is.
pub fn account(
    room: &Room,
    root: &Dir,
    open: &OpenOptions,
    options: &Options,
    teller: &Teller<'_>,
    workers: &Workers,
) -> Result<Repaired> {
    let repair = room.repair.ok_or_else(|| not_repaired(room))?;
    let places = places(room, root, open);
    if !options.offline {
        refuse_in_use(&places, options.repair.now.into())?;
    }
    root.lock()?;
    let begun = if options.dry_run {
        plan::begun(&places)?
    } else {
        None
    };
    let mut plans = Vec::new();
    let was_lost = if options.dry_run {
        tell_begun(room, root, open, teller);
        tell_untold(&places, teller)?
    } else {
        finish(&places, teller, &mut plans)?
    };
    let attention = match begun {
        // Until it is finished, the store is not what the next plan will be made for.
        Some(begun) if !begun.steps.is_empty() => {
            tell(&begun.steps, None, teller);
            true
        }
        _ if options.undo => {
            undo(&places, options, teller)?;
            false
        }
        _ => mend(repair, &places, open, options, teller, &mut plans)? || was_lost,
    };
    if !options.dry_run && !options.undo {
        teller.is_repaired(given(options.repair, open));
    }
    workers.go_on()?;
    let mut line = inspect::look(room, root.again()?, open, teller, workers)?;
    if attention {
        line.status = Status::Attention;
    }
    teller.watch().on(Event::UserDone(&line));
    Ok(Repaired { line, plans })
}

/// What may be done only where that is asked for, and was.
fn given(options: RepairOptions, open: &OpenOptions) -> Vec<&'static str> {
    let known = [
        (open.absent == Absent::IsLost, "--accept-loss"),
        (options.dates, "--dates"),
        (options.recover_orphans, "--recover-orphans"),
    ];
    let given = known.into_iter().filter(|(is_given, _)| *is_given);
    given.map(|(_, name)| name).collect()
}

/// People have read what came of these plans: no later run tells it again.
pub fn told(room: &Room, root: &Dir, open: &OpenOptions, plans: &[String]) -> Result<()> {
    plan::told(&places(room, root, open), plans)
}

fn not_repaired(room: &Room) -> Error {
    Error::Usage {
        what: format!("repairing {} is not supported by this version", room.name),
        help: "convert it: what is sound of it is carried, and the new store is whole".into(),
    }
}

/// Fails if anything in any of them says that a server works on the account.
pub(super) fn refuse_in_use(places: &Places<'_>, now: i64) -> Result<()> {
    let ours = Ours::of(places);
    let mut all = places.all();
    all.try_for_each(|(place, dir)| in_use::refuse(dir, now, &|path| ours.is(place, path)))
}

/// Where the parts of the account lie.
pub(super) fn places<'d>(room: &Room, root: &'d Dir, open: &'d OpenOptions) -> Places<'d> {
    let named = [
        (Place::Inbox, &open.inbox),
        (Place::Control, &open.control),
        (Place::Index, &open.index),
    ];
    let there = named.into_iter();
    Places {
        root,
        hidden: (room.hidden)(open),
        elsewhere: there
            .filter_map(|(place, dir)| Some((place, dir.as_ref()?)))
            .collect(),
    }
}

/// Says that a repair waits to be finished, or to tell what it has lost, for who only reads.
pub(super) fn tell_begun(room: &Room, root: &Dir, open: &OpenOptions, teller: &Teller<'_>) {
    let places = places(room, root, open);
    let tell = |folder: &str, detail| {
        let path = places.shown(folder);
        teller.found(Finding::new(&ACCOUNT_REPAIR_BEGUN, detail).path(path));
    };
    if let Ok(Some(begun)) = plan::begun(&places) {
        tell(&begun.folder, "not finished");
    }
    for plan in plan::untold(&places).into_iter().flatten() {
        if loses(&plan.steps) {
            tell(&plan.folder, "what it has lost was not told");
        }
    }
}

/// Finishes what was cut off, and tells it, as nobody has yet. True where something of it is lost for good.
fn finish(places: &Places<'_>, teller: &Teller<'_>, plans: &mut Vec<String>) -> Result<bool> {
    let finished = plan::finish_what_was_begun(places)?;
    if finished.is_empty() {
        return Ok(false);
    }
    let mut detail = counted(finished.len() as u64, "plan");
    let mut was_lost = false;
    for Carried { folder, steps } in finished {
        tell(&steps, Some(&places.shown(&folder)), teller);
        was_lost |= loses(&steps);
        plans.push(folder);
    }
    if was_lost {
        detail += "; its steps say what is lost for good";
    }
    teller.found(Finding::new(&ACCOUNT_REPAIR_FINISHED, detail).path(REPLACED));
    Ok(was_lost)
}

/// Tells what earlier runs did and could not tell. True where something of it is lost for good.
fn tell_untold(places: &Places<'_>, teller: &Teller<'_>) -> Result<bool> {
    let untold = plan::untold(places)?;
    for Carried { folder, steps } in &untold {
        tell(steps, Some(&places.shown(folder)), teller);
    }
    Ok(untold.iter().any(|plan| loses(&plan.steps)))
}

fn loses(steps: &[Entry]) -> bool {
    steps.iter().any(|step| !step.lost.is_empty())
}

fn undo(places: &Places<'_>, options: &Options, teller: &Teller<'_>) -> Result<()> {
    if options.dry_run {
        let what = "--undo takes back what was done, and --dry-run does nothing".into();
        let help = "leave one of them out".into();
        return Err(Error::Usage { what, help });
    }
    let undone = plan::undo(places)?.ok_or_else(|| Error::Missing {
        what: format!(
            "{} has no repair to take back",
            places.root.path().display()
        ),
        help: String::new(),
    })?;
    teller.found(Finding::new(&ACCOUNT_REPAIR_UNDONE, undone));
    Ok(())
}

/// Plans and acts. True where that alone needs a person: something is to be done, or is lost for good.
fn mend(
    repair: Repair,
    places: &Places<'_>,
    open: &OpenOptions,
    options: &Options,
    teller: &Teller<'_>,
    plans: &mut Vec<String>,
) -> Result<bool> {
    let plan = repair(places.root, open, options.repair)?;
    if plan.is_empty() {
        return Ok(plan.leaves_something);
    }
    if options.dry_run {
        tell(&plan.entries(), None, teller);
        tell_unwritable(places, &plan, teller);
        return Ok(true);
    }
    let date = date(options.repair.now.into());
    let Carried { folder, steps } = plan::carry_out(places, &plan, &date)?;
    tell(&steps, Some(&places.shown(&folder)), teller);
    plans.push(folder);
    Ok(loses(&steps) || plan.leaves_something)
}

/// Says what the repair itself would end with before it begins.
fn tell_unwritable(places: &Places<'_>, plan: &Plan, teller: &Teller<'_>) {
    if let Err(error) = plan::check_writable(places, plan) {
        teller.found(Finding::new(&ACCOUNT_READ_ONLY, error.chain()));
    }
}

/// A time as a name.
fn date(now: i64) -> String {
    super::rfc3339(now).replace(':', "-")
}

fn tell(steps: &[Entry], kept: Option<&String>, teller: &Teller<'_>) {
    for step in steps {
        teller.watch().on(Event::Step(&line(step, kept, teller)));
    }
}

fn line(step: &Entry, kept: Option<&String>, teller: &Teller<'_>) -> StepLine {
    let shown = |path: &plan::Path| escape(&bstr::join("/", path));
    StepLine {
        user: teller.user().into(),
        mailbox: step.mailbox.clone(),
        path: shown(&step.path),
        action: step.act.clone(),
        to: (!step.to.is_empty()).then(|| shown(&step.to)),
        codes: step.codes.clone(),
        detail: escape(step.does.as_bytes()),
        lost: step.lost.clone(),
        told_by: step.told_by.clone(),
        done: kept.is_some(),
        kept: kept.cloned(),
    }
}
