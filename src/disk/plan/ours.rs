//! What plans have put into an account: as fresh as what a server writes, and no sign of one.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use bstr::BString;

use super::journal::{DONE, Journal, PLAN, UNDO};
use super::places::names;
use super::prepare::content;
use super::{Path, Place, Places, parent};
use crate::error::Result;

/// BLAKE3 of the files, by where they were put.
type Digests = BTreeMap<(Place, Path), BTreeSet<String>>;

/// The files that the plans of an account have put there.
#[derive(Debug)]
pub struct Ours<'p> {
    places: &'p Places<'p>,
    /// Read at the first question.
    digests: OnceCell<Digests>,
}

impl<'p> Ours<'p> {
    /// Of this account.
    pub fn of(places: &'p Places<'p>) -> Self {
        let digests = OnceCell::new();
        Self { places, digests }
    }

    /// True for a file that is byte for byte what a plan has put there. Where that cannot be told, it is not.
    pub fn is(&self, place: Place, path: &[BString]) -> bool {
        // What cannot be read vouches for nothing.
        let digests = self.digests.get_or_init(|| self.read().unwrap_or_default());
        let digests = digests.get(&(place, path.to_vec()));
        digests.is_some_and(|digests| {
            let there = self.digest(place, path);
            there.is_ok_and(|digest| digests.contains(&digest))
        })
    }

    fn digest(&self, place: Place, path: &[BString]) -> Result<String> {
        let (dir, name) = parent(self.places.dir(place)?, path)?;
        content(&dir, name)
    }

    /// Of all plans: one that is taken back leaves what an earlier one had put there.
    fn read(&self) -> Result<Digests> {
        let mut digests = Digests::new();
        let Some(replaced) = self.places.replaced(Place::Root)? else {
            return Ok(digests);
        };
        for name in names(&replaced)? {
            let folder = replaced.dir(&name)?;
            for journal in [DONE, PLAN, UNDO] {
                let journal = Journal::read(&folder, journal)?;
                for entry in journal.into_iter().flat_map(|journal| journal.steps) {
                    let at = digests.entry((entry.place, entry.path)).or_default();
                    at.extend(entry.new);
                }
            }
        }
        Ok(digests)
    }
}
