//! An mdbox whose storage is out of sight: an unmounted disk must find its mailboxes as it left them.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use bstr::BString;

use super::hidden::{give, set_mode};
use super::{Damaged, lost, samples};
use crate::harness::dovecot::Server;
use crate::harness::run::{Ran, Run};
use crate::harness::store::Store;
use crate::harness::tree::{differences, tree};

/// How an account is named: by its path alone, or with its format.
const NAMED: [&str; 2] = ["", "mdbox:"];

/// Ways in which an unmounted `storage/` looks.
const GONE: [(&str, &str); 2] = [("missing", "is not there"), ("empty", "is empty")];

fn without_storage(how: &str) -> Damaged {
    let damaged = Damaged::sample("mdbox");
    let storage = damaged.at("storage");
    fs::remove_dir_all(&storage).unwrap();
    if how == "empty" {
        fs::create_dir(&storage).unwrap();
    }
    damaged
}

fn run(damaged: &Damaged, command: &[&str], named: &str) -> Run {
    let location = format!("{named}{}", damaged.store().display());
    let (command, more) = command.split_first().unwrap();
    let temp = damaged.store().parent().unwrap().to_owned();
    Run::new(&temp).args([command, &*location]).args(more)
}

fn content(damaged: &Damaged) -> BTreeMap<PathBuf, BString> {
    let nodes = tree(&damaged.store()).into_iter();
    nodes.map(|(path, node)| (path, node.content)).collect()
}

#[track_caller]
fn assert_refused(ran: &Ran, damaged: &Damaged, is: &str) {
    let says = format!("{} {is}", damaged.at("storage").display());
    assert!(ran.stderr.contains(&says), "{ran}");
    assert!(ran.stderr.contains("is it mounted?"), "{ran}");
    assert!(!ran.stderr.contains("sdbox:"), "{ran}");
}

#[test]
fn an_mdbox_without_storage_is_named_and_not_a_byte_of_it_is_changed() {
    for (how, is) in GONE {
        let damaged = without_storage(how);
        let to = damaged.store().with_file_name("to");
        let target = format!("sdbox:{}", to.display());
        let sound = Damaged::sample("mdbox");
        let other = format!("mdbox:{}", sound.store().display());
        let before = tree(&damaged.store());
        for named in NAMED {
            for command in [
                &["inspect"][..],
                &["convert", &target],
                &["verify", &other],
                &["repair", "--offline"],
                &["repair", "--offline", "--dry-run"],
            ] {
                let ran = run(&damaged, command, named).done().exits(66);
                assert_refused(&ran, &damaged, is);
            }
        }
        assert_eq!(differences(&before, &tree(&damaged.store())), [""; 0]);
        assert!(!to.exists());
    }
}

#[test]
fn one_account_without_storage_leaves_the_others_alone() {
    let damaged = without_storage("missing");
    let users = damaged.store().with_file_name("users");
    fs::create_dir(&users).unwrap();
    fs::rename(damaged.store(), users.join("anna")).unwrap();
    let sound = Damaged::sample("mdbox");
    crate::harness::tree::copy(&sound.store(), &users.join("berta"));
    let location = format!("mdbox:{}/%u", users.display());
    let ran = Run::new(users.parent().unwrap())
        .args(["inspect", "--json", &location])
        .done()
        .exits(1);
    assert_eq!(ran.summary()["users"]["failed"], 1, "{ran}");
    assert_eq!(ran.summary()["users"]["ok"], 1, "{ran}");
}

#[test]
fn an_mdbox_is_told_by_what_is_left_of_an_index() {
    for left in ["dovecot.index", "dovecot.index.log", "dovecot.index.backup"] {
        let damaged = without_storage("missing");
        let mailboxes = damaged.at("mailboxes");
        let log = fs::read(damaged.mails("INBOX", "dovecot.index.log")).unwrap();
        fs::remove_dir_all(&mailboxes).unwrap();
        fs::create_dir_all(damaged.mails("INBOX", "")).unwrap();
        fs::write(damaged.mails("INBOX", left), log).unwrap();
        let ran = run(&damaged, &["inspect"], "").done().exits(66);
        assert_refused(&ran, &damaged, "is not there");
        let ran = run(&damaged, &["inspect"], "sdbox:").done().exits(66);
        let says = "what looks like mdbox";
        assert!(ran.stderr.contains(says), "{left}: {ran}");
    }
}

#[test]
fn an_sdbox_stays_one_beside_an_empty_storage() {
    let damaged = Damaged::sample("sdbox");
    fs::create_dir(damaged.at("storage")).unwrap();
    let ran = run(&damaged, &["inspect", "--json"], "").done().exits(0);
    let named = damaged.inspect();
    assert_eq!(ran.summary()["digest"], named.summary()["digest"]);
}

#[test]
fn what_could_be_either_is_named_so() {
    let damaged = Damaged::new("mdbox", |store| {
        fs::create_dir_all(store.join("mailboxes/INBOX/dbox-Mails")).unwrap();
    });
    let ran = run(&damaged, &["inspect"], "").done().exits(64);
    assert!(ran.stderr.contains("could be sdbox or mdbox"), "{ran}");
    let ran = run(&damaged, &["inspect"], "mdbox:").done().exits(66);
    assert_refused(&ran, &damaged, "is not there");
}

