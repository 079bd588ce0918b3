//! The index is lost or damaged, and parts are left: what they tell, and no message without a file.

use std::fs;
use std::path::PathBuf;

use super::damage::{BODY, golden, next, read};
use super::{ROOM, golden_mailbox, golden_messages, open_dir};
use crate::format::OpenOptions;

#[test]
fn an_index_with_a_damaged_header_still_tells_flags_keywords_and_saved_dates() {
    for count in [1, 16, 64] {
        let (temp, mails) = golden();
        let mut index = fs::read(mails.join("dovecot.index")).unwrap();
        index[..count].fill(0xa5);
        fs::write(mails.join("dovecot.index"), index).unwrap();
        let told = read(temp.path());
        // The header has nothing else but the UIDVALIDITY.
        let mut codes = vec!["index.broken", "index.broken", "index.uidvalidity"];
        codes.truncate(if count < 64 { 2 } else { 3 });
        assert_eq!(told.codes(), codes, "{count}");
        assert!(
            told.findings[1]
                .detail
                .contains("2 messages behind it hold up")
        );
        let open = (ROOM.open)(open_dir(temp.path()), &OpenOptions::default(), &mut |_| ());
        let source = open.unwrap();
        let mailbox = source.mailbox(0, &mut |_| ()).unwrap();
        let golden = golden_messages().map(|(message, _)| message);
        for (nth, golden) in golden.iter().enumerate() {
            let mut scratch = Vec::new();
            assert_eq!(&mailbox.open(nth, &mut scratch).unwrap().message, golden);
        }
        assert_eq!(mailbox.mailbox().guid, golden_mailbox().guid);
        assert_eq!(mailbox.mailbox().keywords, golden_mailbox().keywords);
    }
}

#[test]
fn whatever_stands_behind_a_damaged_header_the_messages_are_those_that_have_files() {
    let (temp, mails) = golden();
    let sound = fs::read(mails.join("dovecot.index")).unwrap();
    let mut seed = 0x0dd0_5eed_0dd0_5eed;
    let mut used = 0;
    for round in 0..3000 {
        let mut index = sound.clone();
        let garbage = 1 + usize::try_from(next(&mut seed)).unwrap_or(0) % 64;
        for byte in &mut index[..garbage] {
            *byte = next(&mut seed).to_le_bytes()[0];
        }
        for _ in 0..next(&mut seed) % 4 {
            let place = usize::try_from(next(&mut seed)).unwrap_or(0) % index.len();
            index[place] = next(&mut seed).to_le_bytes()[0] >> (next(&mut seed) % 8);
        }
        if next(&mut seed).is_multiple_of(4) {
            index.truncate(usize::try_from(next(&mut seed)).unwrap_or(0) % index.len());
        }
        fs::write(mails.join("dovecot.index"), &index).unwrap();
        let told = read(temp.path());
        used += usize::from(!told.codes().contains(&"index.missing"));
        let bodies = [told.body(3), told.body(7)];
        assert_eq!(
            bodies,
            [Some(BODY), Some(b"Subject: b\n\n")],
            "round {round}: {index:?}"
        );
        assert_eq!(told.bodies.len(), 2, "round {round}: {index:?}");
    }
    assert!((1000..3000).contains(&used), "{used} were used");
}

/// The golden account without its index; its log goes on from there with these records.
fn with_log_alone(records: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let (temp, mails) = golden();
    fs::remove_file(mails.join("dovecot.index")).unwrap();
    let mut log = fs::read(mails.join("dovecot.index.log")).unwrap();
    log.extend_from_slice(records);
    fs::write(mails.join("dovecot.index.log"), log).unwrap();
    (temp, mails)
}

/// A record of the log: its kind, then numbers.
fn record(kind: u32, body: &[u32]) -> Vec<u8> {
    let words = u8::try_from(2 + body.len()).unwrap();
    let numbers = [&[kind], body].concat();
    let numbers = numbers.iter().flat_map(|number| number.to_le_bytes());
    [0x80, 0x80, 0x80, 0x80 | words]
        .into_iter()
        .chain(numbers)
        .collect()
}

#[test]
fn a_log_that_is_left_alone_tells_flags_and_no_message_without_a_file() {
    let records = [record(4, &[3, 3, 0x0108]), record(2, &[7, 8, 9, 0])];
    let (temp, _) = with_log_alone(&records.concat());
    let told = read(temp.path());
    let codes = [
        "index.log-lost",
        "index.missing",
        "dbox.lost",
        "dbox.guid",
        "index.uidvalidity",
    ];
    assert_eq!(told.codes(), codes);
    assert!(told.findings[1].detail.contains("since the log begins"));
    assert_eq!(
        told.findings[2].detail,
        "1 message without a file, the first is u.9"
    );
    assert_eq!(told.bodies.len(), 2);
    let source = (ROOM.open)(open_dir(temp.path()), &OpenOptions::default(), &mut |_| ()).unwrap();
    let mailbox = source.mailbox(0, &mut |_| ()).unwrap();
    let flags = |nth| mailbox.marks(nth).0.bits();
    assert_eq!((flags(0), flags(1)), (8, 8));
    assert_eq!(mailbox.mailbox().uidnext, 10);
}

#[test]
fn whatever_a_log_that_is_left_alone_says_the_messages_are_those_that_have_files() {
    let kinds = [
        2,
        4,
        0xcd91,
        0x1000_cd91,
        0x20,
        0x40,
        0x200,
        0x400,
        0x800,
        0x1000,
    ];
    let (temp, mails) = with_log_alone(&[]);
    let header = fs::read(mails.join("dovecot.index.log")).unwrap();
    let mut seed = 0x1234_5678_9abc_def1;
    for round in 0..3000 {
        let mut log = header.clone();
        for _ in 0..=(next(&mut seed) % 4) {
            let pick =
                |seed: &mut u64, most: usize| usize::try_from(next(seed)).unwrap_or(0) % most;
            let kind = kinds[pick(&mut seed, kinds.len())];
            let len = pick(&mut seed, 6);
            let number = |seed: &mut u64| match next(seed) % 4 {
                0 => u32::try_from(next(seed) >> 32).unwrap(),
                _ => u32::try_from(next(seed) % 12).unwrap(),
            };
            let body: Vec<u32> = (0..len).map(|_| number(&mut seed)).collect();
            log.extend(record(kind, &body));
        }
        fs::write(mails.join("dovecot.index.log"), &log).unwrap();
        let told = read(temp.path());
        let held = told.bodies.iter().all(|((_, uid), body)| match uid {
            3 => body == BODY,
            7 => body == b"Subject: b\n\n",
            _ => false,
        });
        assert!(held, "round {round}: {log:?}: {told:?}");
    }
}
