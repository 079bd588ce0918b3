//! How much is used, counted from the messages, against what the store believes?
//!
//! ```text
//! messages --> plain bytes    against maildirsize, a dict's file    as Dovecot's maildir and dict quota count
//!         \--> virtual bytes  against hdr-vsize of indexes          as its count quota does
//! ```

mod count;
mod kept;

use std::time::Instant;

use self::count::Count;
pub use self::kept::DictFile;
use self::kept::Kept;
use super::repair;
use super::teller::Teller;
use super::workers::Workers;
use crate::disk::Dir;
use crate::error::Result;
use crate::format::{OpenOptions, Room};
use crate::report::catalogue as rules;
use crate::report::{Finding, QuotaLine, QuotaStatus, Severity, UserLine};
use crate::store::{BelievedUsage, Source};

/// What the command line says.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Correct what is kept and wrong.
    pub write: bool,
    /// The operator vouches for it that no server works on the account.
    pub offline: bool,
    /// Files keep bytes with CRLF line ends: Dovecot's `quota_vsizes = yes`.
    pub vsizes: bool,
}

/// Counts one account; `dict` is a file that keeps its usage outside of it.
pub fn account(
    room: &Room,
    root: &Dir,
    open: &OpenOptions,
    dict: Option<&DictFile>,
    options: &Options,
    teller: &Teller<'_>,
    workers: &Workers,
) -> Result<UserLine> {
    let started = Instant::now();
    if options.write {
        if !options.offline {
            repair::refuse_in_use(&repair::places(room, root, open), open.now)?;
        }
        root.lock()?;
    }
    // Usage is what this is about; only what cannot be read matters beside it.
    let mut found = |finding: Finding| {
        if finding.severity() == Severity::Error {
            teller.found(finding);
        }
    };
    let source = (room.open)(root.again()?, open, &mut found)?;
    teller.started(|| source.estimate());
    let before = source.stamp()?;
    let mut count = Count::new(teller, workers);
    count.mailboxes(source.as_ref())?;
    let mut all = Vec::new();
    for kept in Kept::all(room, root, open, dict) {
        if let Some(line) = count.of_file(&kept, options.vsizes)? {
            all.push((kept, line));
        }
    }
    let mut of_indexes = count.of_indexes();
    let changed = source.stamp()? != before;
    if changed {
        let detail = "messages came, went or moved while they were counted";
        teller.found(Finding::new(&rules::ACCOUNT_CHANGED, detail));
    }
    let hindered = count
        .gap()
        .or(changed.then_some("the store changed meanwhile"));
    if options.write && hindered.is_none() {
        for (kept, line) in &mut all {
            correct(kept, line)?;
        }
        correct_indexes(
            room,
            source.as_ref(),
            count.wrong_indexes(),
            &mut of_indexes,
        )?;
    }
    let lines = std::iter::once(of_indexes).chain(all.into_iter().map(|(_, line)| line));
    let mut lines: Vec<_> = lines.collect();
    if options.write {
        let why = hindered.unwrap_or("its server would not read it from where it stands");
        tell_unwritten(&mut lines, why);
    }
    Ok(count.finish(&lines, started))
}

/// Says of what is wrong still why it is.
fn tell_unwritten(lines: &mut [QuotaLine], why: &str) {
    for line in lines {
        if line.status.is_wrong() {
            line.not_written = Some(why.into());
        }
    }
}

/// Makes a file say what was counted.
fn correct(kept: &Kept<'_>, line: &mut QuotaLine) -> Result<()> {
    if line.status == QuotaStatus::Ok {
        return Ok(());
    }
    let number = |count: i128| u64::try_from(count).unwrap_or(u64::MAX);
    kept.write(number(line.counted.bytes), number(line.counted.messages))?;
    corrected(line);
    Ok(())
}

/// Makes the indexes say what was counted, where a server will read that from them.
fn correct_indexes(
    room: &Room,
    source: &dyn Source,
    wrong: &[(usize, BelievedUsage)],
    line: &mut QuotaLine,
) -> Result<()> {
    if wrong.is_empty() {
        return Ok(());
    }
    let mut all = true;
    for (nth, usage) in wrong {
        let place = source.mailbox(*nth, &mut |_| ())?.index_place()?;
        all &= match place {
            Some(dir) => (room.correct_usage)(&dir, usage)?,
            None => false,
        };
    }
    if all {
        corrected(line);
    }
    Ok(())
}

fn corrected(line: &mut QuotaLine) {
    line.status = QuotaStatus::Corrected;
    line.stored = Some(line.counted);
}
