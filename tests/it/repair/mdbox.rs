//! mdbox: many messages a file, and a map. The cases that a resync of the server itself loses (R11 to R17).

use std::fs;
use std::path::PathBuf;

use bstr::ByteSlice;

use super::recalled::converted;
use super::{Damaged, lost, mended, samples};
use crate::harness::dovecot::Server;
use crate::harness::maildir::Maildir;
use crate::harness::store::Store;
use crate::harness::tree::{copy, differences, tree};

fn sample() -> Damaged {
    Damaged::sample("mdbox")
}

fn read(damaged: &Damaged) -> Store {
    Store::of("mdbox", &damaged.store(), "")
}

fn storage(damaged: &Damaged, file: &str) -> PathBuf {
    damaged.at(format!("storage/{file}"))
}

/// The largest storage file.
fn mails(damaged: &Damaged) -> PathBuf {
    let files = fs::read_dir(damaged.at("storage")).unwrap();
    let files = files.map(|entry| entry.unwrap().path());
    let files = files.filter(|path| {
        path.file_name()
            .unwrap()
            .to_string_lossy()
            .starts_with("m.")
    });
    files
        .max_by_key(|path| fs::metadata(path).unwrap().len())
        .unwrap()
}

/// What a repair left is sound: to us, and to a server, whose own resync finds nothing more to do.
fn assert_sound(test: &str, damaged: &Damaged) -> Store {
    damaged.inspect().exits(0);
    let before = tree(&damaged.store());
    let again = damaged.repair().exits(0);
    assert!(again.records_of("step").is_empty(), "{again}");
    assert_eq!(differences(&before, &tree(&damaged.store())), [""; 0]);
    let mut store = read(damaged);
    // A second copy of what a mailbox has waits for a purge.
    store
        .findings
        .retain(|finding| !finding.starts_with("mdbox.unpurged"));
    assert_eq!(store.findings, [""; 0]);
    if let Some(server) = Server::here(test) {
        let dovecot = server.serve("mdbox", damaged.store());
        let account = dovecot.account();
        dovecot.assert_silent();
        dovecot.force_resync();
        dovecot.assert_silent();
        let resynced = dovecot.account().without_modseqs().without_recent();
        assert_eq!(resynced, account.without_modseqs().without_recent());
    }
    store
}

/// The same mail: bodies, flags, UIDs, UIDVALIDITY.
#[track_caller]
fn assert_same(before: &Store, after: &Store) {
    assert_eq!(after.names(), before.names());
    let selectable = before.mailboxes.iter().filter(|(_, was)| was.selectable);
    for (name, was) in selectable {
        let is = after.mailbox(name);
        assert_eq!(
            (is.uidvalidity, &is.guid),
            (was.uidvalidity, &was.guid),
            "{name}"
        );
        assert_eq!(is.messages, was.messages, "{name}");
        assert_eq!(is.uidnext, was.uidnext, "{name}");
    }
}

#[test]
fn a_sound_store_is_not_touched() {
    sample().is_not_touched();
}

#[test]
fn a_lost_map_is_made_anew_and_no_mailbox_is_touched() {
    let before = read(&sample());
    let damaged = sample();
    let map = [storage(&damaged, "dovecot.map.index.log")];
    let damaged = damaged.without(&map);
    let inbox = fs::read(damaged.mails("INBOX", "dovecot.index.log")).unwrap();
    let ran = damaged.repair().exits(0);
    assert_eq!(mended(&ran), ["mdbox.map-missing"]);
    assert_eq!(
        fs::read(damaged.mails("INBOX", "dovecot.index.log")).unwrap(),
        inbox
    );
    assert_same(&before, &assert_sound("a_lost_map", &damaged));
}

