//! What can be had of an index that is lost or damaged.
//!
//! ```text
//! dovecot.index       .log.2        .log
//! (lost)              changes ----> changes       over messages that are known from elsewhere
//! ```
//! Of two logs the older one counts only where the newer one goes on from it: with changes missing between
//! them, the older one may say what was no longer so.

use super::index::{Index, Origin};
use super::layout::{Append, kind};
use super::load::{Files, Found, apply, of_index, read_logs, tell, tell_requested};
use super::log::Log;
use super::replay::Replay;
use crate::Result;
use crate::disk::Dir;
use crate::report::Finding;
use crate::report::catalogue::INDEX_LOG_GAP;

/// Where [`load`](super::load) finds nothing to begin with: what the logs say of messages that are known to be
/// there. `None` where they say nothing.
///
/// A log tells which messages came since it began; those with UIDs below were there before. What came in the
/// log, or was expunged in it, may or may not be among those that are there.
pub fn load_over(
    dir: &Dir,
    base: &str,
    there: &Index,
    found: &mut dyn FnMut(Finding),
) -> Result<Option<Index>> {
    let mut files = Files::named(base);
    // What is wrong with these files was told when they were read before.
    files.log_2.read(dir, &mut |_| ())?;
    files.log.read(dir, &mut |_| ())?;
    let logs = read_logs([&files.log_2, &files.log], &mut |_| ());
    Ok(over(&logs, there, found))
}

fn over(logs: &[Log<'_>], there: &Index, found: Found<'_>) -> Option<Index> {
    let logs = newest(logs, found);
    let newest = logs.last()?;
    let mut records = logs.iter().flat_map(|log| log.records(log.start()));
    records.next()?;
    let first_new = first_appended(&logs);
    let mut before = there.clone();
    before.keep(|uid| uid < first_new);
    let mut replay = Replay::over(newest.header.indexid.get(), before);
    for log in &logs {
        apply(&mut replay, log, log.start(), found);
    }
    let mut index = replay.finish(newest.highest_modseq());
    index.origin = Origin::Log(first_new);
    tell_requested(&index, &logs, found);
    Some(index)
}

/// The newest log, after the one that it goes on from.
pub(super) fn newest<'l, 'a>(logs: &'l [Log<'a>], found: Found<'_>) -> Vec<&'l Log<'a>> {
    let Some(newest) = logs.last() else {
        return Vec::new();
    };
    let mut ours = of_index(logs.iter(), newest.header.indexid.get(), found);
    let previous = newest.header.prev_file_seq.get();
    let end = newest.header.prev_file_offset.get() as usize;
    ours.retain(|log| {
        let is_newest = std::ptr::eq(*log, newest);
        let goes_on = log.seq() == previous && log.seq() < newest.seq() && end <= log.len();
        if !is_newest && !goes_on {
            let why = format!("it is log {}; the next one is not there", log.seq());
            tell(found, &INDEX_LOG_GAP, &log.name, why);
        }
        is_newest || goes_on
    });
    ours
}

/// The first UID that came with these logs.
fn first_appended(logs: &[&Log<'_>]) -> u32 {
    let records = logs.iter().flat_map(|log| log.records(log.start()));
    let mut appends = records.filter(|record| record.kind == kind::APPEND);
    let first = appends.find_map(|record| record.all::<Append>().first().map(|new| new.uid.get()));
    first.unwrap_or(u32::MAX)
}
