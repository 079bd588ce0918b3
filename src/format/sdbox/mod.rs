//! sdbox: one file a message, and an index that is data.
//!
//! ```text
//! <root>/subscriptions, dovecot-uidvalidity*      shelf `side_files`
//!        .dovecot.sieve, sieve/
//!        mailboxes/Archive/2020/dbox-Mails/
//!            dovecot.index                        UIDs, flags, keywords, UIDVALIDITY, mailbox GUID
//!            dovecot.index.log                    here: nothing but its header
//!            dovecot.index.cache                  here: only the saved dates
//!            dovecot-acl
//!            u.1  u.3  u.17                       shelf `dbox`: body, received, GUID, POP3 UIDL
//! ```
//! A mailbox is its `dbox-Mails`; a directory without one only stands above others (`\NoSelect`).
//!
//! Source: Dovecot 2.3, `src/lib-storage/index/dbox-single/`.
//! Not supported: ALT storage, LAYOUT=index, external attachments.

mod layout;
mod mailbox;
mod read;
mod stored;
mod write;

#[cfg(test)]
mod tests;

use super::{Likeness, Room};
use crate::disk::Dir;

/// This room.
pub const ROOM: Room = Room {
    name: "sdbox",
    detect,
    open: read::open,
    create: Some(write::create),
    name_problem: write::name_problem,
    stamp: read::stamp,
};

fn detect(root: &Dir) -> Likeness {
    let has = |name: &str| root.dir_if_there(name).ok().flatten();
    match has(layout::MAILBOXES) {
        Some(_) if has("storage").is_some() => Likeness::No,
        Some(mailboxes) if mailboxes.dir("INBOX").is_ok() => Likeness::Yes,
        Some(_) => Likeness::Maybe,
        None => Likeness::No,
    }
}
