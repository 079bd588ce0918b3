//! Messages that seem to differ: each is read once more before it is said. A side may change while it is
//! read, and what does not hold still is a finding, never a difference.

use std::collections::BTreeMap;

use super::compare;
use super::join::Join;
use super::strays::Why;
use super::terms::Terms;
use crate::error::Result;
use crate::format::tally::{Body, MessagePrint};
use crate::model::{MailboxName, Uid};
use crate::report::Finding;
use crate::report::catalogue::MESSAGE_CHANGED;

/// So many are held before they are looked at again.
pub const MOST: usize = 16 * 1024;

/// What each side has at a UID.
type Pair = [Option<MessagePrint>; 2];

/// Those of a mailbox that are to be looked at again.
#[derive(Debug, Default)]
pub struct Suspects(Vec<Pair>);

impl Suspects {
    /// Takes in what seems to differ.
    pub fn look(&mut self, one: Option<MessagePrint>, other: Option<MessagePrint>, terms: &Terms) {
        let pair = [one, other];
        if seems_to_differ(pair.each_ref().map(Option::as_ref), terms) {
            self.0.push(pair);
        }
    }

    /// They are to be settled now.
    pub fn is_full(&self) -> bool {
        self.0.len() >= MOST
    }
}

/// True for what is to be looked at again.
pub fn seems_to_differ(pair: [Option<&MessagePrint>; 2], terms: &Terms) -> bool {
    let [Some(one), Some(other)] = pair else {
        return true;
    };
    in_doubt(one) || in_doubt(other) || !compare::messages(one, other, terms).is_empty()
}

/// It could not be read, and why was no error: it may be there at the second look.
fn in_doubt(print: &MessagePrint) -> bool {
    matches!(print.body, Body::Unread { said: false, .. })
}

/// Two messages that are not one: neither their identities nor their contents are the same.
fn are_two(one: &MessagePrint, other: &MessagePrint, terms: &Terms) -> bool {
    let guids = one.envelope.as_ref().zip(other.envelope.as_ref());
    let other_guid = guids.is_some_and(|(one, other)| {
        let kept = terms.id_is_kept(&one.guid) && terms.id_is_kept(&other.guid);
        kept && one.guid != other.guid
    });
    let other_content = match (&one.body, &other.body) {
        (Body::Read(one), Body::Read(other)) => one.content != other.content,
        _ => true,
    };
    other_guid && other_content
}

impl Join<'_> {
    /// Looks at them again, and says what differs then.
    pub(super) fn settle(&mut self, suspects: Suspects, name: &MailboxName) -> Result<()> {
        if suspects.0.is_empty() {
            return Ok(());
        }
        let uids: Vec<Uid> = suspects.0.iter().filter_map(uid_of).collect();
        let mut again = [None, None];
        for (side, again) in again.iter_mut().enumerate() {
            *again = self.look_again(side, &uids)?;
        }
        for mut pair in suspects.0 {
            let Some(uid) = uid_of(&pair) else { continue };
            let mut moved = false;
            for (side, again) in again.iter_mut().enumerate() {
                if let Some(prints) = again {
                    let now = prints.remove(&uid);
                    moved |= now != pair[side];
                    pair[side] = now;
                }
            }
            self.tell(&pair, moved, uid, name);
        }
        Ok(())
    }

    /// What a side has at these UIDs now; `None` where it cannot have changed.
    fn look_again(
        &mut self,
        side: usize,
        uids: &[Uid],
    ) -> Result<Option<BTreeMap<Uid, MessagePrint>>> {
        if !self.sides[side].is_live() {
            return Ok(None);
        }
        self.sides[side].again();
        let prints = self.sides[side].reread(uids)?.into_iter();
        Ok(Some(prints.map(|print| (print.uid, print)).collect()))
    }

    /// Says what differs at the second look; `moved` where that was not the same as the first.
    pub(super) fn tell(&mut self, pair: &Pair, moved: bool, uid: Uid, name: &MailboxName) {
        if !seems_to_differ(pair.each_ref().map(Option::as_ref), &self.terms) {
            return;
        }
        let doubt = pair.iter().flatten().any(in_doubt);
        match pair {
            [None, None] => {}
            _ if moved || doubt => {
                let detail = "it was read twice, and was not the same";
                let detail = if moved { detail } else { "it cannot be read" };
                let finding = Finding::new(&MESSAGE_CHANGED, detail).uid(uid);
                self.teller.found(finding.mailbox(name));
            }
            [Some(one), Some(other)] if are_two(one, other, &self.terms) => {
                self.stray(0, one, Why::Taken);
                self.stray(1, other, Why::Taken);
            }
            [Some(one), Some(other)] => self.pair(name, one, other),
            [Some(one), None] => self.stray(0, one, Why::Alone),
            [None, Some(other)] => self.stray(1, other, Why::Alone),
        }
    }
}

fn uid_of(pair: &Pair) -> Option<Uid> {
    let mut there = pair.iter().flatten();
    there.next().map(|print| print.uid)
}
