//! One Maildir mailbox, open for reading.

mod labels;
mod source;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bstr::BString;

use super::filename::{base, made_at, number, size};
use super::folders::Folder;
use super::keywords::{Named, Table};
use super::letters::Deduced;
use super::links::Links;
use super::listing::{Listing, Place};
use super::notes::Notes;
use super::opening::{Cached, Opening};
use super::read::Maildir;
use super::uidlist::word;
use crate::disk::{Dir, File, Kind, Stat};
use crate::error::{Error, Result};
use crate::format::compress::Codec;
use crate::format::dovecot_index::Index;
use crate::format::{names, side_files};
use crate::model::{Mailbox, MailboxGuid, MailboxName, Message, UidValidity};
use crate::report::catalogue as rules;
use crate::report::{Finding, Rule, counted};
use crate::store::{Access, Claims, Found, MadeUp, MailboxSource};

/// Index flag: the index is newer than the file name.
pub(super) const DIRTY: u8 = 0x80;

pub(super) struct MaildirMailbox<'a> {
    store: &'a Maildir,
    mailbox: Mailbox,
    folder: &'a Folder,
    cur: Option<Dir>,
    new: Option<Dir>,
    pub(super) listing: Listing,
    links: Links,
    /// The place in `mailbox.keywords` of each letter.
    letters: Vec<Option<u32>>,
    /// The keywords of the index, by its bits.
    indexed: Vec<IndexedKeyword>,
    pub(super) named: Named,
    /// The names of letters that the index alone tells.
    pub(super) deduced: BTreeMap<u32, Deduced>,
    table: Table,
    pub(super) index: Option<Index>,
    /// What the server's cache tells, by place in the index.
    cached: Vec<Cached>,
    notes: Mutex<Notes>,
    /// How many messages were read, and their bytes.
    read: (AtomicU64, AtomicU64),
    /// Compressed messages of which nothing can be decompressed, and why, until they are judged.
    torn: Mutex<BTreeMap<usize, String>>,
    made_up: MadeUp,
    /// Messages that have the UID of an earlier pass.
    pub(super) recalled: u64,
    /// Messages that have the UID that the server's index and cache tell.
    pub(super) matched: u64,
    /// Messages that have a new UID, where lines of the uidlist are lost.
    pub(super) renumbered: u64,
    /// Messages that no line of the uidlist names.
    pub(super) unlisted: u64,
    access: Option<Access>,
}

/// A keyword as the index knows it.
#[derive(Debug, Clone, Copy)]
struct IndexedKeyword {
    /// Its place in the mailbox.
    place: u32,
    /// File names have a letter for it.
    lettered: bool,
}

impl<'a> MaildirMailbox<'a> {
    pub(super) fn open(
        store: &'a Maildir,
        name: &MailboxName,
        folder: &'a Folder,
        uidvalidity: UidValidity,
        guid: Option<MailboxGuid>,
        found: Found<'_>,
    ) -> Result<Self> {
        let dir = store.folder(folder)?;
        let mut opening = Opening {
            store,
            name,
            folder,
            dir: &dir,
            found,
            links: Links::default(),
            uidvalidity,
            index_is_whole: true,
        };
        let control = opening.control()?;
        let (mut list, bytes, list_name) = opening.uidlist(control.as_ref());
        let mut index = opening.index(&list)?;
        if let Some(index) = &mut index {
            opening.outvote(&mut list, index, list_name);
        }
        let index = index.filter(|index| opening.belongs(index, &list, list_name));
        let told = list
            .uidvalidity
            .or(index.as_ref().map(|index| index.uid_validity))
            .and_then(UidValidity::new);
        let uidvalidity = told.unwrap_or(uidvalidity);
        opening.uidvalidity = uidvalidity;
        let mut listing = opening.listing()?;
        opening.tell_oddities(&mut listing, &list, &bytes);
        let cached = opening.cached(index.as_ref())?;
        let named = opening.named(control.as_ref());
        let joined = opening.join(
            &mut listing,
            (&list, &bytes, list_name),
            (index.as_ref(), &cached),
            &named,
        );
        drop(bytes);
        let opened_links = std::mem::take(&mut opening.links);
        opening.tell_tmp();
        opening.tell_missing_dirs();
        let acl = dir.read_if_there(side_files::ACL, side_files::MOST);
        let acl = acl.unwrap_or_else(|error| {
            opening.tell(&rules::ACL_UNREADABLE, error.chain());
            None
        });
        let made_up = MadeUp {
            uids: list.version == 0 && listing.len() > 0,
            guid: guid.is_none(),
            uidvalidity: told.is_none(),
        };
        let mailbox = Mailbox {
            name: name.clone(),
            selectable: true,
            guid: guid.unwrap_or_else(|| names::made_guid(&dir, name)),
            uidvalidity,
            uidnext: joined.uidnext,
            first_recent: joined.first_recent,
            highest_modseq: index.as_ref().map_or(1, |index| index.highest_modseq),
            keywords: Vec::new(),
            acl,
        };
        let open_place = |place: Place| dir.dir_if_there(place.name());
        let mut this = Self {
            store,
            mailbox,
            folder,
            cur: open_place(Place::Cur)?,
            new: open_place(Place::New).unwrap_or(None),
            listing,
            links: opened_links,
            letters: Vec::new(),
            indexed: Vec::new(),
            named,
            deduced: BTreeMap::new(),
            table: Table::default(),
            index,
            cached,
            notes: Mutex::default(),
            read: Default::default(),
            torn: Mutex::default(),
            made_up,
            recalled: joined.recalled,
            matched: joined.matched,
            renumbered: joined.renumbered,
            unlisted: joined.unlisted,
            access: dir.own_stat().ok().map(Access::from),
        };
        this.ask_index(found);
        this.name_keywords(found);
        Ok(this)
    }

