//! A whole mailbox is gone: what still knows of it says so.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::json;

use super::hidden::{give, set_mode};
use super::{Damaged, lost};
use crate::harness::dovecot::{Dovecot, Server};
use crate::harness::maildir::scratch;
use crate::harness::run::{Ran, Run};
use crate::harness::tree::copy;

const FORMATS: [&str; 3] = ["maildir", "sdbox", "mdbox"];

/// The folder of a mailbox in the root.
fn folder(format: &str, mailbox: &str) -> String {
    match (format, mailbox) {
        ("maildir", "INBOX") => String::new(),
        ("maildir", name) => format!(".{name}/"),
        (_, name) => format!("mailboxes/{name}/"),
    }
}

fn without(format: &'static str, path: &str) -> Damaged {
    let sample = Damaged::sample(format);
    let path = sample.at(path);
    sample.without(&[path])
}

#[test]
fn a_mailbox_that_only_the_server_s_list_has_is_an_error() {
    for format in FORMATS {
        let ran = without(format, &folder(format, "Sent")).inspect().exits(1);
        let messages = if format == "maildir" { 2 } else { 4 };
        let detail = format!("it had {messages} messages");
        ran.says(
            "mailbox.gone",
            &json!({"mailbox": "Sent", "detail": detail}),
        );
        assert_eq!(ran.findings("mailbox.gone").len(), 1, "{ran}");
    }
}

#[test]
fn a_dbox_without_its_inbox_is_an_error() {
    for format in ["sdbox", "mdbox"] {
        let ran = without(format, &folder(format, "INBOX")).inspect().exits(1);
        let detail = "how many messages it had is not told";
        ran.says(
            "mailbox.gone",
            &json!({"mailbox": "INBOX", "detail": detail}),
        );
    }
}

#[test]
fn a_mailbox_that_a_client_deleted_or_renamed_is_not_gone() {
    let Some(server) = Server::here("a_mailbox_that_a_client_deleted_or_renamed_is_not_gone")
    else {
        return;
    };
    for format in FORMATS {
        let sample = Damaged::sample(format);
        let dovecot = server.serve(format, sample.store());
        dovecot.ask(&["mailbox", "status", "all", "*"]);
        dovecot.ask(&["mailbox", "delete", "Sent"]);
        dovecot.ask(&["mailbox", "rename", "Trash", "Bin"]);
        dovecot.assert_silent();
        let used = Damaged::new(format, |store| copy(&dovecot.mail(), store));
        let ran = used.inspect();
        assert_eq!(ran.findings("mailbox.gone"), [&json!(null); 0][..], "{ran}");
        // Had it been removed beneath the server, that would have been seen; the list has its old name still.
        let bin = used.at(folder(format, "Bin"));
        let ran = used.without(&[bin]).inspect();
        ran.exits(1)
            .says("mailbox.gone", &json!({"mailbox": "Trash"}));
    }
}

/// Mailboxes with a message each, and the server's list of them.
fn in_levels(server: &Server) -> Dovecot {
    let empty = scratch();
    let dovecot = server.serve("maildir:LAYOUT=fs", empty.path());
    for mailbox in ["Sent", "Trash", "Lists/ä", "INBOX/Sub", "a.b"] {
        dovecot.ask(&["mailbox", "create", mailbox]);
        dovecot.deliver(mailbox, b"Subject: x\n\ntext\n");
    }
    dovecot.ask(&["mailbox", "status", "all", "*"]);
    dovecot
}

/// `command` on the store of a server, by a user for whom modes hold.
fn run(command: &str, location: &str) -> Ran {
    let temp = scratch();
    let args = [command, "--json", "--offline", location];
    let args = args
        .iter()
        .filter(|arg| command == "repair" || **arg != "--offline");
    Run::new(temp.path()).unprivileged().args(args).done()
}

#[test]
fn a_mailbox_in_directories_is_gone_only_if_its_directory_is() {
    let Some(server) = Server::here("a_mailbox_in_directories_is_gone_only_if_its_directory_is")
    else {
        return;
    };
    let dovecot = in_levels(&server);
    let location = format!("maildir:{}:LAYOUT=fs", dovecot.mail().display());
    assert_eq!(run("inspect", &location).exits(0).codes(), [""; 0]);
    dovecot.ask(&["mailbox", "delete", "Sent"]);
    dovecot.ask(&["mailbox", "rename", "Trash", "Bin"]);
    assert_eq!(run("inspect", &location).exits(0).codes(), [""; 0]);
    for (mailbox, folder) in [
        ("Lists/ä", "Lists/&AOQ-"),
        ("INBOX/Sub", "INBOX/Sub"),
        ("a.b", "a.b"),
        ("Trash", "Bin"),
    ] {
        let aside = dovecot.home().join("aside");
        let folder = dovecot.mail().join(folder);
        fs::rename(&folder, &aside).unwrap();
        let ran = run("inspect", &location).exits(1);
        let said = json!({"mailbox": mailbox, "detail": "it had 1 message"});
        ran.says("mailbox.gone", &said);
        fs::rename(&aside, &folder).unwrap();
    }
}

/// What is said of a store in which this file or folder cannot be read; it can be again then.
fn without_rights(store: &Path, keys: &str, hidden: &str) -> [Ran; 2] {
    give(store);
    let hidden = store.join(hidden);
    let mode = fs::metadata(&hidden).unwrap().permissions().mode();
    set_mode(&hidden, 0o000);
    let location = format!("{}{keys}", store.display());
    let ran = ["inspect", "repair"].map(|command| run(command, &location).exits(1));
    set_mode(&hidden, mode);
    ran
}

