//! The steps of opening a mailbox: side files, listing, join, and what they show.

use std::collections::HashSet;

use bstr::BString;

use super::filename::base;
use super::folders::Folder;
use super::keywords::{self, Named};
use super::links::Links;
use super::listing::{Listing, Place};
use super::mailbox::path_in;
use super::matching::give_lines_of_other_sizes;
use super::outvoted::lists_all_of;
use super::read::Maildir;
use super::uidlist::{self, Uidlist};
use crate::disk::{Dir, Kind, Stat};
use crate::error::{Error, Result};
use crate::format::dovecot_index::{
    self, CACHE, Cache, DATE_RECEIVED, DATE_SAVE, INDEX, Index, Origin,
};
use crate::format::names::made_message_guid;
use crate::model::{MailboxName, UidValidity};
use crate::report::catalogue as rules;
use crate::report::{Finding, Rule, Severity, counted, escape};
use crate::store::Found;

/// Deliveries are done or dead after this.
const STALE_TMP: i64 = 36 * 3600;
/// UIDs from here on are negative numbers to some clients.
const HIGH_UID: u32 = 1 << 31;

/// The steps of opening a mailbox.
pub(super) struct Opening<'o, 'f> {
    pub(super) store: &'o Maildir,
    pub(super) name: &'o MailboxName,
    pub(super) folder: &'o Folder,
    pub(super) dir: &'o Dir,
    pub(super) found: Found<'f>,
    pub(super) links: Links,
    pub(super) uidvalidity: UidValidity,
    /// All of the index could be read.
    pub(super) index_is_whole: bool,
}

/// What the server's cache tells of a message.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cached {
    pub(super) received: Option<u32>,
    pub(super) saved: Option<u32>,
    /// Bytes, and bytes with CRLF line ends.
    pub(super) sizes: (Option<u64>, Option<u64>),
}

/// Where in the cache that stands.
const FIELDS: [&str; 4] = [DATE_RECEIVED, DATE_SAVE, "size.physical", "size.virtual"];

/// What the join of files, uidlist and index gave.
pub(super) struct Joined {
    pub(super) uidnext: u32,
    pub(super) first_recent: u32,
    /// Messages that have the UID of an earlier pass.
    pub(super) recalled: u64,
    /// Messages that have the UID that the server's index and cache tell.
    pub(super) matched: u64,
    /// Messages that have a new UID, where lines of the uidlist are lost.
    pub(super) renumbered: u64,
    /// Messages that no line of the uidlist names.
    pub(super) unlisted: u64,
}

impl Maildir {
    /// The directory of a folder's index; `dir` is that of its messages.
    pub(super) fn index_dir(&self, folder: &Folder, dir: &Dir) -> Result<Option<Dir>> {
        if self.options.no_index {
            return Ok(None);
        }
        match &self.options.index {
            Some(index) => descend_if_there(index, &folder.side),
            None => dir.again().map(Some),
        }
    }
}

impl Opening<'_, '_> {
    pub(super) fn tell(&mut self, rule: &'static Rule, detail: impl Into<String>) {
        (self.found)(Finding::new(rule, detail).mailbox(self.name));
    }

    pub(super) fn tell_at(
        &mut self,
        rule: &'static Rule,
        path: impl AsRef<[u8]>,
        detail: impl Into<String>,
    ) {
        (self.found)(Finding::new(rule, detail).mailbox(self.name).path(path));
    }

    pub(super) fn in_folder(&self, name: &str) -> BString {
        let mut path = self.folder.path.clone();
        path.push(name.into());
        bstr::join("/", path).into()
    }

    pub(super) fn control(&self) -> Result<Option<Dir>> {
        match &self.store.options.control {
            Some(control) => descend_if_there(control, &self.folder.side),
            None => self.dir.again().map(Some),
        }
    }

    pub(super) fn index_dir(&self) -> Result<Option<Dir>> {
        self.store.index_dir(self.folder, self.dir)
    }

