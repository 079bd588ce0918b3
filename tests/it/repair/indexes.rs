//! Index, log or cache of a Maildir are damaged, or the list of its mailboxes: after a repair a server opens it without
//! a word, with all flags, keywords and UIDs, or a lost line says what is gone.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use bstr::ByteSlice;

use super::{Damaged, lost, mended};
use crate::harness::dovecot::{Dovecot, Server};
use crate::harness::maildir::{Indexed, Maildir, mail, name};
use crate::harness::run::Ran;
use crate::harness::store::Store;
use crate::harness::tree::copy;

const INDEX: &str = "dovecot.index";
const LOG: &str = "dovecot.index.log";
const CACHE: &str = "dovecot.index.cache";
const BLOCK: usize = 64;

const SAVED: [u32; 6] = [
    1_600_000_001,
    1_600_000_002,
    1_600_000_003,
    1_600_000_004,
    1_600_000_005,
    1_600_000_006,
];

/// A mailbox with an index that has keywords beyond 26 and saved dates, and that a server has changed since.
fn used(server: &Server) -> Dovecot {
    let names: Vec<String> = (0..30).map(|nth| format!("kw{nth}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let letters: Vec<String> = (0..26).map(|nth| format!("{nth} kw{nth}\n")).collect();
    let rows: Vec<_> = (1..=6).map(|nth| (nth, name(nth as usize))).collect();
    let messages: [(u32, u8, &[usize]); 6] = [
        (1, 8, &[0, 27]),
        (2, 8, &[]),
        (3, 8, &[29]),
        (4, 8, &[]),
        (5, 8, &[0]),
        (6, 8, &[26, 28]),
    ];
    let indexed = Indexed {
        next: 7,
        keywords: &names,
        messages: &messages,
        cached: &SAVED,
        first_recent: 7,
        ..Indexed::default()
    };
    let mut account = Maildir::new()
        .folder("Work")
        .uidlist("INBOX", 7, &rows)
        .side("INBOX", "dovecot-keywords", letters.concat())
        .index("INBOX", &indexed);
    for nth in 1..=6 {
        let flags = if [1, 5].contains(&nth) { "Sa" } else { "S" };
        let body = mail(&format!("number {nth}"));
        account = account.message("INBOX", &format!("{}:2,{flags}", name(nth)), body);
    }
    let dovecot = server.serve("maildir", account.source());
    dovecot.account();
    dovecot.ask(&[
        "flags",
        "add",
        "\\Flagged kw3",
        "mailbox",
        "INBOX",
        "uid",
        "2:3",
    ]);
    dovecot.ask(&["flags", "remove", "\\Seen", "mailbox", "INBOX", "uid", "5"]);
    dovecot.ask(&["expunge", "mailbox", "INBOX", "uid", "4"]);
    dovecot.deliver("INBOX", &mail("new"));
    dovecot.ask(&["flags", "add", "\\Draft", "mailbox", "INBOX", "uid", "7"]);
    dovecot.assert_silent();
    dovecot
}

/// Flags and keywords by mailbox and UID, and what the message is known by.
type Marks = BTreeMap<(String, u32), String>;

fn marks(store: &Path) -> Marks {
    let store = Store::of("maildir", store, "");
    let mut marks = Marks::new();
    for (name, mailbox) in &store.mailboxes {
        for (uid, it) in &mailbox.messages {
            let told = format!("{} {:?} {:?}", it.guid, it.flags, it.keywords);
            marks.insert((name.clone(), *uid), told);
        }
    }
    marks
}

/// A server tells the same, and complains of nothing.
fn assert_served(server: &Server, what: &str, store: &Path) {
    let dovecot = server.serve("maildir", store);
    let account = dovecot.account();
    assert_eq!(dovecot.log(), "", "{what}");
    let mut theirs = Marks::new();
    for mailbox in &account.mailboxes {
        for it in &mailbox.messages {
            let place = (mailbox.name.clone(), u32::try_from(it.uid).unwrap());
            let told = format!("{} {:?} {:?}", it.guid, it.flags, it.keywords);
            theirs.insert(place, told);
        }
    }
    assert_eq!(theirs, marks(store), "{what}");
}

/// Repairs, and all is as before or something of it is told as lost.
fn judge(server: &Server, what: &str, before: &Marks, damaged: &Damaged) -> Ran {
    let ran = damaged.repair();
    let after = marks(&damaged.store());
    if lost(&ran).is_empty() {
        assert_eq!(&after, before, "{what}: {ran}");
        assert_eq!(ran.code, 0, "{what}: {ran}");
    } else {
        let same_uids = after.keys().eq(before.keys());
        assert!(same_uids, "{what}: {after:?}: {ran}");
        assert_eq!(ran.code, 1, "{what}: {ran}");
    }
    let inspected = damaged.inspect();
    let codes = inspected.codes();
    assert!(
        !codes.iter().any(|code| code.starts_with("index.")),
        "{what}: {codes:?}"
    );
    assert_served(server, what, &damaged.store());
    ran
}

fn copied(store: &Path) -> Damaged {
    Damaged::new("maildir", |to| copy(store, to))
}

fn changed(store: &Path, file: &str, change: impl FnOnce(&mut Vec<u8>)) -> Damaged {
    let damaged = copied(store);
    let path = damaged.at(file);
    damaged.changed(&path, change)
}

fn zeroed(store: &Path, file: &str, from: usize, size: usize) -> Damaged {
    changed(store, file, |bytes| {
        let to = bytes.len().min(from + size);
        bytes[from..to].fill(0);
    })
}

/// Where in an index the fields of its last record begin: zeros behind that are what a message has that has nothing.
fn last_fields(index: &[u8]) -> usize {
    let record_size = u32::from_le_bytes(index[8..12].try_into().unwrap());
    index.len() - record_size as usize + 5
}

#[test]
fn a_server_takes_a_maildir_whose_index_or_log_had_a_zeroed_block() {
    let Some(server) = Server::here("a_server_takes_a_maildir_whose_index_or_log") else {
        return;
    };
    let dovecot = used(&server);
    let store = dovecot.mail();
    let before = marks(&store);
    for file in [INDEX, LOG] {
        let bytes = fs::read(store.join(file)).unwrap();
        let len = if file == INDEX {
            last_fields(&bytes)
        } else {
            bytes.len()
        };
        for from in (0..len).step_by(BLOCK) {
            let what = format!("{file} from {from}");
            judge(&server, &what, &before, &zeroed(&store, file, from, BLOCK));
        }
    }
}

#[test]
fn a_server_takes_the_sample_whose_logs_had_a_zeroed_block() {
    let Some(server) = Server::here("a_server_takes_the_sample_whose_logs") else {
        return;
    };
    let sample = Damaged::sample("maildir");
    let store = sample.store();
    let before = marks(&store);
    for folder in ["", ".Sent/", ".Projects.Sub one/", ".Archive.2020.Q&AOQ-/"] {
        let file = format!("{folder}{LOG}");
        let len = fs::read(store.join(&file)).unwrap().len();
        for from in (0..len).step_by(BLOCK) {
            let what = format!("{file} from {from}");
            judge(&server, &what, &before, &zeroed(&store, &file, from, BLOCK));
        }
    }
}

#[test]
fn a_server_takes_a_maildir_whose_index_log_or_cache_was_cut_or_is_garbage() {
    let Some(server) = Server::here("a_server_takes_a_maildir_whose_index_log_or_cache") else {
        return;
    };
    let dovecot = used(&server);
    let store = dovecot.mail();
    let before = marks(&store);
    for file in [INDEX, LOG, CACHE] {
        for part in [1, 2, 3] {
            let what = format!("{file}, {part} of 4");
            let cut = changed(&store, file, |bytes| bytes.truncate(bytes.len() / 4 * part));
            judge(&server, &what, &before, &cut);
        }
        let garbage = changed(&store, file, |bytes| bytes.fill(0xa5));
        judge(&server, &format!("{file}, garbage"), &before, &garbage);
    }
}

/// What stands before the first record says which fields there are.
#[test]
fn a_server_takes_a_maildir_whose_cache_had_a_flipped_bit_among_its_fields() {
    let Some(server) = Server::here("a_server_takes_a_maildir_whose_cache_had") else {
        return;
    };
    let dovecot = used(&server);
    let store = dovecot.mail();
    let before = marks(&store);
    let cache = fs::read(store.join(CACHE)).unwrap();
    let fields = cache.find("date.received").unwrap();
    for at in (fields.saturating_sub(150)..fields + 100).step_by(3) {
        let flipped = changed(&store, CACHE, |bytes| bytes[at] ^= 1 << (at % 8));
        judge(&server, &format!("{CACHE} at {at}"), &before, &flipped);
    }
}

#[test]
fn saved_dates_and_keywords_beyond_26_outlive_a_damaged_log() {
    let Some(server) = Server::here("saved_dates_and_keywords_beyond_26_outlive") else {
        return;
    };
    let dovecot = used(&server);
    let saved = |store: &Path| {
        let store = Store::of("maildir", store, "");
        [1, 2, 3, 5, 6].map(|uid| store.message("INBOX", uid).saved)
    };
    let before = saved(&dovecot.mail());
    assert_eq!(before[0], Some(i64::from(SAVED[0])));
    let store = dovecot.mail();
    let len = fs::read(store.join(LOG)).unwrap().len();
    let damaged = zeroed(&store, LOG, len / 8 * 4, 16);
    let ran = damaged.repair();
    assert!(mended(&ran).contains(&"index.log".into()), "{ran}");
    assert_eq!(saved(&damaged.store()), before);
    let keywords = |uid| {
        Store::of("maildir", &damaged.store(), "")
            .message("INBOX", uid)
            .keywords
            .clone()
    };
    assert_eq!(keywords(6), ["kw26", "kw28"]);
    damaged.run("repair", &["--undo", "--offline"]).exits(1);
    let log = |store: &Path| fs::read(store.join(LOG)).unwrap();
    assert!(log(&damaged.store()) != log(&store), "the damage is back");
}

#[test]
fn a_damaged_list_of_mailboxes_goes_where_no_mailbox_is_gone() {
    let Some(server) = Server::here("a_damaged_list_of_mailboxes_goes") else {
        return;
    };
    let dovecot = used(&server);
    dovecot.ask(&["mailbox", "status", "all", "*"]);
    let store = dovecot.mail();
    let before = marks(&store);
    let file = "dovecot.list.index.log";
    let len = fs::read(store.join(file)).unwrap().len();
    for from in (BLOCK..len).step_by(4 * BLOCK) {
        let what = format!("{file} from {from}");
        judge(
            &server,
            &what,
            &before,
            &zeroed(&store, file, from, 2 * BLOCK),
        );
    }
}
