//! `dovecot-uidlist` and its forebears: which base name has which UID.
//!
//! ```text
//! 3 V1795325026 N12 G872ee00e617c026b541f000083ecc375      version 3
//! 5 G101112131415161718191a1b1c1d1e1f W187 :1577900060.M1P100.host
//!
//! 1 1795325026 12                                          version 1, also Courier's
//! 5 1577900060.M1P100.host
//! ```
//! Sound lines keep their UIDs. Where UIDs are not in order, the longest run that is in order is
//! taken for sound, so that one wild number costs one message and not the rest of the mailbox.
//!
//! Source: Dovecot 2.3, `maildir-uidlist.c`.

mod write;

use std::ops::Range;

use bstr::ByteSlice;

pub use write::{header, row};

use super::filename::{base, number};
use crate::model::MailboxGuid;

/// UIDs end below this.
const TOO_HIGH: u64 = u32::MAX as u64;

/// What a uidlist says.
#[derive(Debug, Default)]
pub struct Uidlist {
    /// The version of the file.
    pub version: u8,
    /// UIDVALIDITY, where there is a sound one.
    pub uidvalidity: Option<u32>,
    /// The next UID as the header tells it; it may lag.
    pub next_uid: u32,
    /// The mailbox's identity.
    pub guid: Option<MailboxGuid>,
    /// Sound lines, UIDs ascending.
    pub rows: Vec<Row>,
    /// What is wrong.
    pub faults: Faults,
}

impl Uidlist {
    /// Above all UIDs that were given out, as far as the list tells: its header may lag.
    pub fn uidnext(&self) -> u32 {
        let highest = self.rows.last().map_or(0, |row| row.uid);
        self.next_uid.max(highest.saturating_add(1)).max(1)
    }
}

/// What is wrong with a uidlist.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Why the header is no header.
    pub header: Option<&'static str>,
    /// Lines that were left out: how many, and why the first.
    pub lines: u64,
    /// The number and fault of the first of them.
    pub first: Option<(usize, &'static str)>,
    /// Lines with words that are none, but sound otherwise: how many, and the number of the first.
    pub words: (u64, Option<usize>),
    /// The last line has no end.
    pub cut: bool,
}

impl Faults {
    fn line(&mut self, number: usize, why: &'static str) {
        self.lines += 1;
        self.first.get_or_insert((number, why));
    }
}

/// One line, as places in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The UID.
    pub uid: u32,
    /// The base name.
    pub base: Piece,
    /// The words between UID and name.
    pub words: Piece,
    line: u32,
}

/// A piece of the file, in few bytes: a large mailbox has many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    at: u32,
    len: u32,
}

impl Piece {
    fn of(range: Range<usize>) -> Option<Self> {
        Some(Self {
            at: u32::try_from(range.start).ok()?,
            len: u32::try_from(range.len()).ok()?,
        })
    }

    /// Where it is.
    pub fn range(self) -> Range<usize> {
        let at = self.at as usize;
        at..at + self.len as usize
    }
}

/// The header alone: what the account needs to know of every mailbox before one is opened.
pub fn read_header(bytes: &[u8]) -> Uidlist {
    let mut list = Uidlist::default();
    let line = bytes.split_inclusive(|byte| *byte == b'\n').next();
    let line = line.unwrap_or_default();
    match line.strip_suffix(b"\n") {
        Some(line) => list.header(line.strip_suffix(b"\r").unwrap_or(line)),
        None => list.cut_header(line),
    }
    list
}

/// Reads a whole list.
pub fn read(bytes: &[u8]) -> Uidlist {
    let mut list = Uidlist::default();
    if bytes.is_empty() {
        return list;
    }
    let mut at = 0;
    for (number, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let start = at;
        at += line.len();
        // Dovecot reads either line end.
        let ended = line.strip_suffix(b"\n");
        let whole = ended.map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let Some(whole) = whole else {
            list.faults.cut = true;
            if number == 0 {
                list.cut_header(line);
            }
            break;
        };
        if number == 0 {
            list.header(whole);
        } else {
            list.row(number + 1, start, whole);
        }
        if list.version == 0 {
            break; // its lines may mean anything
        }
    }
    list.put_in_order();
    list
}

impl Uidlist {
    fn header(&mut self, line: &[u8]) {
        let mut words = line.split(|byte| *byte == b' ');
        let version = words.next().unwrap_or(&[]);
        match version {
            b"3" => {
                self.version = 3;
                self.words_of_3(words);
            }
            b"1" => {
                self.version = 1;
                let mut next = || number32(words.next().unwrap_or(&[]));
                self.uidvalidity = next();
                self.next_uid = next().unwrap_or(0);
            }
            _ => {
                self.faults.header = Some("a version that is not known; no line is read");
                return;
            }
        }
        if self.uidvalidity.is_none() {
            self.faults.header = Some("no UIDVALIDITY; without an index clients load all again");
        } else if self.next_uid == 0 {
            self.faults.header = Some("no next UID");
        }
    }

