//! Damage: what is sound is read, and what is not is said.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bstr::ByteSlice;

use super::{
    M_1, ROOM, findings, golden_bodies, golden_mailbox, golden_messages, inbox, open, scan,
    write_golden,
};
use crate::disk::{Action, Dir, Disk, Step};
use crate::format::OpenOptions;

const INDEX: &str = "mailboxes/INBOX/dbox-Mails/dovecot.index";

#[test]
fn a_log_that_is_lost_is_said_although_the_index_is_there() {
    let temp = tempfile::tempdir().unwrap();
    write_golden(&ROOM, temp.path());
    let mails = temp.path().join("mailboxes/INBOX/dbox-Mails");
    fs::remove_file(mails.join("dovecot.index.log")).unwrap();
    assert_eq!(
        inbox(temp.path()),
        (golden_bodies(), vec!["index.log-lost"])
    );
}

#[test]
fn an_index_with_a_damaged_header_still_tells_uids_flags_and_keywords() {
    for count in [1, 16, 64] {
        let temp = tempfile::tempdir().unwrap();
        write_golden(&ROOM, temp.path());
        let path = temp.path().join(INDEX);
        let mut index = fs::read(&path).unwrap();
        index[..count].fill(0xa5);
        fs::write(&path, index).unwrap();
        let mut codes = vec!["index.broken", "index.uidvalidity"];
        codes.truncate(if count < 64 { 1 } else { 2 });
        assert_eq!(inbox(temp.path()), (golden_bodies(), codes));
        let source = open(temp.path(), &mut Vec::new());
        let mailbox = source.mailbox(0, &mut |_| ()).unwrap();
        assert_eq!(mailbox.mailbox().keywords, golden_mailbox().keywords);
        for (nth, (golden, _)) in golden_messages().iter().enumerate() {
            let mut scratch = Vec::new();
            assert_eq!(&mailbox.open(nth, &mut scratch).unwrap().message, golden);
        }
    }
}

#[test]
fn whatever_stands_behind_a_damaged_header_no_message_is_lost_or_made_up() {
    let temp = tempfile::tempdir().unwrap();
    write_golden(&ROOM, temp.path());
    let path = temp.path().join(INDEX);
    let sound = fs::read(&path).unwrap();
    let (mut seed, mut used) = (0x0dd0_5eed_0dd0_5eed_u64, 0);
    let mut next = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed >> 8).unwrap()
    };
    for round in 0..3000 {
        let mut index = sound.clone();
        for byte in &mut index[..=next() % 64] {
            *byte = next().to_le_bytes()[0];
        }
        for _ in 0..next() % 4 {
            let place = next() % sound.len();
            index[place] = next().to_le_bytes()[0] >> (next() % 8);
        }
        if next().is_multiple_of(4) {
            index.truncate(next() % sound.len());
        }
        fs::write(&path, &index).unwrap();
        let (bodies, codes) = inbox(temp.path());
        used += usize::from(!codes.contains(&"mdbox.index-missing"));
        let golden = golden_bodies();
        let real = bodies
            .iter()
            .filter(|(_, body)| golden.iter().any(|(_, it)| it == body));
        assert_eq!(real.count(), bodies.len(), "round {round}: {index:?}");
        let whole = bodies.len() == golden.len();
        let said = codes.iter().any(|code| code.starts_with("mdbox."));
        assert!(whole || said, "round {round}: {codes:?}: {index:?}");
    }
    assert!((1000..3000).contains(&used), "{used} were used");
}

