//! Two sides, side by side: mailbox by mailbox in name order, message by message in UID order.

use std::cmp::Ordering;
use std::collections::{BTreeSet, VecDeque};

use serde_json::Value;

use super::compare::{self, at, difference};
use super::side::{Side, Sums};
use super::strays::{Key, Strays, Why, key};
use super::terms::Terms;
use super::{Level, suspects};
use crate::digest::Digest;
use crate::error::Result;
use crate::format::tally::{Body, MailboxPrint, MessagePrint, shown};
use crate::model::MailboxName;
use crate::ops::teller::Teller;
use crate::report::catalogue::ACCOUNT_CHANGED;
use crate::report::{Event, Finding, MailboxLine, Place};

/// One account of both sides.
pub struct Join<'j> {
    /// Source and destination.
    pub sides: [&'j mut dyn Side; 2],
    /// How much is read.
    pub level: Level,
    /// Who says what differs.
    pub teller: &'j Teller<'j>,
    pub(super) terms: Terms,
    pub(super) strays: Strays,
    not_compared: BTreeSet<String>,
    total: Total,
}

/// What the account adds up to.
#[derive(Debug, Default)]
pub struct Total {
    /// Mailboxes of either side.
    pub mailboxes: u64,
    /// Messages and bytes of the source.
    pub messages: u64,
    /// Its bytes.
    pub bytes: u64,
    /// Digests of the mailboxes of each side; `None` once one is not known.
    pub digests: [Option<Vec<Digest>>; 2],
    /// What was not compared, and why.
    pub not_compared: BTreeSet<String>,
}