    /// The index. One with a damaged header is used where the uidlist has all that it has.
    pub(super) fn index(&mut self, list: &Uidlist) -> Result<Option<Index>> {
        let Some(dir) = self.index_dir()? else {
            return Ok(None);
        };
        let (name, folder) = (self.name, self.folder);
        let (found, is_whole) = (&mut *self.found, &mut self.index_is_whole);
        let mut tell = |finding: Finding| {
            *is_whole &= finding.severity() == Severity::Info;
            found(placed(finding, name, folder));
        };
        let mut holds_up = |index: &Index, is_whole: bool| is_whole && lists_all_of(list, index);
        match dovecot_index::load_checked(&dir, INDEX, &mut holds_up, &mut tell) {
            Ok(mut index) => {
                let damaged = index.iter_mut().filter(|it| it.origin == Origin::Damaged);
                damaged.for_each(|index| {
                    let told = list.uidvalidity.filter(|_| index.uid_validity == 0);
                    index.uid_validity = told.unwrap_or(index.uid_validity);
                });
                Ok(index.filter(|index| index.uid_validity != 0))
            }
            Err(error) => {
                self.index_is_whole = false;
                self.tell(&rules::INDEX_BROKEN, error.chain());
                Ok(None)
            }
        }
    }

    pub(super) fn cached(&mut self, index: Option<&Index>) -> Result<Vec<Cached>> {
        let (Some(index), Some(dir)) = (index, self.index_dir()?) else {
            return Ok(Vec::new());
        };
        let (name, folder) = (self.name, self.folder);
        let found = &mut *self.found;
        let mut tell = |finding| found(placed(finding, name, folder));
        let Ok(Some(cache)) = Cache::open(&dir, CACHE, index, &mut tell) else {
            return Ok(Vec::new());
        };
        if self.index_is_whole {
            cache.tell_broken(CACHE, index, &mut tell);
        }
        if !FIELDS.iter().any(|field| cache.has(field)) {
            return Ok(Vec::new());
        }
        let [received, saved, size, virtual_size] = FIELDS;
        let cached = |nth| Cached {
            received: cache.u32_of(index, nth, received),
            saved: cache.u32_of(index, nth, saved),
            sizes: (
                cache.u64_of(index, nth, size),
                cache.u64_of(index, nth, virtual_size),
            ),
        };
        Ok((0..index.uids.len()).map(cached).collect())
    }

    /// The list, its bytes and the name of its file.
    pub(super) fn uidlist(&mut self, control: Option<&Dir>) -> (Uidlist, Vec<u8>, &'static str) {
        for name in super::read::UIDLISTS {
            let Some(dir) = control else { break };
            match dir.read_if_there(name, 1 << 31) {
                Ok(Some(bytes)) if !bytes.is_empty() => {
                    let list = uidlist::read(&bytes);
                    self.tell_faults(&list, name);
                    return (list, bytes, name);
                }
                Ok(_) => {}
                Err(error) => {
                    let path = self.in_folder(name);
                    let why = why_unread(dir, name, &error);
                    self.tell_at(&rules::UIDLIST_UNREADABLE, path, why);
                }
            }
        }
        (Uidlist::default(), Vec::new(), super::read::UIDLISTS[0])
    }

    fn tell_faults(&mut self, list: &Uidlist, name: &str) {
        let path = self.in_folder(name);
        let faults = &list.faults;
        if let Some(why) = faults.header {
            self.tell_at(&rules::UIDLIST_BROKEN, &path, format!("line 1: {why}"));
        }
        if let Some((line, why)) = faults.first {
            let lines = counted(faults.lines, "line");
            let detail = format!("{lines} left out, the first is line {line}: {why}");
            self.tell_at(&rules::UIDLIST_BROKEN, &path, detail);
        }
        if let (with_words, Some(line)) = faults.words {
            let lines = counted(with_words, "line");
            let detail =
                format!("{lines} with words that are none, left out; the first is line {line}");
            self.tell_at(&rules::UIDLIST_BROKEN, &path, detail);
        }
        if faults.cut {
            self.tell_at(&rules::UIDLIST_TRUNCATED, &path, "the last line has no end");
        }
        if list.version == 1 {
            self.tell_at(&rules::UIDLIST_OLD, &path, "version 1");
        }
        if let Some(row) = list.rows.last().filter(|row| row.uid >= HIGH_UID) {
            self.tell_at(&rules::UIDLIST_HIGH, &path, format!("up to {}", row.uid));
        }
    }

    /// The names of keyword letters.
    pub(super) fn named(&mut self, control: Option<&Dir>) -> Named {
        let Some(control) = control else {
            return Named::default();
        };
        keywords::read(control, self.dir).unwrap_or_else(|error| {
            let why = why_unread(control, keywords::DOVECOT, &error);
            self.tell(&rules::MAILDIR_KEYWORDS_BROKEN, why);
            Named::default()
        })
    }

