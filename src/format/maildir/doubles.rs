//! Files of one base name, as a copy leaves them that removes nothing: one message, or two.
//!
//! ```text
//! the same bytes    one message: with the flags that the server's index has for it, else with those of the file
//!                   that changed last, and then with the most; one in new/ is older than any
//! other bytes       each is a message; that one keeps the name
//! ```

use std::collections::HashMap;
use std::ops::Range;

use super::filename::{Info, info};
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

impl Opening<'_, '_> {
    pub(super) fn settle_doubles(
        &mut self,
        listing: &mut Listing,
        (list, bytes): (&Uidlist, &[u8]),
        index: Option<&Index>,
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
            let kept = self.kept(listing, run.clone(), index.zip(uid));
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

    fn kept(&self, listing: &Listing, run: Range<usize>, known: Option<(&Index, u32)>) -> usize {
        let known = known.and_then(|(index, uid)| Some((index, index.position(uid)?)));
        let age = |nth: &usize| {
            let (slot, name) = (listing.slot(*nth), listing.name(*nth));
            let Info { flags, letters, .. } = info(name);
            let is_indexed = known.is_some_and(|(index, at)| knows_flags(index, at, flags));
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
