//! Runs that do not come to their end: disk full, signals, SIGKILL at any moment.

use std::fs;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::maildir::{Maildir, mail};
use crate::harness::run::Ran;
use crate::harness::skipped;

/// An account that takes a moment.
fn many(messages: u32) -> Maildir {
    let mut account = Maildir::new();
    let name = |nth: u32| format!("{}.M{nth}P1.host", 1_700_000_000 + nth);
    let rows: Vec<_> = (1..=messages).map(|nth| (nth, name(nth))).collect();
    account = account.uidlist("INBOX", messages + 1, &rows);
    for nth in 1..=messages {
        account = account.message(
            "INBOX",
            &format!("{}:2,S", name(nth)),
            mail(&format!("number {nth}")),
        );
    }
    account
}

#[test]
fn a_full_disk_leaves_nothing_and_says_so() {
    let account = many(400);
    let full = account.temp().join("full");
    fs::create_dir(&full).unwrap();
    let full = full.display().to_string();
    let run = crate::harness::run::Run::new(account.temp()).args([
        "convert",
        "--json",
        &account.location(),
        &format!("sdbox:{full}/sdbox"),
    ]);
    let mount = format!("mount -t tmpfs -o size=1m none {full}");
    let Some(ran) = run.within(&mount, &format!("echo LEFT: $(ls -A {full}) >&2")) else {
        skipped("no mount of our own here");
        return;
    };
    let ran = ran.exits(74);
    assert!(ran.stderr.contains("No space left on device"), "{ran}");
    assert!(ran.stderr.contains("help: make room"), "{ran}");
    assert!(ran.stderr.contains("LEFT:\n"), "{ran}");
    assert_eq!(ran.user()["status"], "failed");
    assert_eq!(ran.summary()["exit_code"], 74);
}

#[test]
fn accounts_behind_a_full_disk_are_said_not_to_be_tried() {
    let account = many(400);
    let (full, users) = (account.temp().join("full"), account.temp().join("users"));
    fs::create_dir(&full).unwrap();
    fs::create_dir(&users).unwrap();
    fs::rename(account.source(), users.join("u0")).unwrap();
    for nth in 1..6 {
        for place in ["cur", "new", "tmp"] {
            fs::create_dir_all(users.join(format!("u{nth}/{place}"))).unwrap();
        }
        let to = users.join(format!("u{nth}/cur/1700000000.M1P1.host:2,S"));
        fs::write(to, mail("one")).unwrap();
    }
    let full = full.display().to_string();
    let run = crate::harness::run::Run::new(account.temp()).args([
        "convert",
        "--json",
        "-j1",
        &format!("maildir:{}/%u", users.display()),
        &format!("sdbox:{full}/%u"),
    ]);
    // No room at all: whoever comes first meets it.
    let mount = format!("mount -t tmpfs -o size=4k none {full}");
    let Some(ran) = run.within(&mount, "true") else {
        skipped("no mount of our own here");
        return;
    };
    let ran = ran.exits(74);
    let lines = ran.records_of("user");
    assert_eq!(lines.len(), 6, "{ran}");
    let untried: Vec<_> = lines
        .iter()
        .filter(|line| line["status"] == "skipped")
        .collect();
    assert!(!untried.is_empty(), "{ran}");
    for line in untried {
        let error = line["error"].as_str().unwrap();
        assert!(
            error.starts_with("not tried: ") && error.contains("No space left"),
            "{ran}"
        );
    }
    assert_eq!(ran.summary()["users"]["total"], 6, "{ran}");
}

#[test]
fn a_dry_run_says_that_the_room_will_not_do() {
    let account = many(400).put("cur/1800000000.M1.h:2,S", vec![b'x'; 2_000_000]);
    let full = account.temp().join("full");
    fs::create_dir(&full).unwrap();
    let full = full.display().to_string();
    let run = crate::harness::run::Run::new(account.temp()).args([
        "convert",
        "--dry-run",
        "--json",
        &account.location(),
        &format!("sdbox:{full}/new/sdbox"),
    ]);
    let mount = format!("mount -t tmpfs -o size=1m,nr_inodes=100 none {full}");
    let Some(ran) = run.within(&mount, &format!("echo LEFT: $(ls -A {full}) >&2")) else {
        skipped("no mount of our own here");
        return;
    };
    let ran = ran.exits(1);
    let told = ran.findings("account.space");
    let detail = told[0]["detail"].as_str().unwrap();
    assert!(
        detail.starts_with("needs 3") && detail.contains("and 411 files, there is room for "),
        "{detail}"
    );
    assert!(ran.stderr.contains("LEFT:\n"), "{ran}");
}

