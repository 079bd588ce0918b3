//! Files of a Maildir folder are not there: its lists stay as they are, until a person says that they are lost.

use std::fs;

use serde_json::json;

use super::{Damaged, lost, mended};
use crate::harness::dovecot::Server;
use crate::harness::run::{Ran, Run};
use crate::harness::tree::{differences, tree};

const LOST: &str = "11 lines without a file, first uid 1";

/// Without `cur` of its INBOX, and with one of its messages in `new`.
fn without_cur() -> Damaged {
    let damaged = Damaged::sample("maildir");
    let name = "1577900600.M9P100.lab";
    let old = damaged.at(format!("cur/{name}:2,"));
    fs::rename(old, damaged.at("new").join(name)).unwrap();
    let cur = damaged.at("cur");
    damaged.without(&[cur])
}

fn accept_loss(damaged: &Damaged) -> Ran {
    damaged.run("repair", &["--offline", "--accept-loss"])
}

/// Nothing is left to do, and a server has so many messages in the mailbox.
fn assert_settled(test: &str, damaged: &Damaged, mailbox: &str, messages: usize) {
    let ran = damaged.repair().exits(0);
    assert!(ran.records_of("step").is_empty(), "{ran}");
    if let Some(server) = Server::here(test) {
        let dovecot = server.serve("maildir", damaged.store());
        let account = dovecot.account();
        assert_eq!(account.mailbox(mailbox).messages.len(), messages);
        dovecot.assert_silent();
    }
}

#[test]
fn without_cur_the_list_stays_also_where_messages_are_left_in_new() {
    let damaged = without_cur();
    let before = tree(&damaged.store());
    for _ in 0..2 {
        let ran = damaged.repair().exits(1);
        assert!(ran.records_of("step").is_empty(), "{ran}");
        ran.says(
            "maildir.emptied",
            &json!({"mailbox": "INBOX", "detail": LOST}),
        );
        assert!(ran.findings("maildir.lost").is_empty(), "{ran}");
    }
    assert_eq!(differences(&before, &tree(&damaged.store())), [""; 0]);
    let location = format!("maildir:{}", damaged.store().display());
    let shown = Run::new(damaged.temp()).args(["repair", "--offline", &location]);
    let shown = shown.done().exits(1);
    assert!(
        shown.stdout.contains("if it is lost for good, the"),
        "{shown}"
    );
}

#[test]
fn messages_without_cur_go_out_of_the_list_where_their_loss_is_accepted() {
    let damaged = without_cur();
    let ran = accept_loss(&damaged).exits(1);
    assert_eq!(lost(&ran), [LOST], "{ran}");
    let codes = ["maildir.emptied", "maildir.missing-dir"];
    assert_eq!(mended(&ran), codes, "{ran}");
    assert_settled("messages_without_cur_go_out", &damaged, "INBOX", 1);
}

#[test]
fn an_emptied_folder_is_empty_in_its_lists_where_that_is_accepted() {
    let damaged = Damaged::sample("maildir");
    for entry in fs::read_dir(damaged.at(".Sent/cur")).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    let list = damaged.at(".Sent/dovecot-uidlist");
    let before = fs::read(&list).unwrap();
    damaged.repair().exits(1);
    assert_eq!(fs::read(&list).unwrap(), before);
    let ran = accept_loss(&damaged).exits(1);
    assert_eq!(mended(&ran), ["maildir.emptied"], "{ran}");
    assert_settled("an_emptied_folder_is_empty", &damaged, "Sent", 0);
}

#[test]
fn the_server_s_list_forgets_a_mailbox_that_is_gone_where_that_is_accepted() {
    let damaged = Damaged::sample("maildir");
    let sent = damaged.at(".Sent");
    let damaged = damaged.without(&[sent]);
    let ran = damaged.repair().exits(1);
    ran.says("mailbox.gone", &json!({"mailbox": "Sent"}));
    assert!(ran.records_of("step").is_empty(), "{ran}");
    let ran = accept_loss(&damaged).exits(1);
    assert_eq!(mended(&ran), ["mailbox.gone"], "{ran}");
    assert_eq!(lost(&ran), ["the mailbox Sent: it had 2 messages"], "{ran}");
    assert_settled("the_server_s_list_forgets", &damaged, "INBOX", 12);
}