    pub(super) fn listing(&mut self) -> Result<Listing> {
        let mut unread = None;
        let listing = Listing::read(self.dir, |error| unread = Some(error))?;
        if let Some(error) = unread {
            let path = self.in_folder(Place::New.name());
            self.tell_at(&rules::MAILBOX_UNREADABLE, path, error.chain());
        }
        Ok(listing)
    }

    pub(super) fn tell_oddities(&mut self, listing: &mut Listing, list: &Uidlist, bytes: &[u8]) {
        let oddities = std::mem::take(&mut listing.oddities);
        let odd_names: HashSet<&[u8]> = oddities.iter().map(|odd| base(&odd.name)).collect();
        let mut listed = HashSet::new();
        if !odd_names.is_empty() {
            let rows = list.rows.iter().map(|row| &bytes[row.base.range()]);
            listed.extend(rows.filter(|name| odd_names.contains(name)));
        }
        for odd in &oddities {
            let path = path_in(self.folder, odd.place.name(), &odd.name);
            match odd.kind {
                // What the server has given a UID is mail, whatever its name.
                Kind::File if listed.contains(base(&odd.name)) => {
                    listing.add(odd.place, &odd.name);
                }
                Kind::File => self.tell_at(&rules::MAILDIR_STRAY, path, "no message's name"),
                Kind::Dir => self.tell_at(&rules::MAILDIR_STRAY_DIR, path, "a directory"),
                Kind::Other => self.tell_at(&rules::MAILDIR_STRAY, path, "not a regular file"),
                Kind::Link => self.linked_message(odd.place, &odd.name, listing),
            }
        }
        if self.dir.stat("dovecot-shared").is_ok() {
            let path = self.in_folder("dovecot-shared");
            self.tell_at(&rules::MAILDIR_SHARED, path, "shared mailbox");
        }
    }

    /// A link is followed only inside the account, and then only one.
    fn linked_message(&mut self, place: Place, name: &[u8], listing: &mut Listing) {
        let path = path_in(self.folder, place.name(), name);
        let mut at = self.folder.path.clone();
        at.push(place.name().into());
        let target = self
            .dir
            .dir(place.name())
            .and_then(|dir| dir.read_link(name));
        let inside = target
            .as_ref()
            .ok()
            .and_then(|target| self.store.root.inside(&at, target));
        let link = inside.and_then(|path| self.links.enter(&self.store.root, &path));
        let shown = escape(&target.unwrap_or_default());
        if let Some(link) = link {
            self.tell_at(
                &rules::MAILDIR_SYMLINK,
                path,
                format!("followed to {shown}"),
            );
            listing.add_link(place, name, link);
        } else {
            self.tell_at(&rules::MAILDIR_SYMLINK_OUTSIDE, path, format!("to {shown}"));
        }
    }

    /// Copies often leave empty directories out.
    pub(super) fn tell_missing_dirs(&mut self) {
        let places = ["cur", "new", "tmp"].into_iter();
        let missing = places.filter(|name| matches!(self.dir.stat_if_there(name), Ok(None)));
        let missing: Vec<_> = missing.collect();
        if !missing.is_empty() {
            let path: BString = bstr::join("/", &self.folder.path).into();
            self.tell_at(&rules::MAILDIR_MISSING_DIR, path, missing.join(", "));
        }
    }

    pub(super) fn tell_tmp(&mut self) {
        let Ok(Some(tmp)) = self.dir.dir_if_there("tmp") else {
            return;
        };
        let (mut stale, mut fresh) = (0_u64, 0_u64);
        for entry in tmp.entries().unwrap_or_default() {
            if entry.kind == Kind::File {
                let old = |stat: Stat| stat.mtime < self.store.now - STALE_TMP;
                let is_stale = tmp.stat(&entry.name).is_ok_and(old);
                stale += u64::from(is_stale);
                fresh += u64::from(!is_stale);
            }
        }
        if stale + fresh > 0 {
            let path = self.in_folder("tmp");
            let detail = format!("{stale} older than 36 hours, {fresh} fresh");
            self.tell_at(&rules::MAILDIR_TMP, path, detail);
        }
    }

