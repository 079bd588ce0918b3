//! Files whose lines of the uidlist are lost, and UIDs that the server's index has and no line: which belong together?
//!
//! ```text
//! a file       size and virtual size (S= and W= of its name, else of the file), time, flags
//! a UID        what the cache tells of these, and flags of the index
//! ```
//! A line that names no file, and a file whose name is the same but for one bit, belong together where the line tells
//! its size, and the index has the UID. Where the names are the same but for the fields behind them, such as a wrong
//! size, they belong together in any case: what stands before these is given to one message alone.
//!
//! Nothing is guessed. A file and a UID belong together where something that is told of them is the same, nothing is
//! not, and no other file and no other UID fits as well.

use std::collections::HashMap;

use super::filename::{info, number, size};
use super::listing::{Listing, Place, Slot};
use super::mailbox::DIRTY;
use super::opening::{Cached, Opening};
use super::uidlist::{Row, Uidlist, word};
use crate::bytes::are_one_bit_apart;
use crate::format::dovecot_index::Index;
use crate::model::Flags;

/// More pairs are not looked at: then nothing tells so many apart.
const PAIRS_MOST: usize = 1 << 24;

/// Nor so many names that are nearly the same.
const MISSPELT_MOST: usize = 1 << 10;

/// A file that no sound line names.
#[derive(Debug)]
struct Unlisted {
    slot: usize,
    received: i64,
    sizes: (Option<u64>, Option<u64>),
    flags: Flags,
}

/// A UID that no sound line has.
#[derive(Debug, Clone, Copy)]
struct Missing {
    uid: u32,
    cached: Cached,
    /// None where names may lag behind.
    flags: Option<Flags>,
}

impl Missing {
    fn of(index: &Index, cached: &[Cached], nth: usize) -> Self {
        let flags = index.flags[nth];
        Self {
            uid: index.uids[nth],
            cached: cached.get(nth).copied().unwrap_or_default(),
            flags: (flags & DIRTY == 0).then(|| Flags::from_bits(flags)),
        }
    }

    /// `None` where something that is told is not so, else whether something is.
    fn is(&self, file: &Unlisted) -> Option<bool> {
        let (size, virtual_size) = self.cached.sizes;
        let received = self.cached.received.map(i64::from);
        let told = [
            received.map(|it| it == file.received),
            size.zip(file.sizes.0).map(|(one, other)| one == other),
            virtual_size
                .zip(file.sizes.1)
                .map(|(one, other)| one == other),
        ];
        let same_flags = self.flags.is_none_or(|flags| flags == file.flags);
        let fits = same_flags && told.iter().flatten().all(|same| *same);
        fits.then(|| told.iter().any(Option::is_some))
    }
}

/// The line of a uidlist tells a size that the file has.
fn tells_size(words: &[u8], name: &[u8], file: &Unlisted) -> bool {
    let told = |key| size(name, key).or_else(|| word(words, key).and_then(number));
    let same = |told: Option<u64>, real: Option<u64>| told.is_some() && told == real;
    same(told(b'S'), file.sizes.0) || same(told(b'W'), file.sizes.1)
}

/// Places of files, and their UIDs.
fn pairs(files: &[Unlisted], uids: &[Missing]) -> Vec<(usize, u32)> {
    let mut by_time: HashMap<i64, Vec<usize>> = HashMap::new();
    for (nth, file) in files.iter().enumerate() {
        by_time.entry(file.received).or_default().push(nth);
    }
    let everywhere: Vec<usize> = (0..files.len()).collect();
    let (mut looked_at, mut fitting) = (0, vec![0_u32; files.len()]);
    let mut found = Vec::new();
    for uid in uids {
        let candidates = match uid.cached.received {
            Some(received) => by_time.get(&received.into()).map_or(&[][..], Vec::as_slice),
            None => &everywhere,
        };
        looked_at += candidates.len();
        if looked_at > PAIRS_MOST {
            return Vec::new();
        }
        let fits = |nth: &usize| Some((*nth, uid.is(&files[*nth])?));
        let fits: Vec<_> = candidates.iter().filter_map(fits).collect();
        for (nth, _) in &fits {
            fitting[*nth] += 1;
        }
        if let [(nth, true)] = fits[..] {
            found.push((nth, uid.uid));
        }
    }
    found.retain(|(nth, _)| fitting[*nth] == 1);
    { found.into_iter() }
        .map(|(nth, uid)| (files[nth].slot, uid))
        .collect()
}

