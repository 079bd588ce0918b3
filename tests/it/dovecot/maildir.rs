//! What is Dovecot's own of a Maildir: uidlist, new/, maildirsize, coats.

use std::fs;
use std::path::Path;

use super::scenarios::{Scenario, scenarios};
use super::{DESTINATIONS, with_dovecot};
use crate::harness::dovecot::{Account, Server};
use crate::harness::maildir::{LAYOUTS, Maildir, mail, name};
use crate::harness::run::Run;
use crate::harness::tree::tree;

fn convert(temp: &Path, source: &str, target: &str, more: &[&str]) {
    let run = Run::new(temp).args(["convert", source, target]).args(more);
    run.done().exits(0);
}

/// Every uidlist below `root`.
fn uidlists(root: &Path) -> Vec<(String, String)> {
    let all = tree(root).into_iter();
    let lists = all.filter(|(path, _)| path.ends_with("dovecot-uidlist"));
    let lists = lists.map(|(path, node)| {
        let path = path.to_str().unwrap().to_owned();
        (path, node.content.to_string())
    });
    lists.collect()
}

fn maildirs() -> impl Iterator<Item = super::Destination> {
    DESTINATIONS.into_iter().filter(|to| to.driver == "maildir")
}

#[test]
fn the_uidlist_stays_as_it_was_written_when_dovecot_looks() {
    with_dovecot(
        "the_uidlist_stays_as_it_was_written_when_dovecot_looks",
        |server| {
            for scenario in scenarios(server) {
                for to in maildirs() {
                    looked_at(server, &scenario, to);
                }
            }
        },
    );
}

fn looked_at(server: &Server, scenario: &Scenario, to: super::Destination) {
    let converted = scenario.convert(to);
    let dovecot = converted.served_by(server);
    let written = uidlists(&converted.store());
    assert!(!written.is_empty());
    dovecot.ask(&["fetch", "uid guid flags", "mailbox", "*", "all"]);
    assert_eq!(
        uidlists(&dovecot.mail()),
        written,
        "{converted}: after a look"
    );
    // A session moves messages from new/ to cur/, and none of them gets another UID or GUID.
    let before = dovecot.account();
    let mut imap = dovecot.imap();
    for mailbox in imap.mailboxes() {
        imap.read(&mailbox);
    }
    drop(imap);
    let session = |account: Account| account.without_recent().without_modseqs();
    assert_eq!(session(dovecot.account()), session(before), "{converted}");
    for (path, list) in uidlists(&dovecot.mail()) {
        let (_, ours) = written
            .iter()
            .find(|(written, _)| *written == path)
            .unwrap();
        let uidvalidity = |list: &str| list.split(' ').nth(1).unwrap().to_owned();
        assert_eq!(uidvalidity(&list), uidvalidity(ours), "{converted}: {path}");
        let rows =
            |list: &str| -> Vec<String> { list.lines().skip(1).map(str::to_owned).collect() };
        assert_eq!(rows(&list), rows(ours), "{converted}: {path}");
    }
    dovecot.assert_silent();
}

#[test]
fn flags_of_a_message_that_nobody_has_seen_are_told_and_kept() {
    with_dovecot(
        "flags_of_a_message_that_nobody_has_seen_are_told_and_kept",
        |server| {
            let account = Maildir::five_and_one()
                .new_message("INBOX", &format!("{}:2,FSa", name(7)), mail("flagged"))
                .new_message("INBOX", &name(8), mail("plain"))
                .side("INBOX", "dovecot-keywords", "0 $Label1\n");
            for keys in LAYOUTS {
                let made = account.temp().join(format!("made{}", keys.len()));
                let target = format!("maildir:{}{keys}", made.display());
                convert(account.temp(), &account.location(), &target, &[]);
                let dovecot = server.serve(&format!("maildir{keys}"), &made);
                for recent in [true, false] {
                    let told = dovecot.account();
                    let [.., flagged, plain] = &told.mailbox("INBOX").messages[..] else {
                        panic!("no two messages");
                    };
                    assert_eq!(flagged.flags, ["\\Flagged", "\\Seen"]);
                    assert_eq!(flagged.keywords, ["$Label1"]);
                    assert_eq!(plain.flags, [""; 0]);
                    assert_eq!((flagged.recent, plain.recent), (recent, recent));
                    dovecot.imap().send("SELECT INBOX");
                }
                let new = fs::read_dir(dovecot.mail().join("new")).unwrap();
                assert_eq!(new.count(), 0, "the session has moved them to cur/");
                dovecot.assert_silent();
            }
        },
    );
}

