//! The files of one mailbox, joined with its uidlist: a few bytes a message, names in one place.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::ops::Range;

use bstr::BString;

use super::filename::{Info, arrival_order, base, has_foreign_info, info};
use super::uidlist::{Row, Uidlist, word};
use crate::disk::{Dir, Kind};
use crate::error::{Error, Result};
use crate::format::names::made_message_guid;

/// Which of the two directories a file lies in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// `cur/`
    Cur,
    /// `new/`
    New,
}

impl Place {
    /// The directory's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cur => "cur",
            Self::New => "new",
        }
    }
}

/// One message file.
#[derive(Debug, Clone, Copy)]
pub struct Slot {
    name_at: u32,
    words_at: u32,
    words_len: u16,
    name_len: u8,
    base_len: u8,
    /// Where it lies.
    pub place: Place,
    /// A second file of its base name: it is a message of its own.
    pub twin: bool,
    /// The number of the link that this is; 0 for a plain file.
    pub link: u32,
    /// 0 until it has one.
    pub uid: u32,
}

/// Something in `cur/` or `new/` that is no plain message file.
#[derive(Debug)]
pub struct Oddity {
    /// Where it lies.
    pub place: Place,
    /// Its name.
    pub name: BString,
    /// What it is.
    pub kind: Kind,
}

/// All message files of a mailbox.
#[derive(Debug, Default)]
pub struct Listing {
    text: Vec<u8>,
    slots: Vec<Slot>,
    /// What is not a plain file.
    pub oddities: Vec<Oddity>,
    /// Files that are taken out because newer ones have their name and their bytes.
    pub gone: Vec<(Place, BString)>,
    /// Every keyword letter that some name uses.
    pub letters: u32,
    /// Names in `cur/` without flags.
    pub without_info: u64,
    /// Names with flags behind another character than a colon.
    pub foreign_info: u64,
    /// Names with fields behind the flags.
    pub more_fields: u64,
}

impl Listing {
    /// Reads `cur/` and `new/`; one that is missing is empty. Without `cur/` nothing is known for
    /// sure; why `new/` cannot be read is told to `unread`, and the rest is sound.
    pub fn read(mailbox: &Dir, unread: impl FnOnce(Error)) -> Result<Self> {
        let mut listing = Self::default();
        listing.take_all(mailbox, Place::Cur)?;
        if let Err(error) = listing.take_all(mailbox, Place::New) {
            unread(error);
        }
        listing.slots.shrink_to_fit();
        listing.text.shrink_to_fit();
        Ok(listing)
    }

    fn take_all(&mut self, mailbox: &Dir, place: Place) -> Result<()> {
        match mailbox.dir_if_there(place.name())? {
            Some(dir) => dir.each_entry(|name, kind| self.take(place, name, kind)),
            None => Ok(()),
        }
    }

    fn take(&mut self, place: Place, name: &[u8], kind: Kind) {
        // Dovecot shows nothing for a name with a line end in it.
        let odd = kind != Kind::File || name.contains(&b'\n') || name.contains(&b'\r');
        if odd || name.starts_with(b".") || is_no_message(name) {
            self.oddities.push(Oddity {
                place,
                name: name.into(),
                kind,
            });
            return;
        }
        self.add(place, name);
    }

    /// Adds a message file.
    pub fn add(&mut self, place: Place, name: &[u8]) {
        self.note(place, name, info(name));
        let base_len = match base(name).len() {
            0 => name.len(), // a name that begins with the colon has nothing else to go by
            len => len,
        };
        let short = |len: usize| u8::try_from(len).expect("BUG: no name is longer than 255 bytes");
        let name_at = self.keep(name);
        self.slots.push(Slot {
            name_at,
            words_at: 0,
            words_len: 0,
            name_len: short(name.len()),
            base_len: short(base_len),
            place,
            twin: false,
            link: 0,
            uid: 0,
        });
    }

    /// Adds a message that is a link into another folder.
    pub fn add_link(&mut self, place: Place, name: &[u8], link: u32) {
        self.add(place, name);
        if let Some(slot) = self.slots.last_mut() {
            slot.link = link;
        }
    }

    fn keep(&mut self, text: &[u8]) -> u32 {
        let at = u32::try_from(self.text.len()).expect("BUG: no directory has 4 GiB of names");
        self.text.extend_from_slice(text);
        at
    }

