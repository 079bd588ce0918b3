//! The destination: what is there already, who owns what is written, and the second pass.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use crate::harness::maildir::{Maildir, mail, name};
use crate::harness::run::{NOBODY, Ran, Run, is_root};
use crate::harness::skipped;
use crate::harness::tree::{Tree, differences, tree};

/// Converting stops with 73 and leaves everything as it is.
#[track_caller]
fn assert_refused(account: &Maildir, why: &str) -> Ran {
    let before = tree(account.temp());
    let ran = account.convert().exits(73);
    assert!(ran.stderr.contains(why), "{ran}");
    assert!(ran.stderr.contains("help: "), "{ran}");
    assert_eq!(ran.user()["status"], "failed");
    assert_eq!(differences(&before, &tree(account.temp())), [""; 0]);
    ran
}

#[test]
fn what_is_not_ours_is_not_touched() {
    let account = Maildir::five_and_one();
    let there = account.destination();
    fs::write(&there, "a file").unwrap();
    assert_refused(&account, "exists and is not a directory");
    fs::remove_file(&there).unwrap();

    symlink(account.temp().join("home"), &there).unwrap();
    assert_refused(&account, "exists and is not a directory");
    fs::remove_file(&there).unwrap();
    symlink("nowhere", &there).unwrap();
    assert_refused(&account, "exists and is not a directory");
    fs::remove_file(&there).unwrap();

    fs::create_dir(&there).unwrap();
    fs::write(there.join("theirs"), "").unwrap();
    assert_refused(&account, "was not made by mailtally");
    fs::remove_file(there.join("theirs")).unwrap();

    // A foreign sdbox, also with a state file that is none.
    fs::create_dir_all(there.join("mailboxes/INBOX/dbox-Mails")).unwrap();
    assert_refused(&account, "was not made by mailtally");
    fs::write(there.join("mailtally.state"), "not ours").unwrap();
    assert_refused(&account, "holds a mailtally.state that cannot be read");
}

#[test]
fn a_destination_of_ours_whose_state_cannot_be_read_says_so_and_what_to_do() {
    let account = Maildir::five_and_one();
    account.convert().exits(0);
    let state = account.destination().join("mailtally.state");
    let whole = fs::read(&state).unwrap();
    fs::write(&state, &whole[..whole.len() / 2]).unwrap();
    let ran = assert_refused(&account, "holds a mailtally.state that cannot be read (");
    let help = "restore that file from a backup; else move the destination away";
    assert!(ran.stderr.contains(help), "{ran}");
    fs::write(&state, whole).unwrap();
    assert_eq!(account.convert().exits(0).user()["status"], "unchanged");
}

#[test]
fn an_empty_directory_is_fine() {
    let account = Maildir::five_and_one();
    fs::create_dir(account.destination()).unwrap();
    assert_eq!(account.converted().1.uids("INBOX"), [1, 2, 3, 4, 5]);
    assert_only_the_account(&account);
}

/// Nothing but source, destination and home lies there.
#[track_caller]
fn assert_only_the_account(account: &Maildir) {
    let names = fs::read_dir(account.temp()).unwrap();
    let mut names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["Maildir", "home", "sdbox"]);
}

#[test]
fn directories_above_the_destination_are_made() {
    let account = Maildir::five_and_one();
    let deep = account.temp().join("a/b/c/sdbox");
    let ran = Run::new(account.temp())
        .args([
            "convert",
            &account.location(),
            &format!("sdbox:{}", deep.display()),
        ])
        .done()
        .exits(0);
    assert!(ran.stdout.starts_with("GO: "), "{ran}");
    assert!(deep.join("mailboxes/INBOX/dbox-Mails/u.1").exists());
}

#[test]
fn run_again_over_an_unchanged_source_it_does_nothing() {
    let account = Maildir::five_and_one();
    account.convert().exits(0);
    let before = tree(&account.destination());
    let ran = account.convert().exits(0);
    assert_eq!(ran.user()["status"], "unchanged");
    assert_eq!(ran.summary()["verdict"], "go");
    assert_eq!(differences(&before, &tree(&account.destination())), [""; 0]);
    // Also where the first run was killed after the new account had taken its place.
    let left = account.temp().join(".sdbox.mailtally-new");
    fs::create_dir_all(left.join("mailboxes")).unwrap();
    account.convert_with(&["--dry-run"]).done().exits(0);
    assert!(left.exists());
    account.convert().exits(0);
    assert_only_the_account(&account);
}

#[test]
fn a_changed_source_is_converted_again_to_what_a_fresh_run_makes() {
    type Change = fn(Maildir) -> Maildir;
    let changes: [(&str, Change); 9] = [
        ("a delivery", |it| {
            it.new_message("INBOX", &name(7), mail("new"))
        }),
        ("a flag", |it| {
            fs::rename(
                it.at(format!("cur/{}:2,S", name(1))),
                it.at(format!("cur/{}:2,FS", name(1))),
            )
            .unwrap();
            it
        }),
        ("an expunge", |it| {
            it.without(&format!("cur/{}:2,S", name(2)))
        }),
        ("a new folder", |it| {
            it.folder("Work").message("Work", &name(8), mail("w"))
        }),
        ("no folder", |it| {
            fs::remove_dir_all(it.at(".Sent")).unwrap();
            it
        }),
        ("a keyword", |it| {
            it.side("INBOX", "dovecot-keywords", "0 Work\n")
        }),
        ("a subscription", |it| it.put("subscriptions", "Sent\n")),
        ("a script", |it| it.put("sieve/main.sieve", "discard;\n")),
        ("rights", |it| it.side("Sent", "dovecot-acl", "owner lr\n")),
    ];
    for (what, change) in changes {
        let account = Maildir::five_and_one().put("sieve/main.sieve", "keep;\n");
        account.convert().exits(0);
        std::thread::sleep(std::time::Duration::from_millis(20)); // one tick of the file system's clock
        let account = change(account);
        let ran = account.convert().exits(0);
        assert_eq!(ran.user()["status"], "verified", "{what}: {ran}");
        assert_only_the_account(&account);
        let second = account.store();
        fs::remove_dir_all(account.destination()).unwrap();
        account.convert().exits(0);
        assert_eq!(second, account.store(), "{what}");
    }
}

