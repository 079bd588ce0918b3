//! Messages that only one side has in a place: whether the other side has them in another place shows at
//! the end of the account.
//!
//! ```text
//! source       INBOX 3 = a    INBOX 5 = b    Work 9 = c
//! destination  INBOX 3 = b    INBOX 5 = a    Sent 2 = c
//!              '----- message.uid -----'     message.moved
//! ```
//! Of each only 16 bytes of its digest and its place are held, and of no more than [`MOST`] a side. Beyond
//! that they are said to be missing or extra without being looked for, and that is said too.

use std::cmp::Ordering;

use serde_json::{Value, json};

use crate::digest::Digest;
use crate::model::Uid;
use crate::report::catalogue::ACCOUNT_MOVES;
use crate::report::{Finding, Place};

use super::compare::{Differs, difference};
use crate::report::Difference;

/// So many are held, of each side.
pub const MOST: usize = 400_000;

/// What tells that two messages are the same one.
pub type Key = [u8; 16];

/// The first bytes of a digest.
pub fn key(digest: &Digest) -> Key {
    let mut key = Key::default();
    key.copy_from_slice(&digest[..16]);
    key
}

/// A message that one side has in this place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Stray {
    key: Key,
    mailbox: u32,
    uid: Uid,
    /// The other side has another message in this place.
    taken: bool,
    /// The mailbox as a whole is only here, which is said of it and not of its messages.
    with_mailbox: bool,
}

/// Those of both sides.
#[derive(Debug, Default)]
pub struct Strays {
    names: Vec<String>,
    sides: [Vec<Stray>; 2],
    /// There were more.
    overflow: bool,
    /// Keys are of GUIDs, because contents are not read.
    by_guid: bool,
}

/// How a stray came to be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Nothing is in its place on the other side.
    Alone,
    /// Another message is there.
    Taken,
    /// The other side has no such mailbox.
    NoMailbox,
}

impl Strays {
    /// None yet; told apart by their GUIDs, or by their contents.
    pub fn new(by_guid: bool) -> Self {
        Self {
            by_guid,
            ..Self::default()
        }
    }

    /// The mailbox that the next ones are in.
    pub fn mailbox(&mut self, shown: String) {
        self.names.push(shown);
    }

    /// A message of the source (0) or the destination (1). What has no room is a difference at once.
    pub fn add(&mut self, side: usize, key: Key, uid: Uid, why: Why) -> Option<Difference> {
        let mailbox = u32::try_from(self.names.len().saturating_sub(1)).unwrap_or(u32::MAX);
        let stray = Stray {
            key,
            mailbox,
            uid,
            taken: why == Why::Taken,
            with_mailbox: why == Why::NoMailbox,
        };
        if self.sides[side].len() < MOST {
            self.sides[side].push(stray);
            return None;
        }
        self.overflow = true;
        (!stray.with_mailbox).then(|| self.alone(side, &stray))
    }

    /// Says where some were not looked for.
    pub fn not_looked_for(&self) -> Option<Finding> {
        let detail = format!("more than {MOST} on one side");
        self.overflow.then(|| Finding::new(&ACCOUNT_MOVES, detail))
    }

    fn place(&self, stray: &Stray) -> Place {
        Place {
            mailbox: self.names.get(stray.mailbox as usize).cloned(),
            uid: Some(stray.uid.get()),
            path: None,
        }
    }

    fn alone(&self, side: usize, stray: &Stray) -> Difference {
        let differs: Differs = match side {
            0 => ("message.missing", json!(true), Value::Null),
            _ => ("message.extra", Value::Null, json!(true)),
        };
        difference(self.place(stray), differs)
    }

    /// What became of them, in the order of their places.
    pub fn resolve(mut self) -> Vec<Difference> {
        let [mut source, mut destination] = std::mem::take(&mut self.sides);
        let mut found = self.pair(&mut source, &mut destination);
        // What is left has no counterpart: two in one place are one message whose content is not the same.
        // Without UIDs, places are made up, and two may have one by chance: then neither is taken.
        let place = |stray: &Stray| (stray.mailbox, stray.uid);
        source.sort_unstable_by_key(place);
        destination.sort_unstable_by_key(place);
        let (mut one, mut other) = (source.iter().peekable(), destination.iter().peekable());
        loop {
            let order = match (one.peek(), other.peek()) {
                (Some(a), Some(b)) => place(a).cmp(&place(b)),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => break,
            };
            let left = match order {
                Ordering::Less => one.next().map(|stray| (0, stray)),
                Ordering::Greater => other.next().map(|stray| (1, stray)),
                Ordering::Equal if one.peek().is_some_and(|stray| !stray.taken) => {
                    one.next().map(|stray| (0, stray))
                }
                Ordering::Equal => {
                    let pair = one.next().zip(other.next());
                    found.extend(pair.map(|(a, b)| (place(a), self.changed(a, b))));
                    continue;
                }
            };
            let left = left.filter(|(_, stray)| !stray.with_mailbox);
            found.extend(left.map(|(side, stray)| (place(stray), self.alone(side, stray))));
        }
        found.sort_by_key(|(place, _)| *place);
        found
            .into_iter()
            .map(|(_, difference)| difference)
            .collect()
    }

    fn changed(&self, one: &Stray, other: &Stray) -> Difference {
        let shown = |stray: &Stray| json!({"digest": data_encoding::HEXLOWER.encode(&stray.key)});
        let code = if self.by_guid {
            "message.guid"
        } else {
            "message.content"
        };
        let differs = (code, shown(one), shown(other));
        difference(self.place(one), differs)
    }

