//! What each record does, and which log goes on from where.

use super::super::index::Index;
use super::super::layout::kind::{
    APPEND, ATTRIBUTE_UPDATE, BOUNDARY, EXPUNGE, EXPUNGE_BARE, EXPUNGE_GUID, EXT_ATOMIC_INC,
    EXT_HEADER_UPDATE, EXT_HEADER_UPDATE_32, EXT_INTRO, EXT_RECORD_UPDATE, EXT_RESET, EXTERNAL,
    FLAG_UPDATE, HEADER_UPDATE, INDEX_DELETED, INDEX_UNDELETED, KEYWORD_RESET, KEYWORD_UPDATE,
    MODSEQ_UPDATE,
};
use super::{assemble, index_in_log, log, record, record_of};

const BY_NAME: u32 = u32::MAX;

/// Index 7, log 2, two messages with UIDs 1 and 2.
fn base() -> Vec<u8> {
    base_in_log(2)
}

fn base_in_log(log_file_seq: u32) -> Vec<u8> {
    index_in_log(log_file_seq, &[0, 8])
}

/// The base after a log with these records; nothing must be found.
fn after(records: &[Vec<u8>]) -> Index {
    let (index, found) = after_finding(records);
    assert!(found.is_empty(), "{found:?}");
    index
}

fn after_finding(records: &[Vec<u8>]) -> (Index, Vec<String>) {
    let log = log(7, 2, (1, 40), records);
    let (index, found) = assemble(Some(&base()), [None, Some(&log)]);
    (index.expect("an index"), found)
}

/// Two numbers of two bytes each, such as the offset and the size of an update.
pub(super) fn place(offset: u16, size: u16) -> u32 {
    u32::from(offset) | u32::from(size) << 16
}

pub(super) fn append(uids: &[u32]) -> Vec<u8> {
    let body: Vec<u32> = uids.iter().flat_map(|uid| [*uid, 0]).collect();
    record(APPEND, &body)
}

/// Introduces an extension of four bytes a message and eight of header.
fn intro(reset_id: u32, name: &[u8]) -> Vec<u8> {
    sized_intro(reset_id, name, 8, 4, 0)
}

fn sized_intro(reset_id: u32, name: &[u8], header: u32, size: u16, flags: u16) -> Vec<u8> {
    let mut body = [BY_NAME, reset_id, header].map(u32::to_le_bytes).concat();
    let name_size = u16::try_from(name.len()).unwrap();
    body.extend([size, 4, flags, name_size].map(u16::to_le_bytes).concat());
    body.extend(name);
    record_of(EXT_INTRO, &body)
}

pub(super) fn keyword(removes: u8, name: &[u8], uid1: u32, uid2: u32) -> Vec<u8> {
    let mut body = vec![removes, 0];
    body.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
    body.extend(name);
    body.resize(body.len().next_multiple_of(4), 0);
    body.extend([uid1, uid2].map(u32::to_le_bytes).concat());
    record_of(KEYWORD_UPDATE, &body)
}

#[test]
fn messages_are_appended_flagged_and_expunged() {
    let flag = |add: u8, remove: u8| u32::from_le_bytes([add, remove, 0, 0]);
    let index = after(&[
        append(&[3, 5, 9]),
        record(FLAG_UPDATE, &[2, 5, flag(2, 8), 9, u32::MAX, flag(4, 0)]),
        record(EXPUNGE | EXTERNAL, &[3, 4]),
        record(EXPUNGE_GUID | EXTERNAL, &[1, 0, 0, 0, 0]),
    ]);
    assert_eq!(index.uids, [2, 5, 9]);
    assert_eq!(index.flags, [2, 2, 4]);
    assert_eq!(index.next_uid, 10);
    assert_eq!(index.highest_modseq, 5);
}

