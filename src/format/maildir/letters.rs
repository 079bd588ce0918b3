//! What a letter without a name stands for, as the index tells: it has the keywords of each message by name,
//! and the file names have their letters.
//!
//! ```text
//! uid 1  :2,Sc    index: Work               letter c has the same messages as Work, and no other
//! uid 2  :2,bc    index: Junk Work          keyword has them: c is Work. So has b those of Junk
//! uid 3  :2,de    index: $Label1 Later      d and e stand together on every message: either way is right
//! uid 4  :2,f     index: Old Lost           f stays without a name: it may be either, and only one is right
//! ```
//! The order of the index's names tells nothing. A server without dovecot-keywords gives letters in the order in
//! which it meets the names, and shows wrong ones (seen with Dovecot 2.3.19).

use bstr::BString;

use super::filename::LETTERS;
use crate::format::dovecot_index::INDEX;
use crate::report::escape;

const LETTER_COUNT: usize = LETTERS as usize;

/// On which messages letters and keywords of the index stand together.
#[derive(Debug, Default)]
pub(super) struct Letters {
    names: Vec<BString>,
    /// Messages by letter.
    with_letter: [u32; LETTER_COUNT],
    /// By keyword: its messages, and those that have a letter too.
    with_keyword: Vec<(u32, [u32; LETTER_COUNT])>,
    /// By letter: those that some message with it does not have.
    without: [u32; LETTER_COUNT],
}

impl Letters {
    /// The index has these keywords.
    pub(super) fn of(names: Vec<BString>) -> Self {
        let with_keyword = vec![(0, [0; LETTER_COUNT]); names.len()];
        Self {
            names,
            with_keyword,
            ..Self::default()
        }
    }

    /// A message with these letters, one a bit, whatever the index tells of it.
    pub(super) fn note(&mut self, letters: u32) {
        for letter in (0..LETTER_COUNT).filter(|letter| letters & (1 << letter) != 0) {
            self.without[letter] |= !letters;
        }
    }

    /// A message with these letters, one a bit, and keywords, by place among the names.
    pub(super) fn add(&mut self, letters: u32, keywords: impl Iterator<Item = u32>) {
        let has = |letter: &usize| letters & (1 << letter) != 0;
        for letter in (0..LETTER_COUNT).filter(has) {
            self.with_letter[letter] += 1;
        }
        for keyword in keywords {
            if let Some((all, with)) = self.with_keyword.get_mut(keyword as usize) {
                *all += 1;
                for letter in (0..LETTER_COUNT).filter(has) {
                    with[letter] += 1;
                }
            }
        }
    }

    /// The name of a letter, where it can be no other, or any of several is right; `named` are the names of all
    /// letters that have one.
    pub(super) fn name_of(&self, letter: usize, named: &[Option<BString>]) -> Option<&BString> {
        let names: Vec<_> = self.names_of(letter, named).collect();
        let peers = self.peers_of(letter, named);
        let mask = peers.iter().fold(0, |mask, peer| mask | 1 << peer);
        let are_together = peers.iter().all(|peer| self.without[*peer] & mask == 0);
        let at = peers.iter().position(|peer| *peer == letter)?;
        let is_told = peers.len() == names.len() && are_together;
        names.get(at).copied().filter(|_| is_told)
    }

    /// Letters without a name that have the messages of this one, and it itself: they may have each other's names.
    pub(super) fn peers_of(&self, letter: usize, named: &[Option<BString>]) -> Vec<usize> {
        let Some(name) = self.names_of(letter, named).next() else {
            return Vec::new();
        };
        let is_unnamed = |other: &usize| named.get(*other).is_none_or(Option::is_none);
        let may_be = |other: &usize| self.names_of(*other, named).any(|it| it == name);
        let all = (0..LETTER_COUNT).filter(is_unnamed);
        all.filter(may_be).collect()
    }