    pub(super) fn join(
        &mut self,
        listing: &mut Listing,
        (list, bytes, list_name): (&Uidlist, &[u8], &str),
        (index, cached): (Option<&Index>, &[Cached]),
        named: &Named,
    ) -> Joined {
        listing.sort_by_base();
        self.settle_doubles(listing, (list, bytes), (index, named));
        let is_known = |uid: u32| index.is_some_and(|index| index.position(uid).is_some());
        let mut joined = listing.join(list, bytes, is_known);
        let without_file = &mut joined.without_file;
        let told = (index, cached);
        let resized = give_lines_of_other_sizes(listing, (list, bytes), without_file);
        let misspelt = self.give_misspelt_lines(listing, (list, bytes), told, without_file);
        let path = self.in_folder(list_name);
        if joined.doubled > 0 {
            let detail = format!("{} named twice", counted(joined.doubled, "file"));
            self.tell_at(&rules::UIDLIST_DUPLICATE, &path, detail);
        }
        let is_empty = (0..listing.len()).all(|nth| listing.slot(nth).place == Place::New);
        let missing = (&joined.without_file[..], is_empty);
        self.tell_missing_files(missing, (list, bytes), index, &path);
        self.forget_reappeared(listing, index, &path);
        if list.rows.is_empty() && list.version == 0 && listing.len() > 0 {
            let detail = counted(listing.len() as u64, "message");
            self.tell_at(&rules::UIDLIST_MISSING, &path, detail);
        }
        self.give_uids(listing, list, told, (resized + misspelt, &path))
    }

    /// An index of another UIDVALIDITY speaks of other messages.
    pub(super) fn belongs(&mut self, index: &Index, list: &Uidlist, list_name: &str) -> bool {
        let same = list
            .uidvalidity
            .is_none_or(|listed| listed == index.uid_validity);
        if !same {
            let detail = format!(
                "the uidlist says {}, the index {}",
                list.uidvalidity.unwrap_or(0),
                index.uid_validity
            );
            let path = self.in_folder(list_name);
            self.tell_at(&rules::MAILDIR_UIDVALIDITY, path, detail);
        }
        same
    }

    /// A message that the index knows as expunged is a new one, if its file is there again.
    fn forget_reappeared(&mut self, listing: &mut Listing, index: Option<&Index>, path: &BString) {
        let Some(index) = index else { return };
        let mut again = 0_u64;
        for nth in 0..listing.len() {
            let uid = listing.slot(nth).uid;
            if uid != 0 && index.unread.is_empty() && index.was_expunged(uid) {
                listing.forget_uid(nth);
                again += 1;
            }
        }
        if again > 0 {
            let detail = counted(again, "message");
            self.tell_at(&rules::UIDLIST_REAPPEARED, path, detail);
        }
    }

    fn give_uids(
        &mut self,
        listing: &mut Listing,
        list: &Uidlist,
        (index, cached): (Option<&Index>, &[Cached]),
        (misspelt, path): (u64, &BString),
    ) -> Joined {
        let next = list.uidnext();
        let next = next.max(index.map_or(1, |index| index.next_uid));
        let earlier = self.store.given(self.name);
        let earlier = earlier.filter(|given| given.uidvalidity == self.uidvalidity.get());
        let known = |guid: &[u8]| {
            let made = || made_message_guid(guid);
            let earlier = earlier.as_ref()?;
            earlier.uid(guid).or_else(|| earlier.uid(made().as_bytes()))
        };
        let is_damaged = list.faults.lines > 0 || list.faults.cut;
        // Where lines are lost the index still tells which UIDs are in use.
        let is_free = |uid: u32| {
            let in_use = index.map_or(is_damaged, |index| index.position(uid).is_some());
            uid >= next || in_use
        };
        let known = |guid: &[u8]| known(guid).filter(|uid| is_free(*uid));
        let again = listing.give_known_uids(known);
        let (matched, has_more) = self.give_indexed_uids(listing, list, index, cached);
        let lines_are_lost = is_damaged || has_more;
        let before = &self.store.options.uidnext_before;
        let before = before.get(&self.name.to_string()).copied();
        let before = before.or(earlier.as_ref().map(|given| given.uidnext));
        let given = listing.give_uids(next.max(before.unwrap_or(1)));
        let renumbered = given.given * u64::from(lines_are_lost && list.version != 0);
        let unlisted = match list.version {
            _ if lines_are_lost => 0,
            0 => 0,
            _ => given.given + again,
        };
        let matched = matched + misspelt;
        let recovered = matched + again * u64::from(lines_are_lost);
        for (rule, count) in [
            (&rules::UIDLIST_RECOVERED, recovered),
            (&rules::UIDLIST_RENUMBERED, renumbered),
            (&rules::UIDLIST_UNLISTED, unlisted),
        ] {
            if count > 0 {
                self.tell_at(rule, path, counted(count, "message"));
            }
        }
        if given.refused > 0 {
            let detail = counted(given.refused, "message");
            self.tell_at(&rules::UIDLIST_FULL, path, detail);
        }
        Joined {
            uidnext: given.next,
            first_recent: first_recent(listing, index, next),
            recalled: again,
            matched,
            renumbered,
            unlisted: given.given + again + matched,
        }
    }
}

