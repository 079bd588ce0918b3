//! A mailbox without UIDs on one side: its messages are matched by name, then by content, and what seems to
//! differ is looked at again, as it is where there are UIDs.
//!
//! What is on one side only may have come to the other since: at the second look each name is counted on both
//! sides. Only as many as one side has more are missing or extra.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use super::join::Join;
use super::suspects::{MOST, seems_to_differ};
use super::waiting::{Named, NamedPair, Waiting, in_order};
use crate::error::Result;
use crate::format::tally::MessagePrint;
use crate::model::{MailboxName, Uid};

/// What a side has at the second look.
#[derive(Default)]
struct Again {
    by_uid: BTreeMap<Uid, MessagePrint>,
    by_name: HashMap<String, Vec<MessagePrint>>,
}

impl Again {
    fn count(&self, name: &str) -> usize {
        self.by_name.get(name).map_or(0, Vec::len)
    }
}

/// What each side has now; `None` for one that cannot have changed.
type Both = [Option<Again>; 2];

impl Join<'_> {
    /// Compares a mailbox; `made_up` says on which sides UIDs are only places in a list.
    pub(super) fn by_name(&mut self, name: &MailboxName, made_up: [bool; 2]) -> Result<()> {
        let (mut waiting, mut suspects) = (Waiting::default(), Vec::new());
        let mut prints = VecDeque::new();
        loop {
            let mut any = false;
            for side in 0..2 {
                any |= self.sides[side].more(&mut prints)?;
                for print in prints.drain(..) {
                    let named = self.named(side, print);
                    let met = waiting.meet(side, named);
                    suspects.extend(met.filter(|pair| self.is_suspect(pair)));
                }
            }
            if !any {
                break;
            }
            if suspects.len() >= MOST {
                self.settle_named(std::mem::take(&mut suspects), made_up, name)?;
            }
        }
        let rest = waiting.rest().into_iter();
        suspects.extend(rest.filter(|pair| self.is_suspect(pair)));
        self.settle_named(suspects, made_up, name)
    }

    fn named(&self, side: usize, print: MessagePrint) -> Named {
        let name = match &print.envelope {
            Some(envelope) => Some(envelope.guid.clone()),
            None => self.sides[side].known_as(print.uid),
        };
        Named { name, print }
    }

    fn is_suspect(&self, pair: &NamedPair) -> bool {
        let prints = pair
            .each_ref()
            .map(|named| named.as_ref().map(|it| &it.print));
        seems_to_differ(prints, &self.terms)
    }

    fn settle_named(
        &mut self,
        suspects: Vec<NamedPair>,
        made_up: [bool; 2],
        name: &MailboxName,
    ) -> Result<()> {
        if suspects.is_empty() {
            return Ok(());
        }
        let mut again = [None, None];
        for (side, again) in again.iter_mut().enumerate() {
            *again = self.named_again(side, &suspects, made_up[side])?;
        }
        // How many of a name one side has more than the other.
        let mut more: HashMap<String, usize> = HashMap::new();
        for pair in suspects {
            let Some(uid) = pair.iter().flatten().next().map(|named| named.print.uid) else {
                continue;
            };
            let before = pair
                .each_ref()
                .map(|it| it.as_ref().map(|it| it.print.clone()));
            let now = match pair {
                [Some(one), None] => alone(0, one, &mut again, made_up, &mut more),
                [None, Some(other)] => alone(1, other, &mut again, made_up, &mut more),
                [one, other] => [
                    one.and_then(|one| again_of(&one, again[0].as_ref(), made_up[0])),
                    other.and_then(|other| again_of(&other, again[1].as_ref(), made_up[1])),
                ],
            };
            let moved = now != before;
            self.tell(&now, moved, uid, name);
        }
        Ok(())
    }

    /// Looks at a side again: its own messages by UID where it has UIDs; by name the rest, and those that
    /// are on one side only.
    fn named_again(
        &mut self,
        side: usize,
        suspects: &[NamedPair],
        made_up: bool,
    ) -> Result<Option<Again>> {
        if !self.sides[side].is_live() {
            return Ok(None);
        }
        let (mut names, mut uids) = (BTreeSet::new(), BTreeSet::new());
        for pair in suspects {
            if let Some(own) = &pair[side] {
                uids.insert(own.print.uid);
            }
            let is_alone = pair.iter().flatten().count() == 1;
            if is_alone || made_up {
                names.extend(pair.iter().flatten().filter_map(|named| named.name.clone()));
            }
        }
        self.sides[side].again();
        let mut again = Again::default();
        if !made_up {
            let uids: Vec<_> = uids.into_iter().collect();
            let prints = self.sides[side].reread(&uids)?.into_iter();
            again.by_uid = prints.map(|print| (print.uid, print)).collect();
        }
        if !names.is_empty() {
            for (name, print) in self.sides[side].reread_named(&names)? {
                again.by_name.entry(name).or_default().push(print);
            }
        }
        Ok(Some(again))
    }
}

/// What a message is at the second look. Without a name or a UID it cannot be found again, and is what it was.
fn again_of(named: &Named, again: Option<&Again>, made_up: bool) -> Option<MessagePrint> {
    match (again, &named.name) {
        (Some(again), _) if !made_up => again.by_uid.get(&named.print.uid).cloned(),
        (Some(again), Some(name)) => again.by_name.get(name).and_then(|all| all.first()).cloned(),
        _ => Some(named.print.clone()),
    }
}

/// A message that only `side` had: it may have gone since, or come to the other side.
fn alone(
    side: usize,
    named: Named,
    again: &mut Both,
    made_up: [bool; 2],
    more: &mut HashMap<String, usize>,
) -> [Option<MessagePrint>; 2] {
    let own = again_of(&named, again[side].as_ref(), made_up[side]);
    let both_live = again.iter().all(Option::is_some);
    let (Some(_), Some(name), true) = (&own, named.name, both_live) else {
        return in_order(side, [own, None]);
    };
    let count = |side: usize| again[side].as_ref().map_or(0, |again| again.count(&name));
    let (here, there) = (count(side), count(1 - side));
    let left = more
        .entry(name.clone())
        .or_insert(here.saturating_sub(there));
    if *left > 0 {
        *left -= 1;
        return in_order(side, [own, None]);
    }
    let there = again[1 - side].as_mut();
    let came = there.and_then(|again| again.by_name.get_mut(&name)?.pop());
    in_order(side, [own, came])
}
