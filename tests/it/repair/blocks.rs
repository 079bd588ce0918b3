//! A block of an index or a log is gone: no message is lost with it, and nothing else in silence.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use mailtally::report::Severity;
use mailtally::report::catalogue::RULES;

use super::{Damaged, lost};
use crate::harness::dovecot::Server;
use crate::harness::maildir::scratch;
use crate::harness::run::Run;
use crate::harness::store::{Mailbox, Store};
use crate::harness::tree::copy;
use crate::harness::unpacked;

/// Smaller than any disk's.
const BLOCK: usize = 64;
/// Files that are data to a dbox.
const NAMES: [&str; 4] = [
    "dovecot.index",
    "dovecot.index.log",
    "dovecot.map.index",
    "dovecot.map.index.log",
];

/// Files that only help a server.
const HELP: [&str; 3] = [
    "dovecot.index.cache",
    "dovecot.list.index",
    "dovecot.list.index.log",
];

#[test]
fn a_zeroed_block_of_a_server_s_index_costs_no_message_and_nothing_in_silence() {
    for format in ["sdbox", "mdbox"] {
        let sample = Damaged::sample(format);
        sweep(format, &sample.store());
    }
}

#[test]
fn a_server_takes_what_is_repaired_after_a_zeroed_block_for_its_own() {
    let test = "a_server_takes_what_is_repaired_after_a_zeroed_block";
    let Some(server) = Server::here(test) else {
        return;
    };
    for format in ["sdbox", "mdbox"] {
        let sample = Damaged::sample(format);
        for path in indexes(&sample.store()) {
            served(&server, format, &path, 256);
        }
        for path in files(&sample.store(), &HELP) {
            // Behind that stand values of a cache, in which nothing tells what was there before.
            for from in [32, 256] {
                served(&server, format, &path, from);
            }
        }
    }
}

/// A file of the sample is damaged and repaired, and a server neither complains nor finds anything to do.
fn served(server: &Server, format: &'static str, path: &Path, from: usize) {
    let damaged = Damaged::sample(format);
    let file = damaged.at(path);
    let damaged = damaged.changed(&file, |bytes| {
        let to = bytes.len().min(from + 256);
        bytes[from.min(to)..to].fill(0);
    });
    damaged.repair();
    let dovecot = server.serve(format, damaged.store());
    let before = dovecot.account().without_modseqs();
    dovecot.force_resync();
    let after = dovecot.account().without_modseqs();
    assert_eq!(after, before, "{} from {from}", path.display());
    let log = dovecot.log();
    assert_eq!(log, "", "{format}: {} from {from}", path.display());
}

#[test]
fn a_zeroed_block_of_an_index_that_we_wrote_costs_no_message_and_nothing_in_silence() {
    for format in ["sdbox", "mdbox"] {
        let made = converted(format);
        sweep(format, &made.path().join("store"));
    }
}

/// Without our own record of it: the index alone tells.
fn converted(format: &str) -> tempfile::TempDir {
    let temp = scratch();
    let sample = unpacked("dovecot-2.3.19/maildir.tar.gz");
    let source = format!("maildir:{}", sample.path().join("Maildir").display());
    let store = temp.path().join("store");
    let target = format!("{format}:{}", store.display());
    Run::new(temp.path())
        .args(["convert", "--json", &source, &target])
        .done();
    fs::remove_file(store.join("mailtally.state")).unwrap();
    temp
}

/// Zeroes each block once.
fn sweep(format: &'static str, store: &Path) {
    let truth = Store::of(format, store, "");
    for path in indexes(store) {
        let len = fs::read(store.join(&path)).unwrap().len();
        for from in (0..len).step_by(BLOCK) {
            let damaged = Damaged::new(format, |to| copy(store, to));
            let file = damaged.at(&path);
            let damaged = damaged.changed(&file, |bytes| {
                let to = bytes.len().min(from + BLOCK);
                bytes[from..to].fill(0);
            });
            let case = format!("{format}, {} from {from}", path.display());
            judge(&case, &truth, &damaged);
        }
    }
}