#[test]
fn where_the_storage_is_gone_for_good_its_messages_are_taken_out_on_request() {
    for (how, is) in GONE {
        let damaged = without_storage(how);
        let before = content(&damaged);
        let accepted = ["--offline", "--accept-loss"];
        let shown = damaged.run("repair", &[&accepted[..], &["--dry-run"]].concat());
        let shown = shown.exits(1);
        assert!(!lost(&shown).is_empty(), "{shown}");
        assert_eq!(content(&damaged), before);
        let ran = damaged.run("repair", &accepted).exits(1);
        assert_eq!(lost(&ran), lost(&shown), "{how}");
        assert_eq!(damaged.inspect().exits(0).summary()["messages"], 0);
        assert!(damaged.repair().exits(0).records_of("step").is_empty());
        damaged.run("repair", &["--offline", "--undo"]).exits(1);
        assert_refused(&damaged.inspect().exits(66), &damaged, is);
        assert!(content(&damaged) == before, "{how}");
    }
}

#[test]
fn where_all_mailboxes_are_gone_for_good_the_stored_messages_are_recovered_on_request() {
    let damaged = Damaged::sample("mdbox");
    fs::remove_dir_all(damaged.at("mailboxes")).unwrap();
    let before = content(&damaged);
    let says = format!("{} is not there", damaged.at("mailboxes").display());
    for named in NAMED {
        for command in [
            &["inspect"][..],
            &["repair", "--offline"],
            &["repair", "--offline", "--recover-orphans"],
        ] {
            let ran = run(&damaged, command, named).done().exits(66);
            assert!(ran.stderr.contains(&says), "{ran}");
            let way = "repair --accept-loss --recover-orphans";
            assert!(ran.stderr.contains(way), "{ran}");
        }
    }
    let asked = ["--offline", "--accept-loss", "--recover-orphans"];
    let shown = damaged.run("repair", &[&asked[..], &["--dry-run"]].concat());
    let shown = shown.exits(1);
    assert_eq!(shown.findings("mdbox.orphan").len(), 1, "{shown}");
    assert!(content(&damaged) == before);
    let ran = damaged.run("repair", &asked).exits(1);
    assert_eq!(lost(&ran), lost(&shown));

    let was = Store::of("mdbox", &Damaged::sample("mdbox").store(), "");
    let is = Store::of("mdbox", &damaged.store(), "");
    let recovered = is.mailbox("Recovered").messages.values();
    let recovered: Vec<_> = recovered.map(|message| &message.body).collect();
    for mailbox in was.mailboxes.values() {
        for message in mailbox.messages.values() {
            assert!(recovered.contains(&&message.body), "{message:?}");
        }
    }
    assert!(damaged.repair().exits(0).records_of("step").is_empty());
    if let Some(server) = Server::here("where_all_mailboxes_are_gone_for_good") {
        let dovecot = server.serve("mdbox", damaged.store());
        let messages = dovecot.account().mailbox("Recovered").messages.len();
        assert_eq!(messages, recovered.len());
        dovecot.assert_silent();
    }
    damaged.run("repair", &["--offline", "--undo"]).exits(1);
    assert!(content(&damaged) == before);
}

#[test]
fn an_account_whose_last_mailbox_is_gone_has_orphans() {
    let damaged = Damaged::sample("mdbox");
    fs::remove_dir_all(damaged.at("mailboxes")).unwrap();
    fs::create_dir(damaged.at("mailboxes")).unwrap();
    let ran = damaged.inspect().exits(1);
    assert_eq!(ran.findings("mdbox.orphan").len(), 1, "{ran}");
}

#[test]
fn a_storage_that_may_not_be_read_ends_the_run_and_is_named() {
    let damaged = Damaged::sample("mdbox");
    give(&damaged.store());
    set_mode(damaged.store().parent().unwrap(), 0o755);
    let before = Store::of("mdbox", &damaged.store(), "");
    let storage = damaged.at("storage");
    set_mode(&storage, 0o000);
    for named in NAMED {
        for command in [&["inspect"][..], &["repair", "--offline"]] {
            let ran = run(&damaged, command, named).unprivileged().done();
            let ran = ran.exits(77);
            let says = format!("cannot open {}", storage.display());
            assert!(ran.stderr.contains(&says), "{ran}");
        }
    }
    let ran = run(&damaged, &["inspect"], "sdbox:").unprivileged().done();
    let says = "write mdbox: in place of sdbox:";
    assert!(ran.exits(66).stderr.contains(says));
    set_mode(&storage, 0o700);
    let after = Store::of("mdbox", &damaged.store(), "");
    assert_eq!(after.mailboxes, before.mailboxes);
}

#[test]
fn a_converted_account_without_its_mailboxes_is_said_to_be_one() {
    let damaged = samples::converted("sdbox", &[]);
    fs::remove_dir_all(damaged.at("mailboxes")).unwrap();
    let nothing = run(&damaged, &["inspect"], "sdbox:").done().exits(66);
    assert!(nothing.stderr.contains("holds no sdbox"), "{nothing}");
    fs::write(damaged.at("mailtally.state"), "").unwrap();
    for command in ["inspect", "repair"] {
        let ran = run(&damaged, &[command], "sdbox:").done().exits(66);
        let says = format!("{} is not there", damaged.at("mailboxes").display());
        assert!(ran.stderr.contains(&says), "{ran}");
        assert!(ran.stderr.contains("is it mounted?"), "{ran}");
    }
}
