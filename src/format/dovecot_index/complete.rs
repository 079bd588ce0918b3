//! What has all that an index had, where that cannot be wholly read.
//!
//! ```text
//! dovecot.index, damaged        some records, fields or names cannot be read
//! a log from the beginning      has all of it: used alone
//! dovecot.index.backup, logs    an older state and all changes since: used instead
//! ```

use super::base::Map;
use super::index::Index;
use super::load::{Files, from_nothing, go_on, read_logs, read_map, tell};
use super::log::Log;
use crate::Result;
use crate::disk::Dir;
use crate::report::Finding;
use crate::report::catalogue::{INDEX_BROKEN, INDEX_LOG_GAP};

/// Log or copy where one of them has it all, else what can be read of the `damaged` index.
pub(super) fn or_better(
    dir: &Dir,
    files: &mut Files,
    damaged: Index,
    told: &mut Vec<Finding>,
) -> Result<Index> {
    files.backup.read(dir, &mut |_| ())?;
    let copy = read_map(&mut files.backup, &mut |_| ());
    let logs = read_logs([&files.log_2, &files.log], &mut |_| ());
    if { logs.iter() }.all(|log| (log.seq(), log.len()) < files.reach) {
        return Ok(damaged);
    }
    let candidates = [
        (&files.log.name, log_alone(&logs)),
        (
            &files.backup.name,
            copy.and_then(|copy| brought_up(copy, &logs)),
        ),
    ];
    let has_all = |index: &Index| {
        let is_of_it = index.indexid == damaged.indexid && index.unread.is_empty();
        is_of_it && { damaged.uids.iter() }.all(|uid| index.position(*uid).is_some())
    };
    for (name, candidate) in candidates {
        if let Some(index) = candidate.filter(has_all) {
            let why = "it has all that cannot be read of the index, and is used";
            tell(&mut |finding| told.push(finding), &INDEX_BROKEN, name, why);
            return Ok(index);
        }
    }
    Ok(damaged)
}

fn log_alone(logs: &[Log<'_>]) -> Option<Index> {
    without_gap(|found| from_nothing(logs, false, found))
}

fn brought_up(copy: Map, logs: &[Log<'_>]) -> Option<Index> {
    without_gap(|found| Some(go_on(copy, logs, found)))
}

fn without_gap(build: impl FnOnce(&mut dyn FnMut(Finding)) -> Option<Index>) -> Option<Index> {
    let mut is_gapless = true;
    let index = build(&mut |finding| is_gapless &= finding.rule != &INDEX_LOG_GAP);
    index.filter(|_| is_gapless)
}
