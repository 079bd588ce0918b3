//! Files that are cut, changed, or made to do harm.

use super::super::layout::kind::{APPEND, EXT_HEADER_UPDATE_32, EXT_INTRO, FLAG_UPDATE};
use super::super::{Cache, Index, load};
use super::samples::sample;
use super::{assemble, log, open, record, record_of};
use crate::report::Finding;

const INBOX: &str = "mailboxes/INBOX/dbox-Mails";

fn read(path: &str) -> Vec<u8> {
    std::fs::read(sample(path)).unwrap()
}

fn sdbox_log() -> Vec<u8> {
    read(&format!("sdbox/{INBOX}/dovecot.index.log"))
}

#[test]
fn a_torn_log_never_gives_more_than_the_whole() {
    let whole_log = sdbox_log();
    let whole = assemble(None, [None, Some(&whole_log)]).0.unwrap();
    let mut before = (0, 0);
    for length in 0..whole_log.len() {
        let (index, found) = assemble(None, [None, Some(&whole_log[..length])]);
        let Some(index) = index else {
            assert!(
                length < 40 && found.contains(&"index.log".to_owned()),
                "{length}"
            );
            continue;
        };
        let grown = (index.next_uid, index.highest_modseq);
        assert!(before <= grown && grown.0 <= whole.next_uid && grown.1 <= whole.highest_modseq);
        assert!(
            index.uids.iter().all(|uid| *uid < whole.next_uid),
            "{length}"
        );
        check(&index);
        before = grown;
    }
}

#[test]
fn a_half_record_at_the_end_of_a_log_is_told() {
    let whole = sdbox_log();
    let (_, found) = assemble(None, [None, Some(&whole[..whole.len() - 1])]);
    assert_eq!(found[0], "index.log");
    let (_, found) = assemble(None, [None, Some(&[&whole[..], &[0; 64]].concat())]);
    assert_eq!(found, ["index.log"]);
}

/// An index that a server wrote, changed, and the log that goes on from it.
fn with_changed_index(change: impl FnOnce(&mut Vec<u8>)) -> (Option<Index>, Vec<String>) {
    let [mut index, log] =
        ["dovecot.index", "dovecot.index.log"].map(|name| read(&format!("mdbox/{INBOX}/{name}")));
    change(&mut index);
    assemble(Some(&index), [None, Some(&log)])
}

#[test]
fn an_extension_of_which_a_letter_is_wrong_is_read_as_what_it_is() {
    let whole = with_changed_index(|_| ()).0.unwrap();
    assert!(!whole.keyword_names().is_empty());
    for name in ["keywords", "mdbox-hdr", "hdr-pop3-uidl"] {
        for letter in 0..name.len() {
            let (index, found) = with_changed_index(|index| {
                let at = memchr::memmem::find(index, name.as_bytes()).unwrap();
                index[at + letter] ^= 1;
            });
            let index = index.unwrap();
            assert_eq!(index.keyword_names(), whole.keyword_names());
            assert!(index.extension(name).is_some(), "{name}");
            assert!(found.contains(&"index.broken".to_owned()), "{found:?}");
        }
    }
}

#[test]
fn a_place_in_the_log_at_which_no_record_begins_is_told() {
    for bit in (1..13).chain(20..30) {
        let (_, found) = with_changed_index(|index| index[64 + bit / 8] ^= 1 << (bit % 8));
        assert_eq!(found, ["index.broken"], "bit {bit} of the tail offset");
    }
}

/// Everything that can be asked is, and columns have an entry a message.
fn check(index: &Index) {
    assert_eq!(index.uids.len(), index.flags.len());
    assert!(index.uids.is_sorted() && index.highest_modseq > 0);
    for extension in &index.extensions {
        let size = index.uids.len() * usize::from(extension.record_size);
        assert_eq!(extension.column.len(), size);
    }
    let names = index.keyword_names();
    let bits = (0..=index.uids.len()).flat_map(|nth| index.keywords_of(nth));
    bits.for_each(|bit| assert!((bit as usize) < names.len()));
}

fn each_flip(bytes: &[u8], mut each: impl FnMut(&[u8])) {
    let mut flipped = bytes.to_vec();
    for at in 0..bytes.len() {
        for flip in [1, 0xff] {
            flipped[at] ^= flip;
            each(&flipped);
            flipped[at] ^= flip;
        }
    }
}

#[test]
fn no_changed_byte_of_a_log_does_harm() {
    each_flip(&sdbox_log(), |log| {
        if let Some(index) = assemble(None, [None, Some(log)]).0 {
            check(&index);
        }
    });
}

