//! The golden vectors of the format description, a store that a real Dovecot has used, and damage.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use bstr::ByteSlice;
use proptest::prelude::*;

mod damage;
mod gathered;
mod order;
mod repair;

use super::{ROOM, scan};
use crate::digest::Measured;
use crate::disk::{Dir, Disk, Real};
use crate::format::OpenOptions;
use crate::format::golden::{
    expected, golden_mailbox, golden_messages, open_dir, sample, sorted_keywords, told,
    write_golden,
};
use crate::model::{MailboxGuid, MailboxName, Message};
use crate::report::Finding;
use crate::store::{CreateOptions, Form, Incoming, Source, Turns};

const M_1: &[u8] = b"2 M1e C6553f100\n\
    \x01\x02N          000000000000000E\nSubject: a\n\nx\n\n\x01\x03\n\
    R59682f00\nV11\nG101112131415161718191a1b1c1d1e1f\nBINBOX\n\n\
    \x01\x02N          000000000000000C\nSubject: b\n\n\n\x01\x03\n\
    R59682f3c\nVe\nG1500000060.M1P2.host\nBINBOX\n\n";

fn open(root: &Path, findings: &mut Vec<Finding>) -> Box<dyn Source> {
    let dir = open_dir(root);
    let found = &mut |finding| findings.push(finding);
    (ROOM.open)(dir, &OpenOptions::default(), found).unwrap()
}

/// What reading the INBOX comes to: the bodies by UID, and the codes of all findings.
fn inbox(root: &Path) -> (Vec<(u32, Vec<u8>)>, Vec<&'static str>) {
    let (bodies, findings) = read(root);
    let mut codes: Vec<_> = findings.iter().map(|finding| finding.rule.code).collect();
    codes.sort_unstable();
    codes.dedup();
    (bodies, codes)
}

/// All that is found.
fn findings(root: &Path) -> Vec<Finding> {
    read(root).1
}

fn read(root: &Path) -> (Vec<(u32, Vec<u8>)>, Vec<Finding>) {
    let mut findings = Vec::new();
    let source = open(root, &mut findings);
    let mut bodies = Vec::new();
    let mailbox = source.mailbox(0, &mut |finding| findings.push(finding));
    let mailbox = mailbox.unwrap();
    for nth in 0..mailbox.len() {
        let mut scratch = Vec::new();
        match mailbox.open(nth, &mut scratch) {
            Ok(opened) => {
                let mut body = Vec::new();
                let read = std::io::copy(&mut { opened.body }, &mut body);
                let facts = Measured::new(Box::new(&body[..])).drain().unwrap();
                let found = &mut |finding| findings.push(finding);
                let told = (&opened.message, opened.claims);
                mailbox.tell(nth, told, read.err().as_ref(), &facts, found);
                bodies.push((mailbox.uid(nth).get(), body));
            }
            Err(finding) => findings.push(*finding),
        }
    }
    mailbox.conclude(&mut |finding| findings.push(finding));
    (bodies, findings)
}

fn golden_bodies() -> Vec<(u32, Vec<u8>)> {
    let messages = golden_messages().into_iter();
    messages
        .map(|(message, body)| (message.uid.get(), body.to_vec()))
        .collect()
}

#[test]
fn files_are_the_golden_ones_byte_for_byte() {
    let temp = tempfile::tempdir().unwrap();
    write_golden(&ROOM, temp.path());
    let read = |name: &str| fs::read(temp.path().join(name)).unwrap();
    assert_eq!(read("storage/m.1").as_bstr(), M_1.as_bstr());
    // The indexes themselves are golden in the shelf `dovecot_index`.
    assert_eq!(read("storage/dovecot.map.index").len(), 216);
    assert_eq!(read("storage/dovecot.map.index.log").len(), 40);
    assert_eq!(read("mailboxes/INBOX/dbox-Mails/dovecot.index").len(), 392);
}

#[test]
fn what_is_written_is_read_back() {
    let temp = tempfile::tempdir().unwrap();
    write_golden(&ROOM, temp.path());
    let mut findings = Vec::new();
    let source = open(temp.path(), &mut findings);
    let mailbox = source.mailbox(0, &mut |finding| findings.push(finding));
    let mailbox = mailbox.unwrap();
    assert_eq!(mailbox.mailbox(), &golden_mailbox());
    for (nth, (message, _)) in golden_messages().into_iter().enumerate() {
        let mut scratch = Vec::new();
        assert_eq!(mailbox.open(nth, &mut scratch).unwrap().message, message);
    }
    assert_eq!(findings, []);
    assert_eq!(inbox(temp.path()), (golden_bodies(), vec![]));
}

