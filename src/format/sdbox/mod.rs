//! sdbox: one file a message, and an index that is data.
//!
//! ```text
//! <root>/mailboxes/Archive/2020/dbox-Mails/        the tree and its indexes: shelf `dbox`
//!            dovecot.index.cache                  here: only the saved dates
//!            u.1  u.3  u.17                       body, received, GUID, POP3 UIDL: shelf `dbox`
//! ```
//!
//! Source: Dovecot 2.3, `src/lib-storage/index/dbox-single/`.
//! Not supported: LAYOUT=index.

mod layout;
mod listing;
mod mailbox;
mod read;
mod repair;
mod write;

#[cfg(test)]
mod tests;

use super::{Likeness, Room, dbox};
use crate::disk::Dir;
use crate::store::Takes;

/// This room.
pub const ROOM: Room = Room {
    name: "sdbox",
    detect,
    open: read::open,
    create: Some(write::create),
    holds: dbox::HOLDS,
    takes: Takes {
        file_per_message: true,
        mailbox_files: &[40, 0, 24],
        mailbox_marks: 0,
        mailbox_dirs: 2,
        account_files: &[],
        account_dirs: 2,
    },
    name_problem: dbox::name_problem,
    stamp: read::stamp,
    repair: Some(repair::plan),
    hidden: |_| Vec::new(),
    quota: None,
    correct_usage: super::dovecot_index::correct_usage,
};

fn detect(root: &Dir) -> Likeness {
    match dbox::kind(root) {
        Some(dbox::Kind::Sdbox) => Likeness::Yes,
        Some(dbox::Kind::Either) => Likeness::Maybe,
        Some(dbox::Kind::Mdbox) | None => Likeness::No,
    }
}