#[test]
fn what_a_dry_run_finds_room_for_fits() {
    let account = Maildir::five_and_one();
    let full = account.temp().join("full");
    fs::create_dir(&full).unwrap();
    let full = full.display().to_string();
    for format in ["sdbox", "mdbox", "maildir"] {
        let run = |size: u32, more: &[&str]| {
            let to = format!("{format}:{full}/new");
            let args = ["convert", "--json", &account.location(), &to];
            let mount = format!("mount -t tmpfs -o size={size}k none {full}");
            let run = crate::harness::run::Run::new(account.temp()).args(args);
            run.args(more).within(&mount, "true")
        };
        let (mut promised, mut fitted) = (None, None);
        for size in (16..200).step_by(4) {
            let (Some(dry), Some(real)) = (run(size, &["--dry-run"]), run(size, &[])) else {
                skipped("no mount of our own here");
                return;
            };
            if dry.findings("account.space").is_empty() {
                promised.get_or_insert(size);
                assert_eq!(real.code, 0, "{format} in {size}k: {dry}{real}");
            }
            if real.code == 0 {
                fitted.get_or_insert(size);
            }
        }
        let (promised, fitted) = (promised.unwrap(), fitted.unwrap());
        assert!(
            promised <= fitted * 2,
            "{format}: {promised}k, not {fitted}k"
        );
    }
}

#[test]
fn a_dry_run_counts_all_accounts_together() {
    let account = Maildir::five_and_one();
    let (temp, full) = (account.temp().display().to_string(), "full");
    fs::create_dir(account.temp().join(full)).unwrap();
    let prepare = format!(
        "mkdir {temp}/all && for user in a b c; do cp -a {} {temp}/all/$user; done && \
         mount -t tmpfs -o size=150k none {temp}/{full}",
        account.source().display()
    );
    let all = "a b c".split(' ').flat_map(|user| ["-u", user]);
    for (users, wanted) in [(&["-u", "a"][..], 0), (&all.collect::<Vec<_>>()[..], 1)] {
        let args = ["convert", "-n", "--json", "maildir:all/%u", "sdbox:full/%u"];
        let run = crate::harness::run::Run::new(account.temp()).args(args);
        let Some(ran) = run.args(users).within(&prepare, "rm -r all") else {
            skipped("no mount of our own here");
            return;
        };
        let ran = ran.exits(wanted);
        let told = ran.findings("account.space");
        let details = told.iter().map(|it| it["detail"].as_str().unwrap());
        let together = details.filter(|it| it.starts_with("3 accounts together need "));
        assert_eq!(together.count(), usize::try_from(wanted).unwrap(), "{ran}");
        assert_eq!(told.len(), usize::try_from(wanted).unwrap(), "{ran}");
    }
}

#[test]
fn what_is_left_as_it_is_needs_no_room() {
    let account = Maildir::five_and_one().put("cur/1800000000.M1.h:2,S", vec![0; 600]);
    let full = account.temp().join("full");
    fs::create_dir(&full).unwrap();
    let full = full.display().to_string();
    let to = format!("sdbox:{full}/new");
    let args = ["convert", "--json", &account.location(), &to];
    let prepare = format!(
        "mount -t tmpfs -o size=400k none {full} && {{ \"$@\" >&2; test -d {full}/new; }} && \
         {{ head -c 600k /dev/zero >{full}/filled 2>/dev/null; true; }}"
    );
    let run = crate::harness::run::Run::new(account.temp()).args(args);
    let Some(ran) = run.within(&prepare, "true") else {
        skipped("no mount of our own here");
        return;
    };
    let ran = ran.exits(1);
    assert!(ran.findings("account.space").is_empty(), "{ran}");
}

