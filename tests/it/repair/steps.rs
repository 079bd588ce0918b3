//! Every step of a repair may be the last one; what was done can be taken back.

use std::fs;
use std::sync::Arc;

use mailtally::Error;
use mailtally::disk::{Dir, Disk, Real};
use mailtally::format::{OpenOptions, RepairOptions, room};
use mailtally::ops::{Teller, repair, workers::Workers};
use mailtally::report::UserLine;

use super::Damaged;
use crate::harness::failing::{EIO, Failing};
use crate::harness::tree::tree;

/// Content by name: times and inodes are another thing.
fn contents(damaged: &Damaged) -> Vec<(std::path::PathBuf, u32, bstr::BString)> {
    let nodes = tree(&damaged.store()).into_iter();
    let kept = |path: &std::path::PathBuf| path.starts_with("mailtally-replaced");
    let rest = nodes.filter(|(path, _)| !kept(path));
    rest.map(|(path, node)| (path, node.mode, node.content))
        .collect()
}

/// The same, but for saved dates: those that no cache tells are ctimes, and every copy has its own.
fn lasting(damaged: &Damaged) -> Vec<(std::path::PathBuf, u32, bstr::BString)> {
    let mut all = contents(damaged);
    for (path, _, content) in &mut all {
        if path.ends_with("dovecot.index.cache") {
            content.clear();
        }
    }
    all
}

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

#[test]
fn a_dry_run_shows_the_steps_and_writes_nothing() {
    let damaged = damaged();
    let before = tree(&damaged.store());
    let planned = damaged.run("repair", &["--offline", "--dry-run"]).exits(1);
    assert_eq!(tree(&damaged.store()), before);
    let done = damaged.repair().exits(0);
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
    repair::account(room, &root, &open, &options, &teller, &workers)
}

#[test]
fn a_repair_cut_before_any_step_is_finished_by_the_next_run() {
    for damage in [damaged, damaged_mdbox] {
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
            assert!(
                begun || now == before || now == after,
                "cut before step {step}"
            );
            if let Err(error) = repaired(&damaged, Arc::new(Real)) {
                panic!("cut before step {step}: {error}");
            }
            assert_eq!(lasting(&damaged), after, "cut before step {step}");
            if finished {
                assert!(step > 20, "{step} steps");
                break;
            }
        }
    }
}

#[test]
fn undo_puts_every_file_back() {
    let damaged = damaged();
    let before = contents(&damaged);
    damaged.repair().exits(0);
    assert_ne!(contents(&damaged), before);
    let ran = damaged.run("repair", &["--offline", "--undo"]).exits(1);
    assert_eq!(ran.findings("account.repair-undone").len(), 1, "{ran}");
    assert_eq!(contents(&damaged), before);
    assert!(!damaged.at("mailtally-replaced").exists());
    damaged.run("repair", &["--offline", "--undo"]).exits(66);
}

#[test]
fn undo_leaves_alone_what_a_server_has_written_since() {
    let damaged = damaged();
    damaged.repair().exits(0);
    let log = damaged.mails("Sent", "dovecot.index.log");
    let mut bytes = fs::read(&log).unwrap();
    bytes.extend([0; 8]);
    fs::write(&log, bytes).unwrap();
    let before = contents(&damaged);
    let ran = damaged.run("repair", &["--offline", "--undo"]).exits(73);
    assert!(ran.stderr.contains("changed since the repair"), "{ran}");
    assert_eq!(contents(&damaged), before);
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
