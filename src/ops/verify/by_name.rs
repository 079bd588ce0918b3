//! Messages of a mailbox without UIDs: matched by name, then by content.
//!
//! Both sides come in the order of arrival, more or less: what has no counterpart yet waits for it, on
//! whichever side it came first. Memory is what waits, and of that no more than [`MOST`] a side; what waits
//! longest gives way and is said to be missing or extra.

use std::collections::{BTreeMap, HashMap};

use super::compare::dated;
use super::strays::{Key, key};
use crate::format::tally::{Body, MessagePrint};

/// So many wait, of each side.
const MOST: usize = 50_000;

/// What waits for its counterpart.
#[derive(Debug, Default)]
pub struct Waiting {
    sides: [Side; 2],
}

#[derive(Debug, Default)]
struct Side {
    /// In the order in which they came.
    prints: BTreeMap<u64, MessagePrint>,
    names: HashMap<String, u64>,
    came: u64,
}

impl Side {
    fn take(&mut self, name: &str) -> Option<MessagePrint> {
        let nth = self.names.remove(name)?;
        self.prints.remove(&nth)
    }

    /// Returns who gives way.
    fn put(&mut self, print: MessagePrint) -> Option<MessagePrint> {
        if let Some(name) = name(&print) {
            self.names.insert(name.to_owned(), self.came);
        }
        self.prints.insert(self.came, print);
        self.came += 1;
        if self.prints.len() <= MOST {
            return None;
        }
        let (_, oldest) = self.prints.pop_first()?;
        name(&oldest).and_then(|name| self.names.remove(name));
        Some(oldest)
    }
}

fn name(print: &MessagePrint) -> Option<&str> {
    print.envelope.as_ref().map(|envelope| &envelope.guid[..])
}

/// A message, its counterpart, or one that gave way.
pub enum Met {
    /// Both are there: the source's, the destination's.
    Both(MessagePrint, MessagePrint),
    /// Nothing yet.
    Waits,
    /// The oldest of this side waits no longer.
    GaveWay(MessagePrint),
}

impl Waiting {
    /// The next message of the source (0) or the destination (1).
    pub fn meet(&mut self, side: usize, print: MessagePrint) -> Met {
        let counterpart = name(&print).and_then(|name| self.sides[1 - side].take(name));
        match (counterpart, side) {
            (Some(other), 0) => Met::Both(print, other),
            (Some(other), _) => Met::Both(other, print),
            (None, _) => match self.sides[side].put(print) {
                Some(oldest) => Met::GaveWay(oldest),
                None => Met::Waits,
            },
        }
    }

    /// Behind the last message: pairs of the same content, and those of each side that are left.
    pub fn rest(self) -> (Vec<(MessagePrint, MessagePrint)>, [Vec<MessagePrint>; 2]) {
        let [source, destination] = self.sides;
        let mut by_content: HashMap<Key, Vec<MessagePrint>> = HashMap::new();
        let mut left = [Vec::new(), Vec::new()];
        for print in destination.prints.into_values().rev() {
            match content(&print) {
                Some(content) => by_content.entry(content).or_default().push(print),
                None => left[1].push(print),
            }
        }
        let mut pairs = Vec::new();
        for print in source.prints.into_values() {
            let same = content(&print).and_then(|content| by_content.get_mut(&content));
            match same.and_then(|prints| take_alike(prints, &print)) {
                Some(other) => pairs.push((print, other)),
                None => left[0].push(print),
            }
        }
        left[1].extend(by_content.into_values().flatten());
        left[1].sort_by_key(|print| print.uid);
        (pairs, left)
    }
}

/// Of copies of one content the one that was received at the same time, or else the first.
fn take_alike(prints: &mut Vec<MessagePrint>, like: &MessagePrint) -> Option<MessagePrint> {
    let received = |print: &MessagePrint| print.envelope.as_ref().map(|it| dated(it.received));
    let wanted = received(like);
    let alike = prints.iter().rposition(|print| received(print) == wanted);
    match alike {
        Some(nth) => Some(prints.remove(nth)),
        None => prints.pop(),
    }
}

fn content(print: &MessagePrint) -> Option<Key> {
    match &print.body {
        Body::Read(body) => Some(key(&body.content)),
        _ => None,
    }
}