impl Opening<'_, '_> {
    /// Gives files without a line the UIDs that surely are theirs. How many of them got one, and whether the index
    /// has UIDs that no line has, which is not so before lines are lost.
    pub(super) fn give_indexed_uids(
        &self,
        listing: &mut Listing,
        list: &Uidlist,
        index: Option<&Index>,
        cached: &[Cached],
    ) -> (u64, bool) {
        let Some(index) = index.filter(|_| self.index_is_whole) else {
            return (0, false);
        };
        let unlisted = (0..listing.len()).filter(|nth| listing.slot(*nth).uid == 0);
        let unlisted: Vec<_> = unlisted.collect();
        if unlisted.is_empty() {
            return (0, false);
        }
        let uids = missing(list, index, cached);
        let files = unlisted.iter().filter_map(|nth| self.file(listing, *nth));
        let pairs = pairs(&files.collect::<Vec<_>>(), &uids);
        for (slot, uid) in &pairs {
            listing.give_uid(*slot, *uid);
        }
        (pairs.len() as u64, !uids.is_empty())
    }

    /// Gives files the lines that name them but for one flipped bit, and takes their UIDs out of those `without_file`.
    /// How many got one.
    pub(super) fn give_misspelt_lines(
        &self,
        listing: &mut Listing,
        (list, bytes): (&Uidlist, &[u8]),
        (index, cached): (Option<&Index>, &[Cached]),
        without_file: &mut Vec<u32>,
    ) -> u64 {
        let index = index.filter(|_| self.index_is_whole);
        let lines =
            index.map(|index| misspelt((list, bytes), listing, (index, cached), without_file));
        let lines = lines
            .filter(|lines| lines.len() <= MISSPELT_MOST)
            .unwrap_or_default();
        let count = |of: &dyn Fn(&Misspelt<'_>) -> bool| lines.iter().filter(|it| of(it)).count();
        let mut given = 0;
        for (nth, row, missing) in &lines {
            let is_only = count(&|it| it.0 == *nth) == 1 && count(&|it| it.1.uid == row.uid) == 1;
            let Some(file) = self.file(listing, *nth).filter(|_| is_only) else {
                continue;
            };
            let (words, name) = (&bytes[row.words.range()], &bytes[row.base.range()]);
            if tells_size(words, name, &file) && missing.is(&file).is_some() {
                listing.give_line(*nth, row, bytes);
                without_file.retain(|uid| *uid != row.uid);
                given += 1;
            }
        }
        given
    }

    fn file(&self, listing: &Listing, nth: usize) -> Option<Unlisted> {
        let slot = listing.slot(nth);
        let (name, base) = (listing.name(nth), listing.base(nth));
        let is_plain = slot.link == 0 && !slot.twin;
        let stat = match slot.place {
            _ if !is_plain => None,
            Place::Cur => self.dir.dir("cur").ok()?.stat(name).ok(),
            Place::New => self.dir.dir("new").ok()?.stat(name).ok(),
        }?;
        Some(Unlisted {
            slot: nth,
            received: stat.mtime,
            sizes: (size(base, b'S').or(Some(stat.size)), size(base, b'W')),
            flags: info(name).flags,
        })
    }
}

/// Gives files the lines that name them with other sizes, and takes their UIDs out of those `without_file`. How many
/// got one.
pub(super) fn give_lines_of_other_sizes(
    listing: &mut Listing,
    (list, bytes): (&Uidlist, &[u8]),
    without_file: &mut Vec<u32>,
) -> u64 {
    if without_file.is_empty() {
        return 0;
    }
    let is_plain = |slot: &Slot| slot.uid == 0 && slot.link == 0 && !slot.twin;
    let files = (0..listing.len()).filter(|nth| is_plain(listing.slot(*nth)));
    let mut pairs: HashMap<Vec<u8>, (Vec<usize>, Vec<&Row>)> = HashMap::new();
    for nth in files {
        let (files, _) = pairs.entry(unique(listing.base(nth)).into()).or_default();
        files.push(nth);
    }
    for uid in &*without_file {
        let Ok(at) = list.rows.binary_search_by_key(uid, |row: &Row| row.uid) else {
            continue;
        };
        let row = &list.rows[at];
        if let Some((_, rows)) = pairs.get_mut(unique(&bytes[row.base.range()])) {
            rows.push(row);
        }
    }
    let mut given = 0;
    for (files, rows) in pairs.values() {
        if let ([nth], [row]) = (&files[..], &rows[..]) {
            listing.give_renamed(*nth, row, bytes);
            without_file.retain(|uid| *uid != row.uid);
            given += 1;
        }
    }
    given
}

/// What a name is before its fields.
fn unique(base: &[u8]) -> &[u8] {
    base.split(|byte| *byte == b',').next().unwrap_or(base)
}

/// A file, the line that may be its own, and what is told of that.
type Misspelt<'l> = (usize, &'l Row, Missing);

