//! All indexes are gone with their copies: what a conversion wrote of the messages is taken.

use std::fs;
use std::path::{Path, PathBuf};

use super::lost;
use crate::harness::dovecot::Server;
use crate::harness::maildir::{Maildir, mail, name};
use crate::harness::run::{Ran, Run};
use crate::harness::store::{Mailbox, Store};
use crate::harness::tree::copy;

/// Flags, keywords, UIDs with gaps, and copies that an mdbox stores once.
pub(super) fn account() -> Maildir {
    let account = Maildir::five_and_one()
        .put("dovecot-keywords", "0 $Label1\n1 work\n")
        .folder("Copies")
        .uidlist("Copies", 90, &[(20, name(1)), (70, name(2))]);
    for (nth, flags) in [(1, "FSa"), (2, "b"), (3, "Rab")] {
        let at = |flags: &str| account.in_folder("INBOX", format!("cur/{}:2,{flags}", name(nth)));
        fs::rename(at("S"), at(flags)).unwrap();
        if nth < 3 {
            let copy = account.in_folder("Copies", format!("cur/{}:2,DS", name(nth)));
            fs::hard_link(at(flags), copy).unwrap();
        }
    }
    account
}

pub(super) fn converted(account: &Maildir, format: &str) -> PathBuf {
    let store = account.temp().join("store");
    let target = format!("{format}:{}", store.display());
    account.convert_to(&target).done().exits(0);
    store
}

fn without_indexes(store: &Path) {
    for mailbox in ["INBOX", "Sent", "Copies"] {
        let mails = store.join("mailboxes").join(mailbox).join("dbox-Mails");
        for entry in fs::read_dir(mails).unwrap().map(|entry| entry.unwrap()) {
            if entry
                .file_name()
                .to_string_lossy()
                .starts_with("dovecot.index")
            {
                fs::remove_file(entry.path()).unwrap();
            }
        }
    }
}

pub(super) fn run(account: &Maildir, command: &[&str], format: &str, store: &Path) -> Ran {
    let location = format!("{format}:{}", store.display());
    Run::new(account.temp())
        .args(command)
        .args(["--json", &location])
        .done()
}

pub(super) fn repair(account: &Maildir, format: &str, store: &Path) -> Ran {
    run(account, &["repair", "--offline"], format, store)
}

/// What the steps say of where something comes from.
pub(super) fn said(ran: &Ran) -> String {
    let steps = ran.records_of("step");
    let details = steps.iter().map(|step| step["detail"].as_str().unwrap());
    details.collect::<Vec<_>>().join("\n")
}

#[track_caller]
fn assert_same(was: &Mailbox, is: &Mailbox) {
    assert_eq!(is.uidvalidity, was.uidvalidity);
    assert!(is.uidnext >= was.uidnext);
    assert_eq!(is.messages, was.messages);
}

#[test]
fn uids_flags_keywords_and_uidvalidity_are_those_that_a_conversion_wrote() {
    for format in ["sdbox", "mdbox"] {
        for without_map in [false, true] {
            let account = account();
            let store = converted(&account, format);
            let before = Store::of(format, &store, "");
            without_indexes(&store);
            if without_map && format == "mdbox" {
                fs::remove_file(store.join("storage/dovecot.map.index")).unwrap();
                fs::remove_file(store.join("storage/dovecot.map.index.log")).unwrap();
            }
            let ran = repair(&account, format, &store).exits(0);
            assert_eq!(lost(&ran), [""; 0], "{ran}");
            assert!(
                said(&ran).contains("keywords of 5 messages from mailtally.state"),
                "{ran}"
            );
            let after = Store::of(format, &store, "");
            assert_eq!(after.findings, [""; 0], "{format}");
            for name in ["INBOX", "Copies", "Sent"] {
                assert_same(before.mailbox(name), after.mailbox(name));
            }
            let again = repair(&account, format, &store).exits(0);
            assert!(again.records_of("step").is_empty(), "{again}");
        }
    }
}