#[test]
fn a_mailbox_that_cannot_be_read_is_not_gone() {
    let Some(server) = Server::here("a_mailbox_that_cannot_be_read_is_not_gone") else {
        return;
    };
    for hidden in ["Lists", "Lists/&AOQ-", "Lists/&AOQ-/cur", "INBOX", "Sent"] {
        let dovecot = in_levels(&server);
        for ran in without_rights(&dovecot.mail(), ":LAYOUT=fs", hidden) {
            assert!(!ran.findings("mailbox.unreadable").is_empty(), "{ran}");
            assert_eq!(ran.findings("mailbox.gone").len(), 0, "{hidden}: {ran}");
        }
    }
    for (format, hidden) in [
        ("maildir", ".Trash"),
        ("maildir", ".Trash/cur"),
        ("sdbox", "mailboxes/Trash"),
        ("sdbox", "mailboxes/Trash/dbox-Mails"),
        ("mdbox", "mailboxes/Trash"),
        ("mdbox", "mailboxes/Trash/dbox-Mails"),
    ] {
        let sample = Damaged::sample(format);
        for ran in without_rights(&sample.store(), "", hidden) {
            assert_eq!(ran.findings("mailbox.unreadable").len(), 1, "{ran}");
            assert_eq!(ran.findings("mailbox.gone").len(), 0, "{ran}");
        }
    }
}

#[test]
fn a_mailbox_that_may_be_there_under_a_name_that_cannot_be_read_is_not_gone() {
    let test = "a_mailbox_that_may_be_there_under_a_name_that_cannot_be_read_is_not_gone";
    let Some(server) = Server::here(test) else {
        return;
    };
    for (location, hidden) in [
        ("maildir", ".Bin"),
        ("maildir", ".Bin/dovecot-uidlist"),
        ("maildir:LAYOUT=fs", "Bin"),
        ("maildir:LAYOUT=fs", "Bin/dovecot-uidlist"),
        ("sdbox", "mailboxes/Bin"),
        ("sdbox", "mailboxes/Bin/dbox-Mails"),
        ("sdbox", "mailboxes/Bin/dbox-Mails/dovecot.index.log"),
        ("mdbox", "mailboxes/Bin/dbox-Mails"),
    ] {
        let dovecot = server.serve(location, scratch().path());
        dovecot.ask(&["mailbox", "create", "Trash"]);
        dovecot.deliver("Trash", b"Subject: x\n\ntext\n");
        dovecot.ask(&["mailbox", "status", "all", "*"]);
        dovecot.ask(&["mailbox", "rename", "Trash", "Bin"]);
        let keys = location.split_once(':').map_or("", |_| ":LAYOUT=fs");
        for ran in without_rights(&dovecot.mail(), keys, hidden) {
            assert_eq!(ran.findings("mailbox.gone").len(), 0, "{hidden}: {ran}");
        }
    }
}

#[test]
fn a_maildir_of_which_no_file_is_left_is_an_error() {
    for (mailbox, lines) in [("Sent", 2), ("INBOX", 12)] {
        let cur = format!("{}cur", folder("maildir", mailbox));
        let ran = without("maildir", &cur).inspect().exits(1);
        let detail = format!("{lines} lines without a file, first uid 1");
        ran.says(
            "maildir.emptied",
            &json!({"mailbox": mailbox, "detail": detail}),
        );
    }
}

#[test]
fn a_repair_that_puts_the_list_aside_says_what_only_it_knew() {
    for format in ["sdbox", "mdbox"] {
        let sample = without(format, &folder(format, "Sent"));
        let mails = sample.mails("Trash", "dovecot.index.log");
        let ran = sample.without(&[mails]).repair().exits(1);
        let said = "the mailbox Sent: it had 4 messages";
        assert!(lost(&ran).iter().any(|lost| lost == said), "{ran}");
    }
}

#[test]
fn a_log_that_lost_its_end_is_told_by_the_server_s_list() {
    for format in ["sdbox", "mdbox"] {
        let sample = Damaged::sample(format);
        let log = sample.mails("Sent", "dovecot.index.log");
        let damaged = sample.changed(&log, |bytes| zero_the_second_half(bytes));
        let found = damaged.inspect().exits(1);
        found.says(
            "index.behind",
            &json!({"mailbox": "Sent", "severity": "error"}),
        );
        let ran = damaged.repair().exits(1);
        let told = if format == "mdbox" {
            "UIDs, flags and keywords of 3 messages that no index names"
        } else {
            "flags and keywords of 4 messages, the first is u.1"
        };
        assert!(lost(&ran).iter().any(|lost| lost == told), "{ran}");
        assert_eq!(ran.mailbox("Sent")["messages"], 4, "{ran}");
    }
}

#[test]
fn a_new_uidlist_does_not_forget_that_files_are_gone() {
    let sample = Damaged::sample("maildir");
    let one = sample.at("cur/1580000003.M3P300.lab:2,");
    let list = sample.at("dovecot-uidlist");
    let damaged = sample
        .without(&[one])
        .changed(&list, |bytes| bytes.push(b'x'));
    let ran = damaged.repair().exits(1);
    assert_eq!(lost(&ran), ["1 line without a file, first uid 24"], "{ran}");
}

fn zero_the_second_half(bytes: &mut [u8]) {
    let half = bytes.len() / 2;
    bytes[half..].fill(0);
}
