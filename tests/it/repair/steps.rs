//! Every step of a repair may be the last one; what was done can be taken back.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use bstr::BString;
use mailtally::Error;
use mailtally::disk::{Dir, Disk, Real};
use mailtally::format::{OpenOptions, RepairOptions, room};
use mailtally::ops::{Teller, repair, workers::Workers};
use mailtally::report::UserLine;
use serde_json::{Value, json};

use super::{Damaged, lost};
use crate::harness::dovecot::Server;
use crate::harness::failing::{EIO, Failing};
use crate::harness::run::{Ran, Run};
use crate::harness::tree::{Node, tree};

/// Content by name, and the times of a Maildir's messages: other times and inodes are another thing.
fn contents(damaged: &Damaged) -> Vec<(PathBuf, u32, BString)> {
    let nodes = tree(&damaged.store()).into_iter();
    let kept = |path: &PathBuf| path.starts_with("mailtally-replaced");
    let rest = nodes.filter(|(path, _)| !kept(path));
    let told = |(path, node): (PathBuf, Node)| {
        let mut content = node.content;
        if path.parent().is_some_and(|above| above.ends_with("cur")) {
            content.extend(format!("{:?}", node.mtime).bytes());
        }
        (path, node.mode, content)
    };
    rest.map(told).collect()
}

/// The same, but for saved dates: those that no cache tells are ctimes, and every copy has its own.
fn lasting(damaged: &Damaged) -> Vec<(PathBuf, u32, BString)> {
    let mut all = contents(damaged);
    for (path, _, content) in &mut all {
        if path.ends_with("dovecot.index.cache") {
            content.clear();
        }
    }
    all
}

/// Flags of two messages are lost.
fn damaged() -> Damaged {
    let damaged = Damaged::sample("sdbox");
    let log = damaged.mails("Sent", "dovecot.index.log");
    let message = damaged.mails("Sent", "u.1");
    damaged
        .changed(&log, |bytes| bytes.truncate(bytes.len() - 3))
        .changed(&message, |bytes| bytes.truncate(bytes.len() - 20))
}

fn damaged_mdbox() -> Damaged {
    let damaged = Damaged::sample("mdbox");
    let log = damaged.mails("Sent", "dovecot.index.log");
    let mails = damaged.at("storage/m.2");
    damaged
        .changed(&log, |bytes| bytes.truncate(bytes.len() - 3))
        .changed(&mails, |bytes| bytes[2000..2064].fill(0))
}

/// Wrong sizes, names twice, a missing directory, a broken list, a letter without a name, usage that is not
/// the sum, and the times of a copy.
fn damaged_maildir() -> Damaged {
    let damaged = Damaged::sample("maildir");
    for place in [
        ".Broken/cur",
        ".Broken/tmp",
        ".Named/cur",
        ".Named/new",
        ".Named/tmp",
    ] {
        fs::create_dir_all(damaged.at(place)).unwrap();
    }
    let put = |name: &str, content: &str| fs::write(damaged.at(name), content).unwrap();
    put("maildirsize", "1000S\n-1 -1\n");
    put(".Named/dovecot-keywords", "25 $Last\n");
    let list = format!("3 V1700000000 N9 G{:032x}\n", 0xabc);
    put(
        ".Broken/dovecot-uidlist",
        &format!("{list}rubbish\n3 :1500000001.M1P1.host,S=99\n"),
    );
    for (name, body) in [
        ("1500000001.M1P1.host,S=99:2,S", "From: a\n\nx\n"),
        ("1500000001.M1P1.host,S=99:2,FS", "From: a\n\nx\n"),
        ("1500000002.M1P1.host:2,", "From: a\n\nx\n"),
        ("1500000002.M1P1.host:2,R", "From: a\n\ny\n"),
        ("1500000003.M1P1.host:2,z", "From: a\n\nx\n"),
    ] {
        put(&format!(".Broken/cur/{name}"), body);
    }
    for nth in 0..20 {
        let name = format!("{}.M9P1.host:2,", 1_400_000_000 + nth * 86_400);
        put(&format!(".Broken/cur/{name}"), "From: a\n\nx\n");
    }
    let touch = |name: &std::ffi::OsStr| {
        let file = fs::File::open(damaged.at(".Broken/cur").join(name)).unwrap();
        let copied = Duration::new(1_700_000_000, 5);
        file.set_modified(UNIX_EPOCH + copied).unwrap();
    };
    for entry in fs::read_dir(damaged.at(".Broken/cur")).unwrap() {
        touch(&entry.unwrap().file_name());
    }
    // Of two files with one base name, the one that changed last keeps it: by more than a tick of the clock.
    std::thread::sleep(Duration::from_millis(20));
    for name in ["1500000001.M1P1.host,S=99:2,FS", "1500000002.M1P1.host:2,R"] {
        touch(name.as_ref());
    }
    damaged
}

