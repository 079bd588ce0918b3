//! A mailbox that cannot be read costs itself and nothing else: the others are repaired, and an mdbox does not
//! forget what it may name.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, lchown};
use std::path::{Path, PathBuf};

use super::recalled::{account, converted};
use super::{Damaged, mended};
use crate::harness::dovecot::Server;
use crate::harness::run::{NOBODY, Ran, Run, is_root};
use crate::harness::store::Store;
use crate::harness::tree::tree;

pub fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// Gives all of it to the user whom modes hold for.
pub fn give(store: &Path) {
    if is_root() {
        for path in tree(store).into_keys().map(|path| store.join(path)) {
            lchown(path, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        lchown(store, Some(NOBODY), Some(NOBODY)).unwrap();
    }
}

/// Repairs a store in which `hidden` has no permissions; it has them again then.
fn repair(format: &str, store: &Path, hidden: &Path, more: &[&str]) -> Ran {
    give(store);
    let mode = fs::metadata(hidden).unwrap().permissions().mode();
    set_mode(hidden, 0o000);
    let location = format!("{format}:{}", store.display());
    let run = Run::new(store.parent().unwrap()).unprivileged();
    let args = ["repair", "--json", &location];
    let ran = run.args(args).args(more).done();
    set_mode(hidden, mode);
    ran
}

fn with_a_torn_log(format: &'static str) -> Damaged {
    let damaged = Damaged::sample(format);
    let log = damaged.mails("Sent", "dovecot.index.log");
    damaged.changed(&log, |bytes| bytes.truncate(bytes.len() - 3))
}

fn with_a_wrong_size() -> Damaged {
    let damaged = Damaged::sample("maildir");
    let name = damaged.at("cur/1500000001.M1P1.host,S=99:2,S");
    fs::write(name, "From: a\n\nx\n").unwrap();
    fs::write(damaged.at("maildirsize"), "1000S\n-1 -1\n").unwrap();
    damaged
}

fn content(damaged: &Damaged, below: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let all = tree(&damaged.store()).into_iter();
    let all = all.filter(|(path, _)| path.starts_with(below));
    all.map(|(path, node)| (path, node.content.into()))
        .collect()
}

#[test]
fn a_mailbox_that_cannot_be_read_is_said_and_the_others_are_repaired() {
    for (damaged, hidden, code) in [
        (with_a_torn_log("sdbox"), "mailboxes/Trash", "index.log"),
        (
            with_a_torn_log("sdbox"),
            "mailboxes/Trash/dbox-Mails",
            "index.log",
        ),
        (
            with_a_torn_log("sdbox"),
            "mailboxes/Trash/dbox-Mails/dovecot.index.log",
            "index.log",
        ),
        (with_a_torn_log("mdbox"), "mailboxes/Trash", "index.log"),
        (
            with_a_torn_log("mdbox"),
            "mailboxes/Trash/dbox-Mails",
            "index.log",
        ),
        (
            with_a_torn_log("mdbox"),
            "mailboxes/Trash/dbox-Mails/dovecot.index.log",
            "index.log",
        ),
        (with_a_wrong_size(), ".Trash", "maildir.size-mismatch"),
        (with_a_wrong_size(), ".Trash/new", "maildir.size-mismatch"),
        (with_a_wrong_size(), ".Trash/cur", "maildir.size-mismatch"),
    ] {
        let before = content(&damaged, hidden);
        let format = damaged.format();
        let ran = repair(format, &damaged.store(), &damaged.at(hidden), &[]);
        let ran = ran.exits(1);
        assert_eq!(ran.findings("mailbox.unreadable").len(), 1, "{ran}");
        assert!(mended(&ran).contains(&code.into()), "{hidden}: {ran}");
        assert_eq!(content(&damaged, hidden), before, "{hidden}");
        if format == "mdbox" {
            assert_eq!(ran.findings("mdbox.uncounted").len(), 1, "{ran}");
        }
        if format == "maildir" {
            let usage = fs::read_to_string(damaged.at("maildirsize")).unwrap();
            assert_eq!(usage, "1000S\n-1 -1\n", "nobody knows the sum");
        }
    }
}

#[test]
fn a_list_of_uids_that_cannot_be_read_is_not_replaced() {
    let damaged = with_a_wrong_size();
    let list = damaged.at(".Sent/dovecot-uidlist");
    let before = fs::read(&list).unwrap();
    let ran = repair("maildir", &damaged.store(), &list, &[]).exits(1);
    assert_eq!(ran.findings("uidlist.unreadable").len(), 1, "{ran}");
    assert_eq!(fs::read(&list).unwrap(), before);
}

/// Copies of INBOX messages lie in `Copies`, and share their stored bytes.
#[test]
fn what_a_mailbox_that_cannot_be_read_may_name_is_neither_counted_lower_nor_taken_in() {
    let server = Server::here("what_a_mailbox_that_cannot_be_read_may_name");
    for hidden in [
        "mailboxes/Copies",
        "mailboxes/Copies/dbox-Mails",
        "mailboxes/Sent",
    ] {
        for without_map in [false, true] {
            let account = account();
            let store = converted(&account, "mdbox");
            let before = Store::of("mdbox", &store, "");
            if without_map {
                for name in ["dovecot.map.index", "dovecot.map.index.log"] {
                    fs::remove_file(store.join("storage").join(name)).unwrap();
                }
            }
            let ran = repair(
                "mdbox",
                &store,
                &store.join(hidden),
                &["--offline", "--recover-orphans"],
            );
            assert_eq!(ran.exits(1).findings("mdbox.orphan").len(), 0);
            if let Some(server) = &server {
                let dovecot = server.serve("mdbox", &store);
                dovecot.ask(&["expunge", "mailbox", "INBOX", "all"]);
                dovecot.ask(&["purge"]);
                let after = Store::of("mdbox", &dovecot.mail(), "");
                for name in ["Copies", "Sent"] {
                    let (was, is) = (before.mailbox(name), after.mailbox(name));
                    assert_eq!(is.messages, was.messages, "{hidden}, {name}");
                }
                dovecot.assert_silent();
            }
            // With all of it readable, the counts are right again.
            let location = format!("mdbox:{}", store.display());
            let run = Run::new(account.temp()).args(["repair", "--offline", "--json", &location]);
            run.done().exits(0);
            let after = Store::of("mdbox", &store, "");
            assert_eq!(after.findings, [""; 0], "{hidden}");
            assert_eq!(after.names(), before.names());
            for name in ["INBOX", "Copies", "Sent"] {
                assert_eq!(after.mailbox(name), before.mailbox(name));
            }
        }
    }
}

#[test]
fn a_mailbox_without_index_waits_for_one_that_cannot_be_read_and_neither_takes_what_the_other_has()
{
    let server = Server::here("a_mailbox_without_index_waits");
    let damaged = || {
        let damaged = Damaged::sample("mdbox").without_index();
        let log = damaged.mails("Sent", "dovecot.index.log");
        damaged.changed(&log, |bytes| bytes.truncate(300))
    };
    let at_once = damaged();
    at_once.repair().exits(1);
    let wanted = Store::of("mdbox", &at_once.store(), "");

    let damaged = damaged();
    let before = content(&damaged, "");
    let hidden = damaged.at("mailboxes/Sent");
    let ran = repair("mdbox", &damaged.store(), &hidden, &["--offline"]).exits(1);
    assert_eq!(ran.findings("mdbox.uncounted").len(), 1, "{ran}");
    assert_eq!(ran.findings("mdbox.index-missing").len(), 1, "{ran}");
    assert_eq!(content(&damaged, ""), before, "{ran}");
    damaged.repair().exits(1);
    let is = Store::of("mdbox", &damaged.store(), "");
    assert_eq!(is.names(), wanted.names());
    for name in wanted.names() {
        let (was, is) = (wanted.mailbox(name), is.mailbox(name));
        assert_eq!(is.messages, was.messages, "{name}");
    }
    if let Some(server) = server {
        let dovecot = server.serve("mdbox", damaged.store());
        let messages = dovecot.account().mailbox("Sent").messages.len();
        assert_eq!(messages, wanted.mailbox("Sent").messages.len());
        dovecot.assert_silent();
    }
}

#[test]
fn inspect_does_not_call_lost_what_a_mailbox_that_cannot_be_read_may_name() {
    let account = account();
    let store = converted(&account, "mdbox");
    give(&store);
    let hidden = store.join("mailboxes/Sent");
    set_mode(&hidden, 0o000);
    let location = format!("mdbox:{}", store.display());
    let run = Run::new(account.temp()).unprivileged();
    let ran = run.args(["inspect", "--json", &location]).done().exits(1);
    set_mode(&hidden, 0o700);
    assert_eq!(ran.codes(), ["mailbox.unreadable", "mdbox.uncounted"]);
}

/// Runs as the user whom modes hold for, while a file or folder has this mode.
fn repair_with_mode(damaged: &Damaged, path: &str, mode: u32, more: &[&str]) -> Ran {
    give(&damaged.store());
    let path = damaged.at(path);
    let before = fs::metadata(&path).unwrap().permissions().mode();
    set_mode(&path, mode);
    let location = format!("{}:{}", damaged.format(), damaged.store().display());
    let run = Run::new(damaged.temp()).unprivileged();
    let run = run.args(["repair", "--json", "--offline", &location]);
    let ran = run.args(more).done();
    set_mode(&path, before);
    ran
}

#[test]
fn a_storage_file_that_cannot_be_read_costs_nothing_that_may_be_in_it() {
    let damaged = with_a_torn_log("mdbox");
    let sound = Store::of("mdbox", &Damaged::sample("mdbox").store(), "");
    let before = content(&damaged, "");
    let ran = repair_with_mode(&damaged, "storage/m.2", 0o000, &[]).exits(1);
    assert!(!ran.findings("dbox.unreadable").is_empty(), "{ran}");
    assert_eq!(content(&damaged, ""), before, "{ran}");
    damaged.repair();
    let after = Store::of("mdbox", &damaged.store(), "");
    for (name, mailbox) in &sound.mailboxes {
        let messages = after.mailbox(name).messages.len();
        assert_eq!(messages, mailbox.messages.len(), "{name}: {ran}");
    }
}

#[test]
fn a_folder_that_cannot_be_written_to_is_said_before_anything_is_begun() {
    for format in ["sdbox", "mdbox"] {
        for folder in ["mailboxes/Sent/dbox-Mails", ""] {
            let damaged = with_a_torn_log(format);
            let before = tree(&damaged.store()).len();
            let ran = repair_with_mode(&damaged, folder, 0o555, &[]).exits(77);
            let path = damaged.at(folder);
            let path = path.to_str().unwrap().trim_end_matches('/');
            let told = format!("cannot write {path}: Permission denied");
            assert!(ran.stderr.contains(&told), "{ran}");
            assert_eq!(tree(&damaged.store()).len(), before, "{ran}");
            let ran = repair_with_mode(&damaged, folder, 0o555, &["--dry-run"]).exits(1);
            let rehearsed = ran.findings("account.read-only");
            let rehearsed = rehearsed[0]["detail"].as_str().unwrap();
            assert!(rehearsed.starts_with(&told), "{ran}");
            assert!(!ran.records_of("step").is_empty(), "{ran}");
            damaged.repair();
            assert!(damaged.inspect().code == 0 || format == "mdbox");
        }
    }
}

#[test]
fn a_sound_account_with_what_an_earlier_repair_kept_needs_no_right_to_write() {
    let damaged = with_a_torn_log("sdbox");
    damaged.repair();
    let ran = repair_with_mode(&damaged, "", 0o555, &[]).exits(0);
    assert!(ran.records_of("step").is_empty(), "{ran}");
}
