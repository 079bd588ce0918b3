//! Steps that can be shown before they are done, survive a power cut, and can be taken back.
//!
//! ```text
//! mailtally-replaced/2026-11-24T21-40-00Z/
//!     new/0001            what will take a place: made and on the device before anything is touched
//!     0001.dovecot.index  what had the place, kept
//!     plan.json           the steps. From here on the plan is carried out, also by the next run
//!     done.json           its name when all of them are done. Undoing begins with the name undo.json
//!     untold              gone when whoever asked for the plan has read what came of it
//! ```
//! A name that is removed is kept by the step itself. Each step is one rename or one time that is set, and does nothing where it was done already. Without a
//! `plan.json` nothing was touched yet, and the folder is thrown away.
//!
//! Parts of an account may lie on other file systems (`INBOX=`, `CONTROL=`, `INDEX=`). Each of these
//! places has a folder of the same name for its own files, so that a step is one rename there too; the
//! journal is in the root's folder alone.

mod act;
mod journal;
mod ours;
mod places;
mod prepare;
mod step;

use std::fmt;

use bstr::BString;

use super::{Dir, NewFile};
use crate::error::Result;
use crate::model::MailboxName;

pub use act::{
    Carried, begun, carry_out, check_writable, finish_what_was_begun, told, undo, untold,
};
pub use journal::Entry;
pub use ours::Ours;
pub use places::{Place, Places};

/// Holds what was replaced.
pub const REPLACED: &str = "mailtally-replaced";

/// Names from the directory of a place down.
pub type Path = Vec<BString>;

/// Writes the content of a new file.
pub type Fill = Box<dyn Fn(&mut NewFile) -> Result<()>>;

/// What is to be done, in order.
#[derive(Debug, Default)]
pub struct Plan {
    /// The steps.
    pub steps: Vec<Step>,
    /// Something is left that a person has to look at, whatever the steps mend.
    pub leaves_something: bool,
}

/// One change of a name.
#[derive(Debug)]
pub struct Step {
    /// Where its path begins.
    pub place: Place,
    /// Which name.
    pub path: Path,
    /// What becomes of it.
    pub act: Act,
    /// Why, and what comes of it.
    pub about: About,
}

/// What becomes of a name.
pub enum Act {
    /// A new file takes its place; the old one, if there is any, is kept.
    Replace(Fill),
    /// An empty file that tells something by its name alone takes its place: nobody is to write to it.
    Mark,
    /// It goes; it is kept.
    Remove,
    /// It gets another name; a file there is an error.
    Rename(Path),
    /// A directory is made where none is.
    MakeDir,
    /// A file gets another time of its content; nothing else of it changes.
    SetTime {
        /// Which it has: seconds since 1970, and the rest.
        was: (i64, u32),
        /// Which it gets.
        to: i64,
    },
}

impl Act {
    /// A file with this content takes its place.
    pub fn put(content: Vec<u8>) -> Self {
        Self::Replace(Box::new(move |file| file.append(&content)))
    }

    /// The word in records.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Replace(_) | Self::Mark => "replace",
            Self::Remove => "remove",
            Self::Rename(_) => "rename",
            Self::MakeDir => "make-dir",
            Self::SetTime { .. } => "set-time",
        }
    }
}

impl fmt::Debug for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Why a step is done, and what comes of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    /// The mailbox, as a client sees its name.
    pub mailbox: Option<String>,
    /// Codes of the findings that it mends.
    pub codes: Vec<&'static str>,
    /// What is done, for people.
    pub does: String,
    /// What cannot be brought back.
    pub lost: Vec<String>,
    /// Who tells the date that a file gets.
    pub told_by: Option<&'static str>,
}

impl About {
    /// What is done, and nothing more.
    pub fn of(does: impl Into<String>) -> Self {
        Self {
            does: does.into(),
            ..Self::default()
        }
    }

    /// The same, in a mailbox.
    pub fn in_mailbox(name: &MailboxName, does: impl Into<String>) -> Self {
        Self {
            mailbox: Some(crate::report::escape(name.to_string().as_bytes())),
            ..Self::of(does)
        }
    }
}

impl Plan {
    /// True where nothing is to be done.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The steps as a journal has them, with nothing prepared.
    pub fn entries(&self) -> Vec<Entry> {
        let steps = (1..).zip(&self.steps);
        steps
            .map(|(nth, step)| Entry::of(nth, step, None, None))
            .collect()
    }

    /// Where something is kept for it: the root has the journal.
    fn places(&self) -> Vec<Place> {
        let steps = self.steps.iter().map(|step| step.place);
        let mut places: Vec<_> = steps.chain([Place::Root]).collect();
        places.sort_unstable();
        places.dedup();
        places
    }

    /// Makes those of these directories below `top`, which is the place's, that are not there.
    pub fn make_dirs(&mut self, (place, top): (Place, &Dir), path: &[BString], why: &str) {
        for depth in 1..=path.len() {
            let path = &path[..depth];
            let is_made = |step: &Step| step.place == place && step.path == path;
            if top.descend(path).is_err() && !self.steps.iter().any(is_made) {
                self.push_in(place, path.to_vec(), Act::MakeDir, About::of(why));
            }
        }
    }

    /// Adds a step in the account's root.
    pub fn push(&mut self, path: Path, act: Act, about: About) {
        self.push_in(Place::Root, path, act, about);
    }

    /// Adds a step in a place.
    pub fn push_in(&mut self, place: Place, path: Path, act: Act, about: About) {
        let step = Step {
            place,
            path,
            act,
            about,
        };
        self.steps.push(step);
    }
}

/// The directory that a path's last name is in, and that name.
fn parent<'p>(top: &Dir, path: &'p [BString]) -> Result<(Dir, &'p BString)> {
    let (name, above) = path.split_last().expect("BUG: a step names something");
    Ok((top.descend(above)?, name))
}

#[cfg(test)]
mod tests;