    /// Letters that have another name in the list than in the index, and that one.
    pub(super) fn contradicted(&self, named: &[Option<BString>]) -> Vec<(usize, &BString)> {
        let told = (0..LETTER_COUNT).filter_map(|letter| {
            let name = named.get(letter)?.as_ref()?;
            let mut names = self.names_of(letter, &[]);
            let told = names.next().filter(|_| names.next().is_none())?;
            (!told.eq_ignore_ascii_case(name)).then_some((letter, told))
        });
        let mut told: Vec<_> = told.collect();
        loop {
            let before = told.clone();
            told.retain(|(letter, name)| self.is_sure((*letter, name), named, &before));
            if told.len() == before.len() {
                return told;
            }
        }
    }

    /// No letter has the name that the index tells, and no keyword of the index that of the list; or two letters have
    /// each other's names, on more than two messages. An index that only lags behind tells neither.
    fn is_sure(
        &self,
        (letter, told): (usize, &BString),
        named: &[Option<BString>],
        all: &[(usize, &BString)],
    ) -> bool {
        let is = |one: &BString, other: &Option<BString>| {
            { other.as_ref() }.is_some_and(|other| other.eq_ignore_ascii_case(one))
        };
        let own = &named[letter];
        match named.iter().position(|name| is(told, name)) {
            None => !self.names.iter().any(|name| is(name, own)),
            Some(other) => {
                let is_swapped = all.iter().any(|(at, told)| *at == other && is(told, own));
                is_swapped && self.with_letter[letter] + self.with_letter[other] > 2
            }
        }
    }

    /// False where the index tells that a letter has another name than this.
    pub(super) fn allow(&self, letter: usize, name: &BString, named: &[Option<BString>]) -> bool {
        let mut told = self.names_of(letter, named).peekable();
        if told.peek().is_some() {
            return told.any(|it| it.eq_ignore_ascii_case(name));
        }
        let same = self.names.iter().zip(&self.with_keyword);
        let mut same = same.filter(|(it, _)| it.eq_ignore_ascii_case(name));
        same.all(|(_, (all, _))| *all == 0)
    }

    /// The names of which exactly the messages of the letter have the keyword.
    fn names_of<'l, 'n>(
        &'l self,
        letter: usize,
        named: &'n [Option<BString>],
    ) -> impl Iterator<Item = &'l BString> + use<'l, 'n> {
        let messages = self.with_letter[letter];
        let all = self.names.iter().zip(&self.with_keyword);
        let same = all.filter(move |(_, (all, with))| *all == messages && with[letter] == messages);
        let same = same.map(|(name, _)| name).filter(move |_| messages > 0);
        same.filter(|name| !is_named(named, name) && !is_made_up(name))
    }
}

/// Some letter has this name, whatever its case.
pub(super) fn is_named(named: &[Option<BString>], name: &[u8]) -> bool {
    let mut names = named.iter().flatten();
    names.any(|it| it.eq_ignore_ascii_case(name))
}

/// A server's name for a letter that had none.
fn is_made_up(name: &[u8]) -> bool {
    let number = name.strip_prefix(b"unknown-");
    number.is_some_and(|digits| !digits.is_empty() && digits.iter().all(u8::is_ascii_digit))
}

/// The name of a letter that the index tells.
#[derive(Debug)]
pub(super) struct Deduced {
    pub(super) name: BString,
    /// Other letters have the same messages.
    pub(super) has_peers: bool,
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

#[cfg(test)]
mod tests {
    use super::*;

    const A: usize = 0;
    const B: usize = 1;
    const C: usize = 2;

    /// Messages with letters and keywords; the names are `names`.
    fn letters(names: &[&str], messages: &[(&str, &[u32])]) -> Letters {
        let names = names.iter().map(|name| BString::from(*name));
        let mut letters = Letters::of(names.collect());
        for (of_name, keywords) in messages {
            let bits = of_name.bytes().map(|letter| 1 << (letter - b'a'));
            let bits = bits.sum();
            letters.note(bits);
            letters.add(bits, keywords.iter().copied());
        }
        letters
    }

    fn told(letters: &Letters, named: &[Option<BString>]) -> Vec<Option<String>> {
        let name = |letter| letters.name_of(letter, named).map(ToString::to_string);
        (0..3).map(name).collect()
    }

    #[test]
    fn a_letter_has_the_name_that_is_on_the_same_messages() {
        let letters = letters(
            &["Work", "Junk", "Old"],
            &[("c", &[0]), ("bc", &[0, 1]), ("", &[])],
        );
        let wanted = [None, Some("Junk".into()), Some("Work".into())];
        assert_eq!(told(&letters, &[]), wanted);
    }