pub(super) fn indexes(store: &Path) -> Vec<PathBuf> {
    files(store, &NAMES)
}

/// The files below `store` of these names.
fn files(store: &Path, names: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![store.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else if names.iter().any(|name| entry.file_name() == *name) {
                found.push(entry.path().strip_prefix(store).unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

fn judge(case: &str, truth: &Store, damaged: &Damaged) {
    let read = Store::of(damaged.format(), &damaged.store(), "");
    let told = read.findings.iter().any(|finding| is_error(finding));
    for change in changes(truth, &read) {
        assert!(told, "{case}: {change}, and no error: {:?}", read.findings);
    }
    let ran = damaged.repair();
    let repaired = Store::of(damaged.format(), &damaged.store(), "");
    for (name, was) in &truth.mailboxes {
        let is = repaired.mailbox(name);
        let is_same = is.uidvalidity == was.uidvalidity;
        assert!(
            !is_same || is.uidnext >= was.uidnext,
            "{case}: {name}: UIDs are given out twice"
        );
    }
    let gone = missing(truth, &repaired);
    assert!(gone.is_empty(), "{case}: {gone:?}: {ran}");
    for change in changes(truth, &repaired) {
        let said = ran.code == 1 && !lost(&ran).is_empty();
        assert!(said, "{case}: {change}, and nothing is lost: {ran}");
    }
}

fn is_error(finding: &str) -> bool {
    severity(finding) == Some(Severity::Error)
}

/// How bad what `Store` tells of is.
pub(super) fn severity(finding: &str) -> Option<Severity> {
    let code = finding.split(' ').next();
    let rule = RULES.iter().find(|rule| Some(rule.code) == code);
    rule.map(|rule| rule.severity)
}

/// Messages by mailbox that are not there any more, whatever their UIDs.
fn missing(truth: &Store, now: &Store) -> Vec<String> {
    let mut missing = Vec::new();
    for (name, mailbox) in &truth.mailboxes {
        let mut there = bodies(now.mailboxes.get(name));
        for (uid, message) in &mailbox.messages {
            let count = there.entry(message.body.clone()).or_insert(0_u32);
            match count.checked_sub(1) {
                Some(left) => *count = left,
                None => missing.push(format!("{name}, uid {uid}")),
            }
        }
    }
    missing
}

fn bodies(mailbox: Option<&Mailbox>) -> BTreeMap<bstr::BString, u32> {
    let mut bodies = BTreeMap::new();
    for message in mailbox.iter().flat_map(|mailbox| mailbox.messages.values()) {
        *bodies.entry(message.body.clone()).or_insert(0) += 1;
    }
    bodies
}

/// What a client would see differently.
fn changes(truth: &Store, now: &Store) -> Vec<String> {
    let mut changes = Vec::new();
    for (name, was) in &truth.mailboxes {
        let Some(is) = now.mailboxes.get(name) else {
            changes.push(format!("{name} is gone"));
            continue;
        };
        if was.uidvalidity != is.uidvalidity {
            changes.push(format!("{name}: UIDVALIDITY"));
        }
        let uids = |mailbox: &Mailbox| mailbox.messages.keys().copied().collect::<BTreeSet<_>>();
        if uids(was) != uids(is) {
            changes.push(format!("{name}: UIDs {:?}, were {:?}", uids(is), uids(was)));
        }
        for (uid, was) in &was.messages {
            let Some(is) = is.messages.get(uid) else {
                continue;
            };
            if was.body != is.body {
                changes.push(format!("{name}, uid {uid}: bytes"));
            }
            if (&was.flags, &was.keywords) != (&is.flags, &is.keywords) {
                changes.push(format!(
                    "{name}, uid {uid}: {:?} {:?}, were {:?} {:?}",
                    is.flags, is.keywords, was.flags, was.keywords
                ));
            }
        }
    }
    changes
}
