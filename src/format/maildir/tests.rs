//! A Maildir that a real Dovecot has used, and the tellings of one account.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use serde_json::{Value, json};

use super::ROOM;
use crate::digest::Measured;
use crate::disk::{Dir, Real};
use crate::format::OpenOptions;
use crate::store::Source;

const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/dovecot-2.3.19");

fn open(root: &Path) -> Box<dyn Source> {
    let dir = Dir::open(root, Arc::new(Real)).unwrap();
    (ROOM.open)(dir, &OpenOptions::default(), &mut |_| ()).unwrap()
}

fn told(source: &dyn Source, name: &str) -> Value {
    let nth = source
        .mailboxes()
        .iter()
        .position(|other| other.to_string() == name);
    let mailbox = source.mailbox(nth.unwrap(), &mut |_| ()).unwrap();
    let names = mailbox.mailbox().keywords.clone();
    let first_recent = mailbox.mailbox().first_recent;
    let mut messages = Vec::new();
    for nth in 0..mailbox.len() {
        let mut scratch = Vec::new();
        let opened = mailbox.open(nth, &mut scratch).unwrap();
        let facts = Measured::new(opened.body).drain().unwrap();
        let message = opened.message;
        let mut keywords: Vec<_> = message
            .keywords
            .iter()
            .map(|k| names[*k as usize].to_string())
            .collect();
        keywords.sort();
        messages.push(json!({
            "uid": message.uid.get(),
            "guid": message.guid.to_string(),
            "flags": message.flags.names().collect::<Vec<_>>(),
            "keywords": keywords,
            "recent": message.uid.get() >= first_recent,
            "received": message.received,
            "size_physical": facts.size,
            "size_virtual": facts.virtual_size,
        }));
    }
    let mailbox = mailbox.mailbox();
    json!({
        "uidvalidity": mailbox.uidvalidity.get(),
        "uidnext": mailbox.uidnext,
        "guid": mailbox.guid.to_string(),
        "msgs": messages,
    })
}

fn expected(truth: &Value) -> Value {
    let messages = truth["msgs"].as_array().unwrap().iter().map(|message| {
        let sorted = |key: &str| {
            let mut list: Vec<_> = message[key].as_array().unwrap().clone();
            list.sort_by(|a, b| a.as_str().cmp(&b.as_str()));
            list
        };
        json!({
            "uid": message["uid"],
            "guid": message["guid"],
            "flags": sorted("flags"),
            "keywords": sorted("keywords"),
            "recent": message["recent"],
            "received": message["received"],
            "size_physical": message["size_physical"],
            "size_virtual": message["size_virtual"],
        })
    });
    json!({
        "uidvalidity": truth["uidvalidity"],
        "uidnext": truth["uidnext"],
        "guid": truth["guid"],
        "msgs": messages.collect::<Vec<_>>(),
    })
}

#[test]
fn a_maildir_that_dovecot_has_used_is_read_as_dovecot_tells_it() {
    let temp = tempfile::tempdir().unwrap();
    let unpacked = Command::new("tar")
        .arg("xzf")
        .arg(format!("{SAMPLES}/maildir.tar.gz"))
        .arg("-C")
        .arg(temp.path())
        .status();
    assert!(unpacked.unwrap().success());
    let truth = fs::read(format!("{SAMPLES}/maildir.json")).unwrap();
    let truth: Value = serde_json::from_slice(&truth).unwrap();
    let source = open(&temp.path().join("Maildir"));
    for mailbox in truth["mailboxes"].as_array().unwrap() {
        let name = mailbox["name"].as_str().unwrap();
        assert_eq!(told(source.as_ref(), name), expected(mailbox), "{name}");
    }
    let subscribed = source.account().subscriptions.iter();
    let subscribed: Vec<_> = subscribed.map(ToString::to_string).collect();
    assert_eq!(subscribed, ["Sent", "Archive/2020/Qä", "Projects/Sub one"]);
}
