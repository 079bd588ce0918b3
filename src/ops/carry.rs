//! Carries the messages of one mailbox, and remembers of each what the proof compares.

use std::cell::RefCell;

use bstr::BString;

use super::load::{Load, Misfit, Misfits};
use super::notes::Notes;
use super::teller::Teller;
use super::verify::compare::dated;
use super::workers::Workers;
use crate::digest::merkle::{self, MailboxDigest};
use crate::digest::{Digest, Facts, Measured, short};
use crate::error::{Error, Result};
use crate::format::tally::shown;
use crate::model::{Flags, Mailbox, MailboxName, Message, Uid};
use crate::report::catalogue::{MESSAGE_REFUSED, MESSAGE_TWICE};
use crate::report::{Event, Finding, MailboxLine, counted};
use crate::store::{
    Holds, Incoming, MailboxSource, MailboxWriter, StoreError, Stored, Turn, Turns,
};

/// What is remembered of a message that was carried.
#[derive(Debug, Clone, Copy)]
pub struct Carried {
    /// Its UID.
    pub uid: Uid,
    /// Its place in the source's mailbox.
    pub nth: u32,
    /// CRC-32 of its bytes.
    pub crc32: u32,
    /// Its bytes.
    pub size: u64,
    /// Its content.
    pub content: Digest,
    /// All but the body.
    pub envelope: [u8; 16],
}

impl Carried {
    /// Of a message of a mailbox with these keywords, as far as a destination can hold it.
    pub fn of(
        nth: usize,
        message: &Message,
        names: &[BString],
        facts: &Facts,
        holds: &Holds,
    ) -> Self {
        Self {
            uid: message.uid,
            nth: u32::try_from(nth).expect("BUG: a mailbox has no more messages than UIDs"),
            crc32: facts.crc32,
            size: facts.size,
            content: facts.content,
            envelope: envelope(message, names, holds),
        }
    }

    /// The same message, as far as it is remembered.
    pub fn same(&self, other: &Self) -> bool {
        let body = |it: &Self| (it.crc32, it.size, it.content);
        self.uid == other.uid && body(self) == body(other) && self.envelope == other.envelope
    }
}

/// A digest of all that is known of a message beside its body.
fn envelope(message: &Message, names: &[BString], holds: &Holds) -> [u8; 16] {
    // One text, since a hasher takes many small pieces slowly.
    let mut known = Vec::with_capacity(256);
    known.push(message.flags.bits());
    for keyword in merkle::keywords(message, names) {
        known.extend(keyword.as_bytes());
        known.push(0);
    }
    known.extend(dated(message.received).to_le_bytes());
    let saved = message.saved.filter(|_| holds.saved_dates);
    known.extend(saved.map_or(-1, dated).to_le_bytes());
    for text in [Some(&message.guid), message.pop3_uidl.as_ref()] {
        known.push(u8::from(text.is_some()));
        known.extend(text.map_or(&[][..], |text| text.as_slice()));
        known.push(0);
    }
    known.extend(message.pop3_order.map_or(-1, i64::from).to_le_bytes());
    let sealed = message.sealed.map(|(plain, _)| plain);
    known.extend(sealed.unwrap_or(u64::MAX).to_le_bytes());
    short(&known)
}

/// A mailbox that was carried.
#[derive(Debug)]
pub struct CarriedMailbox {
    /// What it is at the source.
    pub mailbox: Mailbox,
    /// What of it the destination has room for.
    pub load: Load,
    /// Its messages, in UID order.
    pub messages: Vec<Carried>,
    /// What is said of it.
    pub line: MailboxLine,
    /// Its digest.
    pub digest: Digest,
}

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// One message on its way.
struct Passed {
    message: Option<Box<Kept>>,
    findings: Vec<Finding>,
    failed: Option<Error>,
}

/// A message that is stored, and what adds up: made side by side, so that little is left to do in order.
struct Kept {
    message: Message,
    stored: Stored,
    carried: Carried,
    digest: Digest,
    misfit: Misfit,
}

/// Carries a mailbox into `writer`; without one everything is read and nothing written.
pub fn mailbox(
    source: &dyn MailboxSource,
    name: &MailboxName,
    mut writer: Option<Box<dyn MailboxWriter + '_>>,
    load: Load,
    teller: &Teller<'_>,
    workers: &Workers,
) -> Result<CarriedMailbox> {
    let mut sum = Sum::new(teller, name, source.mailbox());
    sum.messages.reserve_exact(source.len());
    let turns = Turns::default();
    let each = |nth, into: Option<&dyn MailboxWriter>| {
        let turn = turns.of(nth);
        SCRATCH.with_borrow_mut(|scratch| one(source, nth, scratch, &load, turn, into))
    };
    // `writer` is shared while a batch is stored, and ours alone between batches.
    let mut from = 0;
    while from < source.len() {
        let to = source.len().min(from + 1024);
        let mut passed = Vec::with_capacity(to - from);
        let into = writer.as_deref();
        workers.in_batches(
            to - from,
            |nth| each(from + nth, into),
            |_, one| {
                passed.push(one);
                Ok(())
            },
        )?;
        for one in passed {
            sum.take(one, writer.as_deref_mut())?;
        }
        sum.tell_progress();
        from = to;
    }
    if let Some(writer) = writer {
        writer.finish()?;
    }
    source.conclude(&mut |finding| teller.found(finding));
    Ok(sum.finish(load))
}

