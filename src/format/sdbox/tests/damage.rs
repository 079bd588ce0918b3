//! Stores that are damaged in every way: what is sound is carried, and the rest is told.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::{ROOM, open_dir, sample, write_golden};
use crate::format::OpenOptions;
use crate::format::dbox::message_header;
use crate::report::Finding;

/// What was read of an account.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Bodies by mailbox and UID, as far as they go.
    pub bodies: BTreeMap<(String, u32), Vec<u8>>,
    pub findings: Vec<Finding>,
}

impl Told {
    pub fn codes(&self) -> Vec<&'static str> {
        self.findings.iter().map(|found| found.rule.code).collect()
    }

    pub fn body(&self, uid: u32) -> Option<&[u8]> {
        let body = self.bodies.get(&("INBOX".to_owned(), uid));
        body.map(Vec::as_slice)
    }
}

/// Reads the whole account.
pub(super) fn read(root: &Path) -> Told {
    let mut told = Told::default();
    let mut found = |finding| told.findings.push(finding);
    let source = (ROOM.open)(open_dir(root), &OpenOptions::default(), &mut found).unwrap();
    for (place, name) in source.mailboxes().iter().enumerate() {
        let mailbox = source.mailbox(place, &mut found).unwrap();
        for nth in 0..mailbox.len() {
            let (mut scratch, mut body) = (Vec::new(), Vec::new());
            match mailbox.open(nth, &mut scratch) {
                Err(finding) => found(*finding),
                Ok(mut opened) => {
                    if let Err(error) = opened.body.read_to_end(&mut body) {
                        found(mailbox.broken(nth, &error, body.len() as u64));
                    }
                    let uid = mailbox.uid(nth).get();
                    told.bodies.insert((name.to_string(), uid), body);
                }
            }
        }
    }
    told
}

pub(super) fn golden() -> (tempfile::TempDir, PathBuf) {
    let temp = tempfile::tempdir().unwrap();
    write_golden(&ROOM, temp.path());
    let mails = temp.path().join("mailboxes/INBOX/dbox-Mails");
    (temp, mails)
}

pub(super) const BODY: &[u8] = b"Subject: a\n\nx\n";
/// File header line and message header.
const BODY_AT: usize = 16 + 30;

#[test]
fn a_truncated_message_is_carried_as_far_as_it_goes() {
    let (temp, mails) = golden();
    let whole = fs::read(mails.join("u.3")).unwrap();
    for len in 0..whole.len() {
        fs::write(mails.join("u.3"), &whole[..len]).unwrap();
        let told = read(temp.path());
        let code = match len {
            0..16 => "dbox.header",
            16..60 => "dbox.truncated",
            _ => "dbox.metadata",
        };
        assert_eq!(told.codes(), [code], "{len} bytes");
        assert_eq!(told.findings[0].place.uid, Some(3), "{len} bytes");
        let there = &BODY[..BODY.len().min(len.saturating_sub(BODY_AT))];
        assert_eq!(told.body(3).unwrap_or_default(), there, "{len} bytes");
        assert_eq!(told.body(7).unwrap(), b"Subject: b\n\n");
    }
}

#[test]
fn a_flipped_bit_outside_of_the_body_does_not_cost_the_body() {
    let (temp, mails) = golden();
    let whole = fs::read(mails.join("u.3")).unwrap();
    let body = BODY_AT..BODY_AT + BODY.len();
    for (place, bit) in (0..whole.len()).flat_map(|place| (0..8).map(move |bit| (place, bit))) {
        let mut flipped = whole.clone();
        flipped[place] ^= 1 << bit;
        fs::write(mails.join("u.3"), &flipped).unwrap();
        let told = read(temp.path());
        let expected = &flipped[body.clone()];
        assert_eq!(told.body(3), Some(expected), "bit {bit} of byte {place}");
        assert!(told.codes().len() <= 1, "{told:?}");
    }
}

