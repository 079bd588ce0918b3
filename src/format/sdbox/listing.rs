//! The message files of a mailbox, and what its index knows of them.
//!
//! ```text
//! index    files
//!   3       3       a message
//!   4               lost: said when it is opened
//!           5       orphan: said; carried only where the index cannot be trusted
//!         UIDNEXT   the same; and the index is older than it
//! ```

use super::layout::{HEADER, file_name, uid_of};
use crate::disk::{Dir, Kind};
use crate::error::Result;
use crate::format::dbox::Mails;
use crate::format::dovecot_index::{Index, Origin};
use crate::report::catalogue::{
    DBOX_ALT, DBOX_LOST, DBOX_NEWER, DBOX_ORPHAN, DBOX_RECOVERED, DBOX_STRAY, INDEX_MISSING,
};
use crate::report::{Finding, counted};
use crate::store::Found;

/// The UIDs that have a file, ascending.
pub(super) fn list(mails: &Mails, found: Found<'_>) -> Result<Vec<u32>> {
    let mut files = list_one(&mails.dir, found)?;
    if let Some(alt) = &mails.alt {
        match list_one(alt, found) {
            Ok(moved) => files.extend(moved),
            Err(error) => found(Finding::new(&DBOX_ALT, error.chain())),
        }
    }
    files.sort_unstable();
    files.dedup();
    Ok(files)
}

/// True where a message file lies in either place.
pub(super) fn has_files(mails: &Mails) -> Result<bool> {
    Ok(!list(mails, &mut |_| ())?.is_empty())
}

fn list_one(dir: &Dir, found: Found<'_>) -> Result<Vec<u32>> {
    let mut files = Vec::new();
    dir.each_entry(|name, kind| {
        if let (Some(uid), Kind::File) = (uid_of(name), kind) {
            files.push(uid);
        } else if !is_servers_own(name) {
            found(Finding::new(&DBOX_STRAY, "not a message").path(name));
        }
    })?;
    Ok(files)
}

/// Indexes, locks and deliveries on their way, and the search index that lies beside the messages.
fn is_servers_own(name: &[u8]) -> bool {
    let begins: [&[u8]; 3] = [b"dovecot", b".temp.", b"fts-"];
    begins.iter().any(|begin| name.starts_with(begin))
}

/// What the numbers in the file names tell.
pub(super) fn made_from(files: &[u32]) -> Index {
    let mut index = Index::default();
    index.next_uid = 1;
    index.first_recent_uid = 1;
    index.origin = Origin::Nothing;
    index.take_in(files);
    index
}

/// What is left of a mailbox without an index: the numbers in the file names, and what its log says of them.
pub(super) fn left_of(
    in_log: Option<Index>,
    files: &[u32],
    index_elsewhere: bool,
    found: Found<'_>,
) -> Index {
    let mut index = in_log.unwrap_or_else(|| made_from(files));
    let mut detail = counted(files.len() as u64, "message file");
    if let Origin::Log(_) = index.origin {
        detail += "; flags and keywords are those that were set since the log begins";
    }
    if index_elsewhere {
        detail += "; there is none where INDEX= says";
    }
    if !files.is_empty() {
        found(Finding::new(&INDEX_MISSING, detail));
    }
    leave_out_lost(&mut index, files, found);
    index
}

/// True where most messages of an index with a damaged header have their files; others may have been
/// expunged since.
pub(super) fn holds_up(index: &Index, files: &[u32]) -> bool {
    let held = index.uids.iter();
    let held = held.filter(|uid| files.binary_search(uid).is_ok()).count();
    let of_ours = index.extension(HEADER).is_some();
    of_ours && held > 0 && held * 2 >= index.uids.len()
}

/// What is damaged may name any message: without a file it is none.
pub(super) fn leave_out_lost(index: &mut Index, files: &[u32], found: Found<'_>) {
    let lost = index.keep(|uid| files.binary_search(&uid).is_ok());
    if let Some(first) = lost.first() {
        let lost = counted(lost.len() as u64, "message");
        let detail = format!("{lost} without a file, the first is {}", file_name(*first));
        found(Finding::new(&DBOX_LOST, detail));
    }
}

/// Says which files the index does not know. Where it is in doubt, or knows messages without files, such
/// files are messages: as in Dovecot, which makes a new index then. Those are returned.
pub(super) fn compare(
    index: &mut Index,
    files: &[u32],
    in_doubt: bool,
    found: Found<'_>,
) -> Vec<u32> {
    let unknown =
        |uid: &&u32| index.position(**uid).is_none() && !index.requested_expunges.contains(uid);
    let orphans: Vec<u32> = files.iter().filter(unknown).copied().collect();
    let lost = |uid: &u32| files.binary_search(uid).is_err();
    if !in_doubt && !index.uids.iter().any(lost) {
        let newest = orphans.last().copied();
        for uid in orphans {
            found(Finding::new(&DBOX_ORPHAN, "not in the index").path(file_name(uid)));
        }
        if let Some(newest) = newest.filter(|newest| *newest >= index.next_uid) {
            let detail = format!("UIDNEXT is {}", index.next_uid);
            found(Finding::new(&DBOX_NEWER, detail).path(file_name(newest)));
            index.next_uid = newest.saturating_add(1);
        }
    } else if let Some(first) = orphans.first() {
        let count = counted(orphans.len() as u64, "message");
        let detail = format!("{count}, the first is {}", file_name(*first));
        found(Finding::new(&DBOX_RECOVERED, detail));
        index.take_in(&orphans);
        return orphans;
    }
    Vec::new()
}
