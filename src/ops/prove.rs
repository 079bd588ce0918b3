//! Reads a destination back, as any store is read, and compares it with what was carried.

use std::cell::RefCell;
use std::cmp::Ordering;
use std::sync::OnceLock;

use bstr::BString;
use serde_json::{Value, json};

use super::carry::{Carried, CarriedMailbox, dated};
use super::teller::Teller;
use super::workers::Workers;
use crate::digest::merkle::{self, MailboxDigest};
use crate::digest::{Digest, Facts, Measured, hex};
use crate::error::Result;
use crate::format::tally::{self, Body, MessagePrint, StateWriter};
use crate::model::{Account, Mailbox, MailboxName, Message, Uid};
use crate::report::{Difference, Event, MailboxLine, Place, escape};
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

fn difference(place: Place, code: &'static str, source: Value, destination: Value) -> Difference {
    Difference {
        user: String::new(),
        place,
        code,
        source,
        destination,
    }
}

fn at(name: &MailboxName, uid: Option<Uid>) -> Place {
    Place {
        mailbox: Some(escape(name.to_string().as_bytes())),
        uid: uid.map(Uid::get),
        path: None,
    }
}

/// Compares what belongs to the account as a whole.
pub fn account(expected: &Account, read: &Account, teller: &Teller<'_>) {
    let only = |here: &[MailboxName], there: &[MailboxName]| -> Vec<String> {
        let names = here.iter().filter(|name| !there.contains(name));
        names.map(ToString::to_string).collect()
    };
    let (expected_names, read_names) = (&expected.subscriptions, &read.subscriptions);
    for name in only(expected_names, read_names) {
        let place = Place::default();
        teller.differs(difference(
            place,
            "subscription.missing",
            json!(name),
            Value::Null,
        ));
    }
    for name in only(read_names, expected_names) {
        let place = Place::default();
        teller.differs(difference(
            place,
            "subscription.extra",
            Value::Null,
            json!(name),
        ));
    }
    if expected.quota != read.quota {
        let limits = |account: &Account| json!(account.quota.map(|it| [it.bytes, it.messages]));
        let (one, other) = (limits(expected), limits(read));
        teller.differs(difference(Place::default(), "quota", one, other));
    }
    if expected.sieve != read.sieve {
        let shown = |account: &Account| {
            let paths = account
                .sieve
                .iter()
                .map(|file| escape(&bstr::join("/", &file.path)));
            json!(paths.collect::<Vec<_>>())
        };
        let (one, other) = (shown(expected), shown(read));
        teller.differs(difference(Place::default(), "sieve", one, other));
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
        let place = at(name, None);
        teller.differs(difference(place, "mailbox.extra", Value::Null, json!(true)));
    }
    expected
        .iter()
        .map(|name| {
            let found = there.iter().position(|other| other == name);
            if found.is_none() {
                let place = at(name, None);
                teller.differs(difference(
                    place,
                    "mailbox.missing",
                    json!(true),
                    Value::Null,
                ));
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
        state.line(&pair.carried.line)?;
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
                let place = at(pair.name, Some(uid));
                let source = json!(hex(&carried.content));
                teller.differs(difference(place, "message.content", source, json!(why)));
            }
            (_, None) => {
                let place = at(pair.name, Some(uid));
                teller.differs(difference(place, "message.extra", Value::Null, json!(true)));
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
    let place = at(pair.name, Some(lost.uid));
    teller.differs(difference(
        place,
        "message.missing",
        json!(true),
        Value::Null,
    ));
}

fn headers(pair: &Pair<'_>, read: &Mailbox, teller: &Teller<'_>) {
    let source = &pair.carried.mailbox;
    let compare = |code, one: Value, other: Value| {
        if one != other {
            teller.differs(difference(at(pair.name, None), code, one, other));
        }
    };
    if source.selectable != read.selectable {
        compare(
            "mailbox.missing",
            json!(source.selectable),
            json!(read.selectable),
        );
    }
    if !source.selectable {
        return;
    }
    let (one, other) = (source.uidvalidity.get(), read.uidvalidity.get());
    compare("mailbox.uidvalidity", json!(one), json!(other));
    compare(
        "mailbox.uidnext",
        json!(source.uidnext),
        json!(read.uidnext),
    );
    compare(
        "mailbox.guid",
        json!(source.guid.to_string()),
        json!(read.guid.to_string()),
    );
    let acl = |mailbox: &Mailbox| json!(mailbox.acl.as_deref().map(escape));
    compare("acl", acl(source), acl(read));
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
    let differs = |code, one: Value, other: Value| {
        if one != other {
            teller.differs(difference(
                at(pair.name, Some(carried.uid)),
                code,
                one,
                other,
            ));
        }
    };
    let body = |content: &Digest, size: u64, crc: u32| json!([hex(content), size, crc]);
    differs(
        "message.content",
        body(&carried.content, carried.size, carried.crc32),
        body(&facts.content, facts.size, facts.crc32),
    );
    let mut scratch = Vec::new();
    let Some(reopened) = pair.reopened() else {
        return;
    };
    let Ok(source) = reopened.open(carried.nth as usize, &mut scratch) else {
        return;
    };
    let mut source = source.message;
    pair.carried.load.fit(&mut source);
    let flags = |message: &Message| json!(message.flags.names().collect::<Vec<_>>());
    differs("message.flags", flags(&source), flags(read));
    let keywords = |message: &Message, names: &[BString]| json!(merkle::keywords(message, names));
    let source_names = &pair.carried.load.keywords.names;
    differs(
        "message.keywords",
        keywords(&source, source_names),
        keywords(read, names),
    );
    differs(
        "message.received",
        json!(dated(source.received)),
        json!(dated(read.received)),
    );
    let saved = |message: &Message| json!(message.saved.map(dated));
    if pair.carried.load.holds.saved_dates {
        differs("message.saved", saved(&source), saved(read));
    }
    differs(
        "message.guid",
        json!(escape(&source.guid)),
        json!(escape(&read.guid)),
    );
    let pop3 = |message: &Message| {
        let uidl = message.pop3_uidl.as_ref().map(|uidl| escape(uidl));
        json!([uidl, message.pop3_order])
    };
    differs("message.pop3-uidl", pop3(&source), pop3(read));
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
