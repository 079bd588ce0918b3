//! A mailbox of a converted account is gone: what the conversion wrote tells it, unless a server did it.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::recalled::{account, converted, said};
use super::{Damaged, lost};
use crate::harness::dovecot::Server;
use crate::harness::maildir::{Maildir, mail, name};
use crate::harness::run::{Ran, Run};
use crate::harness::store::Store;
use crate::harness::tree::copy;

const DBOX: [&str; 2] = ["sdbox", "mdbox"];

/// Mailboxes with messages, one of them above another.
fn tall() -> Maildir {
    account()
        .folder("Copies.Below")
        .message("Copies.Below", &name(50), mail("below"))
        .uidlist("Copies.Below", 9, &[(1, name(50))])
}

fn made(account: &Maildir, format: &'static str) -> Damaged {
    let store = converted(account, format);
    Damaged::new(format, |to| copy(&store, to))
}

#[track_caller]
fn assert_none_gone(what: &str, ran: &Ran) {
    assert_eq!(ran.findings("mailbox.gone").len(), 0, "{what}: {ran}");
}

#[test]
fn a_mailbox_that_only_a_conversion_knew_is_an_error_to_every_command() {
    for format in DBOX {
        let account = account();
        for (mailbox, path, had) in [
            ("Sent", "mailboxes/Sent", "it had 1 message"),
            ("INBOX", "mailboxes/INBOX/dbox-Mails", "it had 5 messages"),
        ] {
            let damaged = made(&account, format);
            let path = damaged.at(path);
            let damaged = damaged.without(&[path]);
            let said = json!({"mailbox": mailbox, "detail": had, "path": "mailtally.state"});
            damaged.inspect().exits(1).says("mailbox.gone", &said);
            damaged.repair().exits(1).says("mailbox.gone", &said);
            let copy = format!("maildir:{}", damaged.at("../copy").display());
            let ran = damaged.run("convert", &[&copy]).exits(1);
            assert_eq!(ran.summary()["verdict"], "no-go");
            fs::remove_dir_all(account.temp().join("store")).unwrap();
        }
    }
}

#[test]
fn a_list_that_does_not_count_a_mailbox_leaves_that_to_the_conversion() {
    let test = "a_list_that_does_not_count_a_mailbox_leaves_that_to_the_conversion";
    let Some(server) = Server::here(test) else {
        return;
    };
    for format in DBOX {
        let account = account();
        let dovecot = server.serve(format, converted(&account, format));
        dovecot.ask(&["mailbox", "create", "New"]);
        let used = Damaged::left_by(&dovecot, format);
        used.inspect().exits(0);
        let sent = used.at("mailboxes/Sent");
        let ran = used.without(&[sent]).inspect().exits(1);
        let said = json!({"mailbox": "Sent", "detail": "it had 1 message"});
        ran.says("mailbox.gone", &said);
    }
}

#[test]
fn what_a_server_deleted_and_renamed_since_the_conversion_is_not_gone() {
    let test = "what_a_server_deleted_and_renamed_since_the_conversion_is_not_gone";
    let Some(server) = Server::here(test) else {
        return;
    };
    for format in DBOX {
        for settings in ["", "mailbox_list_index = no\n"] {
            let account = tall();
            let store = converted(&account, format);
            let dovecot = server.serve_with(format, store, settings);
            for asked in [
                &["mailbox", "create", "New"][..],
                &["mailbox", "rename", "Sent", "Out"],
                &["mailbox", "delete", "Copies"],
                &["mailbox", "create", "Sent"],
                &["mailbox", "delete", "Sent"],
                &["mailbox", "rename", "Copies", "Others"],
                &["mailbox", "list"],
                &["mailbox", "delete", "Out"],
                &["mailbox", "status", "all", "*"],
                &["mailbox", "rename", "INBOX", "Old"],
            ] {
                dovecot.ask(asked);
                let what = format!("{format} {settings} {asked:?}");
                let used = Damaged::left_by(&dovecot, format);
                assert_none_gone(&what, &used.inspect());
                let lists = fs::read_dir(used.store()).unwrap().map(|it| it.unwrap());
                let lists = lists.filter(|it| {
                    it.file_name()
                        .to_string_lossy()
                        .starts_with("dovecot.list.")
                });
                let lists: Vec<_> = lists.map(|it| it.path()).collect();
                let used = used.without(&lists);
                assert_none_gone(&what, &used.inspect());
            }
            dovecot.assert_silent();
        }
    }
}

#[test]
fn a_folder_with_another_name_is_not_gone() {
    for format in DBOX {
        let made = made(&account(), format);
        fs::rename(made.at("mailboxes/Sent"), made.at("mailboxes/Out")).unwrap();
        assert_none_gone(format, &made.inspect().exits(0));
    }
}