#[test]
fn a_repair_on_a_full_disk_asks_for_room_where_the_store_is() {
    let account = Maildir::five_and_one().put("dovecot-uidlist", "broken");
    let full = account.temp().join("full");
    fs::create_dir(&full).unwrap();
    let full = full.display().to_string();
    let args = ["repair", "--offline", &format!("maildir:{full}/Maildir")];
    let run = crate::harness::run::Run::new(account.temp()).args(args);
    let prepare = format!(
        "mount -t tmpfs -o size=200k none {full} && cp -a {} {full}/Maildir && \
         {{ head -c 300k /dev/zero >{full}/filled 2>/dev/null; true; }}",
        account.source().display()
    );
    let Some(ran) = run.within(&prepare, "true") else {
        skipped("no mount of our own here");
        return;
    };
    let ran = ran.exits(74);
    let help = "help: make room on the file system of this path";
    assert!(ran.stderr.contains(help), "{ran}");
}

/// Waits until the account is being built; false where the run was over before.
fn wait_for_staging(account: &Maildir, child: &mut Child) -> bool {
    let messages = account
        .temp()
        .join(".sdbox.mailtally-new/mailboxes/INBOX/dbox-Mails/u.1");
    let until = Instant::now() + Duration::from_mins(1);
    while Instant::now() < until {
        if messages.exists() {
            return true;
        }
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    panic!("nothing was begun");
}

fn pid(child: &Child) -> Pid {
    Pid::from_child(child)
}

#[test]
fn a_run_that_is_asked_to_stop_leaves_nothing() {
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let mut messages = 3000;
        let (account, ran) = loop {
            let account = many(messages);
            let mut child = account.convert_with(&["-j", "1"]).start();
            if wait_for_staging(&account, &mut child) {
                kill_process(pid(&child), signal).unwrap();
                let ran = Ran::from(&child.wait_with_output().unwrap());
                if ran.code != 0 {
                    break (account, ran);
                }
            }
            messages *= 2; // a fast machine: it was done already
            assert!(messages < 100_000);
        };
        let ran = ran.exits(75);
        assert!(ran.stderr.contains("run the same command again"), "{ran}");
        assert_eq!(ran.user()["status"], "failed");
        assert_eq!(ran.summary()["exit_code"], 75);
        assert_names(account.temp(), &["Maildir", "home"]);
    }
}

#[track_caller]
fn assert_names(dir: &Path, wanted: &[&str]) {
    let mut names: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|it| it.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, wanted);
}

#[test]
fn a_run_that_is_killed_and_run_again_makes_what_one_run_makes() {
    let account = many(600);
    let started = Instant::now();
    account.convert().exits(0);
    let whole = started.elapsed();
    let wanted = account.store();
    fs::remove_dir_all(account.destination()).unwrap();
    let mut killed = 0;
    for nth in 0..12_u32 {
        let mut child = account.convert_with(&[]).start();
        // Moments all over the run, in an order that favours none.
        std::thread::sleep(whole * ((nth * 7) % 12) / 12);
        child.kill().unwrap();
        let ran = Ran::from(&child.wait_with_output().unwrap());
        killed += u32::from(ran.code == 128 + 9);
        if account.destination().exists() {
            assert_eq!(account.store(), wanted, "whole as soon as it has its name");
            fs::remove_dir_all(account.destination()).unwrap();
        }
    }
    assert!(killed > 0, "none of the runs was killed in time");
    let ran = account.convert().exits(0);
    assert_eq!(ran.user()["status"], "verified");
    assert_eq!(account.store(), wanted);
    assert_names(account.temp(), &["Maildir", "home", "sdbox"]);
}

#[test]
fn two_runs_for_one_account_at_once_do_not_meet() {
    let account = many(1500);
    let mut first = account.convert_with(&[]).start();
    if wait_for_staging(&account, &mut first) {
        let second = account.convert();
        // Either it came late and found the work done, or it was told to wait.
        assert!(matches!(second.code, 0 | 75), "{second}");
        if second.code == 75 {
            assert!(
                second.stderr.contains("is locked by another process"),
                "{second}"
            );
        }
    }
    Ran::from(&first.wait_with_output().unwrap()).exits(0);
    assert_eq!(account.store().uids("INBOX").len(), 1500);
    assert_names(account.temp(), &["Maildir", "home", "sdbox"]);
}