#[test]
fn a_dry_run_shows_the_steps_and_writes_nothing() {
    let damaged = damaged();
    let before = tree(&damaged.store());
    let planned = damaged.run("repair", &["--offline", "--dry-run"]).exits(1);
    assert_eq!(tree(&damaged.store()), before);
    let done = damaged.repair().exits(1);
    let told = |ran: &crate::harness::run::Ran, wanted: bool| {
        let steps = ran.records_of("step").into_iter();
        let told = steps.map(|step| {
            assert_eq!(step["done"], wanted, "{step}");
            (step["path"].clone(), step["detail"].clone())
        });
        told.collect::<Vec<_>>()
    };
    assert_eq!(told(&planned, false), told(&done, true));
    assert!(told(&done, true).len() > 3, "{done}");
}

/// Repairs it through the library, on this disk.
fn repaired(damaged: &Damaged, disk: Arc<dyn Disk>) -> Result<UserLine, Error> {
    let root = Dir::open(&damaged.store(), disk).unwrap();
    let options = repair::Options {
        offline: true,
        repair: RepairOptions {
            now: 1_800_000_000,
            dates: damaged.format() == "maildir",
            ..RepairOptions::default()
        },
        ..repair::Options::default()
    };
    let open = OpenOptions {
        now: 1_800_000_000,
        ..OpenOptions::default()
    };
    let room = room(damaged.format()).unwrap();
    let (teller, workers) = (Teller::new("", &()), Workers::new(1).unwrap());
    let repaired = repair::account(room, &root, &open, &options, &teller, &workers);
    repaired.map(|repaired| repaired.line)
}

#[test]
fn a_repair_cut_before_any_step_is_finished_by_the_next_run() {
    for damage in [damaged, damaged_mdbox, damaged_maildir] {
        let whole = damage();
        repaired(&whole, Arc::new(Real)).unwrap();
        let (before, after) = (lasting(&damage()), lasting(&whole));
        for step in 0.. {
            let damaged = damage();
            let finished = repaired(&damaged, Failing::disk(step, true, EIO)).is_ok();
            let begun = fs::read_dir(damaged.at("mailtally-replaced"))
                .into_iter()
                .flatten()
                .any(|folder| folder.unwrap().path().join("plan.json").exists());
            let now = lasting(&damaged);
            let differs = || now.iter().zip(&after).find(|(one, other)| one != other);
            assert!(
                begun || now == before || now == after,
                "{} cut before step {step}: {:?}",
                damaged.format(),
                differs()
            );
            if let Err(error) = repaired(&damaged, Arc::new(Real)) {
                panic!("cut before step {step}: {error}");
            }
            let now = lasting(&damaged);
            let differs = now.iter().zip(&after).find(|(one, other)| one != other);
            assert_eq!(differs, None, "cut before step {step}");
            assert_eq!(now.len(), after.len(), "cut before step {step}");
            if finished {
                assert!(step > 20, "{step} steps");
                break;
            }
        }
    }
}

