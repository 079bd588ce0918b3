//! Reads an mdbox account, as we or a live Dovecot left it.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use bstr::BString;

use super::layout::{FILE, MAP, MAP_LOG, STORAGE, file_name};
use super::mailbox::MdboxMailbox;
use super::map::Map;
use super::storage::Storage;
use super::unnamed::Named;
use crate::digest::Digest;
use crate::disk::Dir;
use crate::disk::plan::Place;
use crate::error::{Error, Result};
use crate::format::dbox::{Tree, part, stamp_tree};
use crate::format::only_above::OnlyAbove;
use crate::format::{Absent, OpenOptions, stamp::Stamper};
use crate::model::{Account, MailboxGuid, MailboxName, UidValidity};
use crate::report::catalogue as rules;
use crate::report::{Finding, counted};
use crate::store::{Found, MailboxSource, Source};

/// Opens the account in `root`.
pub fn open(root: Dir, options: &OpenOptions, found: Found<'_>) -> Result<Box<dyn Source>> {
    Ok(Box::new(open_typed(root, options, found)?))
}

/// The same, for this room alone.
pub(super) fn open_typed(root: Dir, options: &OpenOptions, found: Found<'_>) -> Result<Mdbox> {
    let tree = Tree::open(&root, "mdbox", options, found)?;
    let storage = part(&root, STORAGE)?;
    let map_dir = tree.places.map_index(&root, STORAGE)?;
    let dirs = [storage, tree.places.alt_storage(STORAGE)?];
    let storage = Storage::open(
        dirs.into_iter().flatten().collect(),
        map_dir.as_ref(),
        found,
    )?;
    if options.absent == Absent::MayComeBack {
        refuse_unmounted(&root, &tree, &storage)?;
    }
    tell_storage(&storage, found)?;
    let misses_all_indexes = tree.has_no_sign_of_indexes(&root) && !storage.files()?.is_empty();
    if misses_all_indexes {
        found(tree.no_sign_of_indexes());
    }
    let seen = Seen::of(storage.map.as_ref());
    if tree.selectable().next().is_none() && !tree.is_partly_hidden {
        let map = storage.map.iter();
        map.for_each(|map| tell_refs(map, &seen.refs, found));
    }
    Ok(Mdbox {
        misses_all_indexes,
        seen: Mutex::new(seen),
        root,
        tree,
        storage,
        named: OnceLock::new(),
    })
}

/// An account without any of its messages may only be out of sight. The map, where it lies beside them, shows
/// that it is not.
fn refuse_unmounted(root: &Dir, tree: &Tree, storage: &Storage) -> Result<()> {
    let is_beside = || tree.places.lists_at() == Place::Root;
    let is_known = storage.map.as_ref();
    let is_known = is_known.is_some_and(|map| is_beside() || map.len() == 0);
    if is_known || !storage.files()?.is_empty() {
        return Ok(());
    }
    let path = root.path().join(STORAGE);
    let is = if root.has_dir(STORAGE) {
        "is empty"
    } else {
        "is not there"
    };
    Err(Error::Missing {
        what: format!(
            "{} {is}: the messages of this mdbox lie in it, and none is there",
            path.display()
        ),
        help: "is it mounted? Else restore it from a backup; if it is gone for good, repair --accept-loss \
               takes its messages out of the mailboxes"
            .into(),
    })
}

/// A digest of all that changes when a server works on the account.
pub fn stamp(root: &Dir) -> Result<Digest> {
    let mut stamper = Stamper::default();
    stamp_tree(root, &mut stamper)?;
    let storage = root.dir(STORAGE)?;
    stamp_storage(&storage, &mut stamper)?;
    stamp_map(&storage, &mut stamper)?;
    Ok(stamper.digest())
}

fn stamp_storage(storage: &Dir, stamper: &mut Stamper) -> Result<()> {
    stamper.dir(storage)?;
    stamper.files_that(storage, |name| name.starts_with(FILE.as_bytes()))
}

fn stamp_map(dir: &Dir, stamper: &mut Stamper) -> Result<()> {
    [MAP, MAP_LOG]
        .iter()
        .try_for_each(|name| stamper.file(dir, name))
}

/// An mdbox account.
pub(super) struct Mdbox {
    root: Dir,
    pub tree: Tree,
    pub storage: Storage,
    /// There are messages, and no sign of any index.
    pub misses_all_indexes: bool,
    seen: Mutex<Seen>,
    /// Read at the first question.
    named: OnceLock<Named>,
}

/// Which stored messages the mailboxes name, mailbox by mailbox.
#[derive(Debug)]
struct Seen {
    mailboxes: BTreeSet<usize>,
    /// One a stored message, in the order of the map.
    refs: Vec<u32>,
    /// It was said that they cannot be counted.
    is_uncounted: bool,
}

impl Seen {
    fn of(map: Option<&Map>) -> Self {
        Self {
            mailboxes: BTreeSet::new(),
            refs: vec![0; map.map_or(0, Map::len)],
            is_uncounted: false,
        }
    }
}

impl Seen {
    /// Once is enough.
    fn tell_uncounted(&mut self, found: Found<'_>) {
        if !std::mem::replace(&mut self.is_uncounted, true) {
            let detail = "a mailbox cannot be read";
            found(Finding::new(&rules::MDBOX_UNCOUNTED, detail).path(STORAGE));
        }
    }
}