    fn note(&mut self, place: Place, name: &[u8], info: Info) {
        self.letters |= info.letters;
        self.more_fields += u64::from(info.more);
        self.foreign_info += u64::from(!info.there && has_foreign_info(base(name)));
        self.without_info += u64::from(!info.there && place == Place::Cur);
    }

    /// How many messages.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// The `nth` message.
    pub fn slot(&self, nth: usize) -> &Slot {
        &self.slots[nth]
    }

    /// The `nth` file's name.
    pub fn name(&self, nth: usize) -> &[u8] {
        self.name_of(&self.slots[nth])
    }

    fn name_of(&self, slot: &Slot) -> &[u8] {
        &self.text[slot.name_at as usize..][..usize::from(slot.name_len)]
    }

    /// The `nth` message's base name.
    pub fn base(&self, nth: usize) -> &[u8] {
        self.base_of(&self.slots[nth])
    }

    fn base_of(&self, slot: &Slot) -> &[u8] {
        &self.text[slot.name_at as usize..][..usize::from(slot.base_len)]
    }

    /// What the uidlist says of the `nth` message beside its UID.
    pub fn words(&self, nth: usize) -> &[u8] {
        let slot = &self.slots[nth];
        &self.text[slot.words_at as usize..][..usize::from(slot.words_len)]
    }

    /// Puts files of one base name side by side, the one that lies in `cur/` first.
    pub fn sort_by_base(&mut self) {
        let mut slots = std::mem::take(&mut self.slots);
        slots.sort_unstable_by(|a, b| {
            let names = self.base_of(a).cmp(self.base_of(b));
            names
                .then(a.twin.cmp(&b.twin))
                .then(a.place.cmp(&b.place))
                .then_with(|| self.name_of(a).cmp(self.name_of(b)))
        });
        self.slots = slots;
    }

    /// Runs of files that share a base name.
    pub fn doubles(&self) -> Vec<Range<usize>> {
        let mut runs = Vec::new();
        let mut from = 0;
        for to in 1..=self.len() {
            if to == self.len() || self.base(to) != self.base(from) {
                if to - from > 1 {
                    runs.push(from..to);
                }
                from = to;
            }
        }
        runs
    }

    /// Marks the files in `twins` as messages of their own, and takes those in `gone`, which ascend, out.
    pub fn settle_doubles(&mut self, twins: &[usize], gone: &[usize]) {
        for nth in twins {
            self.slots[*nth].twin = true;
        }
        for nth in gone {
            let name = BString::from(self.name(*nth));
            self.gone.push((self.slots[*nth].place, name));
        }
        let mut nth = 0;
        self.slots.retain(|_| {
            nth += 1;
            gone.binary_search(&(nth - 1)).is_err()
        });
    }

    /// Joins with the uidlist, which needs the files in the order of [`Self::sort_by_base`]. Returns
    /// the rows that name no file, and how often a file was named twice: the later line holds, as in Dovecot, unless
    /// only the earlier one is of a UID that `is_known`.
    pub fn join(&mut self, list: &Uidlist, bytes: &[u8], is_known: impl Fn(u32) -> bool) -> Joined {
        let mut joined = Joined::default();
        for row in &list.rows {
            match self.find(&bytes[row.base.range()]) {
                Some(nth) => {
                    let before = self.slots[nth].uid;
                    joined.doubled += u64::from(before != 0);
                    if before == 0 || is_known(row.uid) || !is_known(before) {
                        self.enter(nth, row, bytes);
                    }
                }
                None => joined.without_file.push(row.uid),
            }
        }
        joined
    }

    fn find(&self, base: &[u8]) -> Option<usize> {
        let found = self.slots.binary_search_by(|slot| {
            let names = self.base_of(slot).cmp(base);
            // Only the first of several files of one name is meant.
            names.then(if slot.twin {
                Ordering::Greater
            } else {
                Ordering::Equal
            })
        });
        found.ok()
    }

    fn enter(&mut self, nth: usize, row: &Row, bytes: &[u8]) {
        let words = &bytes[row.words.range()];
        let at = self.keep(words);
        let slot = &mut self.slots[nth];
        slot.uid = row.uid;
        (slot.words_at, slot.words_len) = match u16::try_from(words.len()) {
            Ok(len) => (at, len),
            Err(_) => (0, 0),
        };
    }