    fn at_mailbox(&self, rule: &'static Rule, detail: impl Into<String>) -> Finding {
        Finding::new(rule, detail).mailbox(&self.mailbox.name)
    }

    fn path(&self, place: Place, name: &[u8]) -> BString {
        path_in(self.folder, place.name(), name)
    }

    fn finding(&self, rule: &'static Rule, nth: usize, detail: impl Into<String>) -> Box<Finding> {
        let path = self.path(self.listing.slot(nth).place, self.listing.name(nth));
        let finding = self.at_mailbox(rule, detail).uid(self.uid(nth)).path(path);
        Box::new(finding)
    }

    pub(super) fn place(&self, place: Place) -> Option<&Dir> {
        match place {
            Place::Cur => self.cur.as_ref(),
            Place::New => self.new.as_ref(),
        }
    }

    /// The file, under its name of today: a session that is still open may have changed its flags.
    pub(super) fn open_file(&self, nth: usize) -> Result<(File, BString), Box<Finding>> {
        let slot = self.listing.slot(nth);
        let name = self.listing.name(nth);
        if let Some((dir, target)) = self.links.target(slot.link) {
            let file = dir.file(target);
            let file = file.map(|file| (file, BString::from(name)));
            return file.map_err(|error| self.unreadable(nth, dir, target, &error));
        }
        let dir = self
            .place(slot.place)
            .ok_or_else(|| self.finding(&rules::MAILDIR_VANISHED, nth, "the folder is gone"))?;
        match dir.file(name) {
            Ok(file) => Ok((file, name.into())),
            Err(error) if error.is_not_found() => self
                .look_again(nth)
                .ok_or_else(|| self.finding(&rules::MAILDIR_VANISHED, nth, "gone")),
            Err(error) => Err(self.unreadable(nth, dir, name, &error)),
        }
    }

    /// What the system says, and whose file it is.
    fn unreadable(&self, nth: usize, dir: &Dir, name: &[u8], error: &Error) -> Box<Finding> {
        let mut detail = match error {
            Error::Io { source, .. } => source.to_string(),
            other => other.chain(),
        };
        if let Ok(stat) = dir.stat(name) {
            let (uid, gid, mode) = (stat.uid, stat.gid, stat.mode);
            detail = format!("{detail}; owner {uid}:{gid}, mode {mode:04o}");
        }
        self.finding(&rules::MAILDIR_UNREADABLE, nth, detail)
    }

    fn look_again(&self, nth: usize) -> Option<(File, BString)> {
        let wanted = self.listing.base(nth);
        for place in [Place::Cur, Place::New] {
            let Some(dir) = self.place(place) else {
                continue;
            };
            let mut now = None;
            let listed = dir.each_entry(|name, kind| {
                if kind == Kind::File && base(name) == wanted {
                    now = Some(BString::from(name));
                }
            });
            if let (Ok(()), Some(name)) = (listed, now) {
                return dir.file(&name).ok().map(|file| (file, name));
            }
        }
        None
    }

