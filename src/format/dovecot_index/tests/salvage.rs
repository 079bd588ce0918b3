//! An index that is lost: what is still told, and that no more is told than that.

use super::super::layout::kind::{
    EXPUNGE, EXT_INTRO, EXT_RECORD_UPDATE, EXTERNAL, FLAG_UPDATE, HEADER_UPDATE,
};
use super::super::{Index, Origin, load_over};
use super::replay::{append, keyword, place};
use super::{log, open, record};

/// What these logs, `.log.2` and `.log`, say of messages; and the codes of what was found.
fn over(there: &Index, logs: [Option<&[u8]>; 2]) -> (Option<Index>, Vec<&'static str>) {
    let temp = tempfile::tempdir().unwrap();
    for (name, log) in ["dovecot.index.log.2", "dovecot.index.log"]
        .iter()
        .zip(logs)
    {
        if let Some(log) = log {
            std::fs::write(temp.path().join(name), log).unwrap();
        }
    }
    let mut codes = Vec::new();
    let index = load_over(&open(temp.path()), "dovecot.index", there, &mut |finding| {
        codes.push(finding.rule.code);
    });
    (index.unwrap(), codes)
}

fn there(uids: &[u32]) -> Index {
    let mut index = Index::default();
    index.take_in(uids);
    index
}

/// Sets flags of one message.
pub(super) fn flag(uid: u32, add: u8, remove: u8) -> Vec<u8> {
    let change = u32::from_le_bytes([add, remove, 0, 0]);
    record(FLAG_UPDATE, &[uid, uid, change])
}

#[test]
fn a_log_without_its_index_changes_the_messages_that_are_there() {
    let records = [
        flag(1, 8, 0),
        // The extension stands in the index that is lost.
        record(EXT_INTRO, &[5, 0, 0, place(4, 4), 0]),
        record(EXT_RECORD_UPDATE, &[1, 77]),
        append(&[4, 5]),
        keyword(0, b"Work", 3, 4),
        record(EXPUNGE | EXTERNAL, &[2, 2]),
        record(EXPUNGE, &[5, 5]),
        record(HEADER_UPDATE, &[place(28, 4), 50]),
    ];
    let log = log(7, 3, (2, 500), &records);
    let (index, codes) = over(&there(&[1, 2, 3, 4, 6]), [None, Some(&log)]);
    let index = index.unwrap();
    assert_eq!(codes, ["index.pending-expunge"]);
    assert_eq!(index.origin, Origin::Log(4));
    // 6 is above the first that came, and did not come.
    assert_eq!((&index.uids[..], index.next_uid), (&[1, 3, 4][..], 50));
    assert_eq!(index.flags, [8, 0, 0]);
    assert_eq!(index.keyword_names(), ["Work"]);
    let marked: Vec<_> = (0..3).map(|nth| index.keywords_of(nth).count()).collect();
    assert_eq!(marked, [0, 1, 1]);
    assert_eq!(index.requested_expunges, [5]);
}

#[test]
fn what_is_known_of_before_the_log_stays_where_the_log_does_not_change_it() {
    let names = ["Old".into(), "work".into()];
    let messages = [(1, 1 | 8, &[0, 1][..]), (2, 8, &[])];
    let before = Index::of_marks(&names, messages.into_iter());
    let records = [
        flag(1, 2, 8),
        keyword(1, b"Work", 1, 1),
        keyword(0, b"New", 2, 2),
    ];
    let log = log(7, 3, (2, 500), &records);
    let (index, codes) = over(&before, [None, Some(&log)]);
    let index = index.unwrap();
    assert_eq!((&codes[..], &index.flags[..]), (&[][..], &[3, 8][..]));
    assert_eq!(index.keyword_names(), ["Old", "work", "New"]);
    let marks = |nth| index.keywords_of(nth).collect::<Vec<_>>();
    assert_eq!((marks(0), marks(1)), (vec![0], vec![2]));
}

#[test]
fn of_two_logs_the_older_counts_only_where_the_newer_goes_on_from_it() {
    let older = |indexid| log(indexid, 3, (2, 500), &[flag(1, 8, 0)]);
    let end = u32::try_from(older(7).len()).unwrap();
    let newer = |previous| log(7, 5, (previous, end), &[flag(2, 1, 0)]);
    let flags = |older: &[u8], newer: &[u8]| {
        let (index, codes) = over(&there(&[1, 2]), [Some(older), Some(newer)]);
        (index.unwrap().flags, codes)
    };
    assert_eq!(flags(&older(7), &newer(3)), (vec![8, 1], vec![]));
    assert_eq!(
        flags(&older(7), &newer(4)),
        (vec![0, 1], vec!["index.log-gap"])
    );
    assert_eq!(
        flags(&older(6), &newer(3)),
        (vec![0, 1], vec!["index.indexid"])
    );
}

#[test]
fn a_log_without_changes_tells_nothing() {
    let log = log(7, 2, (1, 40), &[]);
    assert_eq!(over(&there(&[1]), [None, Some(&log)]), (None, vec![]));
    assert_eq!(over(&there(&[1]), [None, None]), (None, vec![]));
}
