//! For tests: the golden vectors of the format description, and stores that a real Dovecot has used.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::Room;
use crate::digest::Measured;
use crate::disk::{Dir, Real};
use crate::model::{Account, Flags, Mailbox, MailboxGuid, MailboxName, Message, Uid, UidValidity};
use crate::store::{CreateOptions, Form, Incoming, Source, Turns};

/// The clock of the golden vectors.
const NOW: u32 = 1_700_000_000;

/// An open directory.
pub(super) fn open_dir(path: &Path) -> Dir {
    Dir::open(path, Arc::new(Real)).unwrap()
}

/// The mailbox of the golden vectors.
pub(super) fn golden_mailbox() -> Mailbox {
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

/// Its messages.
pub(super) fn golden_messages() -> [(Message, &'static [u8]); 2] {
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

/// Writes the account of the golden vectors.
pub(super) fn write_golden(room: &Room, root: &Path) {
    let options = CreateOptions {
        now: NOW,
        owner: None,
        mode: 0o700,
        form: Form::default(),
    };
    let account = (room.create.unwrap())(open_dir(root), &options).unwrap();
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
                hint: None,
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

/// Unpacks one of the archives that a real Dovecot made; with what it told of the account.
pub(super) fn sample(name: &str) -> (tempfile::TempDir, Value) {
    let samples = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/dovecot-2.3.19");
    let temp = tempfile::tempdir().unwrap();
    let unpacked = std::process::Command::new("tar")
        .arg("xzf")
        .arg(format!("{samples}/{name}.tar.gz"))
        .arg("-C")
        .arg(temp.path())
        .status();
    assert!(unpacked.unwrap().success());
    let truth = fs::read(format!("{samples}/{name}.json")).unwrap();
    (temp, serde_json::from_slice(&truth).unwrap())
}

/// What a source tells of a mailbox.
pub(super) fn told(source: &dyn Source, name: &str) -> Value {
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
pub(super) fn expected(truth: &Value) -> Value {
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

/// With flags and keywords in order.
pub(super) fn sorted_keywords(mut told: Value) -> Value {
    for message in told["msgs"].as_array_mut().unwrap() {
        for list in ["keywords", "flags"] {
            let list = message[list].as_array_mut().unwrap();
            list.sort_by(|a, b| a.as_str().cmp(&b.as_str()));
        }
    }
    told
}
