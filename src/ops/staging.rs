//! The place beside the destination where an account is built, and the one step that publishes it.
//!
//! ```text
//! /srv/mail/.u1.mailtally-new     built, proven, synced here, under a lock
//! /srv/mail/u1                    comes into being by one rename; a second pass swaps the two
//! ```
//! A leftover of a killed run is removed and built again: it was nobody's store yet.

use std::collections::BTreeMap;
use std::io;
use std::panic::resume_unwind;
use std::thread;

use bstr::BString;

use super::convert::Options;
use super::users::Place;
use crate::disk::{Dir, Kind, remove_tree};
use crate::error::{Error, Result};
use crate::format::tally::{Head, STATE, read_state, shown, whole_mailboxes};
use crate::format::{OpenOptions, Room};
use crate::report::MailboxLine;
use crate::store::Form;

/// To write less than this takes the device no longer than a sync does in any case.
const MUCH: u64 = 8 << 20;

/// Where an account is to come into being, and what is there now.
#[derive(Debug)]
pub struct Target<'a> {
    place: &'a Place,
    /// What lies there.
    pub previous: Previous,
}

/// What lies at the destination.
#[derive(Debug)]
pub enum Previous {
    /// Nothing, or an empty directory.
    Nothing,
    /// An account that we made, and that nobody has written to since: its state and its mailboxes.
    Ours(Box<Head>, Vec<MailboxLine>),
}

/// An account that an earlier pass made.
#[derive(Debug)]
pub struct Earlier {
    /// Where it lies.
    pub dir: Dir,
    /// Its digest.
    pub digest: String,
    /// The source lies in another place than it did then.
    pub is_moved: bool,
    source: String,
    place: Place,
}

impl Earlier {
    /// It was made of another account: it has what that one has not.
    pub fn of_another(&self, loss: &str) -> Error {
        of_another(
            &self.place,
            &self.source,
            &format!(" and has other mail ({loss})"),
        )
    }
}

fn of_another(place: &Place, source: &str, more: &str) -> Error {
    let why = format!("holds the account that was made of {source}{more}");
    let help = "name another destination, or the source that it was made of";
    occupied(place, &why, help)
}

fn occupied(place: &Place, why: &str, help: &str) -> Error {
    Error::Occupied {
        path: place.path().to_owned(),
        why: why.into(),
        help: format!("{help}; nothing was changed"),
    }
}

impl<'a> Target<'a> {
    /// Looks at the destination; what is not ours to replace is an error.
    pub fn look(place: &'a Place, room: &Room, form: &Form) -> Result<Self> {
        let mut target = Self {
            place,
            previous: Previous::Nothing,
        };
        if let Some((parent, name)) = place.parent_if_there()? {
            target.previous = target.look_in(&parent, &name, room, form)?;
        }
        Ok(target)
    }

    fn look_in(&self, parent: &Dir, name: &BString, room: &Room, form: &Form) -> Result<Previous> {
        let Some(stat) = parent.stat_if_there(name)? else {
            return Ok(Previous::Nothing);
        };
        if stat.kind != Kind::Dir {
            return Err(self.occupied(
                "exists and is not a directory",
                "name a place that is not there yet",
            ));
        }
        let dir = parent.dir(name)?;
        if dir.entries()?.is_empty() {
            return Ok(Previous::Nothing);
        }
        let Some((head, mailboxes)) = read_state(&dir)? else {
            return Err(self.not_known(&dir));
        };
        if head.format != room.name {
            return Err(self.occupied(
                &format!("holds an account in {} format", head.format),
                "move it away, or name another destination for the other format",
            ));
        }
        if crate::digest::hex(&(room.stamp)(&dir)?) != head.destination_stamp {
            let what = what_changed(dir, room, form, &mailboxes);
            let when = &head.created;
            return Err(self.occupied(
                &format!("was written to since our pass of {when}: {what}"),
                "a server or a user has it in use already: keep it; or, if what came since then may be \
                 lost, move it away and run the same command again",
            ));
        }
        Ok(Previous::Ours(Box::new(head), mailboxes))
    }

    /// What tells that we made it is not there, or cannot be read.
    fn not_known(&self, dir: &Dir) -> Error {
        match whole_mailboxes(dir) {
            Ok(_) => self.occupied(
                "exists and was not made by mailtally",
                "move it away, or name another destination",
            ),
            Err(why) => self.occupied(
                &format!("holds a {STATE} that cannot be read ({why}), so that nothing tells if it may be replaced"),
                "restore that file from a backup; else move the destination away, and run the same command again",
            ),
        }
    }

