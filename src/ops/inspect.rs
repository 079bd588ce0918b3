//! What is in a store, and what is wrong with it? Reads everything, writes nothing.

use std::time::Instant;

use super::altered::Altered;
use super::carry;
use super::load::Load;
use super::plan_keywords::KeywordPlan;
use super::repair;
use super::teller::Teller;
use super::workers::Workers;
use crate::digest::{hex, merkle};
use crate::disk::Dir;
use crate::error::Result;
use crate::format::{OpenOptions, Room};
use crate::report::catalogue::MAILBOX_UNREADABLE;
use crate::report::{Event, Finding, Status, UserLine};

/// Inspects one account.
pub fn account(
    room: &Room,
    source: Dir,
    open: &OpenOptions,
    teller: &Teller<'_>,
    workers: &Workers,
) -> Result<UserLine> {
    repair::tell_begun(room, &source, open, teller);
    let line = look(room, source, open, teller, workers)?;
    teller.watch().on(Event::UserDone(&line));
    Ok(line)
}

/// The same, for who has more to say of the account.
pub(super) fn look(
    room: &Room,
    source: Dir,
    open: &OpenOptions,
    teller: &Teller<'_>,
    workers: &Workers,
) -> Result<UserLine> {
    let started = Instant::now();
    let altered = Altered::of(&source, teller);
    let source = (room.open)(source, open, &mut |finding| teller.found(finding))?;
    teller.started(|| source.estimate());
    let mut line = UserLine::new(teller.user(), Status::Ok);
    let mut digests = Vec::new();
    for (nth, name) in source.mailboxes().iter().enumerate() {
        workers.go_on()?;
        let mailbox = match source.mailbox(nth, &mut |finding| teller.found(finding)) {
            Ok(mailbox) => mailbox,
            Err(error) => {
                teller.found(Finding::new(&MAILBOX_UNREADABLE, error.chain()).mailbox(name));
                continue;
            }
        };
        if !mailbox.mailbox().selectable {
            continue;
        }
        let load = Load {
            keywords: KeywordPlan::all(mailbox.mailbox().keywords.clone()),
            holds: room.holds,
        };
        let read = carry::mailbox(mailbox.as_ref(), name, None, load, teller, workers)?;
        altered.tell(&read, teller);
        teller.watch().on(Event::MailboxDone(&read.line));
        line.mailboxes += 1;
        line.messages += read.line.messages;
        line.bytes += read.line.bytes;
        digests.push(read.digest);
    }
    line.digest.source = hex(&merkle::account(&digests));
    let counts = teller.counts();
    line.findings = counts.all_findings();
    if counts.attention || counts.before_a_server {
        line.status = Status::Attention;
    }
    line.seconds = started.elapsed().as_secs_f64();
    Ok(line)
}