#[test]
fn a_repair_that_waits_to_be_finished_is_said_by_all_that_read() {
    let cut = (0..).find_map(|step| {
        let damaged = damaged();
        repaired(&damaged, Failing::disk(step, true, EIO)).unwrap_err();
        let folders = fs::read_dir(damaged.at("mailtally-replaced"));
        let mut folders = folders.into_iter().flatten();
        let begun = folders.any(|folder| folder.unwrap().path().join("plan.json").exists());
        begun.then_some(damaged)
    });
    let damaged = cut.unwrap();
    let code = "account.repair-begun";
    let destination = format!("maildir:{}", damaged.store().with_file_name("to").display());
    let ran = damaged.run("convert", &[&destination]);
    assert_eq!(ran.findings(code).len(), 1, "{ran}");
    assert_eq!(damaged.inspect().findings(code).len(), 1);
    let planned = damaged.run("repair", &["--offline", "--dry-run"]);
    assert_eq!(planned.findings(code).len(), 1, "{planned}");
    let ran = damaged.repair();
    assert_eq!(ran.findings("account.repair-finished").len(), 1, "{ran}");
    assert!(ran.findings(code).is_empty(), "{ran}");
    assert!(damaged.inspect().findings(code).is_empty());
}

/// An sdbox of which a message is lost for good.
fn losing() -> Damaged {
    let damaged = Damaged::sample("sdbox");
    let message = damaged.mails("Sent", "u.1");
    damaged.changed(&message, |bytes| bytes.fill(0))
}

/// What the steps tell of losses: mailbox, codes, what is lost, and if it is done.
fn losses(ran: &Ran) -> Vec<[Value; 4]> {
    let mut steps = ran.records_of("step");
    steps.retain(|step| step["lost"] != json!([]));
    let told = |step: &Value| ["mailbox", "codes", "lost", "done"].map(|key| step[key].clone());
    steps.into_iter().map(told).collect()
}

/// Repairs that were cut off, from the first step on after which the plan is there until its steps are told.
fn cut_off(damage: fn() -> Damaged) -> Vec<Damaged> {
    let mut all = Vec::new();
    for step in 0.. {
        let damaged = damage();
        let finished = repaired(&damaged, Failing::disk(step, true, EIO)).is_ok();
        let folders = fs::read_dir(damaged.at("mailtally-replaced"));
        let mut folders = folders.into_iter().flatten().map(|it| it.unwrap().path());
        let begun =
            |path: PathBuf| path.join("done.json").exists() || path.join("plan.json").exists();
        if folders.any(begun) {
            all.push(damaged);
        }
        if finished {
            return all;
        }
    }
    unreachable!()
}

#[test]
fn what_a_repair_that_was_cut_off_has_lost_is_told_by_the_run_that_finishes_it() {
    let told = losses(&losing().repair().exits(1));
    assert_eq!(told.len(), 1);
    let cut = cut_off(losing);
    assert!(cut.len() > 5, "{}", cut.len());
    for damaged in cut {
        let ran = damaged.repair().exits(1);
        assert_eq!(losses(&ran), told, "{ran}");
        let finished = ran.findings("account.repair-finished");
        let detail = finished[0]["detail"].as_str().unwrap();
        assert!(detail.ends_with("what is lost for good"), "{ran}");
        damaged.repair().exits(0);
    }
}

#[test]
fn what_was_lost_is_told_again_until_the_report_arrives() {
    let told = losses(&losing().repair().exits(1));
    let damaged = losing();
    let location = format!("sdbox:{}", damaged.store().display());
    let lost = |more: &[&str]| {
        let args = ["repair", "--offline", &location];
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let run = Run::new(damaged.store().parent().unwrap()).args(args);
        run.args(more).into(full).done().exits(74);
    };
    lost(&[]);
    lost(&["--json"]);
    let waits = damaged.inspect().exits(0);
    let waits = waits.findings("account.repair-begun");
    assert_eq!(waits[0]["detail"], "what it has lost was not told");
    let planned = damaged.run("repair", &["--offline", "--dry-run"]).exits(1);
    assert_eq!(losses(&planned), told);
    assert_eq!(losses(&damaged.repair().exits(1)), told);
    assert!(damaged.repair().exits(0).records_of("step").is_empty());
    damaged.run("repair", &["--offline", "--undo"]).exits(1);
    assert!(!damaged.at("mailtally-replaced").exists());
}