    /// An account that we made must have been made of the same source, to be replaced by it. It is the same
    /// one where the path is; where that is another one, which is true then, its INBOX must be the same one.
    pub fn is_moved(
        &self,
        user: &str,
        source: &str,
        inbox: impl FnOnce() -> String,
    ) -> Result<bool> {
        let Previous::Ours(head, _) = &self.previous else {
            return Ok(false);
        };
        let is_moved = head.source != source;
        if head.user != user || (is_moved && head.inbox != inbox()) {
            return Err(of_another(self.place, &head.source, ""));
        }
        Ok(is_moved)
    }

    /// What an earlier pass made, where there is something; the source `is_moved` since then.
    pub fn made_before(&self, is_moved: bool) -> Result<Option<Earlier>> {
        let (Previous::Ours(head, _), Some(dir)) = (&self.previous, self.earlier()?) else {
            return Ok(None);
        };
        Ok(Some(Earlier {
            dir,
            place: self.place.clone(),
            source: head.source.clone(),
            digest: head.digest.clone(),
            is_moved,
        }))
    }

    /// True where what lies there was made of a source with this stamp, in this form.
    pub fn is_made_of(&self, stamp: &str, options: &Options) -> bool {
        match &self.previous {
            Previous::Nothing => false,
            Previous::Ours(head, _) => {
                head.source_stamp == stamp && head.form == options.form.text()
            }
        }
    }

    /// How many mailboxes and messages the last pass left there.
    pub fn totals(&self) -> Option<(u64, u64)> {
        match &self.previous {
            Previous::Nothing => None,
            Previous::Ours(_, lines) => {
                let messages = lines.iter().map(|line| line.messages).sum();
                Some((lines.len() as u64, messages))
            }
        }
    }

    /// UIDNEXT of each mailbox that lies there.
    pub fn uidnext_before(&self) -> BTreeMap<String, u32> {
        match &self.previous {
            Previous::Nothing => BTreeMap::new(),
            Previous::Ours(_, mailboxes) => {
                let lines = mailboxes.iter();
                lines
                    .map(|line| (line.mailbox.clone(), line.uidnext))
                    .collect()
            }
        }
    }

    /// The account that lies there, if it is one that we made.
    pub fn earlier(&self) -> Result<Option<Dir>> {
        let Some((parent, name)) = self.place.parent_if_there()? else {
            return Ok(None);
        };
        match &self.previous {
            Previous::Nothing => Ok(None),
            Previous::Ours(..) => parent.dir(&name).map(Some),
        }
    }

    /// Says what lies there, and what to do.
    fn occupied(&self, why: &str, help: &str) -> Error {
        occupied(self.place, why, help)
    }

    /// Removes what a run left that was killed after it had swapped the new account for the old one.
    pub fn tidy(&self) -> Result<()> {
        let Some((parent, name)) = self.place.parent_if_there()? else {
            return Ok(());
        };
        let temp = temporary(&name);
        match parent.dir_if_there(&temp)? {
            // Who holds the lock is at work, and needs it.
            Some(left) if left.lock().is_ok() => remove_tree(&parent, &temp),
            _ => Ok(()),
        }
    }

    /// Makes the directories above, and an empty, locked one beside the destination.
    pub fn begin(self) -> Result<Staging<'a>> {
        let (parent, name) = self.place.make_parent()?;
        let temp = temporary(&name);
        if let Some(left) = parent.dir_if_there(&temp)? {
            left.lock()?;
            remove_tree(&parent, &temp)?;
        }
        let dir = match parent.make_dir(&temp) {
            // Another run was a moment faster.
            Err(error) if error.io_kind() == Some(io::ErrorKind::AlreadyExists) => {
                let path = parent.path_of(&temp);
                return Err(Error::Locked { path });
            }
            made => made?,
        };
        dir.lock()?;
        // Between the two steps another run may have taken it for a leftover.
        if parent.stat(&temp)?.id != dir.own_stat()?.id {
            let path = parent.path_of(&temp);
            return Err(Error::Locked { path });
        }
        Ok(Staging {
            target: self,
            parent,
            name,
            temp,
            dir,
        })
    }
}