#[test]
fn a_state_that_is_older_than_the_store_speaks_for_its_own_messages_alone() {
    let Some(server) = Server::here("a_state_that_is_older_than_the_store") else {
        return;
    };
    for format in ["sdbox", "mdbox"] {
        let account = account();
        let store = converted(&account, format);
        let before = Store::of(format, &store, "");
        let dovecot = server.serve(format, &store);
        dovecot.ask(&["expunge", "mailbox", "INBOX", "2"]);
        dovecot.deliver("INBOX", &mail("new"));
        let store = dovecot.mail();
        without_indexes(&store);
        let ran = repair(&account, format, &store).exits(1);
        // A map that counts nobody tells that it was expunged; without its file nothing does.
        let unknown = usize::from(format == "sdbox");
        assert_eq!(not_stored(&ran).len(), unknown, "{ran}");
        assert_eq!(lost(&ran).len(), 1 + unknown, "{ran}");
        assert!(
            lost(&ran)[0].contains("of 1 message that mailtally.state does not know"),
            "{ran}"
        );
        let after = Store::of(format, &store, "");
        let (was, is) = (before.mailbox("INBOX"), after.mailbox("INBOX"));
        assert_eq!(is.uidvalidity, was.uidvalidity);
        let uids = after.uids("INBOX");
        assert_eq!(uids[..4], [1, 3, 4, 5], "{format}: {ran}");
        // Nobody knows which UID it had in an mdbox, but that it was none of those.
        assert!(
            uids.len() == 5 && (uids[4] == 6 || uids[4] > 1000),
            "{uids:?}"
        );
        for uid in &uids[..4] {
            assert_eq!(is.messages[uid], was.messages[uid]);
        }
        assert_same(before.mailbox("Copies"), after.mailbox("Copies"));
        let told = dovecot.account();
        assert_eq!(told.mailbox("INBOX").messages.len(), 5);
        dovecot.assert_silent();
    }
}

/// What is lost, for the messages that the state knows and nothing holds.
fn not_stored(ran: &Ran) -> Vec<String> {
    let mut all = lost(ran);
    all.retain(|lost| lost.contains("no file holds"));
    all
}

/// Takes the third and the fifth message of the INBOX out of the store, as damage does.
fn destroy_two(format: &str, store: &Path) {
    if format == "sdbox" {
        for uid in [3, 5] {
            fs::remove_file(store.join(format!("mailboxes/INBOX/dbox-Mails/u.{uid}"))).unwrap();
        }
        return;
    }
    let path = store.join("storage/m.1");
    let mut bytes = fs::read(&path).unwrap();
    for subject in ["Subject: number 3\n", "Subject: number 5\n"] {
        let places = bytes.windows(subject.len());
        let at = places.enumerate().find(|(_, it)| *it == subject.as_bytes());
        let at = at.unwrap().0;
        bytes[at - 40..at + 60].fill(0);
    }
    fs::write(&path, bytes).unwrap();
}

#[test]
fn messages_that_a_conversion_wrote_and_that_no_file_holds_are_lost() {
    for format in ["sdbox", "mdbox"] {
        let account = account();
        let store = converted(&account, format);
        without_indexes(&store);
        destroy_two(format, &store);
        let line = "uid 3, 5: mailtally.state knows them and no file holds them: expunged since then, or lost";
        let planned = run(
            &account,
            &["repair", "--offline", "--dry-run"],
            format,
            &store,
        );
        assert_eq!(not_stored(&planned.exits(1)), [line], "{format}");
        let ran = repair(&account, format, &store).exits(1);
        assert_eq!(not_stored(&ran), [line], "{ran}");
        assert_eq!(Store::of(format, &store, "").uids("INBOX"), [1, 2, 4]);
    }
}

#[test]
fn a_mailbox_that_lost_all_of_its_messages_says_so() {
    for format in ["sdbox", "mdbox"] {
        let account = account();
        let store = converted(&account, format);
        without_indexes(&store);
        if format == "sdbox" {
            fs::remove_file(store.join("mailboxes/Sent/dbox-Mails/u.1")).unwrap();
        } else {
            fs::remove_file(store.join("storage/m.1")).unwrap();
        }
        let ran = repair(&account, format, &store).exits(1);
        let line =
            "uid 1: mailtally.state knows it and no file holds it: expunged since then, or lost";
        assert!(not_stored(&ran).contains(&line.into()), "{ran}");
    }
}

