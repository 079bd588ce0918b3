//! The base name of a new message.
//!
//! ```text
//! GUID can be the name     the GUID itself              1577900060.M1P100.lab,S=179,W=187
//! else a name is made      SECONDS.M<uid>P<mailbox>.mailtally,S=..,W=..     and the uidlist has the GUID
//!   that is taken          SECONDS.M<uid>P<mailbox>Q1.mailtally,S=..,W=..
//! ```
//! The GUID can be the name where it says the right sizes, no other message has it, and it is a name that
//! every program takes for a message's. A made name is a function of received date, UID and mailbox, and
//! names of one second are in UID order to Dovecot (`filename::arrival_order`).

use std::collections::HashSet;

use bstr::BString;

use super::filename::{base, size};
use super::listing::is_no_message;
use crate::digest::Facts;
use crate::model::{Flags, Mailbox, Message};

/// A file name is not longer.
const LONGEST: usize = 255;
/// `:2,`, five flags and 26 keyword letters.
const LONGEST_INFO: usize = 34;

/// Sizes as names tell them: what is not known is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sizes {
    physical: Option<u64>,
    virtual_size: Option<u64>,
}

impl Sizes {
    /// Of the plain message. Of ciphertext they are what the source told; where it told none, its reader
    /// took the size of the ciphertext.
    pub(super) fn of(message: &Message, facts: &Facts) -> Self {
        match message.sealed {
            None => Self {
                physical: Some(facts.size),
                virtual_size: Some(facts.virtual_size),
            },
            Some((plain, virtual_size)) => Self {
                physical: Some(plain).filter(|plain| *plain != facts.size),
                virtual_size,
            },
        }
    }

    fn are_told_by(self, name: &[u8]) -> bool {
        size(name, b'S') == self.physical && size(name, b'W') == self.virtual_size
    }

    fn text(self) -> String {
        let part = |key, size: Option<u64>| size.map(|size| format!(",{key}={size}"));
        let parts = [part("S", self.physical), part("W", self.virtual_size)];
        parts.into_iter().flatten().collect()
    }
}

/// Which name a message got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Choice {
    /// Its GUID.
    Guid,
    /// The nth that could be made.
    Made(u32),
}

impl Choice {
    /// As a number.
    pub(super) fn number(self) -> u64 {
        match self {
            Self::Guid => 0,
            Self::Made(nth) => 1 + u64::from(nth),
        }
    }

    /// Of that number.
    pub(super) fn of_number(number: u64) -> Self {
        match number.checked_sub(1) {
            None => Self::Guid,
            Some(nth) => Self::Made(u32::try_from(nth).unwrap_or(u32::MAX)),
        }
    }
}

/// The names of one mailbox.
#[derive(Debug)]
pub(super) struct BaseNames {
    /// Stands for the mailbox in made names.
    mailbox: u64,
    /// Hashes of those that are taken: few bytes a message.
    taken: HashSet<u64>,
}

impl BaseNames {
    /// No name is taken.
    pub(super) fn of(mailbox: &Mailbox) -> Self {
        let mut bytes = mailbox.guid.bytes().to_vec();
        bytes.extend_from_slice(mailbox.name.to_string().as_bytes());
        Self {
            mailbox: hash(&bytes) >> 16,
            taken: HashSet::new(),
        }
    }

    /// Takes a name for a message. Called in UID order, so that the names are the same at every run.
    pub(super) fn take(&mut self, message: &Message, sizes: Sizes) -> Choice {
        if can_be_name(&message.guid, sizes) && self.taken.insert(hash(&message.guid)) {
            return Choice::Guid;
        }
        let mut made = (0..).map(Choice::Made);
        made.find(|choice| self.taken.insert(hash(&self.name(*choice, message, sizes))))
            .expect("BUG: numbered names do not run out")
    }

    /// The name that was taken.
    pub(super) fn name(&self, choice: Choice, message: &Message, sizes: Sizes) -> BString {
        let Choice::Made(nth) = choice else {
            return message.guid.clone();
        };
        let seconds = message.received.clamp(0, i64::from(u32::MAX));
        let (uid, mailbox) = (message.uid, self.mailbox);
        let again = if nth == 0 {
            String::new()
        } else {
            format!("Q{nth}")
        };
        let sizes = sizes.text();
        format!("{seconds}.M{uid}P{mailbox}{again}.mailtally{sizes}").into()
    }
}

fn hash(bytes: &[u8]) -> u64 {
    let hash = blake3::hash(bytes);
    let mut first = [0; 8];
    first.copy_from_slice(&hash.as_bytes()[..8]);
    u64::from_le_bytes(first)
}

fn can_be_name(guid: &[u8], sizes: Sizes) -> bool {
    let harmless = |byte: &u8| byte.is_ascii_graphic() && *byte != b'/';
    !guid.is_empty()
        && guid.len() + LONGEST_INFO <= LONGEST
        && guid.iter().all(harmless)
        && base(guid).len() == guid.len()
        && !guid.starts_with(b".")
        && !is_no_message(guid)
        && sizes.are_told_by(guid)
}