/// What an account is called while it is built.
fn temporary(name: &BString) -> BString {
    let mut temp = BString::from(".");
    temp.extend_from_slice(name);
    temp.extend_from_slice(b".mailtally-new");
    temp
}

/// Which mailboxes are not as we left them.
fn what_changed(dir: Dir, room: &Room, form: &Form, left: &[MailboxLine]) -> String {
    let options = OpenOptions::of(form);
    let Ok(source) = (room.open)(dir, &options, &mut |_| ()) else {
        return "it cannot be read".into();
    };
    let there: Vec<_> = source.mailboxes().iter().map(shown).collect();
    let gone = left.iter().map(|line| &line.mailbox);
    let mut changed: Vec<_> = gone.filter(|name| !there.contains(name)).cloned().collect();
    for (nth, name) in there.into_iter().enumerate() {
        let Ok(mailbox) = source.mailbox(nth, &mut |_| ()) else {
            continue;
        };
        let given = room.holds.always_inbox && name == "INBOX" && mailbox.is_empty();
        let is_new = left.iter().all(|line| line.mailbox != name);
        if !mailbox.mailbox().selectable || (given && is_new) {
            continue;
        }
        let same = left.iter().any(|line| {
            line.mailbox == name
                && line.messages == mailbox.len() as u64
                && line.uidnext == mailbox.mailbox().uidnext
                && line.uidvalidity == mailbox.mailbox().uidvalidity.get()
        });
        if !same {
            changed.push(name);
        }
    }
    if changed.is_empty() {
        "flags, subscriptions or folders".into()
    } else {
        changed.sort();
        changed.join(", ")
    }
}

/// An account that is being built beside its place.
#[derive(Debug)]
pub struct Staging<'a> {
    target: Target<'a>,
    parent: Dir,
    name: BString,
    temp: BString,
    /// Where it is built.
    pub dir: Dir,
}

impl Staging<'_> {
    /// Works while the device writes what was built, where that is much: then the sync before the rename finds
    /// little left to do.
    pub fn while_it_is_written<T>(
        &self,
        bytes: u64,
        work: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        if bytes < MUCH {
            return work();
        }
        let (done, synced) = thread::scope(|scope| {
            let sync = scope.spawn(|| self.dir.sync_file_system());
            let done = work();
            (done, sync.join())
        });
        // A failure is told by the system once, and here it may have been.
        synced.unwrap_or_else(|panic| resume_unwind(panic))?;
        done
    }

    /// Waits until all is on the device, and gives the account its name in one step.
    pub fn publish(self, room: &Room) -> Result<()> {
        if let Err(error) = self.take_place(room) {
            self.abandon();
            return Err(error);
        }
        self.parent.sync()?;
        if matches!(self.target.previous, Previous::Ours(..)) {
            remove_tree(&self.parent, &self.temp)?;
        }
        Ok(())
    }

    fn take_place(&self, room: &Room) -> Result<()> {
        self.dir.sync_file_system()?;
        match &self.target.previous {
            Previous::Nothing => self.parent.rename_new(&self.temp, &self.name),
            Previous::Ours(head, _) => self.replace(room, &head.destination_stamp),
        }
    }

    /// Swaps the new account in, unless a server has come to the old one in the meantime.
    fn replace(&self, room: &Room, stamp: &str) -> Result<()> {
        let swap = || {
            let swapped = self.parent.exchange(&self.temp, &self.name);
            swapped.map_err(|error| self.no_exchange(error))
        };
        swap()?;
        let old = self.parent.dir(&self.temp)?;
        let untouched = (room.stamp)(&old).is_ok_and(|now| crate::digest::hex(&now) == stamp);
        if untouched {
            return Ok(());
        }
        swap()?;
        Err(self.target.occupied(
            "was written to while it was being replaced",
            "stop the server for this user, and run the same command again",
        ))
    }

    fn no_exchange(&self, error: Error) -> Error {
        match error.io_kind() {
            Some(io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => self.target.occupied(
                "cannot be replaced in one step on this file system",
                "move it away and run the same command again",
            ),
            _ => error,
        }
    }

    /// Removes what was built; what cannot be removed, the next run removes.
    pub fn abandon(self) {
        if let Err(error) = remove_tree(&self.parent, &self.temp) {
            tracing::warn!("left behind: {}", error.chain());
        }
    }
}
