//! What cannot be compared is refused, with a sentence that says what to write instead.

use std::fs;

use serde_json::json;

use crate::harness::maildir::{Maildir, scratch};
use crate::harness::run::{Ran, Run};
use crate::harness::tree::copy;
use crate::harness::unpacked;

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
fn a_source_that_is_broken_is_said_to_be_so_where_the_copy_could_not_be_made_of_it() {
    let temp = scratch();
    fs::create_dir(temp.path().join("home")).unwrap();
    let sample = unpacked("dovecot-2.3.19/mdbox.tar.gz");
    for user in ["anna", "bob"] {
        copy(
            &sample.path().join("mdbox"),
            &temp.path().join("from").join(user),
        );
    }
    fs::remove_dir_all(temp.path().join("from/bob/storage")).unwrap();
    let run = |args: &[&str]| Run::new(temp.path()).args(args).done().exits(1);
    let [from, to] = ["mdbox:from/%u", "sdbox:to/%u"];
    run(&["convert", "--json", from, to]);
    let tally = ["manifest", to, "-o", "to.tally"];
    Run::new(temp.path()).args(tally).done().exits(0);
    for to in [to, "tally:to.tally"] {
        let ran = run(&["verify", "--json", from, to]);
        assert!(ran.findings("account.missing").is_empty(), "{ran}");
        let failed = ran.findings("account.failed");
        let detail = failed[0]["detail"].as_str().unwrap();
        assert_eq!(
            (failed.len(), &failed[0]["user"]),
            (1, &json!("bob")),
            "{ran}"
        );
        assert!(detail.contains("from/bob/storage is not there"), "{ran}");
    }
}

#[test]
fn a_tally_is_for_verify_and_every_other_command_says_so() {
    let account = Maildir::five_and_one();
    let to = account.target();
    let commands = [
        &["inspect", "tally:a.tally"][..],
        &["quota", "tally:a.tally"],
        &["repair", "tally:a.tally"],
        &["manifest", "tally:a.tally", "-o", "b.tally"],
        &["convert", "tally:a.tally", &to],
        &["convert", "maildir:Maildir", "tally:a.tally"],
    ];
    for command in commands {
        let ran = Run::new(account.temp()).args(command).done().exits(64);
        assert!(ran.stderr.contains("and no mail"), "{ran}");
        assert!(ran.stderr.contains("mailtally verify tally:FILE"), "{ran}");
    }
}

#[test]
fn a_user_named_who_is_nowhere_is_no_input_and_one_on_one_side_is_a_difference() {
    let account = Maildir::five_and_one();
    for (side, users) in [("old", ["a", "b"]), ("new", ["b", "c"])] {
        for user in users {
            let path = account.temp().join(side).join(user);
            copy(&account.source(), &path);
        }
        let (location, file) = (format!("maildir:{side}/%u"), format!("{side}.tally"));
        let args = ["manifest", &location, "-o", &file];
        Run::new(account.temp()).args(args).done().exits(0);
    }
    let old = ["maildir:old/%u", "old.tally"];
    let new = ["maildir:new/%u", "new.tally"];
    for (source, destination) in old.iter().flat_map(|old| new.map(|new| (*old, new))) {
        let verify = |users: &[&str]| {
            let run = Run::new(account.temp()).args(["verify", "--json", source, destination]);
            let users = users.iter().flat_map(|user| ["-u", user]);
            run.args(users).done()
        };
        let what = format!("{source} {destination}");
        verify(&["b"]).exits(0);
        for (user, code) in [("a", "account.missing"), ("c", "account.extra")] {
            let ran = verify(&[user, "b"]).exits(1);
            ran.says(code, &json!({"user": user}));
            assert_eq!(ran.codes(), [code], "{what}: {ran}");
        }
        let ran = verify(&["typo", "b"]).exits(66);
        ran.says("account.missing", &json!({"user": "typo"}));
        assert_eq!(ran.summary()["users"]["ok"], 1, "{what}: {ran}");
        let ran = verify(&["typo"]).exits(66);
        ran.says("account.missing", &json!({"user": "typo"}));
    }
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
    assert!(lines[0].starts_with("NO-GO"), "{text}");
    let table = lines.iter().position(|line| line.contains("what differs"));
    let row = lines[table.expect("a table") + 1];
    let words: Vec<_> = row.split_whitespace().collect();
    assert_eq!(words, ["INBOX", "message.extra", "1", "uid", "2"], "{text}");
    let next = &text[text
        .find("next: mend what is listed above")
        .expect("a next step")..];
    assert!(next.contains("mailtally verify maildir:"), "{text}");
}
