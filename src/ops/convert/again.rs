//! A second pass over an account that is as it was at the last one.

use std::time::Instant;

use super::{Job, Options, Run};
use crate::digest::hex;
use crate::error::Result;
use crate::format::tally::Head;
use crate::ops::staging::{Previous, Target};
use crate::ops::teller::Teller;
use crate::ops::workers::Workers;
use crate::report::{Digests, Event, MailboxLine, Status, UserLine};

/// Of an account that is the same as at the last pass, and that needed a person then.
pub(super) const AS_LEFT: &str =
    "the destination: the source is as at the last pass, and the destination was not read again";

/// The state of an account that needed a person at the last pass and is still the same: what was mended
/// since then shows only when it is read again, since a date or a mode can be put back with it.
pub(super) fn as_it_was_left(
    job: &Job<'_>,
    target: &Target<'_>,
    options: &Options,
    workers: &Workers,
) -> Result<Option<Head>> {
    let head = match &target.previous {
        Previous::Ours(head, _) if !head.clean => head,
        _ => return Ok(None),
    };
    let mut open = job.open.again()?;
    open.uidnext_before = head.made_up_from.clone();
    open.earlier = target.earlier()?;
    let source = (job.from.open)(job.source.again()?, &open, &mut |_| ())?;
    let stamp = hex(&source.stamp()?);
    if !target.is_made_of(&stamp, options) {
        return Ok(None);
    }
    let silent = Teller::new(job.user, &());
    let run = Run::new(
        job,
        (source.as_ref(), &open),
        stamp,
        options,
        &silent,
        workers,
    );
    let line = run.dry(|_| ())?;
    Ok((line.digest.source == head.digest).then(|| Head::clone(head)))
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