#[test]
fn sixty_four_zeroed_bytes_cost_one_message_at_most() {
    let before = read(&sample());
    let all: usize = before
        .mailboxes
        .values()
        .map(|mailbox| mailbox.messages.len())
        .sum();
    let len = fs::metadata(mails(&sample())).unwrap().len();
    for at in (0..len - 64).step_by(977) {
        let damaged = sample();
        let path = mails(&damaged);
        let at = usize::try_from(at).unwrap();
        let damaged = damaged.changed(&path, |bytes| bytes[at..at + 64].fill(0));
        damaged.repair();
        damaged.inspect();
        let after = read(&damaged);
        assert_eq!(after.findings, [""; 0], "zeroes at {at}");
        let (mut kept, mut whole) = (0, 0);
        for (name, mailbox) in &after.mailboxes {
            let was = before.mailbox(name);
            assert_eq!(mailbox.uidvalidity, was.uidvalidity);
            for (uid, message) in &mailbox.messages {
                let same = &was.messages[uid];
                assert_eq!(
                    (&message.flags, &message.keywords),
                    (&same.flags, &same.keywords)
                );
                kept += 1;
                whole += usize::from(message == same);
            }
        }
        // A message that was copied is stored once: its copies share the damage.
        assert!(
            kept + 3 >= all && whole + 5 >= all,
            "zeroes at {at}: {kept}, {whole} of {all}"
        );
    }
}

#[test]
fn a_message_behind_metadata_without_its_end_is_whole() {
    let all = read(&sample());
    let damaged = sample();
    let path = mails(&damaged);
    let bytes = fs::read(&path).unwrap();
    let begins: Vec<_> = bytes.find_iter(b"\x01\x02N ").collect();
    let (from, to) = (begins[2], begins[3]);
    let damaged = damaged.changed(&path, |bytes| bytes[to - 20..to - 1].fill(0));
    // Its bytes are looked at from end to end where the map does not lead to them.
    let map = storage(&damaged, "dovecot.map.index.log");
    let damaged = damaged.without(&[map]);
    let ran = damaged.inspect().exits(1);
    let detail = format!("bytes {from} to {to} hold no whole message");
    ran.says("mdbox.damaged", &serde_json::json!({"detail": detail}));
    let there = read(&damaged);
    for (name, was) in &all.mailboxes {
        let lost = was.messages.len() - there.mailbox(name).messages.len();
        assert!(lost <= 1, "{name}: {ran}");
    }
}

#[test]
fn a_message_of_another_guid_than_its_index_has_is_the_mailboxs_where_the_map_leads_to_it() {
    let stored = sample();
    let path = mails(&stored);
    let stored = stored.changed(&path, |bytes| {
        let guid = bytes.rfind(b"\nG").unwrap() + 2;
        bytes[guid] = if bytes[guid] == b'1' { b'2' } else { b'1' };
    });
    let indexed = samples::converted("mdbox", &[]);
    let index = indexed.mails("Sent", "dovecot.index");
    let indexed = indexed.changed(&index, |bytes| {
        // UID, flags, map UID and saved date stand before the GUID.
        let guid = samples::first_record(bytes) + 16;
        bytes[guid + 3] ^= 16;
    });
    for (test, damaged) in [("a_stored_guid", stored), ("an_indexed_guid", indexed)] {
        let before = read(&damaged);
        let found = damaged.inspect();
        assert_eq!(found.findings("mdbox.guid").len(), 1, "{found}");
        let ran = damaged.repair().exits(0);
        assert_eq!(mended(&ran), ["mdbox.guid"], "{ran}");
        assert_eq!(lost(&ran), [""; 0], "{ran}");
        assert_same(&before, &assert_sound(test, &damaged));
    }
}

#[test]
fn a_cache_that_cannot_be_read_is_told_with_its_path_once() {
    let damaged = sample();
    let caches = ["INBOX", "Sent", "Trash"].map(|name| damaged.mails(name, "dovecot.index.cache"));
    let cache = caches.into_iter().find(|cache| cache.exists()).unwrap();
    let damaged = damaged.changed(&cache, Vec::clear);
    let found = damaged.inspect();
    let path = cache.strip_prefix(damaged.store()).unwrap();
    found.says("index.cache", &serde_json::json!({"path": path}));
}

