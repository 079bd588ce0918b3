//! mdbox: many messages a file, a map that says where each one is, and indexes that say who has it.
//!
//! ```text
//! <root>/mailboxes/Archive/2020/dbox-Mails/        the tree and its indexes: shelf `dbox`
//!            dovecot.index      UID, flags, keywords, map UID, saved date, GUID -----.
//!        storage/                                                                     |
//!            dovecot.map.index  map UID --> file, offset, size; how many share it <---'
//!            m.1  m.2  ...      messages one behind the other: body, received, GUID, POP3 UIDL
//! ```
//! The map is a Dovecot index too, with a log of its own. A stored message that nobody has any more
//! stays until a purge. A message that the map leads astray to is found again by its GUID: [`scan`] reads
//! the storage files from end to end, and after damage from the next message header that holds up.
//!
//! Source: Dovecot 2.3, `src/lib-storage/index/dbox-multi/`.
//! Not supported: LAYOUT=index.

mod fields;
mod filling;
mod layout;
mod made;
mod mailbox;
mod map;
mod pool;
mod queue;
mod read;
mod repair;
pub mod scan;
mod storage;
mod unnamed;
mod write;

#[cfg(test)]
mod tests;

use super::{Likeness, Room, dbox};
use crate::disk::Dir;
use crate::store::Takes;

/// This room.
pub const ROOM: Room = Room {
    name: "mdbox",
    detect,
    open: read::open,
    create: Some(write::create),
    holds: dbox::HOLDS,
    takes: Takes {
        file_per_message: false,
        mailbox_files: &[64, 0],
        mailbox_marks: 0,
        mailbox_dirs: 2,
        account_files: &[24, 0],
        account_dirs: 3,
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
        Some(dbox::Kind::Mdbox) => Likeness::Yes,
        Some(dbox::Kind::Either) => Likeness::Maybe,
        None if root.has_dir(layout::STORAGE) => Likeness::Maybe,
        Some(dbox::Kind::Sdbox) | None => Likeness::No,
    }
}