    /// Takes out those that are on both sides, in another place.
    fn pair(
        &self,
        source: &mut Vec<Stray>,
        destination: &mut Vec<Stray>,
    ) -> Vec<((u32, Uid), Difference)> {
        source.sort_unstable();
        destination.sort_unstable();
        let mut found = Vec::new();
        let (mut left, mut left_there) = (Vec::new(), Vec::new());
        let (mut from, mut there_from) = (0, 0);
        while from < source.len() && there_from < destination.len() {
            let key = source[from].key.min(destination[there_from].key);
            let mut here = run(source, &mut from, key);
            let mut there = run(destination, &mut there_from, key);
            for (one, other) in pairs(&mut here, &mut there) {
                found.push(((one.mailbox, one.uid), self.moved(&one, &other)));
            }
            left.append(&mut here);
            left_there.append(&mut there);
        }
        left.extend_from_slice(&source[from..]);
        left_there.extend_from_slice(&destination[there_from..]);
        (*source, *destination) = (left, left_there);
        found
    }

    fn moved(&self, one: &Stray, other: &Stray) -> Difference {
        let exchanged = one.mailbox == other.mailbox && one.taken && other.taken;
        let code = if exchanged {
            "message.uid"
        } else {
            "message.moved"
        };
        let shown = |stray: &Stray| {
            let mailbox = self.names.get(stray.mailbox as usize);
            json!({"mailbox": mailbox, "uid": stray.uid.get()})
        };
        difference(self.place(one), (code, shown(one), shown(other)))
    }
}

/// Those with this key, from `from` on.
fn run(all: &[Stray], from: &mut usize, key: Key) -> Vec<Stray> {
    let start = *from;
    while all.get(*from).is_some_and(|stray| stray.key == key) {
        *from += 1;
    }
    all[start..*from].to_vec()
}

/// Pairs of one content: in the same mailbox first, then in order.
fn pairs(here: &mut Vec<Stray>, there: &mut Vec<Stray>) -> Vec<(Stray, Stray)> {
    let mut found = Vec::new();
    for same_mailbox in [true, false] {
        here.retain(|one| {
            let fits = |other: &Stray| !same_mailbox || other.mailbox == one.mailbox;
            match there.iter().position(fits) {
                Some(nth) => {
                    found.push((*one, there.remove(nth)));
                    false
                }
                None => true,
            }
        });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(strays: &[(usize, u8, u32, Why)]) -> Vec<(&'static str, String)> {
        let mut all = Strays::default();
        all.mailbox("INBOX".into());
        for (side, key, uid, why) in strays {
            let uid = Uid::new(*uid).unwrap();
            assert_eq!(all.add(*side, [*key; 16], uid, *why), None);
        }
        let told = all.resolve().into_iter();
        told.map(|difference| (difference.code, difference.place.to_string()))
            .collect()
    }

    #[test]
    fn two_that_have_each_others_uid_are_not_two_changed_contents() {
        let taken = Why::Taken;
        let swapped = [
            (0, 1, 3, taken),
            (1, 2, 3, taken),
            (0, 2, 5, taken),
            (1, 1, 5, taken),
        ];
        let wanted = [
            ("message.uid", "INBOX uid 3".into()),
            ("message.uid", "INBOX uid 5".into()),
        ];
        assert_eq!(resolved(&swapped), wanted);
    }

    #[test]
    fn a_moved_message_is_neither_missing_nor_extra() {
        let moved = [
            (0, 1, 3, Why::Alone),
            (1, 1, 9, Why::Alone),
            (0, 2, 4, Why::Alone),
        ];
        let wanted = [
            ("message.moved", "INBOX uid 3".into()),
            ("message.missing", "INBOX uid 4".into()),
        ];
        assert_eq!(resolved(&moved), wanted);
    }

    #[test]
    fn another_message_in_the_same_place_is_another_content() {
        let changed = [
            (0, 1, 3, Why::Taken),
            (1, 2, 3, Why::Taken),
            (1, 7, 8, Why::Alone),
        ];
        let wanted = [
            ("message.content", "INBOX uid 3".into()),
            ("message.extra", "INBOX uid 8".into()),
        ];
        assert_eq!(resolved(&changed), wanted);
    }

    #[test]
    fn a_place_that_two_have_by_chance_makes_them_no_one_message() {
        let apart = [(0, 1, 3, Why::Alone), (1, 2, 3, Why::Alone)];
        let wanted = [
            ("message.missing", "INBOX uid 3".into()),
            ("message.extra", "INBOX uid 3".into()),
        ];
        assert_eq!(resolved(&apart), wanted);
    }

    #[test]
    fn copies_are_paired_one_by_one() {
        let copies = [
            (0, 1, 3, Why::Alone),
            (0, 1, 4, Why::Alone),
            (1, 1, 9, Why::Alone),
        ];
        let wanted = [
            ("message.moved", "INBOX uid 3".into()),
            ("message.missing", "INBOX uid 4".into()),
        ];
        assert_eq!(resolved(&copies), wanted);
    }

    #[test]
    fn beyond_what_is_held_a_message_is_missing_at_once_and_that_is_said() {
        let mut all = Strays::default();
        all.mailbox("INBOX".into());
        let mut add = |nth: usize| {
            let uid = Uid::new(u32::try_from(nth + 1).unwrap()).unwrap();
            all.add(0, [7; 16], uid, Why::Alone)
        };
        assert!((0..MOST).all(|nth| add(nth).is_none()));
        let told = add(MOST).expect("there is no room for it");
        assert_eq!(told.code, "message.missing");
        assert_eq!(told.place.to_string(), "INBOX uid 400001");
        let finding = all.not_looked_for().expect("it is said");
        assert_eq!(finding.rule.code, "account.moves");
        assert_eq!(finding.detail, "more than 400000 on one side");
        assert!(Strays::default().not_looked_for().is_none());
    }
}
