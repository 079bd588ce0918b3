//! Reads a destination back, as any store is read, and compares it with what was carried.

use std::cell::RefCell;
use std::cmp::Ordering;
use std::sync::OnceLock;

use bstr::BString;
use serde_json::{Value, json};

use super::carry::{Carried, CarriedMailbox};
use super::teller::Teller;
use super::verify::compare::{self, at, difference};
use super::verify::terms::Terms;
use super::workers::Workers;
use crate::digest::merkle::{self, MailboxDigest};
use crate::digest::{Digest, Facts, Measured, hex};
use crate::error::Result;
use crate::format::tally::{
    self, AccountPrint, Body, BodyPrint, MailboxPrint, MessagePrint, StateMailbox, StateWriter,
};
use crate::model::{Account, Mailbox, MailboxName, Message};
use crate::report::{Event, MailboxLine, Place};
use crate::store::{Holds, MailboxSource, Source};

/// What is expected of one mailbox.
pub struct Pair<'a> {
    source: &'a dyn Source,
    nth: usize,
    name: &'a MailboxName,
    carried: &'a CarriedMailbox,
    /// Opened once more only where something is to be explained.
    reopened: OnceLock<Option<Box<dyn MailboxSource + 'a>>>,
}

impl<'a> Pair<'a> {
    /// The `nth` mailbox of `source` under its name at the destination, and what was carried of it.
    pub fn new(
        source: &'a dyn Source,
        nth: usize,
        name: &'a MailboxName,
        carried: &'a CarriedMailbox,
    ) -> Self {
        Self {
            source,
            nth,
            name,
            carried,
            reopened: OnceLock::new(),
        }
    }

    /// All that the destination has a place for is compared.
    fn terms(&self) -> Terms {
        Terms::exact(&self.carried.load.holds)
    }

    fn reopened(&self) -> Option<&dyn MailboxSource> {
        let reopened = self
            .reopened
            .get_or_init(|| self.source.mailbox(self.nth, &mut |_| ()).ok());
        reopened.as_deref()
    }
}

/// Progress is told once for so many messages.
const TELL_EVERY: usize = 1024;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Compares what belongs to the account as a whole.
pub fn account(expected: &Account, read: &Account, holds: &Holds, teller: &Teller<'_>) {
    let (one, other) = (AccountPrint::of(expected), AccountPrint::of(read));
    for differs in compare::accounts(&one, &other, &Terms::exact(holds)) {
        teller.differs(difference(Place::default(), differs));
    }
}

/// Compares which mailboxes there are. Returns the destination's place of each expected name.
pub fn mailboxes(
    expected: &[MailboxName],
    read: &dyn Source,
    holds: &Holds,
    teller: &Teller<'_>,
) -> Vec<Option<usize>> {
    let there = read.mailboxes();
    // Names above others need not be names of their own in every format.
    let above = |name: &MailboxName| expected.iter().any(|other| name.is_above(other));
    let extra = |name: &&MailboxName| {
        let given = name.is_inbox() && holds.always_inbox;
        !(given || expected.contains(name) || above(name))
    };
    for name in there.iter().filter(extra) {
        let differs = ("mailbox.extra", Value::Null, json!(true));
        teller.differs(difference(at(name, None), differs));
    }
    expected
        .iter()
        .map(|name| {
            let found = there.iter().position(|other| other == name);
            if found.is_none() {
                let differs = ("mailbox.missing", json!(true), Value::Null);
                teller.differs(difference(at(name, None), differs));
            }
            found
        })
        .collect()
}

/// Compares one mailbox, message by message; what was read goes into `state`. Returns its digest.
pub fn mailbox(
    pair: &Pair<'_>,
    read: &dyn MailboxSource,
    state: &mut StateWriter,
    teller: &Teller<'_>,
    workers: &Workers,
) -> Result<Digest> {
    headers(pair, read.mailbox(), teller);
    if pair.carried.mailbox.selectable {
        state.line(&StateMailbox::of(&pair.carried.line, read.mailbox()))?;
    }
    let names = &read.mailbox().keywords;
    let mut digest = MailboxDigest::new(pair.name);
    let mut expected = pair.carried.messages.iter().peekable();
    let mut told = 0;
    let one = |nth| SCRATCH.with_borrow_mut(|scratch| back(pair, read, nth, scratch));
    workers.in_batches(read.len(), one, |nth, back| {
        if nth - told == TELL_EVERY {
            teller.watch().on(Event::Proved {
                messages: TELL_EVERY as u64,
            });
            told = nth;
        }
        let uid = read.uid(nth);
        while let Some(lost) = expected.next_if(|carried| carried.uid < uid) {
            missing(pair, lost, teller);
        }
        let carried = expected.next_if(|carried| carried.uid.cmp(&uid) == Ordering::Equal);
        match (back, carried) {
            (Back::Read(read), Some(carried)) => {
                digest.push(&read.digest);
                if !carried.same(&read.carried) {
                    explain(pair, carried, &read.message, names, &read.facts, teller);
                }
                state.text(&read.line)?;
            }
            (Back::Broken(why), Some(carried)) => {
                let differs = ("message.content", json!(hex(&carried.content)), json!(why));
                teller.differs(difference(at(pair.name, Some(uid)), differs));
            }
            (_, None) => {
                let differs = ("message.extra", Value::Null, json!(true));
                teller.differs(difference(at(pair.name, Some(uid)), differs));
            }
        }
        Ok(())
    })?;
    for lost in expected {
        missing(pair, lost, teller);
    }
    let messages = (read.len() - told) as u64;
    teller.watch().on(Event::Proved { messages });
    Ok(digest.finish())
}

