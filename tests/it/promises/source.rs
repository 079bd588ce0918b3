//! The source is never written to, whatever is done with it and whatever is wrong with it.

use crate::harness::maildir::{Indexed, Maildir, mail, name};
use crate::harness::run::Run;
use crate::harness::skipped;
use crate::harness::tree::{differences, tree};

/// An account with some of everything, and some of it wrong.
fn eventful() -> Maildir {
    Maildir::five_and_one()
        .index(
            "INBOX",
            &Indexed {
                messages: &[(1, 8, &[]), (2, 8, &[])],
                ..Indexed::default()
            },
        )
        .new_message("INBOX", &name(7), mail("new"))
        .put("tmp/1.x", "x")
        .put("cur/stray~", "x")
        .put("subscriptions", "Sent\n")
        .put("dovecot-uidvalidity", "zz")
        .put("sieve/main.sieve", "keep;\n")
        .link(".dovecot.sieve", "sieve/main.sieve")
        .link("cur/1700000008.M1.h:2,", "/nowhere")
        .message("INBOX", &format!("{}:2,RS", name(2)), mail("number 2"))
}

#[test]
fn the_source_is_the_same_after_inspect_dry_run_and_convert() {
    let account = eventful();
    let before = tree(&account.source());
    account.inspect().exits(1);
    account.convert_with(&["--dry-run"]).done().exits(1);
    account.convert().exits(1);
    let made = tree(&account.destination());
    account.convert().exits(1); // what needs a person is said again, and nothing is written
    assert_eq!(differences(&made, &tree(&account.destination())), [""; 0]);
    assert_eq!(differences(&before, &tree(&account.source())), [""; 0]);
}

#[test]
fn a_dry_run_writes_nothing_at_all() {
    let account = eventful();
    let before = tree(account.temp());
    account.convert_with(&["--dry-run"]).done().exits(1);
    assert_eq!(differences(&before, &tree(account.temp())), [""; 0]);
}

#[test]
fn inspect_runs_over_read_only_modes_too() {
    let account = Maildir::five_and_one().read_only();
    let before = tree(&account.source());
    let run = Run::new(account.temp()).args(["inspect", "--json", &account.location()]);
    let ran = run.unprivileged().done().exits(0);
    assert_eq!(ran.user()["messages"], 6);
    assert_eq!(differences(&before, &tree(&account.source())), [""; 0]);
    account.writable_again();
}

#[test]
fn a_source_on_a_read_only_mount_is_converted() {
    let account = Maildir::five_and_one();
    let source = account.source();
    let source = source.display();
    let prepare = format!("mount --bind {source} {source} && mount -o remount,ro,bind {source}");
    let Some(ran) = account.convert_with(&[]).within(&prepare, "true") else {
        skipped("no mount of our own here");
        return;
    };
    assert_eq!(ran.exits(0).codes(), [""; 0]);
    assert_eq!(account.store().uids("INBOX"), [1, 2, 3, 4, 5]);
}