    /// Takes the UID of the `nth` message away, so that it gets a new one.
    pub fn forget_uid(&mut self, nth: usize) {
        self.slots[nth].uid = 0;
    }

    /// Gives the `nth` message the line that names another file.
    pub fn give_line(&mut self, nth: usize, row: &Row, bytes: &[u8]) {
        self.enter(nth, row, bytes);
    }

    /// Gives the `nth` message the line that names it as it should be called.
    pub fn give_renamed(&mut self, nth: usize, row: &Row, bytes: &[u8]) {
        let name = &bytes[row.base.range()];
        let words = &bytes[row.words.range()];
        self.enter(nth, row, bytes);
        if word(words, b'G').is_none() {
            let words = [words, b" G", name].concat();
            let at = self.keep(&words);
            let slot = &mut self.slots[nth];
            if let Ok(len) = u16::try_from(words.len()) {
                (slot.words_at, slot.words_len) = (at, len);
            }
        }
    }

    /// Gives the `nth` message a UID that no other has.
    pub fn give_uid(&mut self, nth: usize, uid: u32) {
        self.slots[nth].uid = uid;
    }

    /// Some message has this UID, once all have one.
    pub fn has_uid(&self, uid: u32) -> bool {
        self.slots
            .binary_search_by_key(&uid, |slot| slot.uid)
            .is_ok()
    }

    /// The message that is known in all copies by this: by what the uidlist says, or else by its name.
    pub fn guid(&self, nth: usize) -> BString {
        match word(self.words(nth), b'G') {
            Some(guid) if !guid.is_empty() => guid.into(),
            _ if self.slots[nth].twin => made_message_guid(self.name(nth)).into(),
            _ => self.base(nth).into(),
        }
    }

    /// Gives messages without a UID the one that `known` has for their GUIDs, if no other has it. Returns how
    /// many got one.
    pub fn give_known_uids(&mut self, known: impl Fn(&[u8]) -> Option<u32>) -> u64 {
        let mut taken: BTreeSet<u32> = self.slots.iter().map(|slot| slot.uid).collect();
        let mut given = 0;
        for nth in 0..self.len() {
            if self.slots[nth].uid != 0 {
                continue;
            }
            let uid = known(&self.guid(nth));
            if let Some(uid) = uid.filter(|uid| taken.insert(*uid)) {
                self.slots[nth].uid = uid;
                given += 1;
            }
        }
        given
    }

    /// Gives UIDs from `next` on to all without one, in the order of arrival, and puts all in UID
    /// order. A message for which no UID is left is taken out.
    pub fn give_uids(&mut self, next: u32) -> Given {
        let mut taken: Vec<u32> = self.slots.iter().map(|slot| slot.uid).collect();
        taken.sort_unstable();
        let mut slots = std::mem::take(&mut self.slots);
        slots.sort_by(|a, b| {
            let listed = (a.uid == 0).cmp(&(b.uid == 0));
            listed.then_with(|| match a.uid {
                0 => arrival_order(self.base_of(a), self.base_of(b))
                    .then_with(|| self.name_of(a).cmp(self.name_of(b))),
                uid => uid.cmp(&b.uid),
            })
        });
        let (mut given, mut next) = (Given::default(), next);
        slots.retain_mut(|slot| {
            while slot.uid == 0 && taken.binary_search(&next).is_ok() {
                next += 1;
            }
            if slot.uid == 0 && next == u32::MAX {
                given.refused += 1;
                return false;
            }
            if slot.uid == 0 {
                slot.uid = next;
                next += 1;
                given.given += 1;
            }
            true
        });
        slots.sort_by_key(|slot| slot.uid);
        let above = taken.last().map_or(1, |uid| uid.saturating_add(1));
        given.next = next.max(above);
        self.slots = slots;
        given
    }
}

/// How the giving of UIDs went.
#[derive(Debug, Default, Clone, Copy)]
pub struct Given {
    /// Messages that got one.
    pub given: u64,
    /// Messages for which none was left.
    pub refused: u64,
    /// The next free UID.
    pub next: u32,
}

/// What the join with the uidlist showed.
#[derive(Debug, Default)]
pub struct Joined {
    /// UIDs of lines without a file.
    pub without_file: Vec<u32>,
    /// Lines whose file another line had already named.
    pub doubled: u64,
}