#[test]
fn a_dry_run_shows_what_is_to_be_finished_and_what_it_loses() {
    let told = lost(&losing().repair());
    assert_eq!(told.len(), 1);
    let damaged = cut_off(losing).swap_remove(0);
    let before = tree(&damaged.store());
    let ran = damaged.run("repair", &["--offline", "--dry-run"]).exits(1);
    assert_eq!(lost(&ran), told);
    assert!(ran.records_of("step").iter().all(|it| it["done"] == false));
    assert_eq!(tree(&damaged.store()), before);
}

#[test]
fn the_verdict_says_that_a_repair_was_taken_back() {
    let damaged = damaged_maildir();
    damaged.run("repair", &["--offline"]);
    let location = format!("maildir:{}", damaged.store().display());
    let args = ["repair", "--offline", "--undo", &location];
    let ran = Run::new(damaged.store().parent().unwrap())
        .args(args)
        .done();
    let verdict: Vec<_> = ran.stdout.lines().take(2).collect();
    let did = " taken back, and read again in ";
    assert!(verdict.concat().contains(did), "{ran}");
}

#[test]
fn every_user_is_told_where_what_was_replaced_is_kept() {
    let one = damaged_maildir();
    let users = one.store().with_file_name("users");
    fs::create_dir(&users).unwrap();
    for user in ["u1", "u2"] {
        let mut copy = std::process::Command::new("cp");
        copy.arg("-a").arg(one.store()).arg(users.join(user));
        assert!(copy.status().unwrap().success());
    }
    let location = format!("maildir:{}/%u", users.display());
    let args = ["repair", "--offline", &location];
    let ran = Run::new(one.store().parent().unwrap()).args(args).done();
    for user in ["u1", "u2"] {
        let mut lines = ran.stdout.lines();
        let kept = format!("{user}: 7 steps; what was replaced is in mailtally-replaced/");
        assert!(lines.any(|line| line.starts_with(&kept)), "{ran}");
    }
}

#[test]
fn undo_puts_every_file_back() {
    for damage in [damaged, damaged_mdbox, damaged_maildir] {
        let damaged = damage();
        let before = contents(&damaged);
        let dates = (damaged.format() == "maildir").then_some("--dates");
        let more: Vec<_> = ["--offline"].into_iter().chain(dates).collect();
        let ran = damaged.run("repair", &more);
        assert!(ran.records_of("step").len() > 2, "{ran}");
        assert_ne!(contents(&damaged), before);
        let ran = damaged.run("repair", &["--offline", "--undo"]);
        assert!(ran.code <= 1, "{ran}");
        assert_eq!(ran.findings("account.repair-undone").len(), 1, "{ran}");
        assert_eq!(contents(&damaged), before);
        assert!(!damaged.at("mailtally-replaced").exists());
        damaged.run("repair", &["--offline", "--undo"]).exits(66);
    }
}

#[test]
fn a_damaged_maildir_has_a_step_of_every_kind() {
    let damaged = damaged_maildir();
    let ran = damaged.run("repair", &["--offline", "--dates"]);
    let steps = ran.records_of("step");
    for kind in ["replace", "remove", "rename", "make-dir", "set-time"] {
        assert!(
            steps.iter().any(|step| step["action"] == kind),
            "{kind}: {ran}"
        );
    }
    let wanted = [
        "maildir.copy-dates",
        "maildir.duplicate-name",
        "maildir.keyword-unnamed",
        "maildir.missing-dir",
        "maildir.size-mismatch",
        "quota.broken",
        "uidlist.broken",
        "uidlist.renumbered",
    ];
    assert_eq!(super::mended(&ran), wanted);
}