#[test]
fn a_cut_storage_file_keeps_all_but_the_last_message() {
    let before = read(&sample());
    let damaged = sample();
    let path = mails(&damaged);
    let damaged = damaged.changed(&path, |bytes| bytes.truncate(bytes.len() - 60));
    let ran = damaged.repair();
    assert_eq!(lost(&ran), ["uid 1: received date"], "{ran}");
    let after = assert_sound("a_cut_storage_file", &damaged);
    let count = |store: &Store| {
        store
            .mailboxes
            .values()
            .map(|it| it.messages.len())
            .sum::<usize>()
    };
    assert_eq!(count(&after), count(&before));
}

#[test]
fn a_storage_file_that_is_gone_costs_its_messages_and_is_said() {
    let damaged = sample();
    let path = mails(&damaged);
    let damaged = damaged.without(&[path]);
    let ran = damaged.repair().exits(1);
    assert!(mended(&ran).contains(&"mdbox.lost".to_owned()), "{ran}");
    assert!(!lost(&ran).is_empty());
    assert_sound("a_storage_file_that_is_gone", &damaged);
}

#[test]
fn a_stored_message_of_a_mailbox_without_index_is_carried_or_an_orphan_and_never_both() {
    let all = sample().inspect().summary()["messages"].clone();
    for mailbox in ["INBOX", "Sent", "Trash"] {
        let damaged = sample();
        let files = fs::read_dir(damaged.mails(mailbox, "")).unwrap();
        let files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        let damaged = damaged.without(&files);
        let ran = damaged.inspect().exits(1);
        assert_eq!(ran.summary()["messages"], all, "{mailbox}: {ran}");
        assert!(ran.findings("mdbox.orphan").is_empty(), "{mailbox}: {ran}");
    }
}

#[test]
fn an_empty_mailbox_without_index_is_said_too() {
    let account = Maildir::five_and_one().folder("Empty");
    let damaged = Damaged::new("mdbox", |store| copy(&converted(&account, "mdbox"), store));
    let index = ["dovecot.index", "dovecot.index.log"].map(|name| damaged.mails("Empty", name));
    let damaged = damaged.without(&index);
    let ran = damaged.inspect().exits(1);
    let detail = "no stored message is known to be of it";
    ran.says(
        "mdbox.index-missing",
        &serde_json::json!({"mailbox": "Empty", "detail": detail}),
    );
    let ran = damaged.repair().exits(0);
    assert!(mended(&ran).contains(&"mdbox.index-missing".to_owned()));
    assert_sound("an_empty_mailbox_without_index", &damaged);
}

#[test]
fn a_mailbox_without_index_keeps_its_messages_and_gets_a_new_uidvalidity() {
    let before = read(&sample());
    let damaged = sample().without_index();
    let ran = damaged.repair().exits(1);
    assert!(
        mended(&ran).contains(&"mdbox.index-missing".to_owned()),
        "{ran}"
    );
    let after = assert_sound("a_mailbox_without_index", &damaged);
    let (was, is) = (before.mailbox("INBOX"), after.mailbox("INBOX"));
    // The list does not tell the UIDNEXT of INBOX: under the old UIDVALIDITY, clients would show the wrong messages.
    assert_eq!(is.guid, was.guid);
    assert!(is.uidvalidity > was.uidvalidity);
    let bodies = |mailbox: &crate::harness::store::Mailbox| {
        let mut all: Vec<_> = mailbox
            .messages
            .values()
            .map(|it| it.body.clone())
            .collect();
        all.sort();
        all.dedup();
        all
    };
    let left: Vec<_> = bodies(is);
    assert!(!left.is_empty() && left.iter().all(|body| bodies(was).contains(body)));
    for name in ["Sent", "Trash", "Projects/Sub one"] {
        assert_eq!(after.mailbox(name), before.mailbox(name));
    }
}