#[test]
fn a_record_of_garbage_costs_no_message_but_its_own_uid() {
    let temp = tempfile::tempdir().unwrap();
    write_golden(&ROOM, temp.path());
    let path = temp.path().join("mailboxes/INBOX/dbox-Mails/dovecot.index");
    let mut index = fs::read(&path).unwrap();
    // The first of two records: its UID is beyond any that was given out.
    let first = index.len() - 2 * 32;
    index[first..first + 4].fill(0xee);
    fs::write(&path, &index).unwrap();
    let mut findings = Vec::new();
    let source = open(temp.path(), &mut findings);
    let mailbox = source.mailbox(0, &mut |finding| findings.push(finding));
    let mailbox = mailbox.unwrap();
    let uids: Vec<_> = (0..mailbox.len())
        .map(|nth| mailbox.uid(nth).get())
        .collect();
    assert_eq!((uids, mailbox.mailbox().uidnext), (vec![7, 10], 11));
    let codes: Vec<_> = findings.iter().map(|finding| finding.rule.code).collect();
    assert_eq!(codes, ["index.lost", "dbox.recovered"]);
}

#[test]
fn a_message_that_the_map_leads_astray_to_is_found_by_its_guid() {
    let temp = tempfile::tempdir().unwrap();
    write_golden(&ROOM, temp.path());
    let path = temp.path().join("storage/m.1");
    // Eight bytes before the first message: every place in the map is wrong.
    let shifted = [&M_1[..16], b"garbage!", &M_1[16..]].concat();
    fs::write(&path, &shifted).unwrap();
    let codes = vec!["mdbox.astray", "mdbox.damaged"];
    assert_eq!(inbox(temp.path()), (golden_bodies(), codes));
}

#[test]
fn a_message_that_was_found_elsewhere_is_named_where_it_was_found() {
    // Its metadata tells a wrong size, or a coat that it does not have: it is read to its end, or breaks off.
    let torn = M_1.replacen("Subject: b\n\n", b"\x1f\x8b\x08\0\0\0\0\0\0\x03zz", 1);
    for (m_1, code) in [
        (M_1.replacen("Ve\n", "Vf\n", 1), "dbox.size"),
        (
            torn.replacen("R59682f3c", "R59682f3c\nZffffffff", 1),
            "dbox.damaged",
        ),
    ] {
        let temp = tempfile::tempdir().unwrap();
        write_golden(&ROOM, temp.path());
        let second_at = m_1.rfind(b"\x01\x02N").unwrap();
        let storage = temp.path().join("storage");
        fs::write(storage.join("m.1"), &m_1[..second_at]).unwrap();
        let moved = [b"2 M1e C6553f100\n", &m_1[second_at..]].concat();
        fs::write(storage.join("m.2"), moved).unwrap();
        let findings = findings(temp.path());
        let path = |code: &str| {
            let told = findings.iter().find(|it| it.rule.code == code);
            told.and_then(|it| it.place.path.as_deref())
        };
        assert_eq!(path(code), Some("storage/m.2"), "{code}");
        assert_eq!(path("mdbox.astray"), Some("storage/m.2"), "{code}");
    }
}

#[test]
fn damage_costs_no_message_but_the_damaged_one() {
    let temp = tempfile::tempdir().unwrap();
    write_golden(&ROOM, temp.path());
    let path = temp.path().join("storage/m.1");
    let second_at = M_1.rfind(b"\x01\x02N").unwrap();
    for at in 0..M_1.len() {
        let mut damaged = M_1.to_vec();
        damaged[at] ^= 0x55;
        fs::write(&path, &damaged).unwrap();
        let (bodies, codes) = inbox(temp.path());
        let untouched = if at < second_at { 7 } else { 3 };
        let whole = golden_bodies();
        let kept = whole.iter().find(|(uid, _)| *uid == untouched).unwrap();
        assert!(bodies.contains(kept), "byte {at}: {codes:?}");
        // A body has no checksum, and a date or a size may be any number.
        let intact = bodies == whole;
        let told = !codes.is_empty();
        assert!(intact || told || bodies.len() == 2, "byte {at}");
    }
}

#[test]
fn a_file_that_is_cut_anywhere_keeps_what_is_before() {
    let temp = tempfile::tempdir().unwrap();
    write_golden(&ROOM, temp.path());
    let path = temp.path().join("storage/m.1");
    let second_at = M_1.rfind(b"\x01\x02N").unwrap();
    for len in 0..M_1.len() {
        fs::write(&path, &M_1[..len]).unwrap();
        let (bodies, codes) = inbox(temp.path());
        assert!(!codes.is_empty(), "{len} bytes");
        let whole = golden_bodies();
        assert!(len < second_at || bodies.contains(&whole[0]), "{len} bytes");
        for (uid, body) in bodies {
            let (_, golden) = whole.iter().find(|(other, _)| *other == uid).unwrap();
            assert!(golden.starts_with(&body), "{len} bytes: uid {uid}");
        }
    }
}

