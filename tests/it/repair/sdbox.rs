//! sdbox: one file a message, and an index that is data.

use std::fs;

use super::{Damaged, lost, mended};
use crate::harness::dovecot::account::Account;
use crate::harness::dovecot::{Dovecot, Server};
use crate::harness::store::Store;
use crate::harness::tree::{differences, tree};

fn sample() -> Damaged {
    Damaged::sample("sdbox")
}

fn read(damaged: &Damaged) -> Store {
    Store::sdbox(&damaged.store())
}

/// A server opens it, agrees, and says nothing.
fn served(server: &Server, damaged: &Damaged) -> Account {
    let dovecot = server.serve("sdbox", damaged.store());
    let account = dovecot.account();
    dovecot.assert_silent();
    account.without_modseqs().without_saved_dates()
}

#[test]
fn a_sound_store_is_not_touched() {
    sample().is_not_touched();
}

#[test]
fn a_mailbox_without_index_keeps_uids_uidvalidity_and_guid() {
    let before = read(&sample());
    let damaged = sample().without_index();
    assert_eq!(
        damaged.inspect().exits(1).findings("index.missing").len(),
        1
    );
    let ran = damaged.repair().exits(1);
    assert_eq!(mended(&ran), ["dbox.guid", "index.broken", "index.missing"]);
    assert_eq!(
        lost(&ran),
        ["flags and keywords: no index, log or copy of one is left"]
    );
    damaged.inspect().exits(0);
    damaged.repair().exits(0);
    let after = read(&damaged);
    assert_eq!(after.findings, [""; 0]);
    let (was, is) = (before.mailbox("INBOX"), after.mailbox("INBOX"));
    assert_eq!(is.uidvalidity, was.uidvalidity);
    assert_eq!(is.guid, was.guid);
    assert_eq!(before.uids("INBOX"), after.uids("INBOX"));
    for (uid, message) in &was.messages {
        let again = &is.messages[uid];
        assert_eq!((&again.body, &again.guid), (&message.body, &message.guid));
        assert_eq!(again.received, message.received);
    }
    let Some(server) = Server::here("a_mailbox_without_index") else {
        return;
    };
    served(&server, &damaged);
}

#[test]
fn an_mdbox_is_not_mended_as_an_sdbox_whatever_is_left_of_it() {
    for gone in ["nothing", "dovecot.map", "m.", "storage"] {
        let damaged = Damaged::sample("mdbox").called("sdbox");
        let storage = fs::read_dir(damaged.at("storage")).unwrap();
        for path in storage.map(|entry| entry.unwrap().path()) {
            let name = path.file_name().unwrap().to_str().unwrap();
            if name.starts_with(gone) || gone == "storage" {
                fs::remove_file(&path).unwrap();
            }
        }
        let before = tree(&damaged.store());
        let ran = damaged.repair().exits(66);
        assert!(
            ran.stderr.contains("write mdbox: in place of sdbox:"),
            "{ran}"
        );
        assert_eq!(
            differences(&before, &tree(&damaged.store())),
            [""; 0],
            "{gone} is gone"
        );
    }
}

#[test]
fn a_torn_log_is_replaced_and_loses_nothing_but_what_it_broke_off_in() {
    let damaged = sample();
    let log = damaged.mails("INBOX", "dovecot.index.log");
    let damaged = damaged.changed(&log, |bytes| bytes.truncate(bytes.len() - 3));
    let before = read(&damaged);
    assert!(!before.findings.is_empty());
    let ran = damaged.repair().exits(1);
    assert_eq!(mended(&ran), ["index.log"]);
    assert!(
        lost(&ran)[0].starts_with("perhaps what was changed last"),
        "{ran}"
    );
    let after = read(&damaged);
    assert_eq!(after.findings, [""; 0]);
    assert_eq!(after.mailboxes, before.mailboxes);
    let Some(server) = Server::here("a_torn_log_is_replaced") else {
        return;
    };
    served(&server, &damaged);
}

/// The first message file of the INBOX.
fn first(damaged: &Damaged) -> (u32, std::path::PathBuf) {
    let uid = read(damaged).uids("INBOX")[0];
    (uid, damaged.mails("INBOX", &format!("u.{uid}")))
}