impl Mdbox {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open_mailbox(&self, nth: usize, found: Found<'_>) -> Result<Option<MdboxMailbox<'_>>> {
        let mails = self.tree.mails(nth, found)?;
        let opened = mails.map(|mails| MdboxMailbox::open(self, nth, &mails, found));
        opened.transpose()
    }

    /// Which stored messages the indexes name.
    pub(super) fn named(&self) -> &Named {
        self.named.get_or_init(|| Named::read(self))
    }

    /// The name of a mailbox as the metadata of messages has it.
    pub(super) fn storage_name(&self, nth: usize) -> BString {
        self.tree.storage_name(nth)
    }

    /// A mailbox was read; after the last one it is known which stored messages nobody has.
    pub(super) fn conclude(
        &self,
        nth: usize,
        mapped: impl Iterator<Item = usize>,
        found: Found<'_>,
    ) {
        let mut seen = self.seen();
        if !seen.mailboxes.insert(nth) {
            return;
        }
        for place in mapped {
            seen.refs[place] += 1;
        }
        if seen.mailboxes.len() == self.tree.selectable().count() {
            if self.tree.is_partly_hidden {
                seen.tell_uncounted(found);
            } else if let Some(map) = &self.storage.map {
                tell_refs(map, &seen.refs, found);
            }
            self.tell_unmapped(found);
            self.storage.tell_damage(found);
        }
    }

    fn tell_unmapped(&self, found: Found<'_>) {
        let unmapped = self.told_by_no_map();
        if let Some(first) = unmapped.first() {
            let count = counted(unmapped.len() as u64, "stored message");
            let why = match self.storage.map {
                Some(_) => "that came after the map was written",
                None => "of which the map alone told if they were expunged",
            };
            let file = file_name(first.file_id);
            let detail = format!("{count} {why}, the first in {file} at byte {}", first.at);
            found(Finding::new(&rules::MDBOX_ORPHAN, detail).path(STORAGE));
        }
    }
}

/// What can be said of the storage before a mailbox is opened.
fn tell_storage(storage: &Storage, found: Found<'_>) -> Result<()> {
    let Some(map) = &storage.map else {
        return Ok(());
    };
    let (mut count, mut bytes, mut in_use) = (0_u64, 0_u64, BTreeSet::new());
    for nth in 0..map.len() {
        let place = map.place(nth);
        in_use.extend(place.map(|place| place.file_id));
        if map.refs(nth) == 0 {
            count += 1;
            bytes += place.map_or(0, |place| place.len);
        }
    }
    if count > 0 {
        let detail = format!("{}, {}", counted(count, "message"), counted(bytes, "byte"));
        found(Finding::new(&rules::MDBOX_UNPURGED, detail).path(STORAGE));
    }
    for id in storage.files()? {
        if !in_use.contains(&id) {
            let detail = if id > map.highest_file_id() {
                "it is newer than the map"
            } else {
                "the map names no message in it"
            };
            let path = format!("{STORAGE}/{}", file_name(id));
            found(Finding::new(&rules::MDBOX_STRAY, detail).path(path));
        }
    }
    Ok(())
}

fn tell_refs(map: &Map, seen: &[u32], found: Found<'_>) {
    let mut orphans = Vec::new();
    let (mut wrong, mut first) = (0_u64, None);
    for (nth, real) in seen.iter().enumerate() {
        let told = u32::from(map.refs(nth));
        if *real == 0 && told > 0 {
            orphans.push(nth);
        } else if *real != told {
            wrong += 1;
            first.get_or_insert((map.map_uid(nth), told, *real));
        }
    }
    if let Some(nth) = orphans.first() {
        let count = counted(orphans.len() as u64, "stored message");
        let place = map.place(*nth);
        let at = place.map_or_else(String::new, |place| {
            format!(" in {} at byte {}", file_name(place.file_id), place.at)
        });
        let detail = format!("{count}, the first is map UID {}{at}", map.map_uid(*nth));
        found(Finding::new(&rules::MDBOX_ORPHAN, detail).path(STORAGE));
    }
    if let Some((map_uid, told, real)) = first {
        let count = counted(wrong, "count");
        let detail = format!(
            "{count}, the first is of map UID {map_uid}: {told}, mailboxes name it {real} times"
        );
        found(Finding::new(&rules::MDBOX_REFCOUNT, detail).path(STORAGE));
    }
}

impl Source for Mdbox {
    fn account(&self) -> &Account {
        &self.tree.account
    }

    fn mailboxes(&self) -> &[MailboxName] {
        &self.tree.names
    }

    fn mailbox<'a>(&'a self, nth: usize, found: Found<'_>) -> Result<Box<dyn MailboxSource + 'a>> {
        let opened = self.open_mailbox(nth, found);
        if opened.is_err() {
            self.seen().tell_uncounted(found);
        }
        Ok(match opened? {
            Some(mailbox) => Box::new(mailbox),
            None => Box::new(OnlyAbove::new(
                &self.tree.names[nth],
                UidValidity::ONE,
                &self.root,
            )),
        })
    }

    fn root(&self) -> &Dir {
        &self.root
    }

    fn deleted_mailboxes(&self) -> Option<BTreeSet<MailboxGuid>> {
        self.tree.places.deleted_mailboxes(&self.root)
    }

    fn estimate(&self) -> u64 {
        self.storage.map.as_ref().map_or(0, |map| map.len() as u64)
    }

    fn stamp(&self) -> Result<Digest> {
        let mut stamper = Stamper::default();
        self.tree.stamp(&self.root, &mut stamper)?;
        let places = &self.tree.places;
        let map = places.map_index(&self.root, STORAGE)?;
        stamp_storage(&self.root.dir(STORAGE)?, &mut stamper)?;
        { map.iter() }.try_for_each(|dir| stamp_map(dir, &mut stamper))?;
        let alt = places.alt_storage(STORAGE)?;
        { alt.iter() }.try_for_each(|dir| stamp_storage(dir, &mut stamper))?;
        Ok(stamper.digest())
    }
}