#[test]
fn a_store_that_dovecot_has_used_and_purged_is_read_as_dovecot_tells_it() {
    let (temp, truth) = sample("mdbox");
    let mut findings = Vec::new();
    let source = open(&temp.path().join("mdbox"), &mut findings);
    for mailbox in truth["mailboxes"].as_array().unwrap() {
        let name = mailbox["name"].as_str().unwrap();
        let told = sorted_keywords(told(source.as_ref(), name));
        assert_eq!(told, sorted_keywords(expected(mailbox)), "{name}");
        let saved = mailbox["msgs"].as_array().unwrap().iter();
        let saved: Vec<_> = saved.map(|message| message["saved"].as_i64()).collect();
        assert_eq!(saved_dates(source.as_ref(), name), saved, "{name}");
    }
    assert_eq!(findings, []);
}

fn saved_dates(source: &dyn Source, name: &str) -> Vec<Option<i64>> {
    let mut names = source.mailboxes().iter();
    let nth = names.position(|other| other.to_string() == name).unwrap();
    let mailbox = source.mailbox(nth, &mut |_| ()).unwrap();
    let mut scratch = Vec::new();
    (0..mailbox.len())
        .map(|nth| mailbox.open(nth, &mut scratch).unwrap().message.saved)
        .collect()
}

/// Writes one mailbox a list; returns what lies in `storage/`, by name.
fn written(mailboxes: &[Vec<(Message, Vec<u8>)>], form: Form) -> (tempfile::TempDir, Vec<String>) {
    written_on(Arc::new(Real), mailboxes, form)
}

fn written_on(
    disk: Arc<dyn Disk>,
    mailboxes: &[Vec<(Message, Vec<u8>)>],
    form: Form,
) -> (tempfile::TempDir, Vec<String>) {
    let temp = tempfile::tempdir().unwrap();
    let options = CreateOptions {
        now: 1_700_000_000,
        owner: None,
        mode: 0o700,
        form,
    };
    let dir = Dir::open(temp.path(), disk).unwrap();
    let account = (ROOM.create.unwrap())(dir, &options).unwrap();
    for (nth, messages) in mailboxes.iter().enumerate() {
        let mut mailbox = golden_mailbox();
        mailbox.name = MailboxName::new([format!("box{nth}")]);
        mailbox.guid = MailboxGuid::new([u8::try_from(nth + 1).unwrap(); 16]).unwrap();
        mailbox.uidnext = 1000;
        let mut writer = account.mailbox(&mailbox).unwrap();
        let turns = Turns::default();
        for (nth, (message, body)) in messages.iter().enumerate() {
            let incoming = Incoming {
                message,
                body: Measured::new(Box::new(&body[..])),
                coat: None,
                hint: Some(body.len() as u64),
                turn: turns.of(nth),
            };
            let stored = writer.store(incoming).unwrap();
            writer.commit(message, &stored).unwrap();
        }
        writer.finish().unwrap();
    }
    account.finish(&crate::model::Account::default()).unwrap();
    let names = fs::read_dir(temp.path().join("storage")).unwrap();
    let mut names: Vec<_> = names
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("m."))
        .collect();
    names.sort();
    (temp, names)
}

fn numbered(uid: u32) -> Message {
    let (mut message, _) = golden_messages().into_iter().next().unwrap();
    message.uid = crate::model::Uid::new(uid).unwrap();
    message.guid = format!("{uid}.host").into();
    message
}

fn size_of(root: &Path, name: &str) -> u64 {
    fs::metadata(root.join("storage").join(name)).unwrap().len()
}

#[test]
fn copies_of_a_message_are_stored_once_wherever_they_are() {
    for body in [b"Subject: a\n\nx\n".to_vec(), vec![b'x'; 6_000_000]] {
        let message = numbered(3);
        let mut other_date = numbered(4);
        other_date.guid.clone_from(&message.guid);
        other_date.received += 1;
        let boxes = [
            vec![(message.clone(), body.clone()), (other_date, body.clone())],
            vec![(message.clone(), body.clone())],
            vec![(message, b"other bytes\n".to_vec())],
        ];
        let (temp, names) = written(&boxes, Form::default());
        let stored: u64 = names.iter().map(|name| size_of(temp.path(), name)).sum();
        let two = 2 * body.len() as u64;
        assert!((two..two + 1000).contains(&stored), "{stored} bytes");
        let mut findings = Vec::new();
        let source = open(temp.path(), &mut findings);
        for nth in 0..3 {
            let mailbox = source.mailbox(nth, &mut |finding| findings.push(finding));
            mailbox
                .unwrap()
                .conclude(&mut |finding| findings.push(finding));
        }
        assert_eq!(findings, [], "the map counts what the mailboxes have");
    }
}