/// What hinders the reading of a file.
fn why_unread(dir: &Dir, name: &str, error: &Error) -> String {
    if dir.stat(name).is_ok_and(|stat| stat.kind == Kind::Link) {
        "it is a link, and links are not followed".into()
    } else {
        error.chain()
    }
}

/// Puts a finding of a side file into its place in the account.
fn placed(mut finding: Finding, name: &MailboxName, folder: &Folder) -> Finding {
    if let Some(file) = finding.place.path.take() {
        let mut path = folder.path.clone();
        path.push(file.into());
        finding = finding.path(bstr::join("/", path));
    }
    finding.mailbox(name)
}

/// Messages that the index knows keep what it says. Of the others those in `new/`, and those that
/// no uidlist names, are `\Recent`.
fn first_recent(listing: &Listing, index: Option<&Index>, first_unlisted: u32) -> u32 {
    let mut first = index.map_or(1, |index| index.first_recent_uid.max(1));
    for nth in 0..listing.len() {
        let slot = listing.slot(nth);
        let indexed = index.is_some_and(|index| index.position(slot.uid).is_some());
        let recent = slot.place == Place::New || slot.uid >= first_unlisted;
        if !indexed && !recent {
            first = first.max(slot.uid.saturating_add(1));
        }
    }
    first
}

fn descend_if_there(dir: &Dir, names: &[BString]) -> Result<Option<Dir>> {
    match dir.descend(names) {
        Ok(dir) => Ok(Some(dir)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(messages: &[(Place, u32)]) -> Listing {
        let mut listing = Listing::default();
        for (place, nth) in messages {
            listing.add(*place, format!("{nth}.x").as_bytes());
        }
        listing.sort_by_base();
        let mut text = b"3 V1 N1\n".to_vec();
        for (_, nth) in messages {
            text.extend(format!("{nth} :{nth}.x\n").bytes());
        }
        listing.join(&uidlist::read(&text), &text, |_| false);
        listing
    }

    fn index(uids: &[u32], first_recent_uid: u32) -> Index {
        let mut index = Index::default();
        index.uids = uids.to_vec();
        index.first_recent_uid = first_recent_uid;
        index
    }

    #[test]
    fn recent_is_what_no_session_has_seen() {
        let (cur, new) = (Place::Cur, Place::New);
        let all = listing(&[(cur, 1), (cur, 2), (new, 3), (new, 4)]);
        assert_eq!(first_recent(&all, None, 5), 3, "what is in new/");
        assert_eq!(first_recent(&all, None, 2), 2, "what no uidlist names");
        let told = index(&[1, 2, 3, 4], 4);
        assert_eq!(first_recent(&all, Some(&told), 5), 4, "as the index says");
        let told = index(&[1], 1);
        assert_eq!(
            first_recent(&all, Some(&told), 5),
            3,
            "where it says something"
        );
        let mixed = listing(&[(new, 1), (cur, 2)]);
        assert_eq!(
            first_recent(&mixed, None, 3),
            3,
            "it is one number, not a flag"
        );
        assert_eq!(first_recent(&listing(&[]), None, 1), 1);
    }

    #[test]
    fn a_finding_of_a_side_file_has_its_place_in_the_account() {
        let folder = Folder {
            path: vec![".Work".into()],
            side: Vec::new(),
            selectable: true,
        };
        let name = MailboxName::new(["Work"]);
        let finding = Finding::new(&rules::INDEX_LOG, "half").path("dovecot.index.log");
        let place = placed(finding, &name, &folder).place;
        assert_eq!(place.path.as_deref(), Some(".Work/dovecot.index.log"));
        assert_eq!(place.mailbox.as_deref(), Some("Work"));
        let nowhere = placed(Finding::new(&rules::INDEX_LOG, "half"), &name, &folder);
        assert_eq!(nowhere.place.path, None);
    }
}