/// The golden account without its map, with these bytes for its storage file.
fn without_map(m_1: &[u8]) -> tempfile::TempDir {
    let temp = tempfile::tempdir().unwrap();
    write_golden(&ROOM, temp.path());
    for name in ["dovecot.map.index", "dovecot.map.index.log"] {
        fs::remove_file(temp.path().join("storage").join(name)).unwrap();
    }
    fs::write(temp.path().join("storage/m.1"), m_1).unwrap();
    temp
}

#[test]
fn without_its_map_damage_in_the_storage_is_said_too() {
    let temp = without_map(&[M_1, b"garbage!"].concat());
    let codes = vec!["mdbox.damaged", "mdbox.map-missing"];
    assert_eq!(inbox(temp.path()), (golden_bodies(), codes));
}

#[test]
fn a_message_without_a_guid_to_which_no_map_leads_is_said() {
    let nameless = M_1.replace("\nG1500000060.M1P2.host", "");
    let (bodies, codes) = inbox(without_map(&nameless).path());
    assert_eq!(bodies, golden_bodies()[..1]);
    assert_eq!(codes, ["dbox.metadata", "mdbox.map", "mdbox.map-missing"]);
}

#[test]
fn a_storage_file_that_cannot_be_read_is_said() {
    let temp = without_map(M_1);
    let path = temp.path().join("storage/m.1");
    fs::copy(&path, temp.path().join("storage/m.2")).unwrap();
    let mut findings = Vec::new();
    let unreadable = Arc::new(Unreadable("m.1"));
    let dir = Dir::open(temp.path(), unreadable).unwrap();
    let found = &mut |finding| findings.push(finding);
    let source = (ROOM.open)(dir, &OpenOptions::default(), found).unwrap();
    let mailbox = source.mailbox(0, found).unwrap();
    assert!(mailbox.open(0, &mut Vec::new()).is_ok(), "m.2 has it");
    mailbox.conclude(found);
    let told = findings.iter().find(|it| it.rule.code == "dbox.unreadable");
    assert_eq!(told.unwrap().place.path.as_deref(), Some("storage/m.1"));
}

/// A disk on which a file cannot be opened.
#[derive(Debug)]
struct Unreadable(&'static str);

impl Disk for Unreadable {
    fn before(&self, step: &Step<'_>) -> std::io::Result<()> {
        match step.action {
            Action::Open if step.name == self.0.as_bytes() => {
                Err(std::io::ErrorKind::PermissionDenied.into())
            }
            _ => Ok(()),
        }
    }
}

/// A disk that counts how often a file is read.
#[derive(Debug, Default)]
struct Counting(AtomicUsize);

impl Disk for Counting {
    fn before(&self, step: &Step<'_>) -> std::io::Result<()> {
        if step.action == Action::Read {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}

#[test]
fn many_beginnings_of_no_message_are_not_read_over_and_over() {
    let begins = 100_000;
    let temp = tempfile::tempdir().unwrap();
    let bytes = b"\x01\x02N ".repeat(begins);
    fs::write(temp.path().join("m.1"), &bytes).unwrap();
    let disk = Arc::new(Counting::default());
    let dir = Dir::open(temp.path(), disk.clone()).unwrap();
    let (file, mut found) = (dir.file("m.1").unwrap(), Vec::new());
    let len = bytes.len() as u64;
    scan::scan(&file, len, &mut |one| found.push(one)).unwrap();
    assert_eq!(found, [scan::Found::Gap(0, len)]);
    let reads = disk.0.load(Ordering::Relaxed);
    assert!(reads < begins + 100, "{reads} reads");
}