#[test]
fn a_mailbox_without_its_index_gets_the_guid_that_the_conversion_wrote() {
    for format in DBOX {
        let account = account();
        let store = converted(&account, format);
        let guid = |store: &Path| guid_of(account.temp(), format, store, "Sent");
        let was = guid(&store);
        let damaged = Damaged::new(format, |to| copy(&store, to));
        let index = damaged.mails("Sent", "dovecot.index");
        let log = damaged.mails("Sent", "dovecot.index.log");
        let damaged = damaged.without(&[index, log]);
        let ran = damaged.repair().exits(0);
        assert!(
            said(&ran).contains("mailbox GUID from mailtally.state"),
            "{ran}"
        );
        assert_eq!(guid(&damaged.store()), was);
        // Another mailbox that has it keeps it.
        let other = Damaged::new(format, |to| copy(&store, to));
        fs::rename(other.at("mailboxes/Sent"), other.at("mailboxes/Out")).unwrap();
        copy(&damaged.at("mailboxes/Sent"), &other.at("mailboxes/Sent"));
        let index = other.mails("Sent", "dovecot.index");
        let log = other.mails("Sent", "dovecot.index.log");
        let other = other.without(&[index, log]);
        let ran = other.repair();
        assert!(said(&ran).contains("a new mailbox GUID"), "{ran}");
    }
}

/// The GUID of a mailbox, as a manifest has it.
fn guid_of(temp: &Path, format: &str, store: &Path, mailbox: &str) -> String {
    let manifest = temp.join("manifest");
    let location = format!("{format}:{}", store.display());
    let manifest = manifest.to_str().unwrap();
    let args = ["manifest", &location, "-o", manifest];
    Run::new(temp).args(args).done().exits(0);
    let bytes = fs::read(manifest).unwrap();
    fs::remove_file(manifest).unwrap();
    let text = zstd::decode_all(&bytes[..]).unwrap();
    let lines = text.split(|byte| *byte == b'\n');
    let mut lines = lines.filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    let line = lines.find(|line| line["type"] == "mailbox" && line["mailbox"] == mailbox);
    line.unwrap()["guid"].as_str().unwrap().to_owned()
}

#[test]
fn what_a_state_does_not_tell_is_taken_in_and_the_mailbox_is_told() {
    let damaged = made(&account(), "mdbox");
    let sent = damaged.at("mailboxes/Sent");
    let damaged = damaged.without(&[sent]);
    let location = format!("mdbox:{}", damaged.store().display());
    let args = ["repair", "--offline", &location];
    let ran = Run::new(damaged.temp()).args(args).done().exits(1);
    let next = ran.stdout.split("\nnext: ").last().unwrap();
    assert!(next.contains("--recover-orphans"), "{ran}");
    // A state that does not tell the messages.
    let whole = fs::read(damaged.at("mailtally.state")).unwrap();
    let text = zstd::decode_all(&whole[..]).unwrap();
    let lines = text.split_inclusive(|byte| *byte == b'\n');
    let text = lines.filter(|line| !line.starts_with(br#"{"type":"message""#));
    let text = text.collect::<Vec<_>>().concat();
    fs::write(
        damaged.at("mailtally.state"),
        zstd::encode_all(&text[..], 3).unwrap(),
    )
    .unwrap();
    let ran = damaged.run("repair", &["--offline", "--recover-orphans"]);
    assert_eq!(lost(&ran.exits(1)), ["the mailbox Sent: it had 1 message"]);
}

#[test]
fn a_mailbox_whose_messages_are_stored_is_there_again_as_the_conversion_wrote_it() {
    let server = Server::here("a_mailbox_whose_messages_are_stored_is_there_again");
    let account = tall();
    let store = converted(&account, "mdbox");
    let before = Store::of("mdbox", &store, "");
    for gone in ["Copies/Below", "INBOX"] {
        let damaged = Damaged::new("mdbox", |to| copy(&store, to));
        let mails = damaged.mails(gone, "");
        let damaged = damaged.without(&[mails]);
        let ran = damaged.run("repair", &["--offline", "--recover-orphans"]);
        let after = Store::of("mdbox", &damaged.store(), "");
        let (was, is) = (before.mailbox(gone), after.mailbox(gone));
        assert_eq!(is.uidvalidity, was.uidvalidity, "{gone}: {ran}");
        assert!(!after.names().contains(&"Recovered"), "{ran}");
        if gone == "INBOX" {
            // Two of its messages have another mailbox, and stay there alone.
            assert_eq!(after.uids(gone), [3, 4, 5], "{ran}");
            assert!(lost(&ran.exits(1))[0].starts_with("uid 1, 2: "));
        } else {
            assert_eq!(is.messages, was.messages, "{ran}");
            assert_eq!(lost(&ran.exits(0)), [""; 0]);
        }
        damaged.inspect().exits(0);
        if let Some(server) = &server {
            let dovecot = server.serve("mdbox", damaged.store());
            let status = dovecot.account().mailbox(gone).status.clone().unwrap();
            assert_eq!(status.messages, is.messages.len() as u64);
            dovecot.assert_silent();
        }
    }
}

#[test]
fn keywords_that_differ_only_in_case_are_one_and_spelled_as_the_index_has_them() {
    for (names, spelled) in [("0 Familie\n", "Familie"), ("0 familie\n", "familie")] {
        let account = account().put("dovecot-keywords", names);
        let made = made(&account, "sdbox");
        let state = account.temp().join("store/mailtally.state");
        let bytes = zstd::decode_all(&fs::read(state).unwrap()[..]).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        assert_eq!(
            text.contains(r#"{"familie":"Familie"}"#),
            spelled == "Familie"
        );
        assert!(text.contains(r#""keywords":["familie"]"#), "{text}");
        let index = made.mails("INBOX", "dovecot.index");
        let log = made.mails("INBOX", "dovecot.index.log");
        let made = made.without(&[index, log]);
        made.repair();
        let after = Store::of("sdbox", &made.store(), "");
        assert_eq!(after.message("INBOX", 1).keywords, [spelled]);
    }
}
