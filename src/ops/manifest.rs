//! The fingerprints of a store, to be compared on another host or another day.
//!
//! ```text
//! store --> StoreSide --> prints, a batch at a time --> lines, made side by side --> tally::Writer
//! ```
//! Memory is a batch. Accounts come one after the other, because the file is one ordered stream; the
//! messages of each are read and digested side by side.

use std::collections::VecDeque;
use std::io::Write;
use std::time::Instant;

use super::rfc3339;
use super::teller::Teller;
use super::verify::{Level, Look, Side, StoreAt, StoreSide, Voice};
use super::workers::Workers;
use crate::digest::merkle::{self, StoreDigest};
use crate::digest::{Digest, hex};
use crate::error::Result;
use crate::format::Room;
use crate::format::tally::{
    AccountLine, Head, MailboxLine, MailboxPrint, MessagePrint, SumLine, Writer, message_text,
};
use crate::model::MailboxName;
use crate::report::catalogue::MAILBOX_UNREADABLE;
use crate::report::{self, Digests, Event, Status, UserLine};

/// So many lines are made by one thread at a time.
const LINES: usize = 64;

/// A manifest that is being written.
pub struct Manifest<W: Write> {
    out: Writer<W>,
    digest: StoreDigest,
    sum: SumLine,
    torn: bool,
}

impl<W: Write> Manifest<W> {
    /// Begins one of stores of this format, in directories that stand for levels or not.
    pub fn begin(mut out: Writer<W>, room: &Room, fs_layout: bool, now: i64) -> Result<Self> {
        let mut head = Head::new(rfc3339(now), room.name, String::new());
        if fs_layout {
            head.form = "layout fs".into();
        }
        out.line(&head)?;
        let sum = SumLine {
            kind: "end".into(),
            users: Some(0),
            mailboxes: Some(0),
            ..SumLine::default()
        };
        let digest = StoreDigest::default();
        Ok(Self {
            out,
            digest,
            sum,
            torn: false,
        })
    }

    /// Completes it.
    pub fn finish(mut self) -> Result<W> {
        self.sum.digest = self.digest.finish();
        self.out.line(&self.sum)?;
        self.out.finish()
    }

    /// True where an account broke off in the middle: it is of no use any more.
    pub fn is_torn(&self) -> bool {
        self.torn
    }

    /// How many accounts are in it.
    pub fn users(&self) -> u64 {
        self.sum.users.unwrap_or(0)
    }

    /// Adds an account, in name order.
    pub fn account(
        &mut self,
        store: &StoreAt,
        teller: &Teller<'_>,
        workers: &Workers,
    ) -> Result<UserLine> {
        let started = Instant::now();
        let voice = Voice {
            teller,
            which: None,
        };
        let source = store.source(voice)?;
        let about = store.about();
        let look = Look {
            level: Level::Full,
            access: false,
            saved: about.holds.saved_dates,
        };
        let mut side = StoreSide::new(source.as_ref(), about, look, voice, workers);
        teller.started(|| source.estimate());
        let user = teller.user().to_owned();
        let print = side.account().clone();
        self.torn = true;
        self.out.line(&AccountLine { user, print })?;
        let mut adding = Adding {
            out: &mut self.out,
            teller,
            workers,
            sum: SumLine {
                kind: "sum".into(),
                user: Some(teller.user().into()),
                mailboxes: Some(0),
                ..SumLine::default()
            },
            unread: 0,
            digests: Vec::new(),
        };
        while let Some(name) = side.ahead()? {
            match side.enter()? {
                Some(print) => adding.mailbox(&mut side, &print)?,
                None => adding.unread(name)?,
            }
        }
        let unread = adding.unread;
        let sum = adding.finish()?;
        self.torn = false;
        self.digest.push(teller.user(), &sum.digest);
        add(&mut self.sum.users, 1);
        add(&mut self.sum.mailboxes, sum.mailboxes.unwrap_or(0));
        self.sum.messages += sum.messages;
        self.sum.bytes += sum.bytes;
        let readable = sum.messages - unread;
        let line = line(sum, readable, teller, started);
        teller.watch().on(Event::UserDone(&line));
        Ok(line)
    }
}

