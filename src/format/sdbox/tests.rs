//! The golden vectors of the format description, and a store that a real Dovecot has used.

mod damage;
mod places;

use std::fs;
use std::sync::Arc;

use serde_json::Value;

use super::ROOM;
use crate::digest::Measured;
use crate::disk::{Dir, Real};
use crate::format::OpenOptions;
use crate::model::{Account, Flags, Mailbox, MailboxGuid, MailboxName, Message, Uid, UidValidity};
use crate::store::{CreateOptions, Form, Incoming, Source, Turns};

const NOW: u32 = 1_700_000_000;

fn open_dir(path: &std::path::Path) -> Dir {
    Dir::open(path, Arc::new(Real)).unwrap()
}

fn golden_mailbox() -> Mailbox {
    let guid = std::array::from_fn(|nth| u8::try_from(nth).unwrap());
    Mailbox {
        name: MailboxName::inbox(),
        selectable: true,
        guid: MailboxGuid::new(guid).unwrap(),
        uidvalidity: UidValidity::new(1_600_000_000).unwrap(),
        uidnext: 10,
        first_recent: 7,
        highest_modseq: 1,
        keywords: vec!["$Label1".into(), "Work".into()],
        acl: None,
    }
}

fn golden_messages() -> [(Message, &'static [u8]); 2] {
    let message = |uid, flags, keyword, received, saved, guid: &str| Message {
        uid: Uid::new(uid).unwrap(),
        flags,
        keywords: vec![keyword],
        received,
        saved: Some(saved),
        guid: guid.into(),
        pop3_uidl: None,
        pop3_order: None,
        sealed: None,
    };
    let seen = Flags::SEEN | Flags::FLAGGED;
    let hex = "101112131415161718191a1b1c1d1e1f";
    [
        (
            message(3, seen, 1, 1_500_000_000, 1_600_000_001, hex),
            b"Subject: a\n\nx\n",
        ),
        (
            message(
                7,
                Flags::NONE,
                0,
                1_500_000_060,
                1_600_000_002,
                "1500000060.M1P2.host",
            ),
            b"Subject: b\n\n",
        ),
    ]
}

fn write_golden(root: &std::path::Path) {
    let options = CreateOptions {
        now: NOW,
        owner: None,
        mode: 0o700,
        form: Form::default(),
    };
    let account = (ROOM.create.unwrap())(open_dir(root), &options).unwrap();
    let mut writer = account.mailbox(&golden_mailbox()).unwrap();
    let turns = Turns::default();
    for (nth, (message, body)) in golden_messages().into_iter().enumerate() {
        let body = Measured::new(Box::new(body));
        let turn = turns.of(nth);
        let stored = writer
            .store(Incoming {
                message: &message,
                body,
                coat: None,
                turn,
            })
            .unwrap();
        assert!(stored.damage.is_none());
        writer.commit(&message, &stored).unwrap();
    }
    writer.finish().unwrap();
    let whole = Account {
        subscriptions: vec![MailboxName::inbox()],
        last_uidvalidity: 1_600_000_000,
        ..Account::default()
    };
    account.finish(&whole).unwrap();
}

#[test]
fn message_files_are_the_golden_ones_byte_for_byte() {
    let temp = tempfile::tempdir().unwrap();
    write_golden(temp.path());
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
    write_golden(temp.path());
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

/// Unpacks one of the archives that a real Dovecot made.
fn sample() -> (tempfile::TempDir, Value) {
    let samples = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/dovecot-2.3.19");
    let temp = tempfile::tempdir().unwrap();
    let unpacked = std::process::Command::new("tar")
        .arg("xzf")
        .arg(format!("{samples}/sdbox.tar.gz"))
        .arg("-C")
        .arg(temp.path())
        .status();
    assert!(unpacked.unwrap().success());
    let truth = fs::read(format!("{samples}/sdbox.json")).unwrap();
    (temp, serde_json::from_slice(&truth).unwrap())
}

fn told(source: &dyn Source, name: &str) -> Value {
    let nth = source
        .mailboxes()
        .iter()
        .position(|other| other.to_string() == name);
    let mailbox = source
        .mailbox(nth.unwrap(), &mut |finding| panic!("{finding:?}"))
        .unwrap();
    let names = mailbox.mailbox().keywords.clone();
    let mut messages = Vec::new();
    for nth in 0..mailbox.len() {
        let mut scratch = Vec::new();
        let opened = mailbox.open(nth, &mut scratch).unwrap();
        let facts = Measured::new(opened.body).drain().unwrap();
        let message = opened.message;
        let keyword = |place: &u32| names[*place as usize].to_string();
        messages.push(serde_json::json!({
            "uid": message.uid.get(),
            "guid": message.guid.to_string(),
            "flags": message.flags.names().collect::<Vec<_>>(),
            "keywords": message.keywords.iter().map(keyword).collect::<Vec<_>>(),
            "received": message.received,
            "size_physical": facts.size,
            "size_virtual": facts.virtual_size,
        }));
    }
    let mailbox = mailbox.mailbox();
    serde_json::json!({
        "uidvalidity": mailbox.uidvalidity.get(),
        "uidnext": mailbox.uidnext,
        "guid": mailbox.guid.to_string(),
        "highestmodseq": mailbox.highest_modseq,
        "msgs": messages,
    })
}

/// The parts of the truth that are compared, keywords in order.
fn expected(truth: &Value) -> Value {
    let keys = [
        "uid",
        "guid",
        "flags",
        "keywords",
        "received",
        "size_physical",
        "size_virtual",
    ];
    let messages = truth["msgs"].as_array().unwrap().iter().map(|message| {
        let pairs = keys
            .iter()
            .map(|key| ((*key).to_owned(), message[key].clone()));
        Value::Object(pairs.collect())
    });
    serde_json::json!({
        "uidvalidity": truth["uidvalidity"],
        "uidnext": truth["uidnext"],
        "guid": truth["guid"],
        "highestmodseq": truth["highestmodseq"],
        "msgs": messages.collect::<Vec<_>>(),
    })
}

fn sorted_keywords(mut told: Value) -> Value {
    for message in told["msgs"].as_array_mut().unwrap() {
        for list in ["keywords", "flags"] {
            let list = message[list].as_array_mut().unwrap();
            list.sort_by(|a, b| a.as_str().cmp(&b.as_str()));
        }
    }
    told
}

#[test]
fn a_store_that_dovecot_has_used_is_read_as_dovecot_tells_it() {
    let (temp, truth) = sample();
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
