//! Files of one base name, as a copy leaves them that removes nothing: one message, or two.
//!
//! ```text
//! the same bytes    one message: with the flags that the server's index has for it, else with those of the file
//!                   that changed last, and then with the most; one in new/ is older than any
//! other bytes       each is a message; that one keeps the name
//! ```

use std::collections::HashMap;
use std::ops::Range;

use bstr::BString;

use super::filename::{Info, info};
use super::keywords::Named;
use super::listing::{Listing, Place};
use super::mailbox::{DIRTY, path_in};
use super::opening::Opening;
use super::uidlist::Uidlist;
use crate::format::dovecot_index::Index;
use crate::model::Flags;
use crate::report::catalogue::MAILDIR_DUPLICATE_NAME;
use crate::report::escape;

/// True where the index has these flags for a message, or others that hold in the place of all names.
pub(super) fn knows_flags(index: &Index, at: usize, flags: Flags) -> bool {
    let known = index.flags[at];
    known & DIRTY != 0 || Flags::from_bits(known) == flags
}

/// True where the index has the same keywords for it, of those that have a letter.
fn knows_labels(index: &Index, at: usize, letters: u32, named: &Named) -> bool {
    let names = index.keyword_names();
    let lettered = |name: &&BString| {
        let is_it = |known: &Option<BString>| {
            { known.as_ref() }.is_some_and(|known| known.eq_ignore_ascii_case(name))
        };
        named.letters.iter().position(is_it)
    };
    let known = index.keywords_of(at);
    let known = known.filter_map(|bit| names.get(bit as usize));
    let known = known.filter_map(|name| lettered(&name));
    let known = known.fold(0_u32, |known, letter| known | 1 << letter);
    index.flags[at] & DIRTY != 0 || known == letters
}

impl Opening<'_, '_> {
    pub(super) fn settle_doubles(
        &mut self,
        listing: &mut Listing,
        (list, bytes): (&Uidlist, &[u8]),
        (index, named): (Option<&Index>, &Named),
    ) {
        let runs = listing.doubles();
        if runs.is_empty() {
            return;
        }
        let rows = { list.rows.iter() }.map(|row| (&bytes[row.base.range()], row.uid));
        let uids: HashMap<_, _> = rows.collect();
        let (mut twins, mut gone) = (Vec::new(), Vec::new());
        for run in runs {
            let first = run.start;
            let uid = uids.get(listing.base(first)).copied();
            let known = index.zip(uid).and_then(|(index, uid)| {
                let at = index.position(uid)?;
                Some((index, at))
            });
            let kept = self.kept(listing, run.clone(), known, named);
            let mut names = Vec::new();
            for nth in run {
                names.push(escape(listing.name(nth)));
                if nth == kept {
                    continue;
                }
                if self.same_bytes(listing, kept, nth) {
                    gone.push(nth);
                } else {
                    twins.push(nth);
                }
            }
            let path = path_in(
                self.folder,
                listing.slot(first).place.name(),
                listing.name(first),
            );
            self.tell_at(&MAILDIR_DUPLICATE_NAME, path, names.join(", "));
        }
        listing.settle_doubles(&twins, &gone);
        // The one that keeps its name stands first.
        listing.sort_by_base();
    }

    fn kept(
        &self,
        listing: &Listing,
        run: Range<usize>,
        known: Option<(&Index, usize)>,
        named: &Named,
    ) -> usize {
        let age = |nth: &usize| {
            let (slot, name) = (listing.slot(*nth), listing.name(*nth));
            let Info { flags, letters, .. } = info(name);
            let is_indexed = known.map(|(index, at)| {
                let is_labelled = knows_labels(index, at, letters, named);
                (knows_flags(index, at, flags), is_labelled)
            });
            let dir = self.dir.dir(slot.place.name()).ok();
            let stat = dir.and_then(|dir| dir.stat(name).ok());
            let changed = stat.map_or((0, 0), |stat| (stat.ctime, stat.ctime_nanos));
            let more = flags.bits().count_ones() + letters.count_ones();
            (slot.place == Place::Cur, is_indexed, changed, more)
        };
        let start = run.start;
        run.max_by_key(age).unwrap_or(start)
    }

    fn same_bytes(&self, listing: &Listing, one: usize, other: usize) -> bool {
        let digest = |nth: usize| {
            let dir = self.dir.dir(listing.slot(nth).place.name()).ok()?;
            let mut file = dir.file(listing.name(nth)).ok()?;
            let mut hasher = blake3::Hasher::new();
            hasher.update_reader(&mut file).ok()?;
            Some(hasher.finalize())
        };
        digest(one).is_some_and(|one| Some(one) == digest(other))
    }
}
