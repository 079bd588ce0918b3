//! The index of a mailbox is lost or damaged: flags and keywords come from what is left of it and its log.

use std::fs;
use std::path::{Path, PathBuf};

use super::lost;
use super::recalled::{account, converted, repair, run, said};
use crate::harness::dovecot::{Dovecot, Server};
use crate::harness::maildir::{Maildir, mail};
use crate::harness::store::Store;

const INBOX: &str = "mailboxes/INBOX/dbox-Mails";

/// An account that a server has used since it was converted: changes stand in the log of the INBOX.
fn used(server: &Server, account: &Maildir, format: &str) -> Dovecot {
    let dovecot = server.serve(format, converted(account, format));
    let change = |words: &[&str]| drop(dovecot.ask(words));
    change(&["mailbox", "status", "all", "*"]);
    let later = ["flags", "add", "\\Draft $Later", "mailbox", "INBOX", "uid"];
    change(&[&later[..], &["2:3"]].concat());
    let unseen = ["flags", "remove", "\\Seen", "mailbox", "INBOX", "uid", "3"];
    change(&unseen);
    change(&["expunge", "mailbox", "INBOX", "uid", "4"]);
    dovecot.deliver("INBOX", &mail("new"));
    change(&[&later[..], &["6"]].concat());
    dovecot.assert_silent();
    dovecot
}

fn inbox(store: &Path, file: &str) -> PathBuf {
    store.join(INBOX).join(file)
}

/// A server reads the same as we, and says nothing.
fn assert_served(server: &Server, format: &str, store: &Path) {
    let dovecot = server.serve(format, store);
    let mut ours = Store::of(format, store, "");
    // What was expunged waits for a purge.
    ours.findings
        .retain(|finding| !finding.starts_with("mdbox.unpurged"));
    assert_eq!(ours.findings, [""; 0]);
    let account = dovecot.account();
    dovecot.assert_silent();
    let theirs = account.mailbox("INBOX").messages.iter();
    let theirs: Vec<_> = theirs
        .map(|it| {
            (
                u32::try_from(it.uid).unwrap(),
                &it.flags[..],
                &it.keywords[..],
            )
        })
        .map(|(uid, flags, keywords)| format!("{uid} {flags:?} {keywords:?}"))
        .collect();
    let ours = ours.mailbox("INBOX").messages.iter();
    let ours: Vec<_> = ours
        .map(|(uid, it)| format!("{uid} {:?} {:?}", it.flags, it.keywords))
        .collect();
    assert_eq!(theirs, ours);
}

#[test]
fn an_sdbox_without_index_takes_what_its_log_tells() {
    let Some(server) = Server::here("an_sdbox_without_index_takes_what_its_log_tells") else {
        return;
    };
    let account = account();
    let dovecot = used(&server, &account, "sdbox");
    let store = dovecot.mail();
    fs::remove_file(store.join("mailtally.state")).unwrap();
    let before = Store::sdbox(&store);
    fs::remove_file(inbox(&store, "dovecot.index")).unwrap();
    let told = run(&account, &["inspect"], "sdbox", &store).exits(1);
    let missing = told.findings("index.missing")[0]["detail"]
        .as_str()
        .unwrap();
    assert!(missing.contains("since the log begins"), "{missing}");
    let ran = repair(&account, "sdbox", &store).exits(1);
    assert_eq!(
        lost(&ran),
        ["flags and keywords that were set before the log begins"]
    );
    assert!(said(&ran).contains("from dovecot.index.log alone"), "{ran}");
    let after = Store::sdbox(&store);
    let (was, is) = (before.mailbox("INBOX"), after.mailbox("INBOX"));
    assert_eq!((is.uidvalidity, &is.guid), (was.uidvalidity, &was.guid));
    assert_eq!(after.uids("INBOX"), [1, 2, 3, 5, 6]);
    assert_eq!(is.messages[&6], was.messages[&6]);
    for uid in [2, 3] {
        let message = &is.messages[&uid];
        assert_eq!(
            (&message.flags[..], &message.keywords[..]),
            (&["\\Draft"][..], &["$Later".to_owned()][..])
        );
    }
    assert_served(&server, "sdbox", &store);
}

