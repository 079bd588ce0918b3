//! Every step of a repair may be the last one; what was done can be taken back.

use std::fs;

use super::Damaged;
use crate::harness::tree::tree;

/// Content by name: times and inodes are another thing.
fn contents(damaged: &Damaged) -> Vec<(std::path::PathBuf, u32, bstr::BString)> {
    let nodes = tree(&damaged.store()).into_iter();
    let kept = |path: &std::path::PathBuf| path.starts_with("mailtally-replaced");
    let rest = nodes.filter(|(path, _)| !kept(path));
    rest.map(|(path, node)| (path, node.mode, node.content))
        .collect()
}

fn damaged() -> Damaged {
    let damaged = Damaged::sample("sdbox");
    let log = damaged.mails("Sent", "dovecot.index.log");
    let message = damaged.mails("Sent", "u.1");
    damaged
        .changed(&log, |bytes| bytes.truncate(bytes.len() - 3))
        .changed(&message, |bytes| bytes.truncate(bytes.len() - 20))
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
