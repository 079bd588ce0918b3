//! The tally: whole or not there, the same at every run, and read by others.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use mailtally::digest::hex;
use mailtally::digest::merkle::{self, MailboxDigest};
use mailtally::format::tally::{
    AccountLine, AccountPrint, Body, BodyPrint, Envelope, Head, MailboxLine, MailboxPrint,
    MessagePrint, SumLine, Writer, message_text,
};
use mailtally::model::{Flags, Mailbox, MailboxGuid, MailboxName, Uid, UidValidity};
use serde_json::Value;

use super::planted::{Planted, manifest};
use crate::harness::maildir::{Maildir, mail, scratch};
use crate::harness::run::{Ran, Run};
use crate::harness::skipped;
use crate::harness::tree::copy;

pub fn run(account: &Maildir, args: &[&str]) -> Ran {
    Run::new(account.temp()).args(args).done()
}

#[test]
fn a_manifest_is_whole_or_not_there_and_replaces_only_its_own_kind() {
    let account = Maildir::five_and_one();
    let location = account.location();
    let manifest = |file: &str| run(&account, &["manifest", &location, "-o", file]);
    let ran = manifest("a.tally").exits(0);
    assert!(
        ran.stdout
            .starts_with("WRITTEN: 1 account, 2 mailboxes, 6 messages"),
        "{ran}"
    );
    let first = fs::read(account.temp().join("a.tally")).unwrap();
    manifest("a.tally").exits(0);
    assert_eq!(
        text(&first)[1..],
        text(&fs::read(account.temp().join("a.tally")).unwrap())[1..]
    );
    fs::write(account.temp().join("letter.txt"), "dear all").unwrap();
    let ran = manifest("letter.txt").exits(73);
    assert!(ran.stderr.contains("mailtally has not written"), "{ran}");
    let ran = manifest("Maildir/cur/x.tally").exits(64);
    assert!(ran.stderr.contains("a store is never written to"), "{ran}");
    manifest("nowhere/x.tally").exits(73);
    let broken = Run::new(account.temp())
        .args(["manifest", "sdbox:Maildir", "-o", "b.tally"])
        .done();
    assert_ne!(broken.code, 0);
    let names = fs::read_dir(account.temp()).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| name.contains("tally")).collect();
    names.sort();
    assert_eq!(names, ["a.tally"]);
}

/// The lines of a tally.
pub fn text(tally: &[u8]) -> Vec<String> {
    let text = zstd::decode_all(tally).unwrap();
    let text = String::from_utf8(text).unwrap();
    text.lines().map(str::to_owned).collect()
}

pub fn packed(lines: &[String]) -> Vec<u8> {
    let text = lines.join("\n") + "\n";
    zstd::encode_all(text.as_bytes(), 1).unwrap()
}

#[test]
fn a_manifest_that_is_killed_leaves_what_was_there() {
    let mut account = Maildir::new();
    for nth in 0..3000 {
        let name = format!("1700000000.M{nth}P1.host:2,");
        account = account.message("INBOX", &name, mail("one"));
    }
    let location = account.location();
    let args = ["manifest", &location, "-j", "1", "-o", "a.tally"];
    let on_its_way = account.temp().join(".a.tally.mailtally-new");
    let kill = || {
        let _ = fs::remove_file(&on_its_way);
        let mut child = Run::new(account.temp()).args(args).start();
        while child.try_wait().unwrap().is_none() && !on_its_way.exists() {}
        child.kill().unwrap();
        Ran::from(&child.wait_with_output().unwrap()).exits(128 + 9);
    };
    kill();
    assert!(!account.temp().join("a.tally").exists());
    let earlier = earlier();
    fs::write(account.temp().join("a.tally"), &earlier).unwrap();
    kill();
    assert!(fs::read(account.temp().join("a.tally")).unwrap() == earlier);
    run(&account, &args).exits(0);
    assert!(!on_its_way.exists());
    run(&account, &["verify", "a.tally", &location]).exits(0);
}

/// A tally of another account.
fn earlier() -> Vec<u8> {
    let temp = scratch();
    Planted::sound(1).write("maildir", &temp.path().join("maildir"));
    manifest("maildir", &temp.path().join("maildir"))
}

#[test]
fn the_files_of_a_store_are_checked_by_sha256sum() {
    let account = Maildir::five_and_one();
    let args = ["manifest", &account.location(), "-o", "a.tally", "--sha256"];
    run(&account, &args).exits(0);
    let check = || {
        let mut check = Command::new("sha256sum");
        check.args(["-c", "--quiet", "../a.tally.sha256"]);
        let check = check.current_dir(account.source()).output().unwrap();
        check.status.success()
    };
    assert!(check());
    fs::write(account.at("cur/1700000002.M1P1.host:2,S"), "changed").unwrap();
    assert!(!check());
    let both = run(
        &account,
        &["manifest", &account.location(), "-o", "-", "--sha256"],
    )
    .exits(64);
    assert!(both.stderr.contains("name a file with -o"), "{both}");
}