fn one(
    source: &dyn MailboxSource,
    nth: usize,
    scratch: &mut Vec<u8>,
    load: &Load,
    turn: Turn,
    writer: Option<&dyn MailboxWriter>,
) -> Passed {
    let mut passed = Passed {
        message: None,
        findings: Vec::new(),
        failed: None,
    };
    let opened = match source.open(nth, scratch) {
        Ok(opened) => opened,
        Err(finding) => {
            passed.findings.push(*finding);
            return passed;
        }
    };
    let (mut message, claims) = (opened.message, opened.claims);
    let sent = message.clone();
    let misfit = load.fit(&mut message);
    let body = Measured::new(opened.body);
    let stored = match writer {
        Some(writer) => writer.store(Incoming {
            message: &message,
            body,
            coat: opened.coat,
            hint: claims.size,
            turn,
        }),
        None => body.store_nowhere(),
    };
    match stored {
        Ok(stored) => {
            let damage = stored.damage.as_ref();
            source.tell(
                nth,
                (&message, claims),
                damage,
                &stored.facts,
                &mut |finding| {
                    passed.findings.push(finding);
                },
            );
            let names = &source.mailbox().keywords;
            let (facts, plan) = (&stored.facts, &load.keywords.names);
            passed.message = Some(Box::new(Kept {
                carried: Carried::of(nth, &message, plan, facts, &load.holds),
                digest: merkle::message(&sent, names, facts),
                message,
                stored,
                misfit,
            }));
        }
        Err(StoreError::Source { error, read }) => {
            passed.findings.push(source.broken(nth, &error, read));
        }
        Err(StoreError::Refused(why)) => {
            let finding = Finding::new(&MESSAGE_REFUSED, why).uid(message.uid);
            passed
                .findings
                .push(finding.mailbox(&source.mailbox().name));
        }
        Err(StoreError::Destination(error)) => passed.failed = Some(error),
    }
    passed
}

/// What a mailbox adds up to.
struct Sum<'a> {
    teller: &'a Teller<'a>,
    mailbox: &'a Mailbox,
    name: &'a MailboxName,
    digest: MailboxDigest,
    notes: Notes,
    misfits: Misfits,
    messages: Vec<Carried>,
    line: MailboxLine,
    told: (u64, u64),
}

impl<'a> Sum<'a> {
    fn new(teller: &'a Teller<'a>, name: &'a MailboxName, mailbox: &'a Mailbox) -> Self {
        Self {
            teller,
            mailbox,
            name,
            digest: MailboxDigest::new(name),
            notes: Notes::default(),
            misfits: Misfits::default(),
            messages: Vec::new(),
            line: MailboxLine {
                user: teller.user().into(),
                mailbox: shown(name),
                messages: 0,
                unseen: 0,
                bytes: 0,
                virtual_bytes: 0,
                uidvalidity: mailbox.uidvalidity.get(),
                uidnext: mailbox.uidnext,
                digest: String::new(),
            },
            told: (0, 0),
        }
    }

    fn take(
        &mut self,
        passed: Passed,
        writer: Option<&mut (dyn MailboxWriter + '_)>,
    ) -> Result<()> {
        for finding in passed.findings {
            self.teller.found(finding);
        }
        if let Some(error) = passed.failed {
            return Err(error);
        }
        let Some(kept) = passed.message else {
            return Ok(());
        };
        let (message, facts) = (&kept.message, &kept.stored.facts);
        if let Some(writer) = writer {
            writer.commit(message, &kept.stored)?;
        }
        self.digest.push(&kept.digest);
        // Ciphertext has every oddity, and means none.
        if message.sealed.is_none() {
            self.notes.add(message.uid, facts);
        }
        self.misfits.add(message.uid, kept.misfit);
        self.messages.push(kept.carried);
        self.line.messages += 1;
        self.line.unseen += u64::from(!message.flags.contains(Flags::SEEN));
        self.line.bytes += facts.size;
        self.line.virtual_bytes += facts.virtual_size;
        Ok(())
    }

    fn tell_progress(&mut self) {
        let (messages, bytes) = (
            self.line.messages - self.told.0,
            self.line.bytes - self.told.1,
        );
        self.told = (self.line.messages, self.line.bytes);
        self.teller.watch().on(Event::Copied { messages, bytes });
    }

    fn finish(mut self, load: Load) -> CarriedMailbox {
        let found = &mut |finding| self.teller.found(finding);
        self.notes.tell(self.name, found);
        self.misfits.tell(self.name, found);
        if let Some(detail) = copies(&self.messages) {
            self.teller
                .found(Finding::new(&MESSAGE_TWICE, detail).mailbox(self.name));
        }
        let digest = self.digest.finish();
        self.line.digest = crate::digest::hex(&digest);
        CarriedMailbox {
            mailbox: self.mailbox.clone(),
            load,
            messages: self.messages,
            line: self.line,
            digest,
        }
    }
}

/// Messages with the same bytes as another of the mailbox.
fn copies(messages: &[Carried]) -> Option<String> {
    let mut order: Vec<&Carried> = messages.iter().filter(|message| message.size > 0).collect();
    order.sort_unstable_by(|a, b| a.content.cmp(&b.content).then(a.uid.cmp(&b.uid)));
    let pairs = order
        .windows(2)
        .filter(|pair| pair[0].content == pair[1].content);
    let mut pairs = pairs.map(|pair| (pair[0].uid, pair[1].uid));
    let (one, other) = pairs.next()?;
    let count = pairs.count() + 1;
    Some(format!(
        "{}, such as uid {other}, as uid {one}",
        counted(count as u64, "message")
    ))
}