#[test]
fn no_changed_byte_of_an_index_does_harm() {
    let log = read(&format!("mdbox/{INBOX}/dovecot.index.log"));
    each_flip(&read(&format!("mdbox/{INBOX}/dovecot.index")), |index| {
        if let Some(index) = assemble(Some(index), [None, Some(&log)]).0 {
            check(&index);
        }
    });
}

#[test]
fn no_index_cut_short_does_harm() {
    let whole = read(&format!("mdbox/{INBOX}/dovecot.index"));
    for length in 0..whole.len() {
        let (index, found) = assemble(Some(&whole[..length]), [None, None]);
        assert!(found.contains(&"index.broken".to_owned()), "{length}");
        if let Some(index) = index {
            check(&index);
        }
    }
}

#[test]
fn no_changed_byte_of_a_cache_does_harm() {
    let temp = tempfile::tempdir().unwrap();
    let log = sdbox_log();
    let cache = read(&format!("sdbox/{INBOX}/dovecot.index.cache"));
    let index = assemble(None, [None, Some(&log)]).0.unwrap();
    let dir = open(temp.path());
    each_flip(&cache[..cache.len().min(2048)], |start| {
        let bytes = [start, &cache[start.len()..]].concat();
        std::fs::write(temp.path().join("cache"), bytes).unwrap();
        let cache = Cache::open(&dir, "cache", &index, &mut |_| ()).unwrap();
        for nth in 0..index.uids.len() {
            let _ = cache
                .as_ref()
                .map(|cache| cache.u64_of(&index, nth, "size.virtual"));
        }
    });
}

#[test]
fn sizes_that_would_fill_the_memory_are_refused() {
    let intro = |header: u32, size: u32| {
        let sizes = [u32::MAX, 0, header, size | 4 << 16, 1 << 16];
        let mut body = sizes.map(u32::to_le_bytes).concat();
        body.push(b'x');
        record_of(EXT_INTRO, &body)
    };
    let many: Vec<u32> = (1..=100_000).flat_map(|uid| [uid, 0]).collect();
    let hostile = log(
        7,
        1,
        (0, 0),
        &[
            record(APPEND, &many),
            intro(u32::MAX, 4),
            intro(0, 0xffff),
            intro(0, 0x7f00),
            record(EXT_HEADER_UPDATE_32, &[u32::MAX, u32::MAX, 0]),
            record(FLAG_UPDATE, &[1, u32::MAX, 1]),
        ],
    );
    let (index, found) = assemble(None, [None, Some(&hostile)]);
    assert_eq!(index.unwrap().flags, vec![1; 100_000]);
    assert_eq!(found, ["index.log"]);
}

#[test]
fn an_index_of_a_big_endian_machine_is_refused_in_a_sentence() {
    let temp = tempfile::tempdir().unwrap();
    let dir = open(temp.path());
    let mut index = read(&format!("mdbox/{INBOX}/dovecot.index"));
    index[12] = 0;
    dir.write("dovecot.index", &index).unwrap();
    let mut found = Vec::new();
    let none = load(&dir, "dovecot.index", &mut |finding: Finding| {
        found.push(finding);
    });
    assert_eq!(none.unwrap(), None);
    assert_eq!(found[0].rule.code, "index.broken");
    assert!(found[0].detail.contains("big-endian machine"), "{found:?}");
    assert_eq!(found[0].place.path.as_deref(), Some("dovecot.index"));
}

#[test]
fn the_backup_is_used_only_when_nothing_else_is_left() {
    let temp = tempfile::tempdir().unwrap();
    let dir = open(temp.path());
    let backup = read(&format!("mdbox/{INBOX}/dovecot.index"));
    dir.write("dovecot.index.backup", &backup).unwrap();
    let mut codes = Vec::new();
    let mut tell = |finding: Finding| codes.push((finding.rule.code, finding.place.path));
    assert_eq!(load(&dir, "dovecot.index", &mut tell).unwrap(), None);
    std::os::unix::fs::symlink("elsewhere", temp.path().join("dovecot.index")).unwrap();
    let index = load(&dir, "dovecot.index", &mut tell).unwrap().unwrap();
    check(&index);
    let broken = |name: &str| ("index.broken", Some(name.to_owned()));
    assert_eq!(
        codes,
        [broken("dovecot.index"), broken("dovecot.index.backup")]
    );
}

#[test]
fn a_cache_of_another_index_is_told_and_not_used() {
    let mut index = assemble(None, [None, Some(&sdbox_log())]).0.unwrap();
    index.indexid += 1;
    let dir = open(&sample(&format!("sdbox/{INBOX}")));
    let mut codes = Vec::new();
    let mut tell = |finding: Finding| codes.push(finding.rule.code);
    let cache = Cache::open(&dir, "dovecot.index.cache", &index, &mut tell);
    assert!(cache.unwrap().is_none());
    assert_eq!(codes, ["index.cache"]);
}