#[test]
fn a_tally_on_standard_output_is_nothing_but_a_tally() {
    let account = Maildir::five_and_one();
    let mut command = Command::new(env!("CARGO_BIN_EXE_mailtally"));
    command.args(["manifest", &account.location(), "-o", "-"]);
    let output = command.stderr(Stdio::piped()).output().unwrap();
    assert!(output.status.success());
    assert_eq!(text(&output.stdout).len(), 14);
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("WRITTEN"));
}

#[test]
fn many_accounts_are_one_file() {
    let account = Maildir::five_and_one();
    for user in ["b", "a@x", "c"] {
        let path = account.temp().join("vmail").join(user);
        copy(&account.source(), &path.join("Maildir"));
    }
    let location = "maildir:vmail/%u/Maildir";
    run(&account, &["manifest", location, "-o", "all.tally"]).exits(0);
    run(&account, &["convert", location, "mdbox:new/%u"]).exits(0);
    let ran = run(&account, &["verify", "--json", "all.tally", "mdbox:new/%u"]).exits(0);
    assert_eq!(ran.summary()["users"]["ok"], 3);
    let digest = &ran.summary()["digest"];
    assert_eq!(digest["source"], digest["destination"]);
    let ran = run(
        &account,
        &["verify", "--json", "mdbox:new/%u", "all.tally", "-u", "c"],
    )
    .exits(0);
    assert_eq!(ran.summary()["users"]["total"], 1);
    fs::remove_dir_all(account.temp().join("new/b")).unwrap();
    let ran = run(&account, &["verify", "--json", "all.tally", "mdbox:new/%u"]).exits(1);
    assert_eq!(ran.findings("account.missing")[0]["user"], "b");
    let typo = ["verify", "all.tally", "all.tally", "-u", "typo"];
    let ran = run(&account, &typo).exits(66);
    assert!(ran.stdout.contains("neither side has this user"), "{ran}");
    let nobody = ["verify", "all.tally", "all.tally", "-u", "x*"];
    let ran = run(&account, &nobody).exits(66);
    assert!(ran.stdout.contains("neither side has a user"), "{ran}");
    // A store that cannot be opened is one user, who failed, and nobody's extra.
    fs::create_dir(account.temp().join("new/b")).unwrap();
    let ran = run(&account, &["verify", "--json", "all.tally", "mdbox:new/%u"]).exits(1);
    assert_eq!(ran.summary()["users"]["total"], 3, "{ran}");
    assert_eq!(ran.summary()["users"]["failed"], 1, "{ran}");
    assert_eq!(ran.findings("account.missing").len(), 0, "{ran}");
}

#[test]
fn a_difference_does_not_make_a_right_quota_stale() {
    let account = Maildir::five_and_one().put("maildirsize", "\n252 6\n");
    copy(&account.source(), &account.temp().join("copy"));
    fs::rename(
        account.temp().join("copy/cur/1700000002.M1P1.host:2,S"),
        account.temp().join("copy/cur/1700000002.M1P1.host:2,FS"),
    )
    .unwrap();
    let location = account.location();
    let ran = run(&account, &["verify", "--json", &location, "maildir:copy"]).exits(1);
    assert_eq!(ran.codes(), [""; 0], "{ran}");
    assert_eq!(ran.summary()["differences"]["message.flags"], 1);
}

/// A tally of so many messages, in ten mailboxes of one account.
fn synthetic(path: &Path, messages: u32) {
    let file = fs::File::create(path).unwrap();
    let mut out = Writer::new(file, path.to_owned()).unwrap();
    out.line(&Head::new(
        "2026-01-01T00:00:00Z".into(),
        "sdbox",
        String::new(),
    ))
    .unwrap();
    let user = String::new();
    let print = AccountPrint::default();
    out.line(&AccountLine { user, print }).unwrap();
    let mut digests = Vec::new();
    for folder in 0..10_u8 {
        let mailbox = Mailbox {
            name: MailboxName::new([format!("folder {folder}")]),
            selectable: true,
            guid: MailboxGuid::new([folder + 1; 16]).unwrap(),
            uidvalidity: UidValidity::ONE,
            uidnext: messages,
            first_recent: 1,
            highest_modseq: 1,
            keywords: Vec::new(),
            acl: None,
        };
        let name = mailbox.name.clone();
        let print = MailboxPrint::of_mailbox(&mailbox, name, u64::from(messages / 10));
        out.line(&MailboxLine::of("", &print)).unwrap();
        let called = mailbox.name.to_string();
        let mut digest = MailboxDigest::new(&mailbox.name);
        for uid in 1..=messages / 10 {
            let print = a_print(folder, uid);
            out.text(&message_text("", &called, &print)).unwrap();
            digest.push(&print.digest().unwrap());
        }
        digests.push(digest.finish());
        out.line(&SumLine {
            mailbox: Some(called),
            ..sum("sum", messages / 10, hex(&digest.finish()))
        })
        .unwrap();
    }
    let digest = hex(&merkle::account(&digests));
    let whole = merkle::store([("", &digest[..])]);
    out.line(&SumLine {
        mailboxes: Some(10),
        ..sum("sum", messages, digest)
    })
    .unwrap();
    out.line(&SumLine {
        user: None,
        users: Some(1),
        mailboxes: Some(10),
        ..sum("end", messages, whole)
    })
    .unwrap();
    out.finish().unwrap().flush().unwrap();
}

