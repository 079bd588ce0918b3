//! One line to compare: whichever command reads a store, it prints the same digest of it, damaged or not.

use serde_json::Value;

use crate::harness::run::{Ran, Run};
use crate::harness::unpacked;
use crate::repair::samples::{RECIPES, broken};

fn digest(ran: &Ran, side: &str) -> String {
    let digest = ran.summary()["digest"][side].as_str();
    digest.unwrap_or_else(|| panic!("no digest: {ran}")).into()
}

/// What each command prints of the store; `run` runs one, with more arguments.
fn all_digests(run: impl Fn(&str, &[&str]) -> Ran, tally: &str) -> Vec<String> {
    vec![
        digest(&run("inspect", &[]), "source"),
        digest(&run("manifest", &["-o", tally]), "source"),
        digest(&run("verify", &[tally]), "source"),
        digest(&run("verify", &[tally]), "destination"),
    ]
}

#[test]
fn every_command_prints_the_same_digest_of_a_damaged_store() {
    for (code, _) in RECIPES {
        let damaged = broken(code);
        let tally = damaged.store().with_extension("tally");
        let run = |command: &str, more: &[&str]| damaged.run(command, more);
        let digests = all_digests(run, tally.to_str().unwrap());
        assert_eq!(digests, vec![digests[0].clone(); 4], "{code}");
    }
}

#[test]
fn what_is_carried_of_a_damaged_message_has_one_digest_before_and_after() {
    let folder = unpacked("family/account.tar.gz");
    let run = |command: &str, more: &[&str]| {
        let args = [command, "--json", "maildir:Maildir"];
        Run::new(folder.path()).args(args).args(more).done()
    };
    let digests = all_digests(run, "x.tally");
    let carried = run("convert", &["mdbox:mdbox"]).exits(1);
    assert!(!carried.findings("maildir.damaged").is_empty(), "{carried}");
    let there = Run::new(folder.path()).args(["inspect", "--json", "mdbox:mdbox"]);
    let after = [
        digest(&carried, "source"),
        digest(&carried, "destination"),
        digest(&there.done().exits(0), "source"),
    ];
    let one = &digests[0];
    assert!(
        digests.iter().chain(&after).all(|digest| digest == one),
        "{digests:?} {after:?}"
    );
    assert_eq!(
        carried.summary()["differences"],
        Value::Object(serde_json::Map::default())
    );
}
