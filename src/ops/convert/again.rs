//! A second pass over an account that is as it was at the last one.

use std::time::Instant;

use super::{Job, Options, Run, open_source, tell_moved};
use crate::digest::hex;
use crate::error::Result;
use crate::format::tally::Head;
use crate::ops::later::Later;
use crate::ops::staging::{Previous, Target};
use crate::ops::teller::Teller;
use crate::ops::workers::Workers;
use crate::report::{Digests, Event, MailboxLine, Status, UserLine};

/// Of an account that is the same as at the last pass, and that needed a person then.
const AS_LEFT: &str =
    "the destination: the source is as at the last pass, and the destination was not read again";

/// An account that needed a person at the last pass, and is still the same: that is said again, and nothing is
/// written. What was mended since then shows only in what is read, since a date or a mode can be put back with it.
pub(super) fn said_again(
    job: &Job<'_>,
    target: &Target<'_>,
    options: &Options,
    teller: &Teller<'_>,
    workers: &Workers,
) -> Result<Option<UserLine>> {
    let head = match &target.previous {
        Previous::Ours(head, _) if !head.clean => head,
        _ => return Ok(None),
    };
    let mut open = job.open.again()?;
    open.uidnext_before.clone_from(&head.made_up_from);
    open.earlier = target.earlier()?;
    let heard = Later::default();
    let later = Teller::new(job.user, &heard);
    let source = open_source(job, &open, &later)?;
    let stamp = hex(&source.stamp()?);
    if !target.is_made_of(&stamp, options) {
        return Ok(None);
    }
    tell_moved(job, target, source.as_ref(), &later)?;
    let opened = (source.as_ref(), &open);
    let run = Run::new(job, opened, stamp, options, &later, workers);
    run.tell_account();
    let mut line = run.dry(|_| ())?;
    if line.digest.source != head.digest {
        return Ok(None);
    }
    if !options.dry_run {
        target.tidy()?;
    }
    teller.started(|| source.estimate());
    heard.tell(teller);
    line.digest.destination = Some(head.digest.clone());
    line.not_compared.push(AS_LEFT.into());
    Ok(Some(line))
}

/// Nothing has changed on either side: what the last pass said holds.
pub(super) fn unchanged(
    teller: &Teller<'_>,
    head: &Head,
    mailboxes: &[MailboxLine],
    started: Instant,
) -> UserLine {
    for mailbox in mailboxes {
        teller.watch().on(Event::MailboxDone(mailbox));
    }
    let counts = teller.counts();
    let line = UserLine {
        mailboxes: mailboxes.len() as u64,
        messages: mailboxes.iter().map(|mailbox| mailbox.messages).sum(),
        bytes: mailboxes.iter().map(|mailbox| mailbox.bytes).sum(),
        findings: counts.all_findings(),
        digest: Digests {
            source: head.digest.clone(),
            destination: Some(head.digest.clone()),
        },
        seconds: started.elapsed().as_secs_f64(),
        ..UserLine::new(teller.user(), Status::Unchanged)
    };
    teller.watch().on(Event::UserDone(&line));
    line
}