fn sum(kind: &str, messages: u32, digest: String) -> SumLine {
    SumLine {
        kind: kind.into(),
        user: Some(String::new()),
        messages: messages.into(),
        bytes: 4000 * u64::from(messages),
        digest,
        ..SumLine::default()
    }
}

fn a_print(folder: u8, uid: u32) -> MessagePrint {
    let mut content = [folder; 32];
    content[..4].copy_from_slice(&uid.to_le_bytes());
    MessagePrint {
        uid: Uid::new(uid).unwrap(),
        flags: Flags::SEEN,
        keywords: Vec::new(),
        envelope: Some(Envelope {
            received: 1_500_000_000 + i64::from(uid),
            saved: Some(1_500_000_001),
            guid: format!("{folder}.{uid}"),
            pop3_uidl: None,
            pop3_order: None,
        }),
        body: Body::Read(BodyPrint {
            size: 4000,
            virtual_size: 4100,
            crc32: uid,
            content,
        }),
        access: None,
    }
}

/// Verifies a tally of so many messages against itself, and returns the most memory it took, in KiB.
fn memory_of(messages: u32) -> u64 {
    let temp = scratch();
    let path = temp.path().join("a.tally");
    synthetic(&path, messages);
    fs::copy(&path, temp.path().join("b.tally")).unwrap();
    let run = Run::new(temp.path()).args(["verify", "--json", "-j", "2", "a.tally", "b.tally"]);
    let mut child = run.start();
    let status = format!("/proc/{}/status", child.id());
    let mut most = 0;
    while child.try_wait().unwrap().is_none() {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let now = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
        most = most.max(now.unwrap_or(0));
        std::thread::sleep(Duration::from_millis(5));
    }
    let ran = Ran::from(&child.wait_with_output().unwrap()).exits(0);
    assert_eq!(ran.summary()["messages"], Value::from(messages));
    most
}

#[test]
fn memory_does_not_grow_with_a_tally() {
    let (few, many) = (memory_of(20_000), memory_of(200_000));
    assert!(many < 64 * 1024, "{many} KiB");
    assert!(many < few + 8 * 1024, "{few} KiB, then {many} KiB");
}

#[test]
#[ignore = "minutes: ten million records; run it with --release"]
fn ten_million_records_take_less_than_64_mib() {
    let most = memory_of(10_000_000);
    println!("{most} KiB");
    assert!(most < 64 * 1024, "{most} KiB");
}

/// An environment with `DuckDB` in it, which is thrown away.
const DUCKDB: &str = r#"
set -e
python3 -m venv "$1/venv"
"$1/venv/bin/pip" install --quiet --disable-pip-version-check duckdb
"#;

/// Reads a tally as its users would.
const QUERY: &str = r#"
import sys, duckdb
print(duckdb.sql(f"""select count(*), sum(size), min(uid) from
    read_json('{sys.argv[1]}', format='newline_delimited', compression='zstd')
    where type = 'message' and list_contains(flags, '\\Seen')""").fetchall())
"#;

#[test]
fn duckdb_reads_a_tally_as_it_is() {
    let temp = scratch();
    let mut sh = Command::new("sh");
    let had = sh.args(["-c", DUCKDB, "sh"]).arg(temp.path()).output();
    let had = had.unwrap();
    if !had.status.success() {
        let why = String::from_utf8_lossy(&had.stderr);
        return skipped(why.lines().last().unwrap_or("no DuckDB"));
    }
    let planted = Planted::sound(7);
    planted.write("mdbox", &temp.path().join("mdbox"));
    let tally = temp.path().join("a.tally");
    fs::write(&tally, manifest("mdbox", &temp.path().join("mdbox"))).unwrap();
    let mut python = Command::new(temp.path().join("venv/bin/python"));
    let output = python.args(["-c", QUERY]).arg(&tally).output().unwrap();
    let messages = planted.boxes.iter().flat_map(|folder| &folder.messages);
    let seen = messages.filter(|(message, _)| message.flags.contains(Flags::SEEN));
    let seen: Vec<_> = seen.collect();
    let bytes: usize = seen.iter().map(|(_, body)| body.len()).sum();
    let first = seen.iter().map(|(message, _)| message.uid.get()).min();
    let wanted = format!("[({}, {bytes}, {})]", seen.len(), first.unwrap());
    let said = String::from_utf8(output.stdout).unwrap();
    let why = String::from_utf8_lossy(&output.stderr);
    assert_eq!(said.trim(), wanted, "{why}");
}
