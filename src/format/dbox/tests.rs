//! Records in a file of many, as in `m.N`: what is damaged is taken as far as its extent goes.

mod tree;

use std::fs;
use std::io::Read;
use std::sync::Arc;

use super::{
    Extent, Key, MESSAGE_HEADER, Refused, StoredMessage, Wound, file_header, message_header,
};
use crate::disk::{Dir, File, Real};

const BODY: &[u8] = b"Subject: x\n\nbody\n";

/// Three records behind a header line, and where the second of them is.
fn storage() -> (Vec<u8>, Extent) {
    let mut bytes = file_header(1);
    let mut extent = None;
    for nth in 0..3_u8 {
        let at = bytes.len() as u64;
        bytes.extend(message_header(BODY.len() as u64));
        bytes.extend(BODY);
        bytes.extend(format!("\n\x01\x03\nR5968\nV13\nG{nth}\nBINBOX\n\n").bytes());
        let end = bytes.len() as u64;
        if nth == 1 {
            extent = Some(Extent {
                at: Some(at),
                header: MESSAGE_HEADER,
                end,
            });
        }
    }
    (bytes, extent.unwrap())
}

fn file(bytes: &[u8]) -> (tempfile::TempDir, Arc<File>) {
    let temp = tempfile::tempdir().unwrap();
    fs::write(temp.path().join("m.1"), bytes).unwrap();
    let dir = Dir::open(temp.path(), Arc::new(Real)).unwrap();
    let file = dir.file("m.1").unwrap();
    (temp, Arc::new(file))
}

#[test]
fn a_sound_record_is_taken_apart() {
    let (bytes, extent) = storage();
    let (_temp, file) = file(&bytes);
    for tolerant in [false, true] {
        let (mut scratch, file) = (Vec::new(), Arc::clone(&file));
        let stored = if tolerant {
            StoredMessage::open(file, extent, &mut scratch)
        } else {
            StoredMessage::read(file, extent, &mut scratch)
        };
        let stored = stored.unwrap();
        assert_eq!(stored.metadata.get(Key::Guid), Some(&b"1"[..]));
        assert_eq!(stored.len, extent.end - extent.at.unwrap());
        assert!(stored.wound.is_none());
        let mut body = Vec::new();
        stored.raw_body().read_to_end(&mut body).unwrap();
        assert_eq!(body, BODY);
    }
}

#[test]
fn the_first_piece_of_a_large_body_has_whole_blocks() {
    let mut bytes = message_header(200_000).to_vec();
    bytes.extend(vec![b'x'; 200_000]);
    bytes.extend(b"\n\x01\x03\nR5968\nV13\nG1\n\n");
    let extent = Extent {
        at: Some(0),
        header: MESSAGE_HEADER,
        end: bytes.len() as u64,
    };
    let (_temp, file) = file(&bytes);
    let mut scratch = Vec::new();
    let stored = StoredMessage::read(file, extent, &mut scratch).unwrap();
    assert_eq!(stored.head.len(), 128 * 1024);
    let mut body = Vec::new();
    stored.raw_body().read_to_end(&mut body).unwrap();
    assert_eq!(body, vec![b'x'; 200_000]);
}

#[test]
fn a_flipped_bit_in_a_record_costs_neither_its_body_nor_its_neighbours() {
    let (sound, extent) = storage();
    let at = usize::try_from(extent.at.unwrap()).unwrap();
    let end = usize::try_from(extent.end).unwrap();
    let body = at + MESSAGE_HEADER..at + MESSAGE_HEADER + BODY.len();
    for (place, bit) in (at..end).flat_map(|place| (0..8).map(move |bit| (place, bit))) {
        let mut bytes = sound.clone();
        bytes[place] ^= 1 << bit;
        let (_temp, file) = file(&bytes);
        let mut scratch = Vec::new();
        let stored = StoredMessage::open(file, extent, &mut scratch).unwrap();
        let mut read = Vec::new();
        stored.raw_body().read_to_end(&mut read).unwrap();
        assert_eq!(read, bytes[body.clone()], "bit {bit} of byte {place}");
    }
}

#[test]
fn a_record_of_zeros_is_refused_at_its_place() {
    let (mut bytes, extent) = storage();
    let at = usize::try_from(extent.at.unwrap()).unwrap();
    bytes[at..usize::try_from(extent.end).unwrap()].fill(0);
    let (_temp, file) = file(&bytes);
    match StoredMessage::open(file, extent, &mut Vec::new()) {
        Err(Refused::Damaged(rule, why)) => {
            assert_eq!(rule.code, "dbox.header");
            assert!(why.starts_with(&format!("byte {at}:")), "{why}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_header_of_zeros_does_not_cost_the_body_before_sound_metadata() {
    let (mut bytes, extent) = storage();
    let at = usize::try_from(extent.at.unwrap()).unwrap();
    bytes[at..at + MESSAGE_HEADER].fill(0);
    let (_temp, file) = file(&bytes);
    let mut scratch = Vec::new();
    let stored = StoredMessage::open(file, extent, &mut scratch).unwrap();
    assert_eq!(stored.head, BODY);
    assert_eq!(stored.metadata.get(Key::Guid), Some(&b"1"[..]));
    assert_eq!(stored.wound.unwrap().rule.code, "dbox.header");
}

#[test]
fn a_record_that_its_file_does_not_hold_to_the_end_is_taken_as_far_as_it_goes() {
    let (bytes, extent) = storage();
    let at = usize::try_from(extent.at.unwrap()).unwrap();
    for len in 1..BODY.len() {
        let (_temp, file) = file(&bytes[..at + MESSAGE_HEADER + len]);
        let mut scratch = Vec::new();
        let stored = StoredMessage::open(file, extent, &mut scratch).unwrap();
        assert_eq!(stored.wound.as_ref().unwrap().rule.code, "dbox.truncated");
        let mut read = Vec::new();
        stored.raw_body().read_to_end(&mut read).unwrap();
        assert_eq!(read, BODY[..len]);
    }
}

#[test]
fn a_size_beyond_everything_is_a_claim() {
    let (mut bytes, extent) = storage();
    let at = usize::try_from(extent.at.unwrap()).unwrap();
    bytes[at..at + MESSAGE_HEADER].copy_from_slice(&message_header(u64::MAX));
    let (_temp, file) = file(&bytes);
    let mut scratch = Vec::new();
    let stored = StoredMessage::open(file, extent, &mut scratch).unwrap();
    assert_eq!(stored.head, BODY);
    assert_eq!(stored.wound.unwrap().rule.code, "dbox.header");
}

#[test]
fn a_wound_travels_in_an_error_and_is_found_again() {
    let wound = Wound::new(&crate::report::catalogue::DBOX_TRUNCATED, "cut");
    let error = wound.behind_what_is_sound();
    assert_eq!(Wound::of(&error).unwrap().rule.code, "dbox.truncated");
    assert_eq!(error.to_string(), "cut");
    assert!(Wound::of(&std::io::Error::other("x")).is_none());
}
