//! Maildir: one file a message, its flags in the name.
//!
//! ```text
//! <root>/cur  new  tmp                       the INBOX
//!        .Archive.2020/cur new tmp           Maildir++: one directory a mailbox
//!        Archive/2020/cur new tmp            LAYOUT=fs: directories stand for levels
//!        subscriptions, dovecot-uidvalidity*, .dovecot.sieve, sieve/      shelf `side_files`
//!        courierimapsubscribed, maildirsize
//! <mailbox>/cur/1577900060.M1P100.lab,S=179,W=187:2,FSd
//!           |----------- base name -------------| flags, keyword letters    `filename`
//!           dovecot-uidlist, courierimapuiddb    UIDs of base names          `uidlist`
//!           dovecot-keywords, courierimapkeywords   letters and names        `keywords`
//!           dovecot.index*                       what the names cannot hold: keywords beyond 26,
//!                                                saved dates, \Recent       shelf `dovecot_index`
//! ```
//! Received date: the file's mtime. GUID: the base name. What is in no uidlist gets the UID that
//! Dovecot would give it. `tmp/` is never mail.
//!
//! Written are Dovecot's files of these, without an index: Dovecot makes one, and no UID changes. The base
//! name is the message's GUID where that can be (`base_name`); `\Recent` messages lie in `new/`, with
//! their flags in the name, which Dovecot reads there too.
//!
//! Source: Dovecot 2.3, `src/lib-storage/index/maildir/`; Courier's maildir documentation.
//! Not supported: LAYOUT=index, private indexes of shared mailboxes.

mod base_name;
mod coat;
mod doubles;
pub mod filename;
mod folders;
mod identity;
mod keywords;
mod letters;
mod links;
mod listing;
mod lost;
mod mailbox;
mod matching;
mod names;
mod notes;
mod opening;
mod outvoted;
mod peek;
pub mod quota;
mod read;
mod recalled;
mod repair;
mod stamp;
pub mod uidlist;
mod wrapping;
mod write;

#[cfg(test)]
mod tests;

use super::{Likeness, Room};
use crate::disk::{Dir, Kind};
use crate::store::{Holds, Takes};

/// This room.
pub const ROOM: Room = Room {
    name: "maildir",
    detect,
    open: read::open,
    create: Some(write::create),
    holds: Holds {
        keywords: filename::LETTERS as usize,
        saved_dates: false,
        modseq: false,
        bare_names: false,
        quota_limits: true,
        always_inbox: true,
        ids_of_any_text: false,
        links_in_root: false,
    },
    takes: Takes {
        file_per_message: true,
        mailbox_files: &[110],
        mailbox_marks: 1,
        mailbox_dirs: 4,
        account_files: &[0],
        account_dirs: 0,
    },
    name_problem: names::name_problem,
    stamp: stamp::stamp,
    repair: Some(repair::plan),
    hidden: folders::hidden,
    quota: Some(quota::FILE),
    correct_usage: super::dovecot_index::correct_usage,
};

fn detect(root: &Dir) -> Likeness {
    if root.has_dir("cur") && root.has_dir("new") {
        return Likeness::Yes;
    }
    let folder = |name: &[u8]| root.dir(name).is_ok_and(|dir| dir.has_dir("cur"));
    let entries = root.entries().unwrap_or_default();
    let any = entries
        .iter()
        .any(|entry| entry.kind == Kind::Dir && folder(&entry.name));
    if any || root.has_dir("cur") {
        Likeness::Maybe
    } else {
        Likeness::No
    }
}
