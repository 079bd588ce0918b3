//! What waits for its counterpart where messages are matched by name, then by content.
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

/// A message and what it is known by, which shows also where it cannot be opened.
#[derive(Debug)]
pub struct Named {
    /// Its GUID.
    pub name: Option<String>,
    /// What is compared of it.
    pub print: MessagePrint,
}

/// What each side has of one message.
pub type NamedPair = [Option<Named>; 2];

/// What waits for its counterpart.
#[derive(Debug, Default)]
pub struct Waiting {
    sides: [Side; 2],
}

#[derive(Debug, Default)]
struct Side {
    /// In the order in which they came.
    all: BTreeMap<u64, Named>,
    names: HashMap<String, u64>,
    came: u64,
}

impl Side {
    fn take(&mut self, name: &str) -> Option<Named> {
        let nth = self.names.remove(name)?;
        self.all.remove(&nth)
    }

    /// Returns who gives way.
    fn put(&mut self, named: Named) -> Option<Named> {
        if let Some(name) = &named.name {
            self.names.insert(name.clone(), self.came);
        }
        self.all.insert(self.came, named);
        self.came += 1;
        if self.all.len() <= MOST {
            return None;
        }
        let (nth, oldest) = self.all.pop_first()?;
        if let Some(name) = &oldest.name
            && self.names.get(name) == Some(&nth)
        {
            self.names.remove(name);
        }
        Some(oldest)
    }
}

impl Waiting {
    /// The next message of the source (0) or the destination (1): returned with its counterpart, or the
    /// oldest of its side, which waits no longer.
    pub fn meet(&mut self, side: usize, named: Named) -> Option<NamedPair> {
        let name = named.name.as_ref();
        let pair = match name.and_then(|name| self.sides[1 - side].take(name)) {
            Some(other) => [Some(named), Some(other)],
            None => [Some(self.sides[side].put(named)?), None],
        };
        Some(in_order(side, pair))
    }

    /// Behind the last message: pairs of the same content, and those of each side that are left.
    pub fn rest(self) -> Vec<NamedPair> {
        let [source, destination] = self.sides;
        let mut by_content: HashMap<Key, Vec<Named>> = HashMap::new();
        let (mut found, mut left) = (Vec::new(), Vec::new());
        for named in destination.all.into_values().rev() {
            match content(&named.print) {
                Some(content) => by_content.entry(content).or_default().push(named),
                None => left.push(named),
            }
        }
        for named in source.all.into_values() {
            let same = content(&named.print).and_then(|content| by_content.get_mut(&content));
            let other = same.and_then(|all| take_alike(all, &named.print));
            found.push([Some(named), other]);
        }
        left.extend(by_content.into_values().flatten());
        left.sort_by_key(|named| named.print.uid);
        found.extend(left.into_iter().map(|named| [None, Some(named)]));
        found
    }
}

/// The source's first, where the first is the one of `side`.
pub fn in_order<T>(side: usize, [here, there]: [T; 2]) -> [T; 2] {
    if side == 0 {
        [here, there]
    } else {
        [there, here]
    }
}

/// Of copies of one content the one that was received at the same time, or else the first.
fn take_alike(all: &mut Vec<Named>, like: &MessagePrint) -> Option<Named> {
    let received = |print: &MessagePrint| print.envelope.as_ref().map(|it| dated(it.received));
    let wanted = received(like);
    let alike = all
        .iter()
        .rposition(|named| received(&named.print) == wanted);
    match alike {
        Some(nth) => Some(all.remove(nth)),
        None => all.pop(),
    }
}

fn content(print: &MessagePrint) -> Option<Key> {
    match &print.body {
        Body::Read(body) => Some(key(&body.content)),
        _ => None,
    }
}
