//! The findings that a repair mends: each store of `testdata/broken` is found so, repaired, then clean, and a
//! server opens it without a word. What is not here is named, so that nothing seems to be proven that is not.

use std::collections::BTreeSet;
use std::fs;

use mailtally::report::catalogue::RULES;

use super::samples::{RECIPES, broken};
use super::{Damaged, mended};
use crate::harness::dovecot::Server;
use crate::harness::testdata;

/// What a repair is asked for, and what it is to say.
#[derive(Clone, Copy)]
enum Asked {
    /// Nothing is lost.
    Plainly,
    /// Something of it is lost for good.
    Losing,
    /// With this option.
    With(&'static str),
}

use Asked::{Losing, Plainly, With};

/// By code: `testdata/broken` has a store of each.
const MENDED: &[(&str, Asked)] = &[
    ("index.broken", Plainly),
    ("index.indexid", Plainly),
    ("index.cache", Plainly),
    ("index.log", Losing),
    ("index.log-gap", Plainly),
    ("index.log-lost", Plainly),
    ("index.lost", Losing),
    ("index.uidvalidity", Losing),
    ("index.missing", Losing),
    ("dbox.guid", Losing),
    ("dbox.lost", Losing),
    ("dbox.metadata", Losing),
    ("dbox.truncated", Losing),
    ("dbox.header", Plainly),
    ("dbox.size", Plainly),
    ("dbox.damaged", Losing),
    ("dbox.orphan", With("--recover-orphans")),
    ("dbox.newer", Plainly),
    ("dbox.recovered", Losing),
    ("mdbox.map", Losing),
    ("mdbox.map-missing", Plainly),
    ("mdbox.map-uidvalidity", Plainly),
    ("mdbox.astray", Plainly),
    ("mdbox.lost", Losing),
    ("mdbox.damaged", Losing),
    ("mdbox.index-missing", Losing),
    ("mdbox.orphan", With("--recover-orphans")),
    ("mdbox.refcount", Plainly),
    ("maildir.damaged", Losing),
    ("maildir.size-mismatch", Plainly),
    ("maildir.vsize-mismatch", Plainly),
    ("maildir.duplicate-name", Plainly),
    ("maildir.missing-dir", Plainly),
    ("maildir.lost", Losing),
    ("maildir.keyword-unnamed", Plainly),
    ("maildir.keywords-broken", Plainly),
    ("maildir.date", With("--dates")),
    ("uidlist.broken", Plainly),
    ("uidlist.truncated", Plainly),
    ("uidlist.duplicate", Plainly),
    ("uidlist.missing", Losing),
    ("uidlist.renumbered", Losing),
    ("quota.stale", Plainly),
    ("quota.broken", Plainly),
];

/// Mended, and shown by tests that need more than a store.
const WITHOUT_SAMPLE: &[&str] = &[
    "mdbox.guid",                // an index and the message differ: tests/it/repair/mdbox.rs
    "quota.wrapped", // below 4 GiB it is negative, and quota.broken to inspect: tests/it/quota.rs
    "uidlist.recovered", // a server's cache knows the messages: tests/it/repair/uidlists.rs
    "maildir.copy-dates", // many files of one minute: tests/it/repair/dates.rs
    "uidlist.uidvalidity", // a server's list of mailboxes is asked: tests/it/repair/outvoted.rs
    "maildir.index-uidvalidity", // the same
    "index.uidvalidity-wrong", // the same
    "index.behind",  // a server's list of mailboxes is asked: tests/it/repair/gone.rs
    "index.elsewhere", // a place that is not named: tests/it/dovecot_reads/places.rs
    "maildir.emptied", // --accept-loss: tests/it/repair/emptied.rs
    "mailbox.gone",  // the same
    "account.repair-begun", // a repair that was cut off: tests/it/repair/steps.rs
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
    "quota.dict",
    "quota.dict-missing",
    "quota.limit",
    "quota.vsize",
    "index.unknown-record",
    "index.pending-expunge",
    "index.uidvalidity-differs",
    "dbox.alt",
    "dbox.unreadable",
    "dbox.external-attachment",
    "dbox.encrypted",
    "dbox.stray",
    "mdbox.uncounted",
    "mdbox.unpurged",
    "mdbox.stray",
    "maildir.unreadable",
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
    "maildir.keyword-name",
    "maildir.hard-link",
    "maildir.vanished",
    "maildir.inbox-folder",
    "maildir.dot-folder",
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
    let mended: BTreeSet<_> = MENDED.iter().map(|(code, _)| *code).collect();
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
fn every_code_that_is_mended_has_a_store_and_a_recipe() {
    let wanted: BTreeSet<_> = MENDED.iter().map(|(code, _)| (*code).to_owned()).collect();
    let there = fs::read_dir(testdata("broken")).unwrap();
    let there = there.map(|entry| entry.unwrap());
    let there = there.filter(|entry| entry.file_type().unwrap().is_dir());
    let there: BTreeSet<_> = there
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    assert_eq!(there, wanted);
    let recipes = RECIPES.iter().map(|(code, _)| (*code).to_owned());
    assert_eq!(recipes.collect::<BTreeSet<_>>(), wanted);
}

#[test]
fn every_store_is_found_broken_then_repaired_then_clean() {
    let server = Server::here("every_store_is_found_broken_then_repaired_then_clean");
    all_are_mended(server.as_ref());
}

#[test]
fn every_repaired_store_is_opened_by_dovecot_2_4_without_a_word() {
    let test = "every_repaired_store_is_opened_by_dovecot_2_4_without_a_word";
    if let Some(server) = Server::dovecot_24(test) {
        all_are_mended(Some(&server));
    }
}

fn all_are_mended(server: Option<&Server>) {
    let wrong = MENDED.iter().filter_map(|(code, asked)| {
        let why = what_is_wrong(code, &broken(code), *asked, server)?;
        Some(format!("{code}: {why}"))
    });
    let wrong: Vec<_> = wrong.collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn what_is_wrong(
    code: &str,
    damaged: &Damaged,
    asked: Asked,
    server: Option<&Server>,
) -> Option<String> {
    let found = damaged.inspect();
    if found.findings(code).is_empty() {
        return Some(format!("it is not found: {:?}", found.codes()));
    }
    let (ran, ends) = match asked {
        Plainly => (damaged.repair(), 0),
        Losing => (damaged.repair(), 1),
        With(option) => (damaged.run("repair", &["--offline", option]), 0),
    };
    if !mended(&ran).contains(&code.to_owned()) || ran.code != ends {
        return Some(format!("it is not mended as it should be: {ran}"));
    }
    let left = damaged.inspect();
    if left.code != 0 || !left.findings(code).is_empty() {
        return Some(format!("it is left: {left}"));
    }
    let dovecot = server?.serve_compressed(damaged.format(), damaged.store());
    dovecot.account();
    Some(dovecot.log()).filter(|log| !log.is_empty())
}