    #[test]
    fn letters_that_are_together_everywhere_have_names_in_their_order() {
        let letters = letters(&["Work", "Junk"], &[("ab", &[0, 1]), ("", &[])]);
        let wanted = [Some("Work".into()), Some("Junk".into()), None];
        assert_eq!(told(&letters, &[]), wanted);
        let named = [Some("work".into())];
        let wanted = [None, Some("Junk".into()), None];
        assert_eq!(told(&letters, &named), wanted, "one of them is known");
        let (work, late) = ("Work".into(), "Late".into());
        assert!(letters.allow(B, &work, &[]));
        assert!(!letters.allow(B, &late, &[]), "the index has none such");
    }

    #[test]
    fn letters_that_are_apart_on_a_message_that_the_index_does_not_tell_are_not_told() {
        let mut letters = letters(&["Work", "Junk"], &[("ab", &[0, 1])]);
        letters.note(0b011);
        assert_eq!(told(&letters, &[])[A], Some("Work".into()));
        letters.note(0b110);
        assert_eq!(told(&letters, &[]), [None, None, None]);
    }

    #[test]
    fn more_names_than_letters_are_not_told_apart() {
        let of_two = letters(&["Work", "Junk", "Old"], &[("ab", &[0, 1, 2])]);
        assert_eq!(told(&of_two, &[]), [None, None, None]);
        let of_three = letters(&["Work", "Junk"], &[("abc", &[0, 1])]);
        assert_eq!(told(&of_three, &[]), [None, None, None]);
    }

    #[test]
    fn an_index_that_contradicts_the_names_tells_nothing() {
        let letters = letters(&["Work"], &[("a", &[0]), ("", &[0])]);
        assert_eq!(told(&letters, &[]), [None, None, None]);
        assert!(!letters.allow(A, &"Work".into(), &[]));
        assert!(letters.allow(A, &"Late".into(), &[]));
        assert!(!letters.allow(C, &"work".into(), &[]));
    }

    /// The letters of which list and index have other names.
    fn contradicted(letters: &Letters, list: &[&str]) -> Vec<(usize, String)> {
        let list = list.iter().map(|name| Some(BString::from(*name)));
        let told = letters.contradicted(&list.collect::<Vec<_>>());
        let told = told.into_iter();
        told.map(|(letter, name)| (letter, name.to_string()))
            .collect()
    }

    #[test]
    fn a_name_that_list_or_index_alone_have_is_a_contradiction() {
        let letters = letters(&["Work", "Junk"], &[("a", &[0]), ("b", &[1])]);
        assert_eq!(contradicted(&letters, &["work", "Junk"]), []);
        let wanted = [(A, "Work".to_owned())];
        assert_eq!(contradicted(&letters, &["4ork", "Junk"]), wanted);
    }

    #[test]
    fn two_names_that_are_swapped_are_a_contradiction_over_a_few_messages() {
        let few = letters(&["Work", "Junk"], &[("a", &[0]), ("b", &[1])]);
        assert_eq!(contradicted(&few, &["Junk", "Work"]), []);
        let more = [("a", &[0][..]), ("b", &[1]), ("b", &[1])];
        let letters = letters(&["Work", "Junk"], &more);
        let wanted = [(A, "Work".to_owned()), (B, "Junk".to_owned())];
        assert_eq!(contradicted(&letters, &["Junk", "Work"]), wanted);
    }

    #[test]
    fn an_index_that_lags_behind_is_no_contradiction() {
        let relabelled = letters(&["Work", "Junk"], &[("b", &[0]), ("b", &[0])]);
        assert_eq!(contradicted(&relabelled, &["Work", "Junk"]), []);
        assert_eq!(contradicted(&relabelled, &["Work", "New"]), []);
        let with_more = letters(&["Work"], &[("ab", &[0])]);
        assert_eq!(contradicted(&with_more, &["Work", "New"]), []);
    }

    #[test]
    fn what_a_server_made_up_is_no_name() {
        let letters = letters(&["unknown-0"], &[("a", &[0])]);
        assert_eq!(told(&letters, &[]), [None, None, None]);
    }
}