#[test]
fn names_are_shown_as_they_are_wherever_messages_lie() {
    with_dovecot(
        "names_are_shown_as_they_are_wherever_messages_lie",
        |server| {
            let account = Maildir::new()
                .dir("INBOX/Sub/cur")
                .dir("INBOX/Sub/new")
                .dir("Above/x.y/cur")
                .dir("Bare");
            let source = format!("maildir:{}:LAYOUT=fs", account.source().display());
            let sdbox = account.target();
            convert(account.temp(), &source, &sdbox, &[]);
            for (keys, names) in LAYOUTS.into_iter().zip([
                &["Above", "Above/x_y", "INBOX", "INBOX/Sub"][..],
                &["Above", "Above/x.y", "Bare", "INBOX", "INBOX/Sub"],
            ]) {
                let made = account.temp().join(format!("made{}", keys.len()));
                let target = format!("maildir:{}{keys}", made.display());
                convert(account.temp(), &sdbox, &target, &[]);
                let dovecot = server.serve(&format!("maildir{keys}"), &made);
                let told = dovecot.account();
                let shown = told.mailboxes.iter().map(|mailbox| mailbox.name.as_str());
                assert_eq!(shown.collect::<Vec<_>>(), names);
                let below = told.mailbox("INBOX/Sub").status.as_ref().unwrap();
                assert_eq!(below.messages, 0);
                dovecot.assert_silent();
            }
        },
    );
}

#[test]
fn maildirsize_is_believed_by_a_server_with_the_same_limits() {
    with_dovecot(
        "maildirsize_is_believed_by_a_server_with_the_same_limits",
        |server| {
            let account = Maildir::five_and_one().put("maildirsize", "1048576S,1000C\n1 1\n");
            let made = account.temp().join("made");
            let target = format!("maildir:{}", made.display());
            convert(account.temp(), &account.location(), &target, &[]);
            let rules = "mail_plugins = quota\nplugin {\n  quota = maildir:User quota\n  \
                     quota_rule = *:storage=1024:messages=1000\n}\n";
            let dovecot = server.serve_with("maildir", &made, rules);
            let written = fs::read(made.join("maildirsize")).unwrap();
            let told = dovecot.ask(&["-f", "tab", "quota", "get"]);
            let told = String::from_utf8(told).unwrap();
            let messages = told.lines().find(|line| line.contains("MESSAGE")).unwrap();
            assert!(messages.contains("\t6\t1000\t"), "{told}");
            assert_eq!(
                fs::read(dovecot.mail().join("maildirsize")).unwrap(),
                written
            );
            dovecot.assert_silent();
        },
    );
}

#[test]
fn messages_in_a_new_coat_are_to_dovecot_what_they_were() {
    with_dovecot(
        "messages_in_a_new_coat_are_to_dovecot_what_they_were",
        |server| {
            let account = Maildir::five_and_one().message(
                "Sent",
                "1700000001.M1P1.h:2,S",
                vec![b'x'; 900_000],
            );
            let plain = server.serve("maildir", account.source()).account();
            let comparable = |account: Account| account.without_saved_dates().without_modseqs();
            for (coat, keys) in ["gz", "zstd"].into_iter().zip(LAYOUTS) {
                let made = account.temp().join(coat);
                let target = format!("maildir:{}{keys}", made.display());
                convert(
                    account.temp(),
                    &account.location(),
                    &target,
                    &["--compress", coat],
                );
                let dovecot = server.serve_compressed(&format!("maildir{keys}"), &made);
                let told = comparable(dovecot.account());
                assert_eq!(told, comparable(plain.clone()), "{coat}");
                dovecot.assert_silent();
            }
        },
    );
}

#[test]
fn subscriptions_are_read_in_either_layout() {
    with_dovecot("subscriptions_are_read_in_either_layout", |server| {
        let account = Maildir::five_and_one()
            .folder("A.Q&AOQ-")
            .put("subscriptions", "Sent\nA.Q&AOQ-\nGone.too\n");
        for keys in LAYOUTS {
            let made = account.temp().join(format!("made{}", keys.len()));
            let target = format!("maildir:{}{keys}", made.display());
            convert(account.temp(), &account.location(), &target, &[]);
            let dovecot = server.serve(&format!("maildir{keys}"), &made);
            let subscribed = dovecot.account().subscriptions;
            assert_eq!(subscribed, ["A/Qä", "Gone/too", "Sent"]);
            dovecot.assert_silent();
        }
    });
}
