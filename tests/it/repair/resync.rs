//! The same damage to an mdbox of six messages, mended by the server's own resync and by `repair`: what is lost
//! there is kept here, and what is lost here is said.

use std::fs;
use std::path::Path;

use bstr::ByteSlice;

use super::recalled::{converted, repair};
use super::{lost, mended};
use crate::harness::dovecot::Server;
use crate::harness::maildir::Maildir;
use crate::harness::run::Ran;
use crate::harness::store::Store;

/// What of a store is as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Kept {
    messages: usize,
    /// With flags and keywords.
    flags: usize,
    /// Under the old UIDVALIDITY.
    uids: usize,
    uidvalidities: usize,
}

const ALL: Kept = of_messages(6);

/// So many messages, with all that is told of them, in the mailboxes as they were.
const fn of_messages(count: usize) -> Kept {
    Kept {
        messages: count,
        flags: count,
        uids: count,
        uidvalidities: 2,
    }
}

impl Kept {
    fn of(before: &Store, after: &Store) -> Self {
        let mut kept = Self {
            messages: 0,
            flags: 0,
            uids: 0,
            uidvalidities: 0,
        };
        for (name, was) in &before.mailboxes {
            let Some(is) = after.mailboxes.get(name) else {
                continue;
            };
            let is_valid = is.uidvalidity == was.uidvalidity;
            kept.uidvalidities += usize::from(is_valid);
            for (uid, message) in &was.messages {
                let same = is.messages.iter().find(|(_, it)| it.body == message.body);
                let Some((is_uid, it)) = same else { continue };
                kept.messages += 1;
                kept.flags +=
                    usize::from((&it.flags, &it.keywords) == (&message.flags, &message.keywords));
                kept.uids += usize::from(is_valid && is_uid == uid);
            }
        }
        kept
    }

    fn is_no_less_than(self, other: Self) -> bool {
        self.messages >= other.messages
            && self.flags >= other.flags
            && self.uids >= other.uids
            && self.uidvalidities >= other.uidvalidities
    }
}

/// What is left by the resync, and by a repair; and what the repair said. The conversion's own record is there, or
/// not.
fn both(server: &Server, damage: fn(&Path), has_state: bool) -> (Kept, Kept, Ran) {
    let account = Maildir::five_and_one();
    let store = converted(&account, "mdbox");
    let before = Store::of("mdbox", &store, "");
    damage(&store);
    if !has_state {
        fs::remove_file(store.join("mailtally.state")).unwrap();
    }
    let theirs = server.serve("mdbox", &store);
    theirs.doveadm(&["force-resync", "*"]);
    let resynced = Kept::of(&before, &Store::of("mdbox", &theirs.mail(), ""));

    let ran = repair(&account, "mdbox", &store);
    let repaired = Store::of("mdbox", &store, "");
    assert!(
        repaired
            .findings
            .iter()
            .all(|found| found.starts_with("message.")),
        "{:?}",
        repaired.findings
    );
    let ours = server.serve("mdbox", &store);
    ours.account();
    ours.assert_silent();
    let kept = Kept::of(&before, &repaired);
    assert!(
        kept.is_no_less_than(resynced),
        "{kept:?} after {resynced:?}: {ran}"
    );
    (resynced, kept, ran)
}

fn change(store: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let path = store.join("storage/m.1");
    let mut bytes = fs::read(&path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

/// Removes all files below `dir` whose names begin so.
fn remove(dir: &Path, begin: &str) {
    for entry in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap()) {
        if entry.path().is_dir() {
            remove(&entry.path(), begin);
        } else if entry.file_name().to_string_lossy().starts_with(begin) {
            fs::remove_file(entry.path()).unwrap();
        }
    }
}

fn flip_a_byte(store: &Path) {
    change(store, |bytes| {
        let at = bytes.find("number 3").unwrap();
        bytes[at] ^= 1;
    });
}

/// Within what stands behind the last message.
fn cut_the_end(store: &Path) {
    change(store, |bytes| bytes.truncate(bytes.len() - 40));
}

fn lose_the_index_of_inbox(store: &Path) {
    remove(&store.join("mailboxes/INBOX"), "dovecot");
}

fn lose_all_indexes(store: &Path) {
    remove(store, "dovecot");
}

fn lose_the_map(store: &Path) {
    remove(store, "dovecot.map");
}

/// The header of a stored message, and more than half of the message.
fn zero_64_bytes(store: &Path) {
    change(store, |bytes| {
        let at = bytes.find("From: a@b.example\nSubject: number 3").unwrap() - 30;
        bytes[at..at + 64].fill(0);
    });
}

fn lose_the_messages(store: &Path) {
    remove(&store.join("storage"), "m.");
}

#[test]
fn what_a_resync_loses_a_repair_keeps_or_names() {
    let Some(server) = Server::here("what_a_resync_loses") else {
        return;
    };
    let keeps = |damage: fn(&Path), wanted: Kept| {
        let (resynced, kept, ran) = both(&server, damage, true);
        assert_eq!(kept, wanted, "{ran}");
        (resynced, ran)
    };
    // R11: a changed byte, of which a resync has no word.
    let one_less = of_messages(5);
    let (_, ran) = keeps(flip_a_byte, one_less);
    let altered = ran.exits(1).findings("message.altered").len();
    assert_eq!(altered, 1);
    // R12
    let (resynced, ran) = keeps(cut_the_end, ALL);
    assert!(resynced.messages < 6, "{resynced:?}");
    ran.exits(0);
    // R13, R14: all flags, and the UIDVALIDITY of one mailbox or of both.
    for damage in [lose_the_index_of_inbox, lose_all_indexes] {
        let (resynced, ran) = keeps(damage, ALL);
        assert!(
            resynced.flags < 6 && resynced.uidvalidities < 2,
            "{resynced:?}"
        );
        ran.exits(0);
    }
    // R15
    let (_, ran) = keeps(lose_the_map, ALL);
    ran.exits(0);
    // R16: more than the message that the bytes were in.
    let (resynced, ran) = keeps(zero_64_bytes, one_less);
    assert!(resynced.messages <= 5, "{resynced:?}");
    assert_eq!(lost(&ran.exits(1)).len(), 1);
    // R17: without a line.
    let (_, ran) = keeps(lose_the_messages, of_messages(0));
    assert!(mended(&ran).contains(&"mdbox.lost".to_owned()), "{ran}");
    assert_eq!(lost(&ran.exits(1)).len(), 6);
}

#[test]
fn without_what_a_conversion_remembers_a_repair_keeps_no_less_than_a_resync() {
    let Some(server) = Server::here("without_what_a_conversion_remembers") else {
        return;
    };
    for damage in [
        flip_a_byte,
        cut_the_end,
        lose_the_index_of_inbox,
        lose_all_indexes,
        lose_the_map,
        zero_64_bytes,
        lose_the_messages,
    ] {
        let (resynced, kept, ran) = both(&server, damage, false);
        let has_lost = kept.flags < 6 || kept.uids < 6;
        let says_so = !lost(&ran).is_empty();
        // Of a byte that is another one nothing is left that could tell.
        let is_told = says_so || (kept.messages, kept.uidvalidities) == (5, 2) && ran.code == 0;
        assert!(!has_lost || is_told, "{resynced:?} {kept:?} {ran}");
    }
}
