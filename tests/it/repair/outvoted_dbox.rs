//! A bit of a UIDVALIDITY is wrong in the index of a dbox: the server's list of mailboxes and what a conversion
//! remembers outvote it.

use std::fs;
use std::path::{Path, PathBuf};

use super::recalled::{account, converted, said};
use super::{Damaged, lost, mended};
use crate::harness::dovecot::{Dovecot, Server};
use crate::harness::maildir::mail;
use crate::harness::store::Store;
use crate::harness::tree::copy;

const FORMATS: [&str; 2] = ["sdbox", "mdbox"];
const MAILBOXES: [&str; 2] = ["INBOX", "Sent"];

fn flip_uidvalidity(damaged: Damaged, mailbox: &str) -> Damaged {
    let index = damaged.mails(mailbox, "dovecot.index");
    damaged.changed(&index, |bytes| bytes[26] ^= 2)
}

fn index_findings(store: &Path, format: &str) -> Vec<String> {
    let mut findings = Store::of(format, store, "").findings;
    findings.retain(|finding| !finding.starts_with("mdbox.unpurged"));
    findings
}

#[test]
fn a_wrong_uidvalidity_of_a_dbox_is_outvoted_and_clients_load_nothing_again() {
    let Some(server) = Server::here("a_wrong_uidvalidity_of_a_dbox") else {
        return;
    };
    for format in FORMATS {
        let account = account();
        let dovecot = server.serve(format, converted(&account, format));
        dovecot.ask(&["flags", "add", "Late", "mailbox", "*", "all"]);
        let before = dovecot.account();
        for mailbox in MAILBOXES {
            let whole = Store::of(format, &dovecot.mail(), "");
            let damaged = flip_uidvalidity(Damaged::left_by(&dovecot, format), mailbox);
            let found = damaged.inspect().exits(1);
            assert_eq!(
                found.findings("index.uidvalidity-wrong").len(),
                1,
                "{found}"
            );
            let read = Store::of(format, &damaged.store(), "");
            assert_eq!(read.mailboxes, whole.mailboxes, "{mailbox}: as it is read");
            let ran = damaged.repair().exits(0);
            assert_eq!(mended(&ran), ["index.uidvalidity-wrong"], "{ran}");
            assert!(lost(&ran).is_empty(), "{ran}");
            let says = "dovecot.list.index and mailtally.state tell 1700000000";
            assert!(said(&ran).contains(says), "{ran}");
            damaged.is_not_touched();
            let dovecot = server.serve(format, damaged.store());
            let told = dovecot.account().without_modseqs();
            assert_eq!(
                told,
                before.clone().without_modseqs(),
                "{format}, {mailbox}"
            );
            dovecot.assert_silent();
        }
    }
}

#[test]
fn without_a_list_it_is_only_said_that_they_differ() {
    for format in FORMATS {
        let account = account();
        let store = converted(&account, format);
        let damaged = Damaged::new(format, |to| copy(&store, to));
        let damaged = flip_uidvalidity(damaged, "Sent");
        let ran = damaged.inspect().exits(0);
        assert_eq!(ran.findings("index.uidvalidity-differs").len(), 1, "{ran}");
        damaged.is_not_touched();
    }
}

#[test]
fn without_what_a_conversion_remembers_it_is_said_that_list_and_index_differ() {
    let Some(server) = Server::here("without_what_a_conversion_remembers") else {
        return;
    };
    for format in FORMATS {
        let account = account();
        let dovecot = server.serve(format, converted(&account, format));
        dovecot.ask(&["flags", "add", "Late", "mailbox", "*", "all"]);
        let damaged = Damaged::left_by(&dovecot, format);
        let state = damaged.at("mailtally.state");
        let damaged = flip_uidvalidity(damaged.without(&[state]), "Sent");
        let ran = damaged.inspect().exits(0);
        assert_eq!(ran.findings("index.uidvalidity-differs").len(), 1, "{ran}");
        damaged.is_not_touched();
    }
}

/// What users do with mailboxes.
fn age(dovecot: &Dovecot) {
    let mailbox = |words: &[&str]| drop(dovecot.ask(&[&["mailbox"], words].concat()));
    mailbox(&["create", "New"]);
    mailbox(&["rename", "Copies", "Moved"]);
    mailbox(&["create", "Copies"]);
    dovecot.deliver("Copies", &mail("in a mailbox of an old name"));
    mailbox(&["delete", "Sent"]);
    mailbox(&["rename", "Moved", "Sent"]);
    dovecot.ask(&["flags", "add", "$Forwarded", "mailbox", "INBOX", "all"]);
    dovecot.ask(&["flags", "remove", "work", "mailbox", "INBOX", "all"]);
    mailbox(&["update", "--min-next-uid", "90", "INBOX"]);
    mailbox(&["status", "all", "*"]);
    // The list does not know of this when the account is read.
    mailbox(&["rename", "INBOX", "Away"]);
    mailbox(&["rename", "Copies", "Away and back"]);
    mailbox(&["rename", "Away and back", "Copies"]);
}

fn without_list(store: &Path) {
    let entries = fs::read_dir(store)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let is_list = |path: &PathBuf| path.to_string_lossy().contains("dovecot.list.index");
    entries
        .filter(is_list)
        .for_each(|path| fs::remove_file(path).unwrap());
}

#[test]
fn a_store_that_a_server_has_used_since_the_conversion_may_differ_from_what_that_remembers() {
    let Some(server) = Server::here("a_store_that_a_server_has_used_since") else {
        return;
    };
    for format in FORMATS {
        let account = account();
        let dovecot = server.serve(format, converted(&account, format));
        age(&dovecot);
        dovecot.assert_silent();
        let store = dovecot.mail();
        assert_eq!(index_findings(&store, format), [""; 0], "{format}");
        without_list(&store);
        assert_eq!(index_findings(&store, format), [""; 0], "{format}, no list");
    }
}
