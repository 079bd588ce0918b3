//! Repairs that lose nothing that was readable, and come to an end.

use std::fs;
use std::path::Path;

use bstr::ByteSlice;

use super::{M_1, ROOM, golden_bodies, inbox, open_dir, write_golden};
use crate::disk::plan::{Places, Plan, carry_out};
use crate::error::Result;
use crate::format::{Elsewhere, OpenOptions, RepairOptions};

/// What is to be done so that the account in `root` is sound.
fn plan(root: &Path, open: &OpenOptions) -> Result<Plan> {
    let options = RepairOptions {
        now: 1_700_000_000,
        ..RepairOptions::default()
    };
    (ROOM.repair.unwrap())(&open_dir(root), open, options)
}

/// Does it; true where there was something to do.
fn repair(root: &Path, open: &OpenOptions) -> bool {
    let plan = plan(root, open).unwrap();
    if !plan.is_empty() {
        carry_out(&Places::one(&open_dir(root)), &plan, "2026-01-01").unwrap();
    }
    !plan.is_empty()
}

/// The golden account with these bytes for its storage file.
fn with(m_1: &[u8]) -> tempfile::TempDir {
    let temp = tempfile::tempdir().unwrap();
    write_golden(&ROOM, temp.path());
    fs::write(temp.path().join("storage/m.1"), m_1).unwrap();
    temp
}

/// The first message tells of an attachment that lies elsewhere, and its header is damaged.
fn with_an_attachment() -> Vec<u8> {
    let mut m_1 = M_1.replacen("BINBOX\n", "X0 5 -\n", 1);
    m_1[16] = b'?';
    m_1
}

#[test]
fn a_damaged_message_that_cannot_be_read_now_is_kept_byte_for_byte() {
    let m_1 = with_an_attachment();
    let temp = with(&[&m_1[..], b"garbage!"].concat());
    let (bodies, codes) = inbox(temp.path());
    assert_eq!(bodies, golden_bodies()[1..]);
    assert_eq!(codes[0], "dbox.external-attachment");
    let options = OpenOptions::default();
    assert!(repair(temp.path(), &options));
    let m_2 = fs::read(temp.path().join("storage/m.2")).unwrap();
    assert_eq!(m_2.as_bstr(), m_1.as_bstr());
    assert!(!temp.path().join("storage/m.1").exists());
    let (bodies, after) = inbox(temp.path());
    assert_eq!(bodies, golden_bodies()[1..]);
    assert_eq!(after[0], "dbox.external-attachment");
    assert!(
        !repair(temp.path(), &options),
        "nothing more is to be gained"
    );
}

#[test]
fn a_file_of_which_all_damage_would_be_kept_is_not_written_anew() {
    let temp = with(&with_an_attachment());
    assert!(!repair(temp.path(), &OpenOptions::default()));
}

#[test]
fn message_headers_of_another_size_become_the_usual_ones() {
    let longer = |header: &[u8]| [&header[..29], b"      \n"].concat();
    let second_at = M_1.rfind(b"\x01\x02N").unwrap();
    let second = &M_1[second_at..];
    // The first is stored anew for its wrong size; the second goes into the same file as it is.
    let first = M_1[46..second_at].replacen("V11", "V12", 1);
    let m_1 = [
        b"2 M24 C6553f100\n",
        &longer(&M_1[16..46])[..],
        &first,
        &longer(&second[..30]),
        &second[30..],
    ];
    let temp = with(&m_1.concat());
    assert!(repair(temp.path(), &OpenOptions::default()));
    assert_eq!(inbox(temp.path()), (golden_bodies(), vec![]));
    let m_2 = fs::read(temp.path().join("storage/m.2")).unwrap();
    assert_eq!(m_2.as_bstr(), M_1.as_bstr());
    assert!(!repair(temp.path(), &OpenOptions::default()));
}

/// The golden account with its storage file, of these bytes, in alternative storage.
fn in_alt(m_1: &[u8]) -> (tempfile::TempDir, OpenOptions) {
    let temp = with(m_1);
    fs::create_dir_all(temp.path().join("alt/storage")).unwrap();
    let (from, to) = ("storage/m.1", "alt/storage/m.1");
    fs::rename(temp.path().join(from), temp.path().join(to)).unwrap();
    let options = OpenOptions {
        alt: Elsewhere::At(open_dir(&temp.path().join("alt"))),
        ..OpenOptions::default()
    };
    (temp, options)
}

#[test]
fn alternative_storage_that_is_sound_is_left_alone() {
    let (temp, options) = in_alt(M_1);
    for name in ["dovecot.map.index", "dovecot.map.index.log"] {
        fs::remove_file(temp.path().join("storage").join(name)).unwrap();
    }
    assert!(repair(temp.path(), &options));
    assert!(!repair(temp.path(), &options));
    let m_1 = fs::read(temp.path().join("alt/storage/m.1")).unwrap();
    assert_eq!(m_1.as_bstr(), M_1.as_bstr());
}

#[test]
fn damage_in_alternative_storage_is_refused_with_what_to_do() {
    let (temp, options) = in_alt(&[M_1, b"garbage!"].concat());
    let refused = plan(temp.path(), &options).unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("m.1 in the alternative storage")
    );
    assert!(refused.help().unwrap().contains("move it to"));
    let (from, to) = ("alt/storage/m.1", "storage/m.1");
    fs::rename(temp.path().join(from), temp.path().join(to)).unwrap();
    assert!(repair(temp.path(), &options));
    assert!(!repair(temp.path(), &options));
}