    /// A header without its end: half a number is another one. Only what ends in a whole GUID is believed.
    fn cut_header(&mut self, line: &[u8]) {
        let last = line.rsplit(|byte| *byte == b' ').next();
        let guid = last.and_then(|word| word.strip_prefix(b"G"));
        if guid.and_then(MailboxGuid::from_hex).is_some() {
            self.header(line);
        }
    }

    fn words_of_3<'a>(&mut self, words: impl Iterator<Item = &'a [u8]>) {
        for word in words {
            match word.split_first() {
                Some((b'V', value)) => self.uidvalidity = number32(value),
                Some((b'N', value)) => self.next_uid = number32(value).unwrap_or(0),
                Some((b'G', value)) => {
                    self.guid = MailboxGuid::from_hex(value);
                    if self.guid.is_none() {
                        self.faults.header = Some("bad mailbox GUID");
                    }
                }
                _ => {}
            }
        }
    }

    fn row(&mut self, line_number: usize, start: usize, line: &[u8]) {
        match self.parse_row(start, line) {
            Ok(mut row) => {
                row.line = u32::try_from(line_number).unwrap_or(u32::MAX);
                let words = &line[row.words.at as usize - start..][..row.words.len as usize];
                if bad_words(words).next().is_some() {
                    self.faults.words.0 += 1;
                    self.faults.words.1.get_or_insert(line_number);
                }
                self.rows.push(row);
            }
            Err(why) => self.faults.line(line_number, why),
        }
    }

    fn parse_row(&self, start: usize, line: &[u8]) -> Result<Row, &'static str> {
        let digits = line.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let uid = number(&line[..digits]).ok_or("no UID")?;
        if uid == 0 || line.get(digits) != Some(&b' ') {
            return Err("no UID");
        }
        if uid >= TOO_HIGH {
            return Err("UID too high");
        }
        let mut name_at = digits + line[digits..].iter().take_while(|b| **b == b' ').count();
        let words = name_at;
        if self.version != 1 {
            name_at = words + name_behind_words(&line[words..]).ok_or("no file name")?;
        }
        let words_end = name_at.saturating_sub(1).max(words);
        let name = base(&line[name_at..]);
        if name.is_empty() || name.iter().any(|byte| matches!(byte, 0 | b'/')) {
            return Err("broken file name");
        }
        let place = |range| Piece::of(range).ok_or("beyond 4 GiB");
        Ok(Row {
            uid: u32::try_from(uid).map_err(|_| "UID too high")?,
            base: place(start + name_at..start + name_at + name.len())?,
            words: place(start + words..start + words_end)?,
            line: 0,
        })
    }

    /// Keeps the longest run of ascending UIDs; the others are faults.
    fn put_in_order(&mut self) {
        if self.rows.is_sorted_by(|one, next| one.uid < next.uid) {
            return;
        }
        let kept = longest_ascending(&self.rows);
        let mut kept = kept.into_iter().peekable();
        let rows = std::mem::take(&mut self.rows);
        for (nth, row) in rows.into_iter().enumerate() {
            if kept.next_if_eq(&nth).is_some() {
                self.rows.push(row);
            } else {
                self.faults.line(row.line as usize, "UIDs not ordered");
            }
        }
    }
}

/// Where the name begins: behind the first word that starts with a colon.
fn name_behind_words(rest: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        match rest.get(at)? {
            b':' => return Some(at + 1),
            _ => at += rest[at..].find_byte(b' ')? + 1,
        }
    }
}

fn number32(digits: &[u8]) -> Option<u32> {
    number(digits)
        .and_then(|value| u32::try_from(value).ok())
        .filter(|value| *value > 0)
}

/// Places of the longest strictly ascending run of UIDs (patience sorting).
fn longest_ascending(rows: &[Row]) -> Vec<usize> {
    let mut tops: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::with_capacity(rows.len());
    for (nth, row) in rows.iter().enumerate() {
        let pile = tops.partition_point(|top| rows[*top].uid < row.uid);
        before.push(pile.checked_sub(1).map(|left| tops[left]));
        if pile == tops.len() {
            tops.push(nth);
        } else {
            tops[pile] = nth;
        }
    }
    let mut run = Vec::with_capacity(tops.len());
    let mut next = tops.last().copied();
    while let Some(nth) = next {
        run.push(nth);
        next = before[nth];
    }
    run.reverse();
    run
}

/// Words of a line that a server takes out, or for which it throws the line away: those of all versions begin with a
/// capital letter.
pub fn bad_words(words: &[u8]) -> impl Iterator<Item = &[u8]> {
    let is_bad = |word: &&[u8]| word.first().is_some_and(|key| !key.is_ascii_uppercase());
    let words = words.split(|byte| *byte == b' ');
    words.filter(move |word| is_bad(word) || word.contains(&0))
}