#[test]
fn what_is_sound_of_a_cut_message_is_stored_anew() {
    let damaged = sample();
    let before = read(&damaged);
    let (uid, path) = first(&damaged);
    let damaged = damaged.changed(&path, |bytes| bytes.truncate(bytes.len() - 60));
    let ran = damaged.repair().exits(1);
    assert!(lost(&ran)[0].contains("some of its bytes"), "{ran}");
    assert!(
        mended(&ran).iter().all(|code| code.starts_with("dbox.")),
        "{ran}"
    );
    damaged.inspect().exits(0);
    let after = read(&damaged);
    assert_eq!(after.findings, [""; 0]);
    let (was, is) = (before.message("INBOX", uid), after.message("INBOX", uid));
    assert!(was.body.starts_with(&is.body) && !is.body.is_empty());
    assert_eq!((&is.flags, &is.keywords), (&was.flags, &was.keywords));
    assert_eq!(before.uids("INBOX"), after.uids("INBOX"));
    let Some(server) = Server::here("what_is_sound_of_a_cut_message") else {
        return;
    };
    served(&server, &damaged);
}

#[test]
fn a_message_of_which_nothing_is_left_goes_and_is_said_to_be_lost() {
    let damaged = sample();
    let before = read(&damaged);
    let (uid, path) = first(&damaged);
    let damaged = damaged.changed(&path, |bytes| bytes.fill(0));
    let ran = damaged.repair().exits(1);
    assert_eq!(lost(&ran).len(), 1, "{ran}");
    damaged.inspect().exits(0);
    damaged.repair().exits(0);
    let mut rest = before.uids("INBOX");
    rest.retain(|other| *other != uid);
    assert_eq!(read(&damaged).uids("INBOX"), rest);
    let Some(server) = Server::here("a_message_of_which_nothing_is_left") else {
        return;
    };
    served(&server, &damaged);
}

#[test]
fn files_that_no_index_knows_are_taken_in_only_where_that_is_asked_for() {
    let damaged = sample();
    let (_, path) = first(&damaged);
    let uids = read(&damaged).uids("INBOX");
    let expunged = (1..).find(|uid| !uids.contains(uid)).unwrap();
    assert!(expunged < *uids.last().unwrap());
    fs::copy(&path, damaged.mails("INBOX", &format!("u.{expunged}"))).unwrap();
    let before = tree(&damaged.store());
    let ran = damaged.repair().exits(0);
    assert_eq!(ran.findings("dbox.orphan").len(), 1, "{ran}");
    assert_eq!(differences(&before, &tree(&damaged.store())), [""; 0]);
    let ran = damaged
        .run("repair", &["--offline", "--recover-orphans"])
        .exits(0);
    assert_eq!(mended(&ran), ["dbox.orphan"]);
    let after = read(&damaged);
    assert_eq!(after.findings, [""; 0]);
    assert_eq!(after.uids("Recovered"), [1]);
    let Some(server) = Server::here("files_that_no_index_knows") else {
        return;
    };
    let account = served(&server, &damaged);
    assert_eq!(account.mailbox("Recovered").messages.len(), 1);
}

/// Flags of the INBOX, as a server tells them.
fn flags(dovecot: &Dovecot) -> Vec<(u64, Vec<String>)> {
    let account = dovecot.account();
    let messages = account.mailbox("INBOX").messages.iter();
    messages
        .map(|message| (message.uid, message.flags.clone()))
        .collect()
}

#[test]
fn a_damaged_index_takes_flags_from_the_log() {
    let Some(server) = Server::here("a_damaged_index_takes_flags_from_the_log") else {
        return;
    };
    let damaged = sample();
    let sound = flags(&server.serve("sdbox", damaged.store()));
    let index = damaged.mails("INBOX", "dovecot.index");
    if index.exists() {
        fs::write(&index, b"garbage, and not an index").unwrap();
    } else {
        fs::write(&index, vec![0; 200]).unwrap();
    }
    let ran = damaged.repair();
    assert!(mended(&ran).contains(&"index.broken".to_owned()), "{ran}");
    let repaired = server.serve("sdbox", damaged.store());
    assert_eq!(flags(&repaired), sound);
    repaired.assert_silent();
}
