//! Messages that the uidlist names and no file holds: expunged, or lost beneath the server?
//!
//! A server leaves the line of an expunged message in the list for a while. What tells is its index, if it is
//! one of this list and of today: what that still has was not expunged.

use std::collections::BTreeMap;

use bstr::BString;

use super::filename::base;
use super::listing::Place;
use super::mailbox::path_in;
use super::opening::Opening;
use super::uidlist::{Row, Uidlist};
use crate::format::dovecot_index::{self, INDEX, Index};
use crate::model::Uid;
use crate::report::catalogue as rules;
use crate::report::{Finding, Rule, Severity, counted};

impl Opening<'_, '_> {
    /// Says what became of the messages of these lines, which have no file. Without `cur` nobody expunged
    /// anything: a server keeps it, and what stood in it may be out of sight.
    pub(super) fn tell_missing_files(
        &mut self,
        (uids, is_empty): (&[u32], bool),
        (list, bytes): (&Uidlist, &[u8]),
        index: Option<&Index>,
        path: &BString,
    ) {
        let without_cur = matches!(self.dir.stat_if_there("cur"), Ok(None));
        let is_indexed = |uid: &u32| index.map(|index| index.position(*uid).is_some());
        let known = |uid: &u32| {
            let all_are_gone = without_cur && is_empty;
            all_are_gone || is_indexed(uid).unwrap_or(without_cur)
        };
        let (mut known, expunged): (Vec<u32>, Vec<u32>) = uids.iter().partition(|uid| known(uid));
        if is_empty || without_cur {
            self.tell_lines(&rules::MAILDIR_EMPTIED, &known, path);
            known.clear();
        }
        let lost = self.lost(&known, list, bytes);
        known.retain(|uid| !lost.contains_key(uid));
        self.tell_lines(&rules::UIDLIST_LOST, &known, path);
        self.tell_lines(&rules::UIDLIST_EXPUNGED, &expunged, path);
        for (uid, name) in lost {
            let path = path_in(self.folder, Place::Cur.name(), name);
            let finding = Finding::new(&rules::MAILDIR_LOST, "the index has it, and no file does");
            let finding = finding.mailbox(self.name).path(path);
            (self.found)(match Uid::new(uid) {
                Some(uid) => finding.uid(uid),
                None => finding,
            });
        }
    }

    fn tell_lines(&mut self, rule: &'static Rule, uids: &[u32], path: &BString) {
        if let Some(first) = uids.first() {
            let lines = counted(uids.len() as u64, "line");
            let detail = format!("{lines} without a file, first uid {first}");
            self.tell_at(rule, path, detail);
        }
    }

    /// Those of the messages that are surely lost, with their base names. A server may be at work: files are
    /// looked for once more, and then the index is asked again, which knows of an expunge before its file goes.
    fn lost<'l>(&self, uids: &[u32], list: &Uidlist, bytes: &'l [u8]) -> BTreeMap<u32, &'l [u8]> {
        let row = |uid: &u32| list.rows.binary_search_by_key(uid, |row: &Row| row.uid);
        let rows = uids
            .iter()
            .filter_map(|uid| Some(&list.rows[row(uid).ok()?]));
        let lost = rows.map(|row| (row.uid, &bytes[row.base.range()]));
        let mut lost: BTreeMap<_, _> = lost.collect();
        if lost.is_empty() {
            return lost;
        }
        match self.names_of_today().zip(self.index_of_today(list)) {
            Some((names, index)) => lost.retain(|uid, name| {
                index.position(*uid).is_some()
                    && names.binary_search(&BString::from(*name)).is_err()
            }),
            None => lost.clear(),
        }
        lost
    }

    /// All base names of the folder, whatever has them; `None` where some cannot be listed.
    fn names_of_today(&self) -> Option<Vec<BString>> {
        let mut names = Vec::new();
        for place in [Place::Cur, Place::New] {
            let dir = self.dir.dir_if_there(place.name()).ok()?;
            let listed = dir.map(|dir| dir.each_entry(|name, _| names.push(base(name).into())));
            listed.unwrap_or(Ok(())).ok()?;
        }
        names.sort_unstable();
        Some(names)
    }

    /// The index, if all of it can be read, and it has seen all that the list names.
    fn index_of_today(&self, list: &Uidlist) -> Option<Index> {
        let dir = self.index_dir().ok()??;
        let has_log = dir.stat_if_there(format!("{INDEX}.log")).ok()?.is_some();
        let mut is_whole = has_log;
        let index = dovecot_index::load(&dir, INDEX, &mut |finding| {
            is_whole &= finding.severity() == Severity::Info;
        });
        let index = index.ok()??;
        let is_of_it = list.uidvalidity == Some(index.uid_validity);
        (is_whole && is_of_it && index.next_uid >= list.uidnext()).then_some(index)
    }
}