#[test]
fn what_the_metadata_no_longer_says_is_derived_and_said() {
    let (temp, mails) = golden();
    let whole = fs::read(mails.join("u.3")).unwrap();
    fs::write(mails.join("u.3"), &whole[..BODY_AT + BODY.len() + 4]).unwrap();
    let mtime = fs::metadata(mails.join("u.3")).unwrap().modified().unwrap();
    let mtime = mtime
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let open = || (ROOM.open)(open_dir(temp.path()), &OpenOptions::default(), &mut |_| ()).unwrap();
    let guid = |source: &dyn crate::store::Source| {
        let mailbox = source.mailbox(0, &mut |_| ()).unwrap();
        let mut scratch = Vec::new();
        let message = mailbox.open(0, &mut scratch).unwrap().message;
        // Saved in 2020, as the cache says: it cannot have come later.
        assert_eq!(
            message.received,
            1_600_000_001.min(i64::try_from(mtime).unwrap())
        );
        assert_eq!(
            message.flags.names().collect::<Vec<_>>(),
            ["\\Flagged", "\\Seen"]
        );
        message.guid
    };
    let first = guid(open().as_ref());
    assert_eq!(first.len(), 32);
    assert_eq!(guid(open().as_ref()), first, "the same at every run");
    let told = read(temp.path());
    assert_eq!(
        told.findings[0].detail,
        "byte 64: metadata: ends without its empty line; the GUID is derived; the received date is \
         that of the file; 14 bytes could be read"
    );
}

#[test]
fn a_received_header_tells_the_date_that_the_metadata_no_longer_does() {
    let (temp, mails) = golden();
    let whole = fs::read(mails.join("u.3")).unwrap();
    let mail = b"Received: by q; Mon, 4 Jan 2021 10:00:00 +0000\nSubject: x\n\nx\n";
    let header = message_header(mail.len() as u64);
    let file_header = &whole[..BODY_AT - header.len()];
    let read_so = |mail: &[u8]| {
        fs::write(mails.join("u.3"), [file_header, &header[..], mail].concat()).unwrap();
        let source = (ROOM.open)(open_dir(temp.path()), &OpenOptions::default(), &mut |_| ());
        let source = source.unwrap();
        let mailbox = source.mailbox(0, &mut |_| ()).unwrap();
        let message = mailbox.open(0, &mut Vec::new()).unwrap().message;
        (message.received, message.guid)
    };
    let (received, guid) = read_so(mail);
    assert_eq!(received, 1_609_754_400);
    assert_eq!(read_so(mail).1, guid, "the same at every run");
    let other = mail.map(|byte| if byte == b'x' { b'y' } else { byte });
    assert_ne!(read_so(&other).1, guid, "a function of the content");
    assert_eq!(read(temp.path()).codes(), ["dbox.metadata"]);
}

#[test]
fn a_message_of_nothing_but_zeros_is_told() {
    let (temp, mails) = golden();
    let len = fs::read(mails.join("u.3")).unwrap().len();
    fs::write(mails.join("u.3"), vec![0; len]).unwrap();
    let told = read(temp.path());
    assert_eq!(told.codes(), ["dbox.header"]);
    assert_eq!(told.body(3), None);
}

#[test]
fn a_file_without_record_is_told_where_the_index_is_sound() {
    let (temp, mails) = golden();
    fs::copy(mails.join("u.3"), mails.join("u.99")).unwrap();
    fs::write(mails.join("notes.txt"), "x").unwrap();
    let mut told = read(temp.path()).codes();
    told.sort_unstable();
    assert_eq!(told, ["dbox.newer", "dbox.orphan", "dbox.stray"]);
}

#[test]
fn a_file_without_record_is_a_message_where_a_record_has_no_file() {
    let (temp, mails) = golden();
    fs::rename(mails.join("u.3"), mails.join("u.99")).unwrap();
    let told = read(temp.path());
    assert_eq!(told.codes(), ["dbox.recovered", "dbox.lost"]);
    assert_eq!(told.body(99), Some(BODY));
}