fn add(to: &mut Option<u64>, what: u64) {
    *to = Some(to.unwrap_or(0) + what);
}

/// An account on its way into a manifest.
struct Adding<'a, W: Write> {
    out: &'a mut Writer<W>,
    teller: &'a Teller<'a>,
    workers: &'a Workers,
    sum: SumLine,
    /// Messages that only have a line.
    unread: u64,
    digests: Vec<Digest>,
}

impl<W: Write> Adding<'_, W> {
    fn mailbox(&mut self, side: &mut StoreSide<'_>, print: &MailboxPrint) -> Result<()> {
        let line = MailboxLine::of(self.teller.user(), print);
        let name = line.mailbox.clone();
        self.out.line(&line)?;
        let mut prints = VecDeque::new();
        while side.more(&mut prints)? {
            self.messages(&name, prints.make_contiguous())?;
            prints.clear();
        }
        let sums = side.leave()?;
        if !print.selectable {
            return Ok(());
        }
        let digest = sums.digest.unwrap_or_default();
        self.out.line(&SumLine {
            kind: "sum".into(),
            user: Some(self.teller.user().into()),
            mailbox: Some(name.clone()),
            users: None,
            mailboxes: None,
            messages: sums.messages,
            bytes: sums.bytes,
            digest: hex(&digest),
        })?;
        self.digests.push(digest);
        add(&mut self.sum.mailboxes, 1);
        self.sum.messages += sums.messages;
        self.unread += sums.unread;
        self.sum.bytes += sums.bytes;
        self.teller
            .watch()
            .on(Event::MailboxDone(&report::MailboxLine {
                user: self.teller.user().into(),
                mailbox: name,
                messages: sums.readable(),
                unseen: sums.unseen,
                bytes: sums.bytes,
                virtual_bytes: sums.virtual_bytes,
                uidvalidity: print.uidvalidity,
                uidnext: print.uidnext,
                digest: hex(&digest),
            }));
        Ok(())
    }

    /// A mailbox that cannot be opened, which was said: whoever compares is to know of it.
    fn unread(&mut self, name: MailboxName) -> Result<()> {
        let print = MailboxPrint::unread(name, MAILBOX_UNREADABLE.code);
        self.out.line(&MailboxLine::of(self.teller.user(), &print))
    }

    fn messages(&mut self, mailbox: &str, prints: &[MessagePrint]) -> Result<()> {
        let user = self.teller.user();
        let chunks: Vec<_> = prints.chunks(LINES).collect();
        let texts = self.workers.batch(0..chunks.len(), |nth| {
            let lines = chunks[nth].iter();
            lines
                .flat_map(|print| message_text(user, mailbox, print))
                .collect::<Vec<u8>>()
        })?;
        texts.iter().try_for_each(|text| self.out.text(text))
    }

    fn finish(mut self) -> Result<SumLine> {
        self.sum.digest = hex(&merkle::account(&self.digests));
        self.out.line(&self.sum)?;
        Ok(self.sum)
    }
}

fn line(sum: SumLine, readable: u64, teller: &Teller<'_>, started: Instant) -> UserLine {
    let counts = teller.counts();
    let status = if counts.attention {
        Status::Attention
    } else {
        Status::Ok
    };
    UserLine {
        mailboxes: sum.mailboxes.unwrap_or(0),
        messages: readable,
        bytes: sum.bytes,
        findings: counts.all_findings(),
        digest: Digests {
            source: sum.digest,
            destination: None,
        },
        seconds: started.elapsed().as_secs_f64(),
        ..UserLine::new(teller.user(), status)
    }
}
