//! One bit of an index, a log or a map is another: what a server would refuse is found, and what is repaired is sound
//! to a server too.

use std::fs;
use std::path::Path;

use mailtally::report::Severity;

use super::Damaged;
use super::blocks::{indexes, severity};
use crate::harness::dovecot::Server;
use crate::harness::store::Store;

/// So many bits of each file are flipped, one at a time.
const BITS: usize = 30;

#[test]
fn a_flipped_bit_that_an_sdbox_server_would_refuse_is_found_and_mended() {
    sweep("sdbox");
}

#[test]
fn a_flipped_bit_that_an_mdbox_server_would_refuse_is_found_and_mended() {
    sweep("mdbox");
}

fn sweep(format: &'static str) {
    let Some(server) = Server::here("a_flipped_bit_that_a_server_would_refuse") else {
        return;
    };
    let sample = Damaged::sample(format);
    let (truth, log) = seen(&server, format, &sample.store());
    assert_eq!(log, "");
    let mut random = 4242;
    let mut wrong = Vec::new();
    for path in indexes(&sample.store()) {
        let bits = fs::read(sample.at(&path)).unwrap().len() * 8;
        for _ in 0..BITS {
            let bit = usize::try_from(next(&mut random)).unwrap() % bits;
            let damaged = flipped(format, &path, bit);
            let (log, how) = judged(&server, &damaged, &truth);
            if !log.is_empty() {
                let (path, byte) = (path.display(), bit / 8);
                wrong.push(format!("{path} byte {byte} bit {}, {how}: {log}", bit % 8));
            }
        }
    }
    assert!(wrong.is_empty(), "{format}: {}", wrong.join("\n"));
}

/// Numbers that look random, and are the same in each run.
fn next(random: &mut u64) -> u64 {
    *random = random
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1);
    *random >> 33
}

fn flipped(format: &'static str, path: &Path, bit: usize) -> Damaged {
    let damaged = Damaged::sample(format);
    let file = damaged.at(path);
    damaged.changed(&file, |bytes| bytes[bit / 8] ^= 1 << (bit % 8))
}

/// What a server complains of in a store that is called sound, before a repair or after it.
fn judged(server: &Server, damaged: &Damaged, truth: &[u8]) -> (String, &'static str) {
    let format = damaged.format();
    let found = Store::of(format, &damaged.store(), "").findings;
    let is_noted = |finding: &String| severity(finding) == Some(Severity::Info);
    if found.iter().all(is_noted) {
        let (told, log) = seen(server, format, &damaged.store());
        let is_same = told == truth;
        return (if is_same { String::new() } else { log }, "found sound");
    }
    if damaged.repair().code != 0 {
        return (String::new(), "repaired with a loss");
    }
    (seen(server, format, &damaged.store()).1, "repaired")
}

/// What a server tells of all messages, and its log.
fn seen(server: &Server, format: &str, store: &Path) -> (Vec<u8>, String) {
    let dovecot = server.serve(format, store);
    let status = [
        "mailbox",
        "status",
        "messages uidvalidity uidnext guid",
        "*",
    ];
    let fetch = ["fetch", "mailbox uid flags guid date.received text", "all"];
    let ran = [&status[..], &fetch[..]].map(|args| dovecot.doveadm(args));
    let mut log = dovecot.log();
    // It can end without a word.
    for failed in ran.iter().filter(|ran| !ran.status.success()) {
        log += &failed.status.to_string();
    }
    (ran.map(|ran| ran.stdout).concat(), log)
}
