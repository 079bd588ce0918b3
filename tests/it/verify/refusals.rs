//! What cannot be compared is refused, with a sentence that says what to write instead.

use std::fs;

use crate::harness::maildir::Maildir;
use crate::harness::run::{Ran, Run};

fn verify(account: &Maildir, source: &str, destination: &str) -> Ran {
    Run::new(account.temp())
        .args(["verify", source, destination])
        .done()
}

#[test]
fn one_place_is_no_pair() {
    let account = Maildir::five_and_one();
    let ran = verify(&account, "maildir:Maildir", "maildir:./Maildir/").exits(64);
    assert!(ran.stderr.contains("both locations are"), "{ran}");
    assert!(ran.stderr.contains("help: name the copy"), "{ran}");
    let ran = verify(&account, "maildir:Maildir", "maildir:Maildir/.Sent").exits(64);
    assert!(ran.stderr.contains("lie in one another"), "{ran}");
    let twice = verify(&account, "maildir:%u", "maildir:./%u").exits(64);
    assert!(twice.stderr.contains("both locations are"), "{twice}");
}

#[test]
fn what_is_not_there_or_cannot_be_told_is_said() {
    let account = Maildir::five_and_one();
    let ran = verify(&account, "maildir:Maildir", "sdbox:nowhere").exits(66);
    assert!(ran.stderr.contains("nowhere is not there"), "{ran}");
    fs::create_dir(account.temp().join("empty")).unwrap();
    let ran = verify(&account, "maildir:Maildir", "empty").exits(64);
    assert!(ran.stderr.contains("no known mail store lies in"), "{ran}");
    assert!(ran.stderr.contains("name the format"), "{ran}");
    let ran = verify(&account, "maildir:Maildir", "sdbox:empty").exits(66);
    assert!(ran.stderr.contains("holds no sdbox"), "{ran}");
    let ran = verify(&account, "maildir:Maildir", "tally:all-%u.tally").exits(64);
    assert!(ran.stderr.contains("many accounts in one file"), "{ran}");
}

#[test]
fn users_on_one_side_only_are_said() {
    let account = Maildir::five_and_one();
    let folder = account.temp().join("mail");
    for (side, users) in [("old", ["a", "b"]), ("new", ["b", "c"])] {
        for user in users {
            let path = folder.join(side).join(user);
            fs::create_dir_all(path.join("cur")).unwrap();
            fs::create_dir_all(path.join("new")).unwrap();
            fs::create_dir_all(path.join("tmp")).unwrap();
            fs::write(
                path.join("dovecot-uidlist"),
                "3 V1 N1 G11111111111111111111111111111111\n",
            )
            .unwrap();
        }
    }
    let ran = Run::new(account.temp())
        .args([
            "verify",
            "--json",
            "maildir:mail/old/%u",
            "maildir:mail/new/%u",
        ])
        .done()
        .exits(1);
    assert_eq!(ran.codes(), ["account.extra", "account.missing"], "{ran}");
    assert_eq!(ran.findings("account.missing")[0]["user"], "a");
    assert_eq!(ran.findings("account.extra")[0]["user"], "c");
    assert_eq!(ran.summary()["users"]["total"], 3);
    assert_eq!(ran.summary()["users"]["ok"], 1);
}

#[test]
fn the_text_has_the_verdict_then_a_table_then_the_next_step() {
    let account = Maildir::five_and_one();
    account.convert().exits(0);
    let location = account.target();
    let text = verify(&account, &account.location(), &location)
        .exits(0)
        .stdout;
    assert!(
        text.starts_with("GO: 1 account, 2 mailboxes, 6 messages, "),
        "{text}"
    );
    assert!(text.contains(" on both sides\n"), "{text}");
    let account = account.without("cur/1700000002.M1P1.host:2,S");
    let text = verify(&account, &account.location(), &location)
        .exits(1)
        .stdout;
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[0].starts_with("NO-GO: 1 account, "), "{text}");
    let table = lines.iter().position(|line| line.contains("what differs"));
    let row = lines[table.expect("a table") + 1];
    let words: Vec<_> = row.split_whitespace().collect();
    assert_eq!(words, ["INBOX", "message.extra", "1", "uid", "2"], "{text}");
    let last = lines.last().unwrap();
    assert!(
        last.starts_with("next: mend what is listed above"),
        "{text}"
    );
    assert!(last.contains("mailtally verify maildir:"), "{text}");
}
