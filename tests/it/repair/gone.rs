//! A whole mailbox is gone: what still knows of it says so.

use serde_json::json;

use super::{Damaged, lost};
use crate::harness::dovecot::Server;
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