#[test]
fn no_uid_is_appended_that_has_none_above_it() {
    let highest = u32::MAX - 1;
    let (index, found) = after_finding(&[append(&[highest]), append(&[u32::MAX, u32::MAX])]);
    assert_eq!(index.uids, [1, 2, highest]);
    assert_eq!(index.next_uid, u32::MAX);
    assert_eq!(found, ["index.log"]);
}

#[test]
fn an_expunge_that_was_only_requested_counts_and_is_told() {
    let (index, found) = after_finding(&[record(EXPUNGE, &[2, 2])]);
    assert_eq!(
        (&index.uids[..], &index.requested_expunges[..]),
        (&[1][..], &[2][..])
    );
    assert_eq!(found, ["index.pending-expunge"]);
    assert_eq!(index.highest_modseq, 1);
}

#[test]
fn a_request_that_the_server_has_dealt_with_does_not_count() {
    // Offset 64, size 4: the tail goes behind the request.
    let index = after(&[
        record(EXPUNGE, &[2, 2]),
        record(HEADER_UPDATE, &[place(64, 4), 56]),
    ]);
    assert_eq!(index.uids, [1, 2]);
}

#[test]
fn a_request_before_the_head_of_the_index_still_counts() {
    let log = log(7, 2, (1, 40), &[record(EXPUNGE, &[1, 1])]);
    let mut base = base();
    base[68..72].copy_from_slice(&56_u32.to_le_bytes());
    let (index, found) = assemble(Some(&base), [None, Some(&log)]);
    assert_eq!(index.unwrap().uids, [2]);
    assert_eq!(found, ["index.pending-expunge"]);
}

#[test]
fn header_updates_change_what_a_log_may_change_and_nothing_else() {
    let index = after(&[
        record(HEADER_UPDATE, &[place(24, 8), 77, 50]),
        record(HEADER_UPDATE, &[place(28, 4), 20]),
        record(HEADER_UPDATE, &[place(48, 4), 2]),
        record(HEADER_UPDATE, &[place(116, 4), 1]),
    ]);
    assert_eq!((index.uid_validity, index.next_uid), (77, 50));
    assert_eq!((index.first_recent_uid, index.uids.len()), (2, 2));
}

#[test]
fn a_header_update_that_no_server_writes_is_told_and_not_made() {
    for update in [
        vec![place(116, 16), 1, 2, 3, 4],
        vec![place(0, 4), 0x50],
        vec![place(32, 4), 500],
        vec![place(60, 8), 1, 40],
    ] {
        let (index, found) = after_finding(&[record(HEADER_UPDATE, &update)]);
        assert_eq!((index.uids.len(), found), (2, vec!["index.log".into()]));
    }
}

#[test]
fn a_record_that_swallowed_the_next_one_is_told() {
    let appended = append(&[3]);
    let mut boundary = record(BOUNDARY, &[12 + 16]);
    boundary[3] += 4;
    let (index, found) = after_finding(&[boundary, appended.clone()]);
    assert_eq!(
        (&index.uids[..], &found[0][..]),
        (&[1, 2, 3][..], "index.log")
    );
    let mut intro = intro(5, b"x");
    intro[3] += 4;
    assert_eq!(after_finding(&[intro, appended]).1, ["index.log"]);
}

#[test]
fn ranges_that_a_server_would_not_take_are_told() {
    let unsorted = |kind| record(kind | EXTERNAL, &[2, 2, 1, 1]);
    for refused in [
        unsorted(EXPUNGE),
        unsorted(KEYWORD_RESET),
        record(EXPUNGE | EXTERNAL, &[]),
        record(0x0002_0200, &[1, 1]),
    ] {
        assert_eq!(after_finding(&[refused]).1, ["index.log"]);
    }
}