impl<'j> Join<'j> {
    /// Both stand before their first mailbox.
    pub fn new(sides: [&'j mut dyn Side; 2], level: Level, teller: &'j Teller<'j>) -> Self {
        let mut not_compared = BTreeSet::new();
        let terms = Terms::between(sides[0].about(), sides[1].about(), &mut not_compared);
        not_compared.extend(level.not_compared());
        Self {
            sides,
            level,
            teller,
            terms,
            strays: Strays::new(level != Level::Full),
            not_compared,
            total: Total {
                digests: [Some(Vec::new()), Some(Vec::new())],
                ..Total::default()
            },
        }
    }

    /// Compares all there is.
    pub fn run(mut self) -> Result<Total> {
        let [source, destination] = &self.sides;
        for differs in compare::accounts(source.account(), destination.account(), &self.terms) {
            self.teller.differs(difference(Place::default(), differs));
        }
        loop {
            let (one, other) = (self.sides[0].ahead()?, self.sides[1].ahead()?);
            let order = match (&one, &other) {
                (Some(one), Some(other)) => one.cmp(other),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => break,
            };
            match order {
                Ordering::Equal => self.both()?,
                Ordering::Less => self.only(0, other.as_ref())?,
                Ordering::Greater => self.only(1, one.as_ref())?,
            }
        }
        if let Some(finding) = self.strays.not_looked_for() {
            self.teller.found(finding);
        }
        for difference in std::mem::take(&mut self.strays).resolve() {
            self.teller.differs(difference);
        }
        self.total.not_compared = self.not_compared;
        Ok(self.total)
    }

    fn both(&mut self) -> Result<()> {
        let (one, other) = (self.sides[0].enter()?, self.sides[1].enter()?);
        let (one, other) = match (one, other) {
            (Some(one), Some(other)) => (one, other),
            // Why one cannot be opened was said; its messages are not missing.
            (one, other) => {
                for (side, entered) in [one, other].into_iter().enumerate() {
                    match entered {
                        Some(print) => self.pass(side, &print, Why::NoMailbox, false)?,
                        None => self.total.digests[side] = None,
                    }
                }
                return Ok(());
            }
        };
        self.terms.within(&one, &other, &mut self.not_compared);
        self.strays.mailbox(shown(&one.name));
        if self.terms.uids {
            self.by_uid(&one.name)?;
        } else {
            self.by_name(&one.name, [&one, &other].map(|print| print.made_up.uids))?;
        }
        self.heads(one, other)
    }

    /// What the mailboxes are; where they differ they are looked at once more, as messages are.
    fn heads(&mut self, one: MailboxPrint, other: MailboxPrint) -> Result<()> {
        let mut found = compare::mailboxes(&one, &other, &self.terms);
        let mut prints = [one, other];
        if !found.is_empty() {
            let mut moved = false;
            for (side, print) in prints.iter_mut().enumerate() {
                if !self.sides[side].is_live() {
                    continue;
                }
                if let Some(again) = self.sides[side].again() {
                    moved |= again != *print;
                    *print = again;
                }
            }
            if moved {
                found = compare::mailboxes(&prints[0], &prints[1], &self.terms);
                if !found.is_empty() {
                    let detail = "a mailbox did not hold still";
                    let finding = Finding::new(&ACCOUNT_CHANGED, detail);
                    self.teller.found(finding.mailbox(&prints[0].name));
                    found.clear();
                }
            }
        }
        for differs in found {
            let place = at(&prints[0].name, None);
            self.teller.differs(difference(place, differs));
        }
        let sums = [self.sides[0].leave()?, self.sides[1].leave()?];
        let mut counted = false;
        for (side, (print, sums)) in prints.iter().zip(sums).enumerate() {
            if print.selectable {
                self.count(side, sums, (!counted).then_some(print));
                counted = true;
            }
        }
        Ok(())
    }

    /// Takes the sums of a mailbox in, and says them where it was not said before.
    fn count(&mut self, side: usize, sums: Sums, line: Option<&MailboxPrint>) {
        match (&mut self.total.digests[side], sums.digest) {
            (Some(digests), Some(digest)) => digests.push(digest),
            (digests, _) => *digests = None,
        }
        if side == 0 {
            self.total.messages += sums.readable();
            self.total.bytes += sums.bytes;
        }
        let Some(print) = line else { return };
        self.total.mailboxes += 1;
        self.teller.watch().on(Event::MailboxDone(&MailboxLine {
            user: self.teller.user().into(),
            mailbox: shown(&print.name),
            messages: sums.readable(),
            unseen: sums.unseen,
            bytes: sums.bytes,
            virtual_bytes: sums.virtual_bytes,
            uidvalidity: print.uidvalidity,
            uidnext: print.uidnext,
            digest: sums
                .digest
                .as_ref()
                .map(crate::digest::hex)
                .unwrap_or_default(),
        }));
    }

    /// A mailbox that the other side has not; `ahead` is what it has next.
    fn only(&mut self, side: usize, ahead: Option<&MailboxName>) -> Result<()> {
        let Some(print) = self.sides[side].enter()? else {
            self.total.digests[side] = None;
            return Ok(());
        };
        let there = &self.sides[1 - side].about().holds;
        let given = print.name.is_inbox() && self.sides[side].about().holds.always_inbox;
        let implied = if print.selectable {
            given && print.messages == 0
        } else {
            // A name above others is there with them, as a mailbox or not.
            ahead.is_some_and(|name| print.name.is_above(name)) || !there.holds_alone(&print.name)
        };
        self.pass(side, &print, Why::NoMailbox, !implied)
    }

    /// Reads the mailbox of one side to its end; its messages may have a place on the other side.
    fn pass(&mut self, side: usize, print: &MailboxPrint, why: Why, tell: bool) -> Result<()> {
        if tell {
            let differs = match side {
                0 => ("mailbox.missing", compare::here(print), Value::Null),
                _ => ("mailbox.extra", Value::Null, compare::here(print)),
            };
            let place = at(&print.name, None);
            self.teller.differs(difference(place, differs));
        }
        self.strays.mailbox(shown(&print.name));
        let mut prints = VecDeque::new();
        while self.sides[side].more(&mut prints)? {
            for print in prints.drain(..) {
                self.stray(side, &print, why);
            }
        }
        let sums = self.sides[side].leave()?;
        if print.selectable {
            self.count(side, sums, Some(print));
        }
        Ok(())
    }

    /// A message that only one side has in its place.
    pub(super) fn stray(&mut self, side: usize, print: &MessagePrint, why: Why) {
        let Some(key) = self.key(print) else { return };
        if let Some(difference) = self.strays.add(side, key, print.uid, why) {
            self.teller.differs(difference);
        }
    }

    /// By its content, where every content is read; else by its GUID. What cannot be read has none: that
    /// was said.
    fn key(&self, print: &MessagePrint) -> Option<Key> {
        match (&print.body, &print.envelope) {
            (Body::Read(body), _) if self.level == Level::Full => Some(key(&body.content)),
            (_, Some(envelope)) if self.level != Level::Full => {
                Some(key(blake3::hash(envelope.guid.as_bytes()).as_bytes()))
            }
            _ => None,
        }
    }

    fn by_uid(&mut self, name: &MailboxName) -> Result<()> {
        let mut queues = [VecDeque::new(), VecDeque::new()];
        let mut suspects = suspects::Suspects::default();
        loop {
            let [one, other] = &mut queues;
            let [source, destination] = &mut self.sides;
            if one.is_empty() {
                source.more_beside(&mut **destination, one)?;
            }
            if other.is_empty() {
                destination.more(other)?;
            }
            let order = match (one.front(), other.front()) {
                (Some(one), Some(other)) => one.uid.cmp(&other.uid),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => break,
            };
            let one = if order.is_le() { one.pop_front() } else { None };
            let other = if order.is_ge() {
                other.pop_front()
            } else {
                None
            };
            suspects.look(one, other, &self.terms);
            if suspects.is_full() {
                self.settle(std::mem::take(&mut suspects), name)?;
            }
        }
        self.settle(suspects, name)
    }

    /// Says what differs between two that are the same message.
    pub(super) fn pair(&self, name: &MailboxName, one: &MessagePrint, other: &MessagePrint) {
        for differs in compare::messages(one, other, &self.terms) {
            let place = at(name, Some(one.uid));
            self.teller.differs(difference(place, differs));
        }
    }
}
