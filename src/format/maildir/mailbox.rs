//! One Maildir mailbox, open for reading.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bstr::{BString, ByteSlice};

use super::coat::{Coat, coat, stored};
use super::filename::{LETTERS, base, info, made_at, number, size};
use super::folders::Folder;
use super::keywords::{self, Named, Table};
use super::letters::Letters;
use super::links::Links;
use super::listing::{Listing, Place};
use super::notes::Notes;
use super::opening::{Cached, Opening};
use super::read::Maildir;
use super::uidlist::word;
use crate::digest::Facts;
use crate::disk::{Dir, File, Kind, Stat};
use crate::error::{Error, Result};
use crate::format::compress::{self, Codec};
use crate::format::dovecot_index::{INDEX, Index, Origin};
use crate::format::{names, side_files};
use crate::model::{Flags, Mailbox, MailboxGuid, MailboxName, Message, Uid, UidValidity};
use crate::report::catalogue as rules;
use crate::report::{Finding, Rule, counted, escape};
use crate::store::{Access, BelievedUsage, Claims, Found, MadeUp, MailboxSource, Opened, Peek};

/// A message up to this size takes one read.
const SMALL: usize = 128 * 1024;
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
        let joined = opening.join(
            &mut listing,
            (&list, &bytes, list_name),
            (index.as_ref(), &cached),
        );
        drop(bytes);
        let opened_links = std::mem::take(&mut opening.links);
        opening.tell_tmp();
        opening.tell_missing_dirs();
        let named = match &control {
            Some(control) => keywords::read(control, &dir),
            None => Ok(Named::default()),
        };
        let named = named.unwrap_or_else(|error| {
            opening.tell(&rules::MAILDIR_KEYWORDS_BROKEN, error.chain());
            Named::default()
        });
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
        this.deduce_names();
        this.name_keywords(found);
        Ok(this)
    }

    /// Letters that some file name uses, and dovecot-keywords does not name.
    pub(super) fn unnamed_letters(&self) -> impl Iterator<Item = u32> {
        let is_used = |letter: &u32| self.listing.letters & (1 << letter) != 0;
        let named = |letter: u32| self.named.letters.get(letter as usize);
        (0..LETTERS)
            .filter(is_used)
            .filter(move |letter| named(*letter).is_none_or(Option::is_none))
    }

    /// What the index tells of letters, or what is left of it: a new one in its place tells the same. It tells
    /// nothing of a message whose flags it has in another way than the name: that was changed since.
    pub(super) fn indexed_letters(&self) -> Letters {
        let Some(index) = self.index.as_ref() else {
            return Letters::default();
        };
        let mut letters = Letters::of(index.keyword_names());
        for nth in 0..self.listing.len() {
            let info = info(self.listing.name(nth));
            letters.note(info.letters);
            let Some(at) = self.in_index(nth) else {
                continue;
            };
            let flags = index.flags[at];
            if flags & DIRTY == 0 && Flags::from_bits(flags) == info.flags {
                letters.add(info.letters, index.keywords_of(at));
            }
        }
        letters
    }

    fn deduce_names(&mut self) {
        let unnamed: Vec<_> = self.unnamed_letters().collect();
        if unnamed.is_empty() || self.index.is_none() {
            return;
        }
        let letters = self.indexed_letters();
        let named = &self.named.letters;
        let told = unnamed.iter().filter_map(|letter| {
            let place = *letter as usize;
            let name = letters.name_of(place, named)?.clone();
            let has_peers = letters.peers_of(place, named).len() > 1;
            Some((*letter, Deduced { name, has_peers }))
        });
        self.deduced = told.collect();
    }

    /// Gives every keyword its place: those of the letters first, then those that only the index
    /// or Courier's files know.
    fn name_keywords(&mut self, found: Found<'_>) {
        let unnamed: Vec<_> = self.unnamed_letters().collect();
        for letter in 0..LETTERS {
            let name = self.named.letters.get(letter as usize).cloned().flatten();
            let name = name.or_else(|| self.deduced.get(&letter).map(|told| told.name.clone()));
            let made_up = || BString::from(format!("unknown-{letter}"));
            let name = name.or_else(|| unnamed.contains(&letter).then(made_up));
            self.letters.push(name.map(|name| self.table.place(&name)));
        }
        let index_names = self.index.as_ref().map(Index::keyword_names);
        for name in index_names.into_iter().flatten() {
            let place = self.table.place(&name);
            let lettered = self.letters.contains(&Some(place));
            self.indexed.push(IndexedKeyword { place, lettered });
        }
        for name in self.named.by_base.values().flatten() {
            self.table.place(name);
        }
        self.mailbox.keywords.clone_from(&self.table.names);
        for letter in unnamed {
            let detail = match self.deduced.get(&letter) {
                Some(told) => format!("letter {}", told.of(letter)),
                None => self.store.propose_keyword(letter),
            };
            found(self.at_mailbox(&rules::MAILDIR_KEYWORD_UNNAMED, detail));
        }
        self.tell_contradictions(found);
        if self.named.broken > 0 {
            let detail = counted(self.named.broken, "line");
            found(self.at_mailbox(&rules::MAILDIR_KEYWORDS_BROKEN, detail));
        }
        for name in &self.named.doubled {
            let detail = format!("{} is there already", escape(name));
            found(self.at_mailbox(&rules::MAILDIR_KEYWORD_CASE, detail));
        }
    }

    /// Names of letters that list and index have in different ways.
    fn tell_contradictions(&self, found: Found<'_>) {
        let is_whole = |index: &&Index| index.unread.is_empty() && index.origin == Origin::Index;
        let has_keywords = { self.index.as_ref() }
            .filter(is_whole)
            .is_some_and(|index| !index.keyword_names().is_empty());
        if !has_keywords || !self.named.has_list {
            return;
        }
        let letters = self.indexed_letters();
        for (letter, told) in letters.contradicted(&self.named.letters) {
            let own = self.named.letters[letter].as_ref();
            let own = own.map_or_else(String::new, |name| escape(name));
            let letter = u32::try_from(letter).unwrap_or(LETTERS);
            let detail = format!(
                "letter {}; the list says {own}",
                letter_is(letter, told, INDEX)
            );
            found(self.at_mailbox(&rules::MAILDIR_KEYWORD_NAME, detail));
        }
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

    /// The keyword of a letter, as people know it.
    pub(super) fn keyword_of(&self, letter: u32) -> String {
        let place = self.letters.get(letter as usize).copied().flatten();
        let keyword = place.and_then(|place| self.mailbox.keywords.get(place as usize));
        keyword.map_or_else(|| format!("unknown-{letter}"), |name| escape(name))
    }

    /// True where the index has the keyword of a letter for the `nth` message.
    pub(super) fn has_indexed(&self, nth: usize, letter: u32) -> bool {
        let place = self.letters.get(letter as usize).copied().flatten();
        let indexed = self.index.as_ref().zip(self.in_index(nth));
        let bits = indexed.map(|(index, at)| index.keywords_of(at));
        let mut known = bits.into_iter().flatten();
        known.any(|bit| {
            let known = self.indexed.get(bit as usize);
            known.is_some_and(|known| Some(known.place) == place)
        })
    }

    fn flags_and_keywords(
        &self,
        nth: usize,
        name: &[u8],
        at_index: Option<usize>,
    ) -> (Flags, Vec<u32>) {
        let info = info(name);
        let mut flags = info.flags;
        let mut places = BTreeSet::new();
        let indexed = self.index.as_ref().zip(at_index);
        let dirty = indexed.filter(|(index, at)| index.flags[*at] & DIRTY != 0);
        if let Some((index, at)) = dirty {
            flags = Flags::from_bits(index.flags[at]);
        } else {
            let named = (0..LETTERS).filter(|letter| info.letters & (1 << letter) != 0);
            places.extend(named.filter_map(|letter| self.letters[letter as usize]));
        }
        if let Some((index, at)) = indexed {
            let bits = index.keywords_of(at);
            let known = bits.filter_map(|bit| self.indexed.get(bit as usize));
            // What has a letter is told by the file name, all else only by the index.
            let telling = known.filter(|known| dirty.is_some() || !known.lettered);
            places.extend(telling.map(|known| known.place));
        }
        if let Some(names) = self.named.by_base.get(self.listing.base(nth).as_bstr()) {
            places.extend(names.iter().filter_map(|name| self.table.find(name)));
        }
        (flags, places.into_iter().collect())
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

/// The name of a letter that the index tells.
#[derive(Debug)]
pub(super) struct Deduced {
    pub(super) name: BString,
    /// Other letters have the same messages.
    has_peers: bool,
}

impl Deduced {
    /// What is told of the letter.
    pub(super) fn of(&self, letter: u32) -> String {
        let told = letter_is(letter, &self.name, INDEX);
        if self.has_peers {
            format!("{told} of letters that stand on the same messages everywhere")
        } else {
            told
        }
    }
}

/// The name of a letter, and who tells it.
pub(super) fn letter_is(letter: u32, name: &BString, told_by: &str) -> String {
    let letter = char::from_u32(u32::from(b'a') + letter).unwrap_or('?');
    format!("{letter} is {}, as {told_by} tells", escape(name))
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

impl MailboxSource for MaildirMailbox<'_> {
    fn was_expunged(&self, uid: u32) -> bool {
        let index = self.index.as_ref();
        index.is_some_and(|index| index.was_expunged(uid))
    }

    fn mailbox(&self) -> &Mailbox {
        &self.mailbox
    }

    fn len(&self) -> usize {
        self.listing.len()
    }

    fn uid(&self, nth: usize) -> Uid {
        Uid::new(self.listing.slot(nth).uid).expect("BUG: every listed message has a UID")
    }

    fn marks(&self, nth: usize) -> (Flags, Vec<u32>) {
        let at_index = self.in_index(nth);
        self.flags_and_keywords(nth, self.listing.name(nth), at_index)
    }

    fn open<'a>(
        &'a self,
        nth: usize,
        scratch: &'a mut Vec<u8>,
    ) -> Result<Opened<'a>, Box<Finding>> {
        let (mut file, name) = self.open_file(nth)?;
        let stat = file
            .stat()
            .map_err(|error| self.finding(&rules::MAILDIR_UNREADABLE, nth, error.chain()))?;
        let room = usize::try_from(stat.size).map_or(SMALL, |size| size.clamp(1, SMALL));
        if scratch.len() < room {
            scratch.resize(room, 0);
        }
        let head = &mut scratch[..room];
        let read = file
            .fill(head)
            .map_err(|error| self.finding(&rules::MAILDIR_UNREADABLE, nth, error.to_string()))?;
        let head = &head[..read];
        let mut message = self.message(nth, &name, &stat);
        let mut claims = self.claims(nth);
        if compress::is_encrypted(head) {
            message.sealed = Some((claims.size.unwrap_or(stat.size), claims.virtual_size));
        }
        let whole = read as u64 == stat.size;
        let (body, codec) = match coat(head, (!whole).then_some(&file)) {
            Coat::None => {
                // What a server remembers of a coated message may be the size of its coat.
                claims.remembered = self.cached(nth).sizes;
                (stored(head, (!whole).then_some(file)), None)
            }
            Coat::Of(codec) => {
                let body = stored(head, (!whole).then_some(file));
                (compress::decoder(codec, body), Some(codec))
            }
            Coat::Torn(why) => {
                self.torn().insert(nth, why);
                (stored(head, (!whole).then_some(file)), None)
            }
        };
        self.note(nth, &message, &stat, codec);
        Ok(Opened {
            message,
            claims,
            // A link's target belongs to nobody's copy.
            access: (self.listing.slot(nth).link == 0).then(|| Access::from(stat)),
            coat: codec,
            body,
        })
    }

    fn judge(
        &self,
        nth: usize,
        message: &Message,
        claims: Claims,
        facts: &Facts,
        found: Found<'_>,
    ) {
        let mut tell = |rule, detail: String| found(*self.finding(rule, nth, detail));
        let sealed = message.sealed.map(|(plain, _)| plain);
        let size = sealed.unwrap_or(facts.size);
        self.read.0.fetch_add(1, Ordering::Relaxed);
        self.read.1.fetch_add(size, Ordering::Relaxed);
        if message.sealed.is_some() {
            tell(
                &rules::MAILDIR_ENCRYPTED,
                format!("{} bytes of ciphertext", facts.size),
            );
            return;
        }
        if let Some(why) = self.torn().remove(&nth) {
            let detail = format!("{why}; carried as it is, {}", counted(facts.size, "byte"));
            tell(&rules::MAILDIR_DAMAGED, detail);
            return;
        }
        let (size, virtual_size) = claims.remembered;
        if let Some(detail) = wrong_size(claims.size, size, facts.size) {
            tell(&rules::MAILDIR_SIZE_MISMATCH, detail);
        }
        if let Some(detail) = wrong_size(claims.virtual_size, virtual_size, facts.virtual_size) {
            tell(&rules::MAILDIR_VSIZE_MISMATCH, detail);
        }
        if facts.size == 0 {
            tell(&rules::MAILDIR_EMPTY, "no bytes".into());
        }
        if let Some((from, nuls)) = facts.traits.zeroed(facts.size) {
            let detail = format!("{} from byte {from} on", counted(nuls, "NUL"));
            tell(&rules::MAILDIR_NUL_BLOCK, detail);
        }
    }

    fn broken(&self, nth: usize, error: &io::Error, recovered: u64) -> Finding {
        if error.kind() == io::ErrorKind::InvalidData {
            let detail = format!("{error}; {} recovered", counted(recovered, "byte"));
            return *self.finding(&rules::MAILDIR_DAMAGED, nth, detail);
        }
        let detail = format!("{error}, after {}", counted(recovered, "byte"));
        *self.finding(&rules::MAILDIR_UNREADABLE, nth, detail)
    }

    fn conclude(&self, found: Found<'_>) {
        let notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        let mut tell = |rule, detail: String| found(self.at_mailbox(rule, detail));
        notes.tell(&mut tell);
        for (rule, count) in [
            (&rules::MAILDIR_NO_INFO, self.listing.without_info),
            (&rules::MAILDIR_FOREIGN_INFO, self.listing.foreign_info),
            (&rules::MAILDIR_EXTRA_FIELDS, self.listing.more_fields),
        ] {
            if count > 0 {
                tell(rule, counted(count, "name"));
            }
        }
        let messages = self.read.0.load(Ordering::Relaxed);
        let bytes = self.read.1.load(Ordering::Relaxed);
        let all_read = messages == self.listing.len() as u64;
        self.store
            .conclude(all_read.then_some((messages, bytes)), found);
    }

    fn peek(&self, nth: usize, scratch: &mut Vec<u8>) -> Result<Peek, Box<Finding>> {
        self.look_at(nth, scratch)
    }

    fn known_guid(&self, nth: usize) -> Option<BString> {
        Some(self.guid(nth))
    }

    fn made_up(&self) -> MadeUp {
        self.made_up
    }

    fn dir_access(&self) -> Option<Access> {
        self.access
    }

    fn believed_usage(&self) -> Option<BelievedUsage> {
        self.index.as_ref()?.believed_usage()
    }

    fn index_place(&self) -> Result<Option<Dir>> {
        let dir = self.store.folder(self.folder)?;
        self.store.index_dir(self.folder, &dir)
    }
}