#[test]
fn undo_leaves_alone_what_a_server_has_written_since() {
    let damaged = damaged();
    damaged.repair().exits(1);
    let log = damaged.mails("Sent", "dovecot.index.log");
    let mut bytes = fs::read(&log).unwrap();
    bytes.extend([0; 8]);
    fs::write(&log, bytes).unwrap();
    let before = contents(&damaged);
    let ran = damaged.run("repair", &["--offline", "--undo"]).exits(73);
    assert!(ran.stderr.contains("changed since the repair"), "{ran}");
    assert_eq!(contents(&damaged), before);
}

/// As a copy of long ago: nothing was written just now.
fn at_rest(damaged: Damaged) -> Damaged {
    for path in tree(&damaged.store()).into_keys() {
        let path = damaged.at(path);
        if path.is_file() {
            let file = fs::File::open(path).unwrap();
            let long_ago = UNIX_EPOCH + Duration::from_secs(1_600_000_000);
            file.set_modified(long_ago).unwrap();
        }
    }
    damaged
}

#[test]
fn what_a_repair_has_just_written_is_no_sign_of_a_server() {
    for damage in [damaged, damaged_mdbox] {
        let damaged = at_rest(damage());
        let before = contents(&damaged);
        let ran = damaged.run("repair", &[]);
        assert!(ran.records_of("step").len() > 3, "{ran}");
        damaged.run("repair", &[]).exits(0);
        let more = damaged.run("repair", &["--recover-orphans"]);
        assert!(more.code <= 1, "{more}");
        damaged.run("repair", &["--dry-run"]).exits(0);
        if !more.records_of("step").is_empty() {
            assert!(damaged.run("repair", &["--undo"]).code <= 1);
        }
        let ran = damaged.run("repair", &["--undo"]);
        assert!(ran.code <= 1, "{ran}");
        assert_eq!(contents(&damaged), before);
    }
}

#[test]
fn a_server_that_writes_after_a_repair_is_seen() {
    let appended = |bytes: &mut Vec<u8>| bytes.extend([0; 8]);
    let changed = |bytes: &mut Vec<u8>| bytes[30] ^= 1;
    for change in [&appended as &dyn Fn(&mut Vec<u8>), &changed] {
        let damaged = at_rest(damaged());
        damaged.run("repair", &[]).exits(1);
        let log = damaged.mails("Sent", "dovecot.index.log");
        let mut bytes = fs::read(&log).unwrap();
        change(&mut bytes);
        fs::write(&log, bytes).unwrap();
        for more in [&[][..], &["--undo"], &["--dry-run"]] {
            let ran = damaged.run("repair", more).exits(75);
            assert!(ran.stderr.contains("it was written just now"), "{ran}");
        }
    }
}

#[test]
fn a_server_that_is_at_work_after_a_repair_is_seen() {
    let Some(server) = Server::here("a_server_that_is_at_work_after_a_repair_is_seen") else {
        return;
    };
    let damaged = at_rest(damaged());
    // A copy of the store, with its times.
    let dovecot = server.serve("sdbox", damaged.store());
    let location = format!("sdbox:{}", dovecot.mail().display());
    let run = |more: &[&str]| {
        let run = Run::new(damaged.store().parent().unwrap());
        run.args(["repair", &location]).args(more).done()
    };
    run(&[]).exits(1);
    run(&["--dry-run"]).exits(0);
    dovecot.ask(&["flags", "add", "\\Flagged", "mailbox", "Sent", "all"]);
    for more in [&["--undo"][..], &[], &["--dry-run"]] {
        run(more).exits(75);
    }
}

#[test]
fn a_store_in_use_is_refused_and_not_touched() {
    let damaged = damaged();
    let log = damaged.mails("INBOX", "dovecot.index.log");
    let bytes = fs::read(&log).unwrap();
    fs::write(&log, bytes).unwrap();
    let before = tree(&damaged.store());
    for more in [&[][..], &["--dry-run"], &["--undo"]] {
        let ran = damaged.run("repair", more).exits(75);
        assert!(ran.stderr.contains("--offline"), "{ran}");
    }
    assert_eq!(tree(&damaged.store()), before);
}