    pub(super) fn message(&self, nth: usize, name: &[u8], stat: &Stat) -> Message {
        let words = self.listing.words(nth);
        let uid = self.uid(nth);
        let at_index = self.in_index(nth);
        let Cached {
            received, saved, ..
        } = self.cached(nth);
        let (flags, keywords) = self.flags_and_keywords(nth, name, at_index);
        Message {
            uid,
            flags,
            keywords,
            received: received.map_or(stat.mtime, i64::from),
            saved: Some(saved.map_or(stat.ctime, i64::from)),
            guid: self.guid(nth),
            pop3_uidl: word(words, b'P').map(BString::from),
            pop3_order: word(words, b'O')
                .and_then(number)
                .and_then(|order| u32::try_from(order).ok()),
            sealed: None,
        }
    }

    /// The `nth` message as a new index is to have it, with the flags that only the index knows. It has a saved date
    /// where the server's cache told one of its dates.
    pub(super) fn as_indexed(&self, nth: usize) -> (Message, u8) {
        let stat = self.stat(nth);
        let (flags, keywords) = self.marks(nth);
        let Cached {
            received, saved, ..
        } = self.cached(nth);
        let changed = stat.map(|stat| stat.ctime).filter(|_| received.is_some());
        let own_flags = self.index.as_ref().zip(self.in_index(nth));
        let own_flags = own_flags.map_or(0, |(index, at)| index.flags[at] & DIRTY);
        let message = Message {
            uid: self.uid(nth),
            flags,
            keywords,
            received: { received.map(i64::from) }
                .or(stat.map(|stat| stat.mtime))
                .unwrap_or(0),
            saved: saved.map(i64::from).or(changed),
            guid: self.guid(nth),
            pop3_uidl: None,
            pop3_order: None,
            sealed: None,
        };
        (message, own_flags)
    }

    /// What only the index can have told, and a damaged one no longer does.
    pub(super) fn unread_marks(&self) -> Option<&'static str> {
        let Some(index) = &self.index else {
            return Some(
                "what only the index told: how often the mailbox was changed, and keywords beyond 26",
            );
        };
        let has_all_letters = self.letters.iter().all(Option::is_some);
        let has_more = self.indexed.iter().any(|known| !known.lettered);
        let is_partly_read = !index.unread.is_empty();
        (is_partly_read && (has_all_letters || has_more))
            .then_some("keywords beyond 26 that stood in the part of the index that cannot be read")
    }

    /// Some messages have new UIDs, and the index has some that no message has any more.
    pub(super) fn has_left_uids(&self) -> bool {
        let known = self.recalled + self.matched;
        let is_there = |uid: &u32| self.listing.has_uid(*uid);
        let index = self.index.as_ref().filter(|_| self.unlisted > known);
        index.is_some_and(|index| !index.uids.iter().all(is_there))
    }

    /// The place of the `nth` message in the index.
    pub(super) fn in_index(&self, nth: usize) -> Option<usize> {
        self.index.as_ref()?.position(self.listing.slot(nth).uid)
    }

    /// What the server's cache tells of it.
    pub(super) fn cached(&self, nth: usize) -> Cached {
        let at_index = self.in_index(nth);
        let cached = at_index.and_then(|nth| self.cached.get(nth).copied());
        cached.unwrap_or_default()
    }

    /// What it is known by in all copies.
    pub(super) fn guid(&self, nth: usize) -> BString {
        self.listing.guid(nth)
    }

    fn torn(&self) -> MutexGuard<'_, BTreeMap<usize, String>> {
        self.torn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn claims(&self, nth: usize) -> Claims {
        let base = self.listing.base(nth);
        let words = self.listing.words(nth);
        let claim = |key| size(base, key).or_else(|| word(words, key).and_then(number));
        Claims {
            size: claim(b'S'),
            virtual_size: claim(b'W'),
            ..Claims::default()
        }
    }

    fn note(&self, nth: usize, message: &Message, stat: &Stat, codec: Option<Codec>) {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        notes.add(message, self.store.now, stat.links, codec);
        notes.add_arrival(made_at(self.listing.base(nth)));
    }
}

/// Who tells a wrong size, and what it is.
fn wrong_size(named: Option<u64>, remembered: Option<u64>, real: u64) -> Option<String> {
    let told = [("name", named), ("the server's cache", remembered)].into_iter();
    let mut told = told.filter_map(|(who, size)| Some((who, size?)));
    let (who, size) = told.find(|(_, size)| *size != real)?;
    let size = counted(size, "byte");
    Some(format!("{who} says {size}, file has {real}"))
}

pub(super) fn path_in(folder: &Folder, place: &str, name: &[u8]) -> BString {
    let mut path = folder.path.clone();
    path.push(place.into());
    path.push(name.into());
    bstr::join("/", path).into()
}