fn missing(pair: &Pair<'_>, lost: &Carried, teller: &Teller<'_>) {
    let differs = ("message.missing", json!(true), Value::Null);
    teller.differs(difference(at(pair.name, Some(lost.uid)), differs));
}

fn headers(pair: &Pair<'_>, read: &Mailbox, teller: &Teller<'_>) {
    let print = |mailbox: &Mailbox| MailboxPrint::of_mailbox(mailbox, pair.name.clone(), 0);
    let (one, other) = (print(&pair.carried.mailbox), print(read));
    for differs in compare::mailboxes(&one, &other, &pair.terms()) {
        teller.differs(difference(at(pair.name, None), differs));
    }
}

enum Back {
    Read(Box<ReadBack>),
    Broken(String),
}

/// A message as it was read, and what is made of it side by side with others.
struct ReadBack {
    message: Message,
    facts: Facts,
    carried: Carried,
    digest: Digest,
    /// Its line in the state.
    line: Vec<u8>,
}

impl ReadBack {
    fn of(
        within: &MailboxLine,
        nth: usize,
        message: Message,
        names: &[BString],
        facts: Facts,
        holds: &Holds,
    ) -> Self {
        Self {
            carried: Carried::of(nth, &message, names, &facts, holds),
            digest: merkle::message(&message, names, &facts),
            line: line(within, &message, names, &facts, holds),
            message,
            facts,
        }
    }
}

fn back(pair: &Pair<'_>, read: &dyn MailboxSource, nth: usize, scratch: &mut Vec<u8>) -> Back {
    let opened = match read.open(nth, scratch) {
        Ok(opened) => opened,
        Err(finding) => return Back::Broken(format!("{}: {}", finding.rule.code, finding.detail)),
    };
    let message = opened.message;
    match Measured::new(opened.body).drain() {
        Ok(facts) => {
            let names = &read.mailbox().keywords;
            let within = &pair.carried.line;
            let back = ReadBack::of(within, nth, message, names, facts, &pair.carried.load.holds);
            Back::Read(Box::new(back))
        }
        Err(error) => Back::Broken(error.to_string()),
    }
}

/// Says in which words two messages differ.
fn explain(
    pair: &Pair<'_>,
    carried: &Carried,
    read: &Message,
    names: &[BString],
    facts: &Facts,
    teller: &Teller<'_>,
) {
    let back = MessagePrint::of(read, names, Body::Read(facts.into()));
    let body = Body::Read(BodyPrint {
        size: carried.size,
        crc32: carried.crc32,
        content: carried.content,
        virtual_size: facts.virtual_size, // follows from the others
    });
    let mut scratch = Vec::new();
    let source = pair
        .reopened()
        .map(|source| source.open(carried.nth as usize, &mut scratch));
    let sent = match source {
        Some(Ok(source)) => {
            let mut message = source.message;
            pair.carried.load.fit(&mut message);
            MessagePrint::of(&message, &pair.carried.load.keywords.names, body)
        }
        // Without the source, the body is all that can be explained.
        _ => MessagePrint {
            body,
            ..back.clone()
        },
    };
    let mut found = compare::messages(&sent, &back, &pair.terms());
    if found.is_empty() {
        let what = "size of the message without its encryption";
        found.push(("message.content", json!(what), json!("another")));
    }
    for differs in found {
        teller.differs(difference(at(pair.name, Some(carried.uid)), differs));
    }
}

fn line(
    within: &MailboxLine,
    message: &Message,
    names: &[BString],
    facts: &Facts,
    holds: &Holds,
) -> Vec<u8> {
    let mut print = MessagePrint::of(message, names, Body::Read(facts.into()));
    if !holds.saved_dates {
        print.forget_saved();
    }
    tally::message_text(&within.user, &within.mailbox, &print)
}