/// What stands behind the base name: flags, then keyword letters, in ASCII order. A message in `new/`
/// has it only where there is something to say.
pub(super) fn info(message: &Message, recent: bool) -> String {
    const FLAGS: [(Flags, char); 5] = [
        (Flags::DRAFT, 'D'),
        (Flags::FLAGGED, 'F'),
        (Flags::ANSWERED, 'R'),
        (Flags::SEEN, 'S'),
        (Flags::DELETED, 'T'),
    ];
    let held = FLAGS
        .iter()
        .filter(|(flag, _)| message.flags.contains(*flag));
    let mut letters: String = held.map(|(_, letter)| letter).collect();
    let keywords = message.keywords.iter();
    let mut keywords: Vec<_> = keywords.filter_map(|place| letter(*place)).collect();
    keywords.sort_unstable();
    letters.extend(keywords);
    if recent && letters.is_empty() {
        String::new()
    } else {
        format!(":2,{letters}")
    }
}

/// The letter of a keyword.
fn letter(place: u32) -> Option<char> {
    let letter = u8::try_from(place).ok()?.checked_add(b'a')?;
    letter.is_ascii_lowercase().then(|| char::from(letter))
}

#[cfg(test)]
mod tests {
    use super::super::filename::arrival_order;
    use super::*;
    use crate::model::{MailboxGuid, MailboxName, Uid, UidValidity};
    use std::cmp::Ordering;

    fn message(uid: u32, guid: &str) -> Message {
        Message {
            uid: Uid::new(uid).unwrap(),
            flags: Flags::NONE,
            keywords: Vec::new(),
            received: 1_500_000_000,
            saved: None,
            guid: guid.into(),
            pop3_uidl: None,
            pop3_order: None,
            sealed: None,
        }
    }

    fn names() -> BaseNames {
        BaseNames::of(&Mailbox {
            name: MailboxName::inbox(),
            selectable: true,
            guid: MailboxGuid::new([1; 16]).unwrap(),
            uidvalidity: UidValidity::ONE,
            uidnext: 10,
            first_recent: 1,
            highest_modseq: 1,
            keywords: Vec::new(),
            acl: None,
        })
    }

    const SIZES: Sizes = Sizes {
        physical: Some(179),
        virtual_size: Some(187),
    };

    #[test]
    fn a_guid_that_can_be_the_name_is_the_name() {
        let guid = "1577900060.M1P100.lab,S=179,W=187";
        let one = message(1, guid);
        let mut names = names();
        assert_eq!(names.take(&one, SIZES), Choice::Guid);
        assert_eq!(names.name(Choice::Guid, &one, SIZES), guid);
        // A copy in the same mailbox has the same GUID.
        let copy = message(2, guid);
        assert_eq!(names.take(&copy, SIZES), Choice::Made(0));
    }

    #[test]
    fn a_guid_that_cannot_be_the_name_gets_a_made_one() {
        let long = format!("{},S=179,W=187", "x".repeat(220));
        for guid in [
            "101112131415161718191a1b1c1d1e1f",
            "1577900060.M1P100.lab",
            "1577900060.M1P100.lab,S=179",
            "1577900060.M1P100.lab,S=178,W=187",
            ".1577900060.M1P100.lab,S=179,W=187",
            "a/b,S=179,W=187",
            "a:b,S=179,W=187",
            "a b,S=179,W=187",
            "dovecot,S=179,W=187",
            &long,
            "",
        ] {
            assert_eq!(
                names().take(&message(1, guid), SIZES),
                Choice::Made(0),
                "{guid}"
            );
        }
    }

    #[test]
    fn made_names_are_in_uid_order_and_never_given_twice() {
        let mut names = names();
        let (one, other) = (message(9, ""), message(10, ""));
        let first = names.name(Choice::Made(0), &one, SIZES);
        let second = names.name(Choice::Made(0), &other, SIZES);
        assert!(first.starts_with(b"1500000000.M9P"));
        assert!(first.ends_with(b".mailtally,S=179,W=187"), "{first}");
        assert_eq!(arrival_order(&first, &second), Ordering::Less);
        // Another message had that name for its GUID.
        assert_eq!(
            names.take(&message(1, &first.to_string()), SIZES),
            Choice::Guid
        );
        assert_eq!(names.take(&one, SIZES), Choice::Made(1));
        let third = names.name(Choice::Made(1), &one, SIZES);
        assert_ne!(third, first);
        for choice in [Choice::Guid, Choice::Made(0), Choice::Made(7)] {
            assert_eq!(Choice::of_number(choice.number()), choice);
        }
    }

    #[test]
    fn sizes_of_ciphertext_are_those_that_the_source_told() {
        let facts = crate::digest::Measured::new(Box::new(&b"CRYPTED\x03\x07 and so on"[..]));
        let facts = facts.drain().unwrap();
        let mut sealed = message(1, "x,S=5");
        sealed.sealed = Some((5, None));
        let sizes = Sizes::of(&sealed, &facts);
        assert_eq!(sizes.text(), ",S=5");
        assert_eq!(names().take(&sealed, sizes), Choice::Guid);
        sealed.sealed = Some((facts.size, None));
        assert_eq!(Sizes::of(&sealed, &facts).text(), "");
    }

    #[test]
    fn flags_and_letters_are_in_ascii_order() {
        let mut all = message(1, "");
        all.flags = Flags::ALL;
        all.keywords = vec![25, 0, 3];
        assert_eq!(info(&all, false), ":2,DFRSTadz");
        assert_eq!(info(&all, true), ":2,DFRSTadz");
        assert_eq!(info(&message(1, ""), false), ":2,");
        assert_eq!(info(&message(1, ""), true), "");
        assert!(info(&all, false).len() <= LONGEST_INFO);
    }
}
