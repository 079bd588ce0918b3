//! The findings that a repair mends: each sample is found, repaired, then clean, and a server opens it without
//! a word. What is not here is named, so that nothing seems to be proven that is not.

use std::collections::BTreeSet;
use std::fs;

use mailtally::report::catalogue::RULES;

use super::{Damaged, mended};
use crate::harness::dovecot::Server;

/// Builds a store that breaks the rule.
type Sample = fn() -> Damaged;

/// By code: a sample, and whether something of it is lost for good.
const MENDED: &[(&str, Sample, bool)] = &[
    ("index.broken", index_broken, false),
    ("index.indexid", index_indexid, false),
    ("index.log", index_log, false),
    ("index.missing", index_missing, true),
    ("dbox.guid", index_missing, true),
    ("dbox.lost", dbox_lost, true),
    ("dbox.metadata", dbox_metadata, false),
    ("dbox.truncated", dbox_truncated, false),
    ("dbox.header", dbox_header, false),
    ("dbox.size", dbox_size, false),
    ("mdbox.map-missing", map_missing, false),
    ("mdbox.lost", mdbox_lost, true),
    ("mdbox.index-missing", mdbox_index_missing, true),
    ("maildir.size-mismatch", maildir_size, false),
    ("maildir.vsize-mismatch", maildir_vsize, false),
    ("maildir.duplicate-name", maildir_twice, false),
    ("maildir.missing-dir", maildir_missing_dir, false),
    ("maildir.keyword-unnamed", maildir_letter, false),
    ("uidlist.broken", uidlist_broken, false),
    ("uidlist.truncated", uidlist_truncated, false),
    ("uidlist.duplicate", uidlist_duplicate, false),
    ("uidlist.missing", uidlist_missing, false),
    ("quota.stale", quota_stale, false),
    ("quota.broken", quota_broken, false),
];

/// Mended, and without a sample here yet.
const WITHOUT_SAMPLE: &[&str] = &[
    "index.log-gap",
    "index.log-lost",
    "uidlist.renumbered",
    "dbox.orphan", // tests/it/repair/sdbox.rs
    "dbox.recovered",
    "dbox.damaged",
    "mdbox.map",
    "mdbox.map-uidvalidity",
    "mdbox.astray",
    "mdbox.damaged",        // tests/it/repair/mdbox.rs
    "mdbox.orphan",         // tests/it/repair/mdbox.rs
    "mdbox.refcount",       // tests/it/repair/mdbox.rs
    "quota.wrapped",        // tests/it/quota.rs
    "maildir.date",         // with --dates: tests/it/repair/dates.rs
    "maildir.copy-dates",   // the same
    "account.repair-begun", // tests/it/repair/steps.rs
];

/// What a repair changes nothing about begins so, or is this.
const LEFT: &[&str] = &[
    "account.",
    "acl.",
    "mailbox.",
    "message.",
    "subscription.",
    "subscriptions.",
    "sieve.",
    "quota.limit",
    "quota.vsize",
    "index.unknown-record",
    "index.pending-expunge",
    "index.cache",
    "dbox.alt",
    "dbox.unreadable",
    "dbox.external-attachment",
    "dbox.encrypted",
    "dbox.stray",
    "mdbox.unpurged",
    "mdbox.stray",
    "maildir.unreadable",
    "maildir.damaged",
    "maildir.empty",
    "maildir.nul-block",
    "maildir.encrypted",
    "maildir.compressed",
    "maildir.stray",
    "maildir.stray-dir",
    "maildir.symlink",
    "maildir.symlink-outside",
    "maildir.tmp",
    "maildir.no-info",
    "maildir.foreign-info",
    "maildir.extra-fields",
    "maildir.keyword-case",
    "maildir.keywords-broken",
    "maildir.hard-link",
    "maildir.vanished",
    "maildir.inbox-folder",
    "maildir.nested",
    "maildir.shared",
    "maildir.uidvalidity",
    "uidlist.unlisted",
    "uidlist.unreadable",
    "file.",
    "tally.",
    "uidlist.lost",
    "uidlist.expunged",
    "uidlist.reappeared",
    "uidlist.old",
    "uidlist.full",
    "uidlist.high",
];

fn is_left(code: &str) -> bool {
    let elsewhere = WITHOUT_SAMPLE.contains(&code);
    !elsewhere
        && LEFT.iter().any(|left| match left.strip_suffix('.') {
            Some(_) => code.starts_with(left),
            None => code == *left,
        })
}