#[test]
fn messages_that_the_log_tells_were_expunged_are_not_lost() {
    let Some(server) = Server::here("messages_that_the_log_tells_were_expunged") else {
        return;
    };
    for format in ["sdbox", "mdbox"] {
        let account = account();
        let store = converted(&account, format);
        let dovecot = server.serve(format, &store);
        dovecot.ask(&["expunge", "mailbox", "INBOX", "uid", "2:3"]);
        dovecot.ask(&["expunge", "mailbox", "Copies", "all"]);
        dovecot.ask(&["purge"]);
        let store = dovecot.mail();
        for file in ["dovecot.index", "dovecot.index.backup"] {
            let _ = fs::remove_file(store.join("mailboxes/INBOX/dbox-Mails").join(file));
        }
        assert!(
            store
                .join("mailboxes/INBOX/dbox-Mails/dovecot.index.log")
                .exists()
        );
        let ran = repair(&account, format, &store);
        assert_eq!(not_stored(&ran), [""; 0], "{ran}");
        assert_eq!(Store::of(format, &store, "").uids("INBOX"), [1, 4, 5]);
        let without_log = repair_without_any_index(&account, format, &store);
        let line = "uid 2, 3: mailtally.state knows them and no file holds them: expunged since then, or lost";
        assert!(
            not_stored(&without_log).contains(&line.into()),
            "{without_log}"
        );
    }
}

fn repair_without_any_index(account: &Maildir, format: &str, store: &Path) -> Ran {
    without_indexes(store);
    repair(account, format, store)
}

/// Zeroes bytes of the index of the INBOX.
fn zeroed(store: &Path, from: usize, len: usize) {
    let path = store.join("mailboxes/INBOX/dbox-Mails/dovecot.index");
    let mut bytes = fs::read(&path).unwrap();
    let to = bytes.len().min(from + len);
    bytes[from..to].fill(0);
    fs::write(path, bytes).unwrap();
}

/// The records of the INBOX, at the end of its index.
fn records(store: &Path) -> std::ops::Range<usize> {
    let bytes = fs::read(store.join("mailboxes/INBOX/dbox-Mails/dovecot.index")).unwrap();
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let (header, record, count) = (word(4), word(8), word(32));
    header..header + record * count
}

#[test]
fn what_a_damaged_index_no_longer_names_comes_back_in_the_order_of_uids() {
    let server = Server::here("what_a_damaged_index_no_longer_names");
    let account = account();
    let sound = converted(&account, "mdbox");
    let before = Store::of("mdbox", &sound, "");
    let records = records(&sound);
    // A date alone, at the very end, could be one before 1970.
    for from in (records.start..records.end - 4).step_by(12) {
        let store = account.temp().join(format!("damaged-{from}"));
        copy(&sound, &store);
        zeroed(&store, from, 40);
        let ran = repair(&account, "mdbox", &store);
        let after = Store::of("mdbox", &store, "");
        assert_eq!(after.findings, [""; 0], "byte {from}: {ran}");
        assert_same(before.mailbox("INBOX"), after.mailbox("INBOX"));
        let again = repair(&account, "mdbox", &store).exits(0);
        assert!(again.records_of("step").is_empty(), "byte {from}: {again}");
        if let Some(server) = server.as_ref().filter(|_| from % 5 == 0) {
            let dovecot = server.serve("mdbox", &store);
            let told = dovecot.account();
            let uids = told.mailbox("INBOX").messages.iter().map(|it| it.uid);
            assert_eq!(uids.collect::<Vec<_>>(), [1, 2, 3, 4, 5], "byte {from}");
            dovecot.assert_silent();
        }
    }
}