#[test]
fn an_sdbox_without_index_takes_what_a_conversion_wrote_and_the_changes_since() {
    let Some(server) = Server::here("an_sdbox_without_index_takes_what_a_conversion_wrote") else {
        return;
    };
    let account = account();
    let dovecot = used(&server, &account, "sdbox");
    let store = dovecot.mail();
    let before = Store::sdbox(&store);
    fs::remove_file(inbox(&store, "dovecot.index")).unwrap();
    let ran = repair(&account, "sdbox", &store).exits(0);
    assert_eq!(lost(&ran), [""; 0]);
    assert!(said(&ran).contains("then the changes in"), "{ran}");
    let after = Store::sdbox(&store);
    let (was, is) = (before.mailbox("INBOX"), after.mailbox("INBOX"));
    assert_eq!(is.uidvalidity, was.uidvalidity);
    let marks = |mailbox: &crate::harness::store::Mailbox| {
        let all = mailbox.messages.iter();
        all.map(|(uid, it)| format!("{uid} {:?} {:?}", it.flags, it.keywords))
            .collect::<Vec<_>>()
    };
    assert_eq!(marks(is), marks(was));
    assert_served(&server, "sdbox", &store);
}

#[test]
fn a_damaged_header_of_an_index_costs_no_flag() {
    let Some(server) = Server::here("a_damaged_header_of_an_index_costs_no_flag") else {
        return;
    };
    for format in ["sdbox", "mdbox"] {
        for count in [4, 64] {
            let account = account();
            let dovecot = used(&server, &account, format);
            let store = dovecot.mail();
            fs::remove_file(store.join("mailtally.state")).unwrap();
            let before = Store::of(format, &store, "");
            let index = inbox(&store, "dovecot.index");
            let mut bytes = fs::read(&index).unwrap();
            bytes[..count].fill(0xa5);
            fs::write(&index, bytes).unwrap();
            let told = run(&account, &["inspect"], format, &store);
            assert!(told.findings("index.broken").len() > 1, "{told}");
            let ran = repair(&account, format, &store).exits(0);
            assert_eq!(lost(&ran), [""; 0], "{ran}");
            assert!(said(&ran).contains("records of the damaged index"), "{ran}");
            let after = Store::of(format, &store, "");
            for name in before.names() {
                let (was, is) = (before.mailbox(name), after.mailbox(name));
                assert_eq!(is.uidvalidity, was.uidvalidity, "{format} {name}");
                assert_eq!(is.guid, was.guid, "{format} {name}");
                assert_eq!(is.messages, was.messages, "{format} {name}");
            }
            assert_served(&server, format, &store);
        }
    }
}

#[test]
fn a_damaged_index_beside_a_log_of_another_one_is_not_taken_for_its_own() {
    let Some(server) = Server::here("a_damaged_index_beside_a_log_of_another_one") else {
        return;
    };
    let account = account();
    let dovecot = used(&server, &account, "sdbox");
    let store = dovecot.mail();
    fs::remove_file(store.join("mailtally.state")).unwrap();
    let (index, log) = (
        inbox(&store, "dovecot.index"),
        inbox(&store, "dovecot.index.log"),
    );
    for (path, at, byte) in [(&index, 0, 0xa5), (&log, 4, 0x11)] {
        let mut bytes = fs::read(path).unwrap();
        bytes[at] ^= byte;
        fs::write(path, bytes).unwrap();
    }
    let ran = repair(&account, "sdbox", &store).exits(1);
    let wanted = [
        "1 message without a file, the first is u.4",
        "flags and keywords of 1 message, the first is u.6",
    ];
    assert_eq!(lost(&ran), wanted);
    assert!(said(&ran).contains("records of the damaged index"), "{ran}");
    let after = Store::sdbox(&store);
    // As the conversion wrote them; the file of the one that came since was found.
    assert_eq!(after.message("INBOX", 3).keywords, ["$Label1", "work"]);
    assert_eq!(after.message("INBOX", 3).flags, ["\\Answered"]);
    assert_eq!(after.uids("INBOX"), [1, 2, 3, 5, 6]);
    assert_served(&server, "sdbox", &store);
}
