//! The golden vectors of the format description, and a store that a real Dovecot has used.

mod damage;
mod places;
mod salvage;

use std::fs;

use super::ROOM;
use crate::format::OpenOptions;
use crate::format::golden::{
    expected, golden_mailbox, golden_messages, open_dir, sample, sorted_keywords, told,
    write_golden,
};
use crate::model::MailboxName;
use crate::store::Form;

#[test]
fn message_files_are_the_golden_ones_byte_for_byte() {
    let temp = tempfile::tempdir().unwrap();
    write_golden(&ROOM, temp.path());
    let mails = temp.path().join("mailboxes/INBOX/dbox-Mails");
    let first =
        b"2 M1e C6553f100\n\x01\x02N          000000000000000E\nSubject: a\n\nx\n\n\x01\x03\n\
                  R59682f00\nV11\nG101112131415161718191a1b1c1d1e1f\n\n";
    assert_eq!(fs::read(mails.join("u.3")).unwrap(), first);
    let second =
        b"2 M1e C6553f100\n\x01\x02N          000000000000000C\nSubject: b\n\n\n\x01\x03\n\
                   R59682f3c\nVe\nG1500000060.M1P2.host\n\n";
    assert_eq!(fs::read(mails.join("u.7")).unwrap(), second);
    let subscriptions = fs::read(temp.path().join("subscriptions")).unwrap();
    assert_eq!(subscriptions, b"V\t2\n\nINBOX\n");
    assert_eq!(
        fs::metadata(mails.join("dovecot.index.log")).unwrap().len(),
        40
    );
}

#[test]
fn what_is_written_is_read_back() {
    let temp = tempfile::tempdir().unwrap();
    write_golden(&ROOM, temp.path());
    let mut findings = Vec::new();
    let source = (ROOM.open)(
        open_dir(temp.path()),
        &OpenOptions::default(),
        &mut |finding| {
            findings.push(finding);
        },
    )
    .unwrap();
    let mailbox = source
        .mailbox(0, &mut |finding| findings.push(finding))
        .unwrap();
    assert_eq!(mailbox.mailbox(), &golden_mailbox());
    for (nth, (message, body)) in golden_messages().into_iter().enumerate() {
        let mut scratch = Vec::new();
        let opened = mailbox.open(nth, &mut scratch).unwrap();
        assert_eq!(opened.message, message);
        let mut read = Vec::new();
        std::io::copy(&mut { opened.body }, &mut read).unwrap();
        assert_eq!(read, body);
    }
    assert_eq!(findings, []);
}

#[test]
fn a_store_that_dovecot_has_used_is_read_as_dovecot_tells_it() {
    let (temp, truth) = sample("sdbox");
    let root = open_dir(&temp.path().join("sdbox"));
    let source = (ROOM.open)(root, &OpenOptions::default(), &mut |finding| {
        panic!("{finding:?}")
    });
    let source = source.unwrap();
    for mailbox in truth["mailboxes"].as_array().unwrap() {
        let name = mailbox["name"].as_str().unwrap();
        let told = sorted_keywords(told(source.as_ref(), name));
        assert_eq!(told, sorted_keywords(expected(mailbox)), "{name}");
    }
    let subscribed: Vec<_> = source
        .account()
        .subscriptions
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(subscribed, ["Archive/2020/Qä", "Sent", "Projects/Sub one"]);
}

#[test]
fn names_that_sdbox_cannot_hold_are_told() {
    let problem = |levels: &[&str]| {
        (ROOM.name_problem)(&MailboxName::new(levels.iter().copied()), &Form::default())
    };
    assert_eq!(problem(&["Archive", "2020", "Qä"]), None);
    let long = "台".repeat(100);
    for bad in [
        &["dbox-Mails"][..],
        &["a", ""],
        &[".."],
        &["~root"],
        &["a\n"],
        &[&long],
        &["a/b"],
    ] {
        assert!(problem(bad).is_some(), "{bad:?}");
    }
}
