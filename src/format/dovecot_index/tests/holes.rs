//! Damage in the middle: what is behind it, and what else tells what stood there.

use std::fs;

use super::super::layout::kind::FLAG_UPDATE;
use super::super::{Part, load};
use super::replay::append;
use super::{assemble, index_in_log, log, open, record};

/// A log from an empty mailbox: three messages, the second with a flag, then one more.
fn whole_log() -> (Vec<u8>, usize) {
    let flagged = record(FLAG_UPDATE, &[2, 2, 1]);
    let before = log(7, 2, (0, 0), &[append(&[1, 2, 3])]).len();
    let records = [append(&[1, 2, 3]), flagged, append(&[4])];
    (log(7, 2, (0, 0), &records), before)
}

#[test]
fn behind_a_hole_a_log_is_read_on() {
    let (whole, hole) = whole_log();
    let (sound, found) = assemble(None, [None, Some(&whole)]);
    let sound = sound.unwrap();
    assert_eq!((&sound.flags[..], found.len()), (&[0, 1, 0, 0][..], 0));
    let mut torn = whole.clone();
    torn[hole..hole + 20].fill(0);
    let (index, found) = assemble(None, [None, Some(&torn)]);
    let index = index.unwrap();
    assert_eq!(
        (&index.uids[..], &index.flags[..]),
        (&[1, 2, 3, 4][..], &[0; 4][..])
    );
    assert_eq!(found, ["index.log"]);
    let unread = format!(
        "byte {hole}: record size: not completely written; unreadable up to byte {}",
        hole + 20
    );
    assert_eq!(index.unread_part(&unread), Some(Part::Log));
    assert_eq!(index.unread.len(), 1);
    // A client that asks for changes since the last one must not miss any.
    assert!(index.highest_modseq >= sound.highest_modseq);
}

#[test]
fn any_number_of_holes_is_one_line() {
    let change = record(FLAG_UPDATE, &[1, 3, 1]);
    let torn = [&[0; 4], &change[..], &change, &change].concat();
    let records = [append(&[1, 2, 3]), torn.repeat(1000)];
    let (index, found) = assemble(None, [None, Some(&log(7, 2, (0, 0), &records))]);
    let index = index.unwrap();
    assert_eq!(
        (&index.flags[..], found.len(), index.unread.len()),
        (&[1; 3][..], 1, 1)
    );
    assert!(
        index.unread[0]
            .why
            .ends_with("(the first of 1000 such places)"),
        "{:?}",
        index.unread
    );
}

#[test]
fn zeros_within_a_change_are_not_taken_for_one() {
    let (mut torn, hole) = whole_log();
    torn[hole + 8..hole + 20].fill(0);
    let (index, _) = assemble(None, [None, Some(&torn)]);
    assert_eq!(index.unwrap().unread.len(), 1);
}

#[test]
fn a_half_written_record_at_the_end_never_counted_and_is_no_loss() {
    let (whole, _) = whole_log();
    for end in whole.len() - 15..whole.len() {
        let (index, found) = assemble(None, [None, Some(&whole[..end])]);
        assert_eq!(
            (index.unwrap().unread, found),
            (vec![], vec!["index.log".to_owned()])
        );
    }
    let zeros = [&whole[..], &[0; 64]].concat();
    let (index, _) = assemble(None, [None, Some(&zeros)]);
    assert_eq!(index.unwrap().unread.len(), 1);
}

/// The index of the first three messages, written after the log up to byte `head`.
fn index_of_three(head: usize) -> Vec<u8> {
    let mut bytes = index_in_log(2, &[0; 3]);
    bytes[68..72].copy_from_slice(&u32::try_from(head).unwrap().to_le_bytes());
    bytes
}

#[test]
fn what_an_index_no_longer_tells_a_log_from_the_beginning_does() {
    let (whole, head) = whole_log();
    let temp = tempfile::tempdir().unwrap();
    let mut index = index_of_three(head);
    let last = index.len() - 8;
    index[last..].fill(0);
    fs::write(temp.path().join("dovecot.index"), &index).unwrap();
    let loaded = |log: &[u8]| {
        fs::write(temp.path().join("dovecot.index.log"), log).unwrap();
        let mut found = Vec::new();
        let dir = open(temp.path());
        let loaded = load(&dir, "dovecot.index", &mut |finding| {
            found.push(finding.detail);
        });
        (loaded.unwrap().unwrap(), found)
    };
    let (index, found) = loaded(&whole);
    assert_eq!(
        (&index.uids[..], index.unread.len()),
        (&[1, 2, 3, 4][..], 0)
    );
    assert!(
        found[1].starts_with("it has all that cannot be read"),
        "{found:?}"
    );
    // A log that goes on from an older one does not have it all.
    let mut later = whole;
    later[12..16].copy_from_slice(&1_u32.to_le_bytes());
    let (index, _) = loaded(&later);
    assert_eq!((&index.uids[..], index.unread.len()), (&[1, 2, 4][..], 1));
}