/// Zeroes bytes of the index of a mailbox.
fn damaged_index(store: &Path, mailbox: &str, from: usize) {
    let path = store.join(format!("mailboxes/{mailbox}/dbox-Mails/dovecot.index"));
    let mut bytes = fs::read(&path).unwrap();
    let to = bytes.len().min(from + 64);
    bytes[from..to].fill(0);
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_damaged_index_of_an_mdbox_takes_what_it_told_from_what_a_conversion_wrote() {
    let server = Server::here("a_damaged_index_of_an_mdbox");
    let account = account();
    let sound = converted(&account, "mdbox");
    let before = Store::of("mdbox", &sound, "");
    for mailbox in ["INBOX", "Copies"] {
        let index = sound.join(format!("mailboxes/{mailbox}/dbox-Mails/dovecot.index"));
        let len = fs::metadata(index).unwrap().len();
        for from in (64..usize::try_from(len).unwrap() - 8).step_by(20) {
            let case = format!("{mailbox} from {from}");
            let store = account.temp().join(format!("{mailbox}-{from}"));
            copy(&sound, &store);
            damaged_index(&store, mailbox, from);
            let ran = repair(&account, "mdbox", &store).exits(0);
            assert_eq!(lost(&ran), [""; 0], "{case}: {ran}");
            let after = Store::of("mdbox", &store, "");
            assert_eq!(after.findings, [""; 0], "{case}");
            for name in ["INBOX", "Copies", "Sent"] {
                let (was, is) = (before.mailbox(name), after.mailbox(name));
                assert_eq!(is.messages, was.messages, "{case}, {name}: {ran}");
                assert_eq!(is.uidvalidity, was.uidvalidity, "{case}");
            }
            if let Some(server) = server.as_ref().filter(|_| from % 60 == 4) {
                let dovecot = server.serve("mdbox", &store);
                dovecot.account();
                dovecot.assert_silent();
            }
        }
    }
}

#[test]
fn a_flipped_bit_in_the_header_of_an_mdbox_index_costs_no_message() {
    let account = account();
    let sound = converted(&account, "mdbox");
    let before = Store::of("mdbox", &sound, "");
    for (at, bit) in (0..64).flat_map(|at| [(at, 0), (at, 6)]) {
        let store = account.temp().join(format!("{at}.{bit}"));
        copy(&sound, &store);
        let index = store.join("mailboxes/INBOX/dbox-Mails/dovecot.index");
        let mut bytes = fs::read(&index).unwrap();
        bytes[at] ^= 1 << bit;
        fs::write(index, bytes).unwrap();
        let ran = repair(&account, "mdbox", &store);
        let after = Store::of("mdbox", &store, "");
        for name in ["INBOX", "Copies", "Sent"] {
            let case = format!("byte {at}, bit {bit}: {ran}");
            assert_eq!(after.subjects(name), before.subjects(name), "{case}");
            let is_same = after.mailbox(name).messages == before.mailbox(name).messages;
            assert!(is_same || !lost(&ran).is_empty(), "{case}");
        }
    }
}

/// Zeroes the records of the INBOX from the `nth` on, as far as 64 bytes go.
fn damaged_from(store: &Path, nth: usize) {
    let records = records(store);
    let index = fs::read(store.join("mailboxes/INBOX/dbox-Mails/dovecot.index")).unwrap();
    let size = u32::from_le_bytes(index[8..12].try_into().unwrap()) as usize;
    damaged_index(store, "INBOX", records.start + nth * size);
}

#[test]
fn what_a_damaged_index_of_an_mdbox_told_is_as_the_log_has_changed_it_since() {
    let Some(server) = Server::here("what_a_damaged_index_of_an_mdbox_told") else {
        return;
    };
    let account = account();
    let dovecot = server.serve("mdbox", converted(&account, "mdbox"));
    let change = |what: &[&str]| drop(dovecot.ask(&[&["flags"], what].concat()));
    change(&["add", "\\Draft Late", "mailbox", "INBOX", "uid", "2"]);
    change(&["remove", "\\Seen", "mailbox", "INBOX", "uid", "3"]);
    dovecot.ask(&["expunge", "mailbox", "INBOX", "uid", "4"]);
    let store = dovecot.mail();
    let before = Store::of("mdbox", &store, "");
    damaged_from(&store, 1);
    let ran = repair(&account, "mdbox", &store).exits(0);
    assert!(said(&ran).contains("from mailtally.state"), "{ran}");
    let after = Store::of("mdbox", &store, "");
    let (was, is) = (before.mailbox("INBOX"), after.mailbox("INBOX"));
    assert_eq!(is.messages, was.messages, "{ran}");
}

#[test]
fn what_a_damaged_index_of_an_mdbox_told_of_a_message_that_came_later_is_lost() {
    let Some(server) = Server::here("what_a_damaged_index_of_an_mdbox_told_of_a_message") else {
        return;
    };
    let account = account();
    let dovecot = server.serve("mdbox", converted(&account, "mdbox"));
    dovecot.deliver("INBOX", &mail("new"));
    let store = dovecot.mail();
    without_indexes(&store);
    repair(&account, "mdbox", &store).exits(1);
    damaged_from(&store, 4);
    let ran = repair(&account, "mdbox", &store).exits(1);
    let told = "of 1 message that mailtally.state does not know";
    assert!(lost(&ran).iter().any(|lost| lost.contains(told)), "{ran}");
    assert_eq!(
        Store::of("mdbox", &store, "").uids("INBOX")[..5],
        [1, 2, 3, 4, 5]
    );
}

/// Zeroes records of the index of the INBOX of an sdbox.
fn zero_records(store: &Path, records: std::ops::Range<usize>) {
    let path = store.join("mailboxes/INBOX/dbox-Mails/dovecot.index");
    let mut bytes = fs::read(&path).unwrap();
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let (header, record) = (word(4), word(8));
    let end = bytes.len().min(header + records.end * record);
    bytes[header + records.start * record..end].fill(0);
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_partly_damaged_index_takes_what_its_records_told_from_what_a_conversion_wrote() {
    for records in [0..5, 1..3] {
        let account = account();
        let store = converted(&account, "sdbox");
        let before = Store::sdbox(&store);
        zero_records(&store, records);
        let ran = repair(&account, "sdbox", &store).exits(0);
        assert_eq!(lost(&ran), [""; 0], "{ran}");
        assert!(said(&ran).contains("from mailtally.state"), "{ran}");
        let after = Store::sdbox(&store);
        assert_same(before.mailbox("INBOX"), after.mailbox("INBOX"));
        let Some(server) = Server::here("a_partly_damaged_index") else {
            continue;
        };
        let dovecot = server.serve("sdbox", &store);
        dovecot.account();
        dovecot.assert_silent();
    }
}

#[test]
fn a_saved_date_that_nothing_tells_any_more_is_lost_and_not_1970() {
    let account = account();
    let store = converted(&account, "mdbox");
    fs::remove_file(store.join("mailtally.state")).unwrap();
    let records = records(&store);
    let third = records.start + records.len() / 5 * 2;
    let date = third + records.len() / 5 - 4;
    zeroed(&store, date, 40);
    let ran = repair(&account, "mdbox", &store).exits(1);
    assert!(
        lost(&ran).contains(&"uid 3: the saved date".into()),
        "{ran}"
    );
    let after = Store::of("mdbox", &store, "");
    let message = after.message("INBOX", 3);
    assert_eq!(message.saved, Some(message.received));
}

#[test]
fn what_a_damaged_index_or_log_costs_is_said_with_its_mailbox_and_in_words() {
    let account = account();
    let store = converted(&account, "sdbox");
    fs::remove_file(store.join("mailtally.state")).unwrap();
    zero_records(&store, 1..3);
    let ran = repair(&account, "sdbox", &store).exits(1);
    let told =
        "INBOX: flags and keywords of some messages may be missing, as a part of dovecot.index";
    assert!(
        lost(&ran).iter().any(|lost| lost.starts_with(told)),
        "{ran}"
    );

    let damaged = super::Damaged::sample("sdbox");
    let log = damaged.mails("INBOX", "dovecot.index.log");
    let damaged = damaged.changed(&log, |bytes| {
        let at = bytes.len() / 2 / 4 * 4;
        bytes[at..at + 64].fill(0);
    });
    let ran = damaged.repair().exits(1);
    let told = "INBOX: what a client changed last (flags, keywords, expunged messages) may be as it was before";
    assert!(
        lost(&ran).iter().any(|lost| lost.starts_with(told)),
        "{ran}"
    );
}
