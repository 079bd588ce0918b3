//! Stores whose parts lie elsewhere: ALT, INDEX, CONTROL, DIRNAME, attachments.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::{ROOM, open_dir, write_golden};
use crate::disk::Dir;
use crate::format::{Elsewhere, OpenOptions};

/// Codes and details of what is found, and how many messages could be opened.
fn read(root: &Path, options: &OpenOptions) -> (Vec<(&'static str, String)>, usize) {
    let mut findings = Vec::new();
    let mut found = |finding: crate::report::Finding| {
        findings.push((finding.rule.code, finding.detail));
    };
    let source = (ROOM.open)(open_dir(root), options, &mut found).unwrap();
    source.stamp().unwrap();
    let mailbox = source.mailbox(0, &mut found).unwrap();
    let mut opened = 0;
    for nth in 0..mailbox.len() {
        match mailbox.open(nth, &mut Vec::new()) {
            Ok(_) => opened += 1,
            Err(finding) => found(*finding),
        }
    }
    (findings, opened)
}

fn with(elsewhere: Dir) -> Elsewhere {
    Elsewhere::At(elsewhere)
}

/// A golden account whose first message lies in alternative storage.
fn moved() -> tempfile::TempDir {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().join("root");
    fs::create_dir(&root).unwrap();
    write_golden(&ROOM, &root);
    let alt = temp.path().join("alt/mailboxes/INBOX/dbox-Mails");
    fs::create_dir_all(&alt).unwrap();
    fs::rename(root.join("mailboxes/INBOX/dbox-Mails/u.3"), alt.join("u.3")).unwrap();
    symlink(temp.path().join("alt"), root.join("dbox-alt-root")).unwrap();
    temp
}

#[test]
fn a_message_in_alternative_storage_is_read_there() {
    let temp = moved();
    let options = OpenOptions {
        alt: with(open_dir(&temp.path().join("alt"))),
        ..OpenOptions::default()
    };
    assert_eq!(read(&temp.path().join("root"), &options), (vec![], 2));
}

#[test]
fn alternative_storage_that_is_not_named_is_said_and_the_link_is_not_followed() {
    let temp = moved();
    let (findings, opened) = read(&temp.path().join("root"), &OpenOptions::default());
    assert_eq!(opened, 1);
    let codes: Vec<_> = findings.iter().map(|(code, _)| *code).collect();
    assert_eq!(codes, ["dbox.alt", "dbox.lost"]);
    assert!(findings[0].1.contains("no ALT="), "{findings:?}");
    assert!(
        findings[1].1.contains("alternative storage"),
        "{findings:?}"
    );
}

#[test]
fn alternative_storage_that_is_not_mounted_is_said_and_the_account_goes_on() {
    let temp = moved();
    let options = OpenOptions {
        alt: Elsewhere::Gone("cannot open /slow".into()),
        ..OpenOptions::default()
    };
    let (findings, opened) = read(&temp.path().join("root"), &options);
    assert_eq!(opened, 1);
    assert_eq!(findings[0], ("dbox.alt", "cannot open /slow".to_owned()));
    assert_eq!(findings[1].0, "dbox.lost");
}

#[test]
fn an_index_that_lies_elsewhere_is_read_there() {
    let temp = tempfile::tempdir().unwrap();
    let (root, index) = (temp.path().join("root"), temp.path().join("index"));
    fs::create_dir(&root).unwrap();
    write_golden(&ROOM, &root);
    let mails = root.join("mailboxes/INBOX/dbox-Mails");
    fs::create_dir_all(index.join("mailboxes/INBOX")).unwrap();
    for name in ["dovecot.index", "dovecot.index.log", "dovecot.index.cache"] {
        fs::rename(mails.join(name), index.join("mailboxes/INBOX").join(name)).unwrap();
    }
    let options = OpenOptions {
        index: Some(open_dir(&index)),
        ..OpenOptions::default()
    };
    assert_eq!(read(&root, &options), (vec![], 2));
    fs::rename(index.join("mailboxes/INBOX"), index.join("mailboxes/Other")).unwrap();
    let (findings, opened) = read(&root, &options);
    let codes: Vec<_> = findings.iter().map(|found| found.0).collect();
    assert_eq!(
        (&codes[..2], opened),
        (&["index.elsewhere", "index.missing"][..], 2)
    );
    for (_, detail) in &findings[..2] {
        assert!(detail.contains("where INDEX= says"), "{findings:?}");
    }
}

#[test]
fn the_stamp_changes_with_an_index_that_lies_elsewhere() {
    let temp = tempfile::tempdir().unwrap();
    let (root, index) = (temp.path().join("root"), temp.path().join("index"));
    fs::create_dir(&root).unwrap();
    write_golden(&ROOM, &root);
    fs::create_dir_all(index.join("mailboxes/INBOX")).unwrap();
    let options = OpenOptions {
        index: Some(open_dir(&index)),
        ..OpenOptions::default()
    };
    let source = (ROOM.open)(open_dir(&root), &options, &mut |_| ()).unwrap();
    let before = source.stamp().unwrap();
    assert_eq!(source.stamp().unwrap(), before);
    fs::write(index.join("mailboxes/INBOX/dovecot.index.log"), "x").unwrap();
    assert_ne!(source.stamp().unwrap(), before);
}
