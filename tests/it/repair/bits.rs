//! One bit of an index, a log or a map is another: what a server would refuse is found, and what is repaired is sound
//! to a server too.

use std::fs;
use std::path::Path;

use bstr::ByteSlice;
use mailtally::report::Severity;

use super::blocks::{indexes, severity};
use super::{Damaged, mended};
use crate::harness::dovecot::Server;
use crate::harness::store::Store;

const LIST: &str = "dovecot.list.index";

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

#[test]
fn a_flipped_bit_in_the_header_line_of_a_message_file_is_found_and_mended() {
    let Some(server) = Server::here("a_flipped_bit_in_the_header_line") else {
        return;
    };
    for (format, path) in [
        ("sdbox", "mailboxes/INBOX/dbox-Mails/u.2"),
        ("mdbox", "storage/m.2"),
    ] {
        let line = fs::read(Damaged::sample(format).at(path)).unwrap();
        let bits = (line.find_byte(b'\n').unwrap() + 1) * 8;
        // The version, the size of a message header, and the time, each more than once.
        for bit in (2..bits).step_by(5) {
            let damaged = flipped(format, Path::new(path), bit);
            let found = damaged.inspect();
            damaged.repair().exits(0);
            let (_, log) = seen(&server, format, &damaged.store());
            assert_eq!(log, "", "{format}, bit {bit}: {found}");
        }
    }
}

#[test]
fn a_storage_file_whose_header_line_is_damaged_keeps_all_messages() {
    let before = Store::of("mdbox", &Damaged::sample("mdbox").store(), "");
    for (byte, bit) in [(0, 1), (3, 2), (9, 6), (15, 1)] {
        let damaged = flipped("mdbox", Path::new("storage/m.2"), byte * 8 + bit);
        let found = damaged.inspect().exits(1);
        assert_eq!(found.findings("dbox.header").len(), 1, "{found}");
        let ran = damaged.repair().exits(0);
        assert_eq!(mended(&ran), ["dbox.header"], "{ran}");
        let after = Store::of("mdbox", &damaged.store(), "");
        for (name, was) in &before.mailboxes {
            assert_eq!(after.mailbox(name).messages, was.messages, "{name}");
        }
        damaged.inspect().exits(0);
    }
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

/// Of an index that a server wrote, and of its list of mailboxes after some use.
#[test]
fn a_flipped_bit_of_the_header_of_an_aged_index_or_list_is_never_taken_for_sound() {
    let Some(server) = Server::here("a_flipped_bit_of_the_header_of_an_aged_index") else {
        return;
    };
    let dovecot = server.serve("mdbox", Damaged::sample("mdbox").store());
    dovecot.ask(&["mailbox", "create", "New"]);
    while !dovecot.mail().join(LIST).exists() {
        dovecot.deliver("New", b"Subject: x\n\ntext\n");
        dovecot.ask(&["mailbox", "status", "all", "*"]);
    }
    let aged = Damaged::left_by(&dovecot, "mdbox");
    aged.is_not_touched();
    let inbox = Path::new("mailboxes/INBOX/dbox-Mails/dovecot.index");
    let mut wrong = Vec::new();
    for path in [inbox, Path::new(LIST)] {
        for byte in 0..header_size(&aged.at(path)) {
            let damaged = Damaged::left_by(&dovecot, "mdbox");
            let file = damaged.at(path);
            let damaged = damaged.changed(&file, |bytes| bytes[byte] ^= 1 << (byte % 7));
            if damaged.inspect().code == 0 {
                let (_, log) = seen(&server, "mdbox", &damaged.store());
                if !log.is_empty() {
                    wrong.push(format!("{} byte {byte}: {log}", path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn header_size(index: &Path) -> usize {
    let bytes = fs::read(index).unwrap();
    u32::from_le_bytes(*bytes[4..].first_chunk().unwrap()) as usize
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