/// The value of one word of a line; the first of several holds.
pub fn word(words: &[u8], key: u8) -> Option<&[u8]> {
    let mut words = words.split(|byte| *byte == b' ');
    words.find_map(|word| match word.split_first() {
        Some((first, value)) if *first == key && !value.contains(&0) => Some(value),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn listed(text: &str) -> (Vec<(u32, String)>, Faults) {
        let list = read(text.as_bytes());
        let name = |row: &Row| text[row.base.range()].to_owned();
        (
            list.rows.iter().map(|row| (row.uid, name(row))).collect(),
            list.faults,
        )
    }

    #[test]
    fn version_3_with_every_word() {
        let text = "3 V1795325026 N12 G872ee00e617c026b541f000083ecc375 Xfuture\n\
                    1 :a,S=1\n5 Gabc W187 P12.5 O7 Bx S9 :b c:2,S\n";
        let list = read(text.as_bytes());
        assert_eq!((list.uidvalidity, list.next_uid), (Some(1_795_325_026), 12));
        assert_eq!(
            list.guid.unwrap().to_string(),
            "872ee00e617c026b541f000083ecc375"
        );
        let row = &list.rows[1];
        assert_eq!(&text[row.base.range()], "b c");
        let words = text[row.words.range()].as_bytes();
        for (key, value) in [
            (b'G', "abc"),
            (b'W', "187"),
            (b'P', "12.5"),
            (b'O', "7"),
            (b'B', "x"),
        ] {
            assert_eq!(word(words, key), Some(value.as_bytes()));
        }
        assert_eq!(
            word(text[list.rows[0].words.range()].as_bytes(), b'G'),
            None
        );
        assert_eq!(list.faults, Faults::default());
    }

    #[test]
    fn version_1_as_courier_writes_it() {
        let (rows, faults) = listed("1 1234 9\n3 a:2,S\n7 b\n");
        assert_eq!(rows, [(3, "a".into()), (7, "b".into())]);
        assert_eq!(faults, Faults::default());
    }

    #[test]
    fn one_wild_uid_costs_one_message_and_not_the_rest() {
        let (rows, faults) = listed("3 V1 N9\n1 :a\n4000000000 :b\n2 :c\n3 :d\n");
        assert_eq!(rows.iter().map(|row| row.0).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(faults.first, Some((3, "UIDs not ordered")));
        assert_eq!(faults.lines, 1);
    }

    #[test]
    fn broken_lines_and_a_half_line_are_left_out() {
        let (rows, faults) =
            listed("3 V1 N9\n0 :a\nx :b\n3 :\n4 :a/b\n5 noname\n4294967295 :h\n6 :ok\n7 :hal");
        assert_eq!(rows, [(6, "ok".into())]);
        assert_eq!(faults.lines, 6);
        assert!(faults.cut);
    }

    #[test]
    fn a_line_with_a_word_that_is_none_keeps_its_uid() {
        for word in ["g1.M1.host", "\u{c7}1.M1.host", "41", "G1\0M1", "["] {
            let text = format!("3 V1 N9\n1 :a\n2 {word} W7 :b\n");
            let (rows, faults) = listed(&text);
            assert_eq!(rows, [(1, "a".into()), (2, "b".into())], "{word:?}");
            assert_eq!(faults.words, (1, Some(3)), "{word:?}");
            let line = text.as_bytes();
            let words = &line[read(line).rows[1].words.range()];
            let bad: Vec<_> = bad_words(words).collect();
            assert_eq!(bad, [word.as_bytes()]);
        }
    }

    #[test]
    fn either_line_end_is_read_as_dovecot_reads_it() {
        let (rows, faults) = listed("3 V1 N9 G000102030405060708090a0b0c0d0e0f\r\n1 :a\r\n");
        assert_eq!(rows, [(1, "a".into())]);
        assert_eq!(faults, Faults::default());
    }

    #[test]
    fn a_header_that_is_none_is_told() {
        assert!(read(b"2 V1 N2\n").faults.header.is_some());
        assert!(read(b"3 V0 N2\n").faults.header.is_some());
        assert!(read(b"3 V1\n").faults.header.is_some());
        assert!(read(b"3 V1 N2 Gzz\n").faults.header.is_some());
        assert!(read(b"").faults.header.is_none(), "empty is as if missing");
    }

    proptest! {
        #[test]
        fn any_bytes_give_ascending_uids_and_no_panic(bytes in proptest::collection::vec(
            prop_oneof![Just(b'\n'), Just(b' '), Just(b':'), Just(b'1'), Just(b'3'), any::<u8>()], 0..300)) {
            let list = read(&bytes);
            prop_assert!(list.rows.is_sorted_by(|a, b| a.uid < b.uid));
            for row in &list.rows {
                prop_assert!(!bytes[row.base.range()].is_empty());
                prop_assert!(row.words.range().end <= bytes.len());
            }
        }
    }
}
