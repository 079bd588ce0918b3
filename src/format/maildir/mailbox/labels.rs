//! Flags and keywords: what letters in names stand for, and what the index has beside them.

use std::collections::BTreeSet;

use bstr::{BString, ByteSlice};

use super::super::filename::{LETTERS, info};
use super::super::letters::{Deduced, Letters, letter_is};
use super::{DIRTY, IndexedKeyword, MaildirMailbox};
use crate::format::dovecot_index::{INDEX, Index};
use crate::model::Flags;
use crate::report::catalogue as rules;
use crate::report::{counted, escape};
use crate::store::Found;

impl MaildirMailbox<'_> {
    /// Letters that some file name uses, and dovecot-keywords does not name.
    pub(in super::super) fn unnamed_letters(&self) -> impl Iterator<Item = u32> {
        let is_used = |letter: &u32| self.listing.letters & (1 << letter) != 0;
        let named = |letter: u32| self.named.letters.get(letter as usize);
        (0..LETTERS)
            .filter(is_used)
            .filter(move |letter| named(*letter).is_none_or(Option::is_none))
    }

    /// What the index tells of letters, or what is left of it: a new one in its place tells the same. It tells
    /// nothing of a message whose flags it has in another way than the name: that was changed since.
    pub(in super::super) fn indexed_letters(&self) -> Letters {
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

    /// Holds the names of letters against the index, and takes what it tells of those without one.
    pub(super) fn ask_index(&mut self, found: Found<'_>) {
        let has_keywords = |index: &&Index| !index.keyword_names().is_empty();
        let Some(index) = self.index.as_ref().filter(has_keywords) else {
            return;
        };
        let letters = self.indexed_letters();
        if index.is_whole() && self.named.has_list {
            self.tell_contradictions(&letters, found);
        }
        let named = &self.named.letters;
        let told = self.unnamed_letters().filter_map(|letter| {
            let place = letter as usize;
            let name = letters.name_of(place, named)?.clone();
            let has_peers = letters.peers_of(place, named).len() > 1;
            Some((letter, Deduced { name, has_peers }))
        });
        self.deduced = told.collect();
    }

    /// Gives every keyword its place: those of the letters first, then those that only the index
    /// or Courier's files know.
    pub(super) fn name_keywords(&mut self, found: Found<'_>) {
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
    fn tell_contradictions(&self, letters: &Letters, found: Found<'_>) {
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

    /// The keyword of a letter, as people know it.
    pub(in super::super) fn keyword_of(&self, letter: u32) -> String {
        let place = self.letters.get(letter as usize).copied().flatten();
        let keyword = place.and_then(|place| self.mailbox.keywords.get(place as usize));
        keyword.map_or_else(|| format!("unknown-{letter}"), |name| escape(name))
    }

    /// True where the index has the keyword of a letter for the `nth` message.
    pub(in super::super) fn has_indexed(&self, nth: usize, letter: u32) -> bool {
        let place = self.letters.get(letter as usize).copied().flatten();
        let indexed = self.index.as_ref().zip(self.in_index(nth));
        let bits = indexed.map(|(index, at)| index.keywords_of(at));
        let mut known = bits.into_iter().flatten();
        known.any(|bit| {
            let known = self.indexed.get(bit as usize);
            known.is_some_and(|known| Some(known.place) == place)
        })
    }

    pub(super) fn flags_and_keywords(
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
}
