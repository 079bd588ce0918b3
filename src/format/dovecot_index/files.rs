//! The files of a mailbox's index, and what a new index does away with.

use crate::report::Rule;
use crate::report::catalogue as rules;

/// The index.
pub const INDEX: &str = "dovecot.index";
/// Its log.
pub const LOG: &str = "dovecot.index.log";
/// Its cache.
pub const CACHE: &str = "dovecot.index.cache";
/// Files beside an index that would contradict a new one.
pub const OLD: [&str; 3] = [
    "dovecot.index.log.2",
    "dovecot.index.backup",
    "dovecot.index.tmp",
];

/// True for a finding of a mailbox that it no longer has when its index is written anew.
pub fn mended_by_a_new_index(rule: &'static Rule) -> bool {
    let mended = [
        &rules::INDEX_BEHIND,
        &rules::INDEX_BROKEN,
        &rules::INDEX_CACHE,
        &rules::INDEX_INDEXID,
        &rules::INDEX_LOG,
        &rules::INDEX_LOG_GAP,
        &rules::INDEX_LOG_LOST,
        &rules::INDEX_LOST,
        &rules::INDEX_MISSING,
        &rules::INDEX_UIDVALIDITY,
        &rules::INDEX_UIDVALIDITY_WRONG,
        &rules::DBOX_NEWER,
        &rules::DBOX_RECOVERED,
        &rules::DBOX_GUID,
    ];
    mended.contains(&rule)
}