#[test]
fn every_code_is_mended_or_said_to_be_left() {
    let mended: BTreeSet<_> = MENDED.iter().map(|(code, ..)| *code).collect();
    for rule in RULES {
        let code = rule.code;
        let known = [
            mended.contains(code),
            WITHOUT_SAMPLE.contains(&code),
            is_left(code),
        ];
        let known = known.into_iter().filter(|known| *known).count();
        assert_eq!(known, 1, "{code} is in {known} of the three lists");
    }
    let codes: BTreeSet<_> = RULES.iter().map(|rule| rule.code).collect();
    let named = mended.into_iter().chain(WITHOUT_SAMPLE.iter().copied());
    assert!({ named }.all(|code| codes.contains(code)));
}

#[test]
fn a_remedy_names_repair_where_repair_mends_it_and_nowhere_else() {
    for rule in RULES {
        let names = rule.remedy.contains("repair");
        assert_eq!(names, !is_left(rule.code), "{}: {}", rule.code, rule.remedy);
    }
}

#[test]
fn every_sample_is_found_then_repaired_then_clean() {
    let server = Server::here("every_sample_is_found_then_repaired_then_clean");
    let samples = MENDED.iter();
    let wrong = samples.filter_map(|(code, sample, loses)| {
        let why = what_is_wrong(code, &sample(), *loses, server.as_ref())?;
        Some(format!("{code}: {why}"))
    });
    let wrong: Vec<_> = wrong.collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn what_is_wrong(
    code: &str,
    damaged: &Damaged,
    loses: bool,
    server: Option<&Server>,
) -> Option<String> {
    let found = damaged.inspect();
    if found.findings(code).is_empty() {
        return Some(format!("it is not found: {:?}", found.codes()));
    }
    let ran = damaged.repair();
    if !mended(&ran).contains(&code.to_owned()) || ran.code != i32::from(loses) {
        return Some(format!("it is not mended as it should be: {ran}"));
    }
    let left = damaged.inspect();
    if left.code != 0 || !left.findings(code).is_empty() {
        return Some(format!("it is left: {left}"));
    }
    let dovecot = server?.serve(damaged.format(), damaged.store());
    dovecot.account();
    Some(dovecot.log()).filter(|log| !log.is_empty())
}

const LOG: &str = "dovecot.index.log";

fn sdbox() -> Damaged {
    Damaged::sample("sdbox")
}

fn index_broken() -> Damaged {
    let damaged = sdbox();
    fs::write(damaged.mails("Sent", "dovecot.index"), vec![7; 400]).unwrap();
    damaged
}

/// The one mailbox of the samples that has an index and not only a log.
fn index_indexid() -> Damaged {
    let damaged = mdbox();
    let log = damaged.mails("INBOX", LOG);
    damaged.changed(&log, |bytes| bytes[4] ^= 1)
}

fn index_log() -> Damaged {
    let damaged = sdbox();
    let log = damaged.mails("Sent", LOG);
    damaged.changed(&log, |bytes| bytes.truncate(bytes.len() - 3))
}

fn without_index(damaged: Damaged) -> Damaged {
    let names = ["dovecot.index", LOG, "dovecot.index.cache"].into_iter();
    let files = names.map(|name| damaged.mails("INBOX", name));
    let files: Vec<_> = files.filter(|path| path.exists()).collect();
    damaged.without(&files)
}

fn index_missing() -> Damaged {
    without_index(sdbox())
}

fn dbox_lost() -> Damaged {
    let damaged = sdbox();
    let message = damaged.mails("Sent", "u.2");
    damaged.without(&[message])
}

/// The place of a pattern in a file.
fn find(bytes: &[u8], pattern: &[u8]) -> usize {
    let mut windows = bytes.windows(pattern.len());
    windows
        .position(|window| window == pattern)
        .expect("the pattern is there")
}

fn message(change: impl FnOnce(&mut Vec<u8>)) -> Damaged {
    let damaged = sdbox();
    let path = damaged.mails("Sent", "u.1");
    damaged.changed(&path, change)
}

fn dbox_metadata() -> Damaged {
    message(|bytes| {
        let at = find(bytes, b"\nG");
        bytes[at + 1] = b'~';
    })
}

fn dbox_truncated() -> Damaged {
    message(|bytes| {
        let at = find(bytes, b"\n\x01\x03\n");
        bytes.truncate(at - 5);
    })
}

fn dbox_header() -> Damaged {
    message(|bytes| {
        let at = find(bytes, b"\x01\x02N");
        bytes[at + 20..at + 24].fill(b'?');
    })
}

fn dbox_size() -> Damaged {
    message(|bytes| {
        let at = find(bytes, b"\nV") + 2;
        bytes[at] = if bytes[at] == b'1' { b'2' } else { b'1' };
    })
}

fn mdbox() -> Damaged {
    Damaged::sample("mdbox")
}

fn map_missing() -> Damaged {
    let damaged = mdbox();
    let map = damaged.at("storage/dovecot.map.index.log");
    damaged.without(&[map])
}

fn mdbox_lost() -> Damaged {
    let damaged = mdbox();
    let mails = damaged.at("storage/m.2");
    damaged.without(&[mails])
}

fn mdbox_index_missing() -> Damaged {
    without_index(mdbox())
}

/// A mailbox whose messages are copies of another's: without it, their counts are too high.
fn maildir() -> Damaged {
    let damaged = Damaged::sample("maildir");
    for place in ["cur", "new", "tmp"] {
        fs::create_dir_all(damaged.at(".Broken").join(place)).unwrap();
    }
    put(&damaged, "cur/1700000001.M1P1.host:2,S", "From: a\n\nx\n");
    let list = format!(
        "3 V1700000000 N2 G{:032x}\n1 :1700000001.M1P1.host\n",
        0xabc
    );
    put(&damaged, "dovecot-uidlist", &list);
    damaged
}

fn put(damaged: &Damaged, name: &str, content: &str) {
    fs::write(damaged.at(".Broken").join(name), content).unwrap();
}

fn maildir_size() -> Damaged {
    let damaged = maildir();
    put(
        &damaged,
        "cur/1700000002.M1P1.host,S=99:2,S",
        "From: a\n\nx\n",
    );
    damaged
}

fn maildir_vsize() -> Damaged {
    let damaged = maildir();
    put(
        &damaged,
        "cur/1700000002.M1P1.host,W=99:2,S",
        "From: a\n\nx\n",
    );
    damaged
}

fn maildir_twice() -> Damaged {
    let damaged = maildir();
    put(&damaged, "cur/1700000001.M1P1.host:2,FS", "From: b\n\ny\n");
    damaged
}

fn maildir_missing_dir() -> Damaged {
    let damaged = maildir();
    fs::remove_dir(damaged.at(".Broken/new")).unwrap();
    damaged
}

/// A letter that one other folder names.
fn maildir_letter() -> Damaged {
    let damaged = maildir();
    put(&damaged, "cur/1700000002.M1P1.host:2,Sz", "From: a\n\nx\n");
    for place in ["cur", "new", "tmp"] {
        fs::create_dir_all(damaged.at(".Named").join(place)).unwrap();
    }
    fs::write(damaged.at(".Named/dovecot-keywords"), "25 $Last\n").unwrap();
    damaged
}

fn uidlist_broken() -> Damaged {
    let damaged = maildir();
    let list = "3 V1700000000 N2\nrubbish\n1 :1700000001.M1P1.host\n";
    put(&damaged, "dovecot-uidlist", list);
    damaged
}

fn uidlist_truncated() -> Damaged {
    let damaged = maildir();
    put(
        &damaged,
        "dovecot-uidlist",
        "3 V1700000000 N3\n1 :1700000001.M1P1.host\n2 :17",
    );
    damaged
}

fn uidlist_duplicate() -> Damaged {
    let damaged = maildir();
    let list = "3 V1700000000 N3\n1 :1700000001.M1P1.host\n2 :1700000001.M1P1.host\n";
    put(&damaged, "dovecot-uidlist", list);
    damaged
}

fn uidlist_missing() -> Damaged {
    let damaged = maildir();
    fs::remove_file(damaged.at(".Broken/dovecot-uidlist")).unwrap();
    damaged
}

fn quota_stale() -> Damaged {
    let damaged = maildir();
    fs::write(damaged.at("maildirsize"), "1000S\n1 1\n").unwrap();
    damaged
}

fn quota_broken() -> Damaged {
    let damaged = maildir();
    fs::write(damaged.at("maildirsize"), "1000S\n-1 -1\n").unwrap();
    damaged
}