#[test]
fn a_mailbox_without_an_index_has_the_uids_of_its_files() {
    let (temp, mails) = golden();
    for name in ["dovecot.index", "dovecot.index.log"] {
        fs::remove_file(mails.join(name)).unwrap();
    }
    let told = read(temp.path());
    assert_eq!(
        told.codes(),
        ["index.missing", "dbox.guid", "index.uidvalidity"],
        "its cache is left: it was here"
    );
    assert_eq!(told.findings[0].detail, "2 message files");
    assert_eq!(told.bodies.len(), 2);
}

#[test]
fn an_index_of_the_other_byte_order_is_refused_with_a_sentence_and_the_messages_are_carried() {
    let (temp, mails) = golden();
    let mut index = fs::read(mails.join("dovecot.index")).unwrap();
    index[12] &= !1;
    fs::write(mails.join("dovecot.index"), index).unwrap();
    let told = read(temp.path());
    let sentence = &told.findings[0].detail;
    assert!(
        sentence.contains("written by a big-endian machine"),
        "{sentence}"
    );
    assert!(
        told.codes().contains(&"index.missing"),
        "{:?}",
        told.codes()
    );
    assert_eq!(told.body(3), Some(BODY));
    assert_eq!(told.body(7).unwrap(), b"Subject: b\n\n");
}

/// Every file below a directory.
fn files(dir: &Path, out: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            files(&path, out);
        } else {
            out.push(path);
        }
    }
}

/// Numbers that look random and are the same at every run.
pub(super) fn next(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed
}

fn spoiled(sound: &[u8], seed: &mut u64) -> Vec<u8> {
    let mut bytes = sound.to_vec();
    let place = usize::try_from(next(seed)).unwrap_or(0) % sound.len();
    match next(seed) % 4 {
        0 => bytes.truncate(place),
        1 => bytes[place..].fill(0),
        _ => bytes[place] ^= 1 << (next(seed) % 8),
    }
    bytes
}

#[test]
fn whatever_happens_to_an_index_no_message_is_lost_in_silence() {
    let (temp, _) = sample("sdbox");
    let root = temp.path().join("sdbox");
    let sound = read(&root);
    assert_eq!(sound.findings, []);
    let mut all = Vec::new();
    files(&root.join("mailboxes"), &mut all);
    let mut seed = 0x9e37_79b9_7f4a_7c15;
    for path in all
        .iter()
        .filter(|path| path.to_string_lossy().contains("dovecot.index"))
    {
        let original = fs::read(path).unwrap();
        for round in 0..300 {
            let bytes = spoiled(&original, &mut seed);
            fs::write(path, &bytes).unwrap();
            let told = read(&root);
            for (place, body) in &sound.bodies {
                let named = format!("/u.{}", place.1);
                let said = told.findings.iter().any(|finding| {
                    let path = finding.place.path.as_deref().unwrap_or_default();
                    path.ends_with(&named) && finding.place.mailbox.as_ref() == Some(&place.0)
                });
                let there = told.bodies.get(place) == Some(body);
                assert!(
                    there || said,
                    "{} round {round}: {place:?}: {told:#?}",
                    path.display()
                );
            }
        }
        fs::write(path, &original).unwrap();
    }
}

#[test]
fn whatever_happens_to_a_message_file_the_others_are_still_there() {
    let (temp, _) = sample("sdbox");
    let root = temp.path().join("sdbox");
    let sound = read(&root);
    let mut all = Vec::new();
    files(&root.join("mailboxes"), &mut all);
    let mut seed = 0x2545_f491_4f6c_dd1d;
    let message = |path: &&PathBuf| {
        path.file_name()
            .unwrap()
            .to_string_lossy()
            .starts_with("u.")
    };
    for path in all.iter().filter(message) {
        let original = fs::read(path).unwrap();
        for _ in 0..100 {
            fs::remove_file(path).unwrap(); // a copied message is a second name of its file
            fs::write(path, spoiled(&original, &mut seed)).unwrap();
            let told = read(&root);
            let same = sound
                .bodies
                .iter()
                .filter(|(place, body)| told.bodies.get(place) == Some(body));
            assert!(same.count() + 1 >= sound.bodies.len(), "{told:#?}");
        }
        fs::write(path, &original).unwrap();
    }
}