/// Files that servers and editors leave, and nobody delivers.
pub(super) fn is_no_message(name: &[u8]) -> bool {
    const KNOWN: [&str; 7] = [
        "dovecot",
        "maildirfolder",
        "maildirsize",
        "courierimap",
        "courierpop3",
        "subscriptions",
        "lost+found",
    ];
    KNOWN.iter().any(|known| name.starts_with(known.as_bytes()))
        || name.ends_with(b"~")
        || (name.starts_with(b"#") && name.ends_with(b"#"))
}

#[cfg(test)]
mod tests {
    use super::super::uidlist;
    use super::*;

    fn listing(files: &[(Place, &str)]) -> Listing {
        let mut listing = Listing::default();
        for (place, name) in files {
            listing.take(*place, name.as_bytes(), Kind::File);
        }
        listing.sort_by_base();
        listing
    }

    fn told(listing: &Listing) -> Vec<(u32, String)> {
        let one = |nth| {
            let name = String::from_utf8_lossy(listing.name(nth)).into_owned();
            (listing.slot(nth).uid, name)
        };
        (0..listing.len()).map(one).collect()
    }

    #[test]
    fn listed_files_keep_their_uids_and_the_others_follow_in_the_order_of_arrival() {
        let mut files = listing(&[
            (Place::Cur, "12.late:2,S"),
            (Place::New, "10.early"),
            (Place::Cur, "11.listed:2,"),
        ]);
        let text = b"3 V1 N5\n2 :11.listed\n3 Gx :13.gone\n";
        let joined = files.join(&uidlist::read(text), text, |_| false);
        assert_eq!(joined.without_file, [3]);
        let given = files.give_uids(5);
        assert_eq!((given.given, given.refused, given.next), (2, 0, 7));
        let wanted = [(2, "11.listed:2,"), (5, "10.early"), (6, "12.late:2,S")];
        assert_eq!(
            told(&files),
            wanted.map(|(uid, name)| (uid, name.to_owned()))
        );
    }

    #[test]
    fn the_later_line_of_a_file_holds_with_its_words() {
        let mut files = listing(&[(Place::Cur, "1.a:2,S")]);
        let text = b"3 V1 N9\n1 Gold :1.a\n4 Gnew P7 :1.a\n";
        let joined = files.join(&uidlist::read(text), text, |_| false);
        assert_eq!((joined.doubled, files.slot(0).uid), (1, 4));
        assert_eq!(files.words(0).trim_ascii_end(), b"Gnew P7");
    }

    #[test]
    fn a_twin_has_no_line_and_what_is_gone_has_no_place() {
        let mut files = listing(&[
            (Place::Cur, "1.a:2,S"),
            (Place::Cur, "1.a:2,F"),
            (Place::New, "1.a"),
            (Place::Cur, "2.b:2,"),
        ]);
        assert_eq!(files.doubles(), vec![0..3_usize]);
        // `:2,F` is another message, the one in new/ the same.
        files.settle_doubles(&[0], &[2]);
        files.sort_by_base();
        let text = b"3 V1 N9\n1 :1.a\n2 :2.b\n";
        files.join(&uidlist::read(text), text, |_| false);
        files.give_uids(9);
        let wanted = [(1, "1.a:2,S"), (2, "2.b:2,"), (9, "1.a:2,F")];
        assert_eq!(
            told(&files),
            wanted.map(|(uid, name)| (uid, name.to_owned()))
        );
    }

    #[test]
    fn without_uids_left_a_new_message_is_refused() {
        let mut files = listing(&[(Place::Cur, "1.a"), (Place::Cur, "2.b")]);
        let given = files.give_uids(u32::MAX - 1);
        assert_eq!((given.given, given.refused, given.next), (1, 1, u32::MAX));
        assert_eq!(told(&files), [(u32::MAX - 1, "1.a".to_owned())]);
    }

    #[test]
    fn what_is_no_message_is_set_aside() {
        let files = listing(&[
            (Place::Cur, ".nfs1"),
            (Place::Cur, "a\nb"),
            (Place::Cur, "draft~"),
            (Place::Cur, "#draft#"),
            (Place::Cur, "dovecot-uidlist"),
            (Place::Cur, ":2,S"),
        ]);
        assert_eq!(files.oddities.len(), 5);
        // A name that begins with the colon has nothing else to go by.
        assert_eq!((files.len(), files.base(0)), (1, &b":2,S"[..]));
    }
}