#[test]
fn a_destination_that_someone_has_written_to_is_not_touched() {
    let account = Maildir::five_and_one();
    account.convert().exits(0);
    std::thread::sleep(std::time::Duration::from_millis(20));
    let mails = account.destination().join("mailboxes/Sent/dbox-Mails");
    // What a server does first: it appends to the log.
    let log = mails.join("dovecot.index.log");
    let mut bytes = fs::read(&log).unwrap();
    let kept = bytes.clone();
    bytes.extend([0x80, 0x80, 0x80, 0x82, 0, 0, 0, 8]);
    fs::write(&log, bytes).unwrap();
    assert_refused(&account, "was written to since our pass of ");
    fs::write(&log, kept).unwrap();
    // A mailbox that is gone is named, and so is one that is new.
    fs::rename(
        account.destination().join("mailboxes/Sent"),
        account.destination().join("mailboxes/Gone"),
    )
    .unwrap();
    assert_refused(&account, ": Gone, Sent");
}

#[test]
fn what_a_server_did_at_the_destination_is_named_by_mailbox() {
    let account = Maildir::five_and_one();
    account.convert().exits(0);
    let mails = account.destination().join("mailboxes/Sent/dbox-Mails");
    // As if the mailbox had been emptied: an index of another account's empty mailbox.
    let empty = Maildir::new();
    empty.convert().exits(0);
    for file in ["dovecot.index", "dovecot.index.log"] {
        let from = empty
            .destination()
            .join("mailboxes/INBOX/dbox-Mails")
            .join(file);
        fs::copy(from, mails.join(file)).unwrap();
    }
    let ran = assert_refused(&account, ": Sent\n");
    assert!(!ran.stderr.contains("INBOX"), "{ran}");
}

fn everything(root: &Path) -> Tree {
    let tree = tree(root);
    assert!(tree.len() > 10);
    tree
}

/// An account with everything that is written.
fn rich() -> Maildir {
    Maildir::five_and_one()
        .folder("A.B")
        .put("subscriptions", "Sent\n")
        .put("sieve/sub/main.sieve", "keep;\n")
        .link(".dovecot.sieve", "sieve/sub/main.sieve")
        .side("Sent", "dovecot-acl", "owner lr\n")
}

const FILE: u32 = 0o100_000;
const LINK: u32 = 0o120_000;

#[test]
fn modes_follow_from_the_source_as_dovecot_makes_them() {
    for (root, dir, file) in [
        (0o700, 0o700, 0o600),
        (0o750, 0o750, 0o640),
        (0o2770, 0o2770, 0o660),
        (0o500, 0o700, 0o600),
    ] {
        let account = rich().mode("", root);
        account.convert().exits(0);
        for (path, node) in everything(&account.destination()) {
            let wanted = match node.mode & 0o170_000 {
                LINK => continue,
                // The name that Dovecot itself makes read-only.
                FILE if path.to_string_lossy().starts_with("dovecot-uidvalidity.") => 0o444,
                FILE => file,
                _ => dir,
            };
            assert_eq!(node.mode & 0o7777, wanted, "{root:o}: {}", path.display());
        }
        fs::set_permissions(account.source(), fs::Permissions::from_mode(0o700)).unwrap();
    }
}

#[test]
fn what_is_written_belongs_to_the_owner_of_the_source_or_to_whom_it_is_given() {
    if !is_root() {
        skipped("only root can give files away");
        return;
    }
    let account = rich().owned_by(NOBODY);
    account.convert().exits(0);
    for (path, node) in everything(&account.destination()) {
        assert_eq!(node.owner, (NOBODY, NOBODY), "{}", path.display());
    }
    let account = rich();
    account
        .convert_with(&["--owner", "1234:4321"])
        .done()
        .exits(0);
    for (path, node) in everything(&account.destination()) {
        assert_eq!(node.owner, (1234, 4321), "{}", path.display());
    }
    let by_name = rich();
    by_name.convert_with(&["--owner", "nobody"]).done().exits(0);
    let owner = everything(&by_name.destination())[Path::new("")].owner;
    assert_eq!(owner.0, NOBODY);
}

#[test]
fn an_owner_that_cannot_be_had_is_said() {
    if !is_root() {
        skipped("the source must belong to someone else");
        return;
    }
    // Readable for all, owned by root, and the run is somebody's.
    let account = Maildir::five_and_one().mode("", 0o755);
    fs::set_permissions(account.temp(), fs::Permissions::from_mode(0o777)).unwrap();
    let ran = account.convert_with(&[]).unprivileged().done().exits(0);
    let detail = format!("source is of 0:0, this run of {NOBODY}");
    ran.says(
        "account.owner",
        &serde_json::json!({"severity": "warning", "detail": detail}),
    );
}
