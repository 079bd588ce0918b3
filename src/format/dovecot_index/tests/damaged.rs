//! An index with a damaged header: what is behind it is read, and logs are applied that surely belong to it.

use super::super::layout::kind::{
    EXPUNGE, EXPUNGE_GUID, EXT_INTRO, EXT_RECORD_UPDATE, EXTERNAL, KEYWORD_RESET,
};
use super::super::{Head, Index, IndexWriter, Origin, load_checked};
use super::replay::{append, keyword, place};
use super::salvage::flag;
use super::samples::sample;
use super::{assemble, log, open, record};

/// What an index is, whether it is whole, and the codes of what was found.
type Loaded = (Option<Index>, Option<bool>, Vec<&'static str>);

fn load(index: &[u8], logs: [Option<&[u8]>; 2]) -> Loaded {
    let temp = tempfile::tempdir().unwrap();
    let names = ["dovecot.index", "dovecot.index.log.2", "dovecot.index.log"];
    for (name, bytes) in names.iter().zip([Some(index), logs[0], logs[1]]) {
        if let Some(bytes) = bytes {
            std::fs::write(temp.path().join(name), bytes).unwrap();
        }
    }
    let (mut codes, mut whole) = (Vec::new(), None);
    let mut holds_up = |_: &Index, is_whole| {
        whole = Some(is_whole);
        true
    };
    let mut found = |finding: crate::report::Finding| codes.push(finding.rule.code);
    let dir = open(temp.path());
    let index = load_checked(&dir, "dovecot.index", &mut holds_up, &mut found).unwrap();
    (index, whole, codes)
}

/// The bytes with this many others at their start.
fn spoiled(bytes: &[u8], count: usize) -> Vec<u8> {
    let mut spoiled = bytes.to_vec();
    spoiled[..count].fill(0xa5);
    spoiled
}

#[track_caller]
fn assert_same(salvaged: &Index, sound: &Index) {
    assert_eq!(salvaged.uids, sound.uids);
    assert_eq!(salvaged.flags, sound.flags);
    let compared = |index: &Index| {
        let mut extensions = index.extensions.clone();
        // A server changes it in the index, and not in the log.
        extensions.retain(|ext| ext.name != "modseq");
        extensions
    };
    assert_eq!(compared(salvaged), compared(sound));
    assert_eq!(salvaged.keyword_names(), sound.keyword_names());
    assert_eq!(salvaged.highest_modseq, sound.highest_modseq);
    assert_eq!(salvaged.origin, Origin::Damaged);
}

#[test]
fn of_an_index_that_a_server_made_all_comes_back_but_what_only_its_header_knew() {
    let read = |name: &str| {
        std::fs::read(sample(&format!("mdbox/mailboxes/INBOX/dbox-Mails/{name}"))).unwrap()
    };
    let (index, mut log) = (read("dovecot.index"), read("dovecot.index.log"));
    // It goes on from the index, and does not have all by itself.
    log[12] = 1;
    let sound = assemble(Some(&index), [None, Some(&log)]).0.unwrap();
    for count in 1..=64 {
        let (salvaged, whole, codes) = load(&spoiled(&index, count), [None, Some(&log)]);
        let salvaged = salvaged.unwrap();
        assert_eq!(whole, Some(true), "{count}");
        assert_eq!(codes, ["index.broken", "index.broken"], "{count}");
        assert_same(&salvaged, &sound);
        // The log tells it.
        assert_eq!(salvaged.uid_validity, sound.uid_validity);
    }
}

/// Index 7 in log 3, with messages 1, 2, 4 and 5, keywords and a field of four bytes.
fn index_at(head: usize, messages: &Index) -> Vec<u8> {
    let mut index = IndexWriter::new(Head {
        now: 7,
        indexid: 7,
        uid_validity: 9,
        next_uid: messages.next_uid,
        first_recent_uid: 1,
        log_file_seq: 3,
        initial_modseq: 1,
    });
    let extensions: Vec<_> = { messages.extensions.iter() }
        .map(|ext| {
            let (header, align) = (ext.header.clone(), ext.record_align);
            index.extension(&ext.name, ext.reset_id, header, ext.record_size, align)
        })
        .collect();
    for (nth, uid) in messages.uids.iter().enumerate() {
        index.push(*uid, messages.flags[nth]);
        for (place, ext) in extensions.iter().zip(&messages.extensions) {
            index.set(nth, *place, ext.record(nth));
        }
    }
    let mut bytes = index.index_bytes();
    bytes[68..72].copy_from_slice(&u32::try_from(head).unwrap().to_le_bytes());
    bytes
}

/// The index before the log; the log's records.
fn before_and_log() -> (Vec<u8>, Vec<Vec<u8>>) {
    let intro = [u32::MAX, 0, 0, place(4, 4), place(0, 1), u32::from(b'x')];
    let created = [
        append(&[1, 2, 4]),
        record(EXT_INTRO, &intro),
        keyword(0, b"Old", 1, 2),
        flag(2, 8, 0),
        append(&[5]),
    ];
    let before = assemble(None, [None, Some(&log(7, 1, (0, 0), &created))]).0;
    let records = vec![
        flag(1, 8, 0),
        append(&[6, 7]),
        record(EXT_INTRO, &[0, 0, 0, place(4, 4), 0]),
        record(EXT_RECORD_UPDATE, &[6, 66, 7, 77, 1, 11]),
        keyword(0, b"New", 5, 6),
        flag(1, 1, 8),
        record(EXPUNGE | EXTERNAL, &[2, 2]),
        append(&[8]),
        record(EXPUNGE_GUID | EXTERNAL, &[7, 0, 0, 0, 0]),
        record(KEYWORD_RESET, &[1, 1]),
        record(EXT_INTRO, &[0, 0, 0, place(4, 4), 0]),
        record(EXT_RECORD_UPDATE, &[6, 67, 8, 88]),
    ];
    (index_at(40, &before.unwrap()), records)
}

#[test]
fn wherever_an_index_was_written_its_log_leads_to_the_same_end() {
    let (before, records) = before_and_log();
    let whole = log(7, 3, (2, 500), &records);
    let sound = assemble(Some(&before), [None, Some(&whole)]).0.unwrap();
    for written in 0..=records.len() {
        let log_then = log(7, 3, (2, 500), &records[..written]);
        let then = assemble(Some(&before), [None, Some(&log_then)]).0.unwrap();
        let bytes = index_at(log_then.len(), &then);
        for count in [1, 20, 64, 72, 120] {
            let (salvaged, is_whole, _) = load(&spoiled(&bytes, count), [None, Some(&whole)]);
            // Nothing but garbage, and none of the messages came in the log: no log is known to be its own.
            if count > 64 && written < 2 {
                assert_eq!(is_whole, Some(false), "after {written}, {count} bytes");
                continue;
            }
            assert_eq!(is_whole, Some(true), "after {written}, {count} bytes");
            assert_same(&salvaged.unwrap(), &sound);
        }
    }
}

#[test]
fn a_log_that_is_not_shown_to_go_on_from_the_index_is_not_applied() {
    let (before, records) = before_and_log();
    let untouched = |index: &[u8], logs: [Option<&[u8]>; 2]| {
        let (salvaged, is_whole, codes) = load(index, logs);
        assert_eq!(is_whole, Some(false));
        assert_eq!(codes.last(), Some(&"index.broken"));
        assert!(codes.contains(&"index.log-gap"), "{codes:?}");
        assert_eq!(salvaged.unwrap().uids, [1, 2, 4, 5]);
    };
    let other = log(8, 3, (2, 500), &records);
    // The header is readable where it says which log is its own.
    untouched(&spoiled(&before, 4), [None, Some(&other)]);
    // The index is newer than the log.
    let mut newer = before.clone();
    newer[68..72].copy_from_slice(&4000_u32.to_le_bytes());
    let whole = log(7, 3, (2, 500), &records);
    untouched(&spoiled(&newer, 64), [None, Some(&whole)]);
    let older = log(7, 2, (1, 500), &records);
    untouched(&spoiled(&before, 4), [None, Some(&older)]);
    // Its messages came when others of the index should have.
    let strange = log(7, 3, (2, 500), &[append(&[3, 6])]);
    untouched(&spoiled(&before, 64), [None, Some(&strange)]);
    let less = log(7, 3, (2, 500), &[append(&[4, 6])]);
    untouched(&spoiled(&before, 64), [None, Some(&less)]);
}

#[test]
fn a_log_of_another_indexid_is_not_applied_beside_the_newest() {
    let (before, records) = before_and_log();
    let older = log(6, 2, (1, 40), &[flag(5, 2, 0)]);
    let newest = log(7, 3, (2, 500), &records);
    let (salvaged, is_whole, codes) = load(&spoiled(&before, 64), [Some(&older), Some(&newest)]);
    assert_eq!(
        (salvaged.unwrap().flags, is_whole),
        (vec![1, 0, 0, 0, 0], Some(true))
    );
    assert!(codes.contains(&"index.indexid"));
}

#[test]
fn a_cut_file_never_gives_more_than_the_whole_and_is_not_called_whole() {
    let (before, _) = before_and_log();
    let bytes = spoiled(&before, 64);
    let records_at = bytes.len() - 4 * 12;
    for len in records_at..bytes.len() {
        let (salvaged, is_whole, _) = load(&bytes[..len], [None, None]);
        let Some(salvaged) = salvaged else { continue };
        assert!([1, 2, 4, 5].starts_with(&salvaged.uids), "{len}");
        let rest = (bytes.len() - len) % 12;
        assert_eq!(is_whole, Some(rest == 0), "{len}");
    }
}

#[test]
fn no_changed_byte_behind_a_damaged_header_does_harm() {
    let (before, records) = before_and_log();
    let log = log(7, 3, (2, 500), &records);
    let mut bytes = spoiled(&before, 64);
    for at in 64..bytes.len() {
        for flip in [1, 4, 0x80, 0xff] {
            bytes[at] ^= flip;
            if let Some(index) = load(&bytes, [None, Some(&log)]).0 {
                assert!(index.uids.is_sorted() && index.uids.len() == index.flags.len());
                for extension in &index.extensions {
                    let size = usize::from(extension.record_size);
                    assert_eq!(extension.column.len(), index.uids.len() * size);
                }
            }
            bytes[at] ^= flip;
        }
    }
}