#[test]
fn extensions_are_made_filled_grown_and_kept_from_shrinking() {
    let data = |uid: u32, value: u32| record(EXT_RECORD_UPDATE, &[uid, value]);
    let index = after(&[
        intro(1, b"first"),
        record(EXT_HEADER_UPDATE, &[place(4, 4), 0x0101_0101]),
        record(EXT_HEADER_UPDATE_32, &[0, 2, 0x0202_0202]),
        data(1, 11),
        append(&[3]),
        sized_intro(1, b"first", 0, 2, 1),
        record(EXT_RECORD_UPDATE, &[2, 0xffff_0022]),
        sized_intro(1, b"first", 16, 8, 0),
        record(EXT_RECORD_UPDATE, &[3, 1, 2]),
        record(EXT_INTRO, &[0, 1, 16, place(8, 4), 0]),
        record(EXT_ATOMIC_INC, &[3, u32::MAX]),
    ]);
    let first = index.extension("first").unwrap();
    assert_eq!(first.header[..8], [2, 2, 0, 0, 1, 1, 1, 1]);
    assert_eq!(first.header.len(), 16);
    assert_eq!(first.record(0), [11, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(first.record(1), [0x22, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(first.record(2), [0, 0, 0, 0, 2, 0, 0, 0]);
}

#[test]
fn updates_for_another_reset_id_are_void_until_a_reset_to_it() {
    let index = after(&[
        intro(1, b"first"),
        record(EXT_RECORD_UPDATE, &[1, 1, 2, 1]),
        intro(5, b"first"),
        record(EXT_RECORD_UPDATE, &[1, 2]),
        record(EXT_RESET, &[5, 0]),
        record(EXT_RECORD_UPDATE, &[2, 3]),
        record(EXT_RESET, &[6, 1]),
    ]);
    let first = index.extension("first").unwrap();
    assert_eq!(
        (first.record(0)[0], first.record(1)[0], first.reset_id),
        (0, 3, 6)
    );
}

#[test]
fn keywords_are_found_without_regard_to_case_and_grow_as_needed() {
    let mut records = vec![keyword(0, b"Work", 1, 2), keyword(1, b"WORK", 2, 2)];
    records.extend((0..40).map(|nth| keyword(0, format!("k{nth}").as_bytes(), 2, 2)));
    records.push(intro(0, b"first"));
    records.push(record(EXT_INTRO, &[1, 0, 8, place(4, 4), 0]));
    records.push(record(EXT_RECORD_UPDATE, &[1, 1]));
    let index = after(&records);
    assert_eq!(index.keyword_names().len(), 41);
    assert_eq!(index.keywords_of(0).collect::<Vec<_>>(), [0]);
    assert_eq!(
        index.keywords_of(1).collect::<Vec<_>>(),
        (1..41).collect::<Vec<_>>()
    );
    assert_eq!(index.extension("first").unwrap().record(0), [1, 0, 0, 0]);
    let reset = record(KEYWORD_RESET, &[1, 2]);
    let index = after(&[keyword(0, b"Work", 1, 2), reset]);
    assert_eq!((index.keywords_of(0).count(), index.highest_modseq), (0, 3));
}

#[test]
fn modseqs_are_counted_a_record_each_and_raised() {
    let internal = u32::from_le_bytes([0x80, 0, 0, 0]);
    let index = after(&[
        record(FLAG_UPDATE, &[1, 1, internal]),
        record(FLAG_UPDATE, &[1, 1, internal, 2, 2, 1]),
        record(MODSEQ_UPDATE, &[1, 100, 0]),
        record(ATTRIBUTE_UPDATE, &[0]),
    ]);
    assert_eq!(index.highest_modseq, 101);
}

#[test]
fn a_log_of_old_counts_modseqs_once_they_are_asked_for() {
    let mut old = log(
        7,
        2,
        (0, 0),
        &[append(&[1]), intro(0, b"modseq"), append(&[2])],
    );
    old[24..32].fill(0);
    let (index, _) = assemble(None, [None, Some(&old)]);
    assert_eq!(index.unwrap().highest_modseq, 2);
}

#[test]
fn a_mailbox_that_was_being_deleted_says_so() {
    assert!(after(&[record(INDEX_DELETED, &[0])]).deleted);
    assert!(!after(&[record(INDEX_DELETED, &[0]), record(INDEX_UNDELETED, &[0])]).deleted);
}

#[test]
fn what_is_not_known_or_does_not_fit_is_passed_over_and_told() {
    let (index, found) = after_finding(&[
        record(0x0080_0000, &[1]),
        record(EXPUNGE_BARE | EXTERNAL, &[1, 2]),
        record(EXT_RECORD_UPDATE, &[1, 1]),
        append(&[2]),
        append(&[3]),
    ]);
    assert_eq!(index.uids, [1, 2, 3]);
    assert_eq!(found, ["index.log", "index.unknown-record"]);
}

#[test]
fn a_transaction_counts_as_a_whole_or_not_at_all() {
    let whole = [record(BOUNDARY, &[12 + 16]), append(&[3])];
    assert_eq!(after(&whole).uids, [1, 2, 3]);
    let half = [record(BOUNDARY, &[12 + 32]), append(&[3])];
    let (index, found) = after_finding(&half);
    assert_eq!((index.uids.len(), found), (2, vec!["index.log".to_owned()]));
}

#[test]
fn a_log_of_another_index_is_stale_and_not_applied() {
    let other = log(8, 2, (1, 40), &[append(&[3])]);
    let (index, found) = assemble(Some(&base()), [None, Some(&other)]);
    assert_eq!(
        (index.unwrap().uids.len(), found),
        (2, vec!["index.indexid".to_owned()])
    );
}

#[test]
fn logs_are_applied_in_their_order() {
    let first = log(7, 2, (1, 40), &[append(&[3])]);
    let second = log(7, 3, (2, 56), &[append(&[4])]);
    let (index, found) = assemble(Some(&base()), [Some(&first), Some(&second)]);
    assert_eq!((index.unwrap().uids, found.len()), (vec![1, 2, 3, 4], 0));
    // The log that the index was written from is gone, and the next one begins where it ended.
    let next = log(7, 3, (2, 40), &[append(&[4])]);
    let (index, found) = assemble(Some(&base()), [None, Some(&next)]);
    assert_eq!((index.unwrap().uids, found.len()), (vec![1, 2, 4], 0));
}

#[test]
fn a_log_that_does_not_go_on_from_the_index_is_told_and_not_applied() {
    let gap = || vec!["index.log-gap".to_owned()];
    for lost in [
        log(7, 3, (2, 60), &[append(&[4])]),
        log(7, 4, (3, 40), &[append(&[4])]),
    ] {
        let (index, found) = assemble(Some(&base()), [None, Some(&lost)]);
        assert_eq!((index.unwrap().uids, found), (vec![1, 2], gap()));
    }
    let older = log(7, 1, (0, 0), &[append(&[1])]);
    let (index, found) = assemble(Some(&base()), [None, Some(&older)]);
    assert_eq!((index.unwrap().uids, found), (vec![1, 2], gap()));
    let (index, found) = assemble(None, [None, Some(&log(7, 4, (3, 40), &[]))]);
    assert_eq!((index, found), (None, gap()));
}

#[test]
fn a_log_that_starts_from_nothing_drops_the_index_as_the_server_does() {
    let log = log(7, 2, (0, 0), &[append(&[1])]);
    let (index, found) = assemble(Some(&base()), [None, Some(&log)]);
    assert_eq!(
        (index.unwrap().uids, found),
        (vec![1], vec!["index.broken".to_owned()])
    );
}

#[test]
fn an_unreadable_index_beside_a_log_with_everything_is_made_up_for() {
    let whole = log(7, 2, (0, 0), &[append(&[1, 2])]);
    let (index, found) = assemble(Some(b"garbage"), [None, Some(&whole)]);
    assert_eq!(index.unwrap().uids, [1, 2]);
    assert_eq!(found, ["index.broken", "index.broken"]);
}