/// Files without a line, each with the lines without a file whose name differs in a bit.
fn misspelt<'l>(
    (list, bytes): (&'l Uidlist, &[u8]),
    listing: &Listing,
    (index, cached): (&Index, &[Cached]),
    without_file: &[u32],
) -> Vec<Misspelt<'l>> {
    let unlisted = (0..listing.len()).filter(|nth| listing.slot(*nth).uid == 0);
    let unlisted: Vec<_> = unlisted.collect();
    let mut lines = Vec::new();
    if unlisted.len().saturating_mul(without_file.len()) > PAIRS_MOST {
        return lines;
    }
    for uid in without_file {
        let row = list.rows.binary_search_by_key(uid, |row: &Row| row.uid);
        let (Ok(row), Some(at)) = (row, index.position(*uid)) else {
            continue;
        };
        let (row, missing) = (&list.rows[row], Missing::of(index, cached, at));
        let name = &bytes[row.base.range()];
        let close = unlisted.iter().copied();
        let close = close.filter(|nth| are_one_bit_apart(name, listing.base(*nth)));
        lines.extend(close.map(|nth| (nth, row, missing)));
    }
    lines
}

fn missing(list: &Uidlist, index: &Index, cached: &[Cached]) -> Vec<Missing> {
    let has_line = |uid: u32| list.rows.binary_search_by_key(&uid, |row: &Row| row.uid);
    let all = index.uids.iter().zip(&index.flags).enumerate();
    let missing = all.filter(|(_, (uid, _))| has_line(**uid).is_err());
    let missing = missing.map(|(nth, _)| Missing::of(index, cached, nth));
    missing.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(slot: usize, received: i64, size: u64) -> Unlisted {
        Unlisted {
            slot,
            received,
            sizes: (Some(size), None),
            flags: Flags::SEEN,
        }
    }

    fn uid(uid: u32, received: Option<u32>, size: Option<u64>) -> Missing {
        Missing {
            uid,
            cached: Cached {
                received,
                sizes: (size, Some(7)),
                ..Cached::default()
            },
            flags: Some(Flags::SEEN),
        }
    }

    #[test]
    fn what_is_told_of_both_and_of_no_other_belongs_together() {
        let files = [file(10, 100, 5), file(11, 100, 6), file(12, 200, 6)];
        let uids = [uid(1, Some(100), Some(5)), uid(2, Some(200), None)];
        assert_eq!(pairs(&files, &uids), [(10, 1), (12, 2)]);
        let uids = [uid(1, None, Some(5)), uid(2, None, Some(6))];
        assert_eq!(pairs(&files, &uids), [(10, 1)], "two files have 6 bytes");
    }

    #[test]
    fn a_uid_of_which_nothing_is_told_may_be_any_file() {
        let files = [file(10, 100, 5), file(11, 200, 6)];
        let uids = [uid(1, Some(100), None), uid(2, None, None)];
        assert_eq!(pairs(&files, &uids), [(0, 0); 0], "10 may be 2 as well");
        assert_eq!(pairs(&files[..1], &uids[1..]), [(0, 0); 0]);
    }

    #[test]
    fn other_flags_are_of_another_message() {
        let mut other = uid(1, Some(100), None);
        other.flags = Some(Flags::NONE);
        assert_eq!(pairs(&[file(10, 100, 5)], &[other]), [(0, 0); 0]);
        other.flags = None;
        assert_eq!(pairs(&[file(10, 100, 5)], &[other]), [(10, 1)]);
    }
}