#[test]
fn where_no_index_is_left_it_is_lost_which_messages_were_copied_or_moved() {
    let line = "which messages were copied or moved here: they may be in the mailboxes that had them first, or in none";
    let count = |damaged: &Damaged| {
        let lines = lost(&damaged.repair().exits(1)).into_iter();
        lines.filter(|lost| lost == line).count()
    };
    // The counts of the map tell it of one mailbox.
    assert_eq!(count(&sample().without_index()), 0);
    let damaged = sample().without_index();
    let log = damaged.mails("Trash", "dovecot.index.log");
    assert_eq!(count(&damaged.without(&[log])), 2);
    let damaged = sample().without_index();
    let map = storage(&damaged, "dovecot.map.index.log");
    assert_eq!(count(&damaged.without(&[map])), 1);
}

#[test]
fn where_the_list_tells_uidnext_new_uids_come_above_it_under_the_old_uidvalidity() {
    let before = read(&sample());
    let damaged = sample();
    let log = damaged.mails("Sent", "dovecot.index.log");
    let damaged = damaged.without(&[log]);
    damaged.repair().exits(1);
    let after = assert_sound("where_the_list_tells_uidnext", &damaged);
    let (was, is) = (before.mailbox("Sent"), after.mailbox("Sent"));
    assert_eq!(is.uidvalidity, was.uidvalidity);
    assert_eq!(is.messages.len(), was.messages.len());
    assert!(is.messages.keys().all(|uid| *uid >= was.uidnext));
}

#[test]
fn the_last_uidvalidity_is_noted_with_the_modes_of_a_server() {
    let modes = |damaged: &Damaged| {
        let nodes = tree(&damaged.store()).into_iter();
        let nodes = nodes.map(|(path, node)| (path.display().to_string(), node.mode));
        let noted = nodes.filter(|(name, _)| name.starts_with("dovecot-uidvalidity"));
        noted.collect::<Vec<_>>()
    };
    let before = modes(&sample());
    let damaged = sample().without_index();
    damaged.repair().exits(1);
    let after = modes(&damaged);
    let only = |all: &[(String, u32)]| all.iter().map(|(_, mode)| *mode).collect::<Vec<_>>();
    assert_ne!(after, before, "a new one was given out");
    assert_eq!(only(&after), only(&before));
    assert_eq!(after[1].1 & 0o777, 0o444);
}

#[test]
fn counts_that_are_wrong_are_corrected() {
    let damaged = sample();
    let index = damaged.mails("Trash", "dovecot.index.log");
    let damaged = damaged.changed(&index, |bytes| bytes.truncate(40));
    damaged.repair();
    damaged.inspect();
    assert!(
        damaged
            .run("repair", &["--offline", "--recover-orphans"])
            .code
            <= 1
    );
    assert_sound("counts_that_are_wrong", &damaged);
}

#[test]
fn orphans_are_taken_in_where_that_is_asked_for() {
    let before = read(&sample());
    let damaged = sample();
    fs::remove_dir_all(damaged.at("mailboxes/Trash")).unwrap();
    let said = damaged.inspect();
    let ran = damaged.run("repair", &["--offline", "--recover-orphans"]);
    if said.findings("mdbox.orphan").is_empty() {
        // Its one message is a copy that another mailbox has.
        assert!(!read(&damaged).names().contains(&"Recovered"), "{ran}");
        return;
    }
    assert_eq!(mended(&ran), ["mdbox.orphan"], "{ran}");
    let after = assert_sound("orphans_are_taken_in", &damaged);
    let body = |message: &crate::harness::store::Message| message.body.clone();
    let was: Vec<_> = before
        .mailbox("Trash")
        .messages
        .values()
        .map(body)
        .collect();
    let is: Vec<_> = after
        .mailbox("Recovered")
        .messages
        .values()
        .map(body)
        .collect();
    assert_eq!(is, was);
}