#[test]
fn a_file_is_not_filled_beyond_the_size_to_rotate_at() {
    let mails = |sizes: &[usize]| {
        let mails = (1..).zip(sizes);
        mails
            .map(|(uid, size)| (numbered(uid), vec![b'x'; *size]))
            .collect::<Vec<_>>()
    };
    let form = Form {
        rotate_size: 1 << 20,
        ..Form::default()
    };
    let boxes = [
        mails(&[400_000, 400_000, 400_000, 6_000_000, 10]),
        mails(&[10]),
    ];
    let (temp, names) = written(&boxes, form);
    // The third does not fit into the first file, and what is larger than any file has one of its own.
    assert_eq!(names, ["m.1", "m.2", "m.3", "m.4"]);
    assert!(size_of(temp.path(), "m.1") > 800_000);
    assert!(size_of(temp.path(), "m.3") > 6_000_000);
    assert!(size_of(temp.path(), "m.4") < 1000);
}

#[test]
fn without_its_map_a_store_is_read_by_the_guids() {
    let temp = tempfile::tempdir().unwrap();
    write_golden(&ROOM, temp.path());
    for name in ["dovecot.map.index", "dovecot.map.index.log"] {
        fs::remove_file(temp.path().join("storage").join(name)).unwrap();
    }
    let codes = vec!["mdbox.map-missing"];
    assert_eq!(inbox(temp.path()), (golden_bodies(), codes));
}

#[test]
fn without_its_index_a_mailbox_has_what_was_saved_to_it() {
    let temp = tempfile::tempdir().unwrap();
    write_golden(&ROOM, temp.path());
    let mails = temp.path().join("mailboxes/INBOX/dbox-Mails");
    for name in ["dovecot.index", "dovecot.index.log"] {
        fs::remove_file(mails.join(name)).unwrap();
    }
    let (bodies, codes) = inbox(temp.path());
    let renumbered: Vec<_> = (1..)
        .zip(golden_bodies().into_iter().map(|(_, body)| body))
        .collect();
    assert_eq!(bodies, renumbered);
    assert_eq!(
        codes,
        ["dbox.guid", "index.uidvalidity", "mdbox.index-missing"]
    );
}

#[test]
fn counts_that_the_mailboxes_do_not_have_and_messages_that_nobody_has_are_said() {
    let (message, other) = (numbered(1), numbered(2));
    let body = b"Subject: a\n\nx\n".to_vec();
    let boxes = [
        vec![(message.clone(), body.clone()), (other, body.clone())],
        vec![(message, body)],
    ];
    let (temp, _) = written(&boxes, Form::default());
    let codes = |root: &Path| {
        let mut findings = Vec::new();
        let source = open(root, &mut findings);
        for nth in 0..source.mailboxes().len() {
            let mailbox = source.mailbox(nth, &mut |finding| findings.push(finding));
            mailbox
                .unwrap()
                .conclude(&mut |finding| findings.push(finding));
        }
        findings
            .iter()
            .map(|finding| finding.rule.code)
            .collect::<Vec<_>>()
    };
    assert_eq!(codes(temp.path()), [""; 0]);
    fs::remove_dir_all(temp.path().join("mailboxes/box0")).unwrap();
    assert_eq!(codes(temp.path()), ["mdbox.orphan", "mdbox.refcount"]);
}

/// Pieces of a storage file and bytes that are none, in any order.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let second_at = M_1.rfind(b"\x01\x02N").unwrap();
    let piece = prop_oneof![
        Just(M_1[..16].to_vec()),
        Just(M_1[16..second_at].to_vec()),
        Just(M_1[second_at..].to_vec()),
        Just(M_1[second_at..second_at + 40].to_vec()),
        Just(b"\x01\x02N          FFFFFFFFFFFFFFFF\n".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..20),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn what_is_told_of_a_storage_file_tiles_it(bytes in pieces()) {
        let temp = tempfile::tempdir().unwrap();
        fs::write(temp.path().join("m.1"), &bytes).unwrap();
        let file = open_dir(temp.path()).file("m.1").unwrap();
        let mut at = scan::header_line(&file).unwrap().len;
        scan::scan(&file, bytes.len() as u64, &mut |found| {
            let (from, to) = match found {
                scan::Found::Message(message) => (message.at, message.at + message.len),
                scan::Found::Gap(from, to) => (from, to),
            };
            assert!(from == at && to > from);
            at = to;
        })
        .unwrap();
        prop_assert_eq!(at, bytes.len() as u64);
    }
}
