//! Files are read from a directory: here is one.

use std::fs;
use std::io::Read;
use std::sync::Arc;

use mailtally::disk::{Dir, Real};
use mailtally::format::dbox::{Extent, MESSAGE_HEADER, StoredMessage};
use mailtally::format::dovecot_index::{self, Cache};
use tempfile::TempDir;

fn directory(files: &[(&str, &[u8])]) -> (TempDir, Dir) {
    let temp = tempfile::tempdir().expect("a temporary directory");
    for (name, bytes) in files {
        fs::write(temp.path().join(name), bytes).expect("a file in it");
    }
    let dir = Dir::open(temp.path(), Arc::new(Real)).expect("it can be opened");
    (temp, dir)
}

/// Takes a message out of this file, behind its header line and at its first byte.
pub fn salvage(bytes: &[u8]) {
    let (_temp, dir) = directory(&[("m.1", bytes)]);
    let file = Arc::new(dir.file("m.1").expect("it is there"));
    for at in [None, Some(0)] {
        let extent = Extent {
            at,
            header: MESSAGE_HEADER,
            end: bytes.len() as u64,
        };
        let mut scratch = Vec::new();
        if let Ok(stored) = StoredMessage::open(Arc::clone(&file), extent, &mut scratch) {
            let (size, mut body) = (stored.size, Vec::new());
            let read = stored.raw_body().read_to_end(&mut body);
            assert_eq!(read.expect("all of it is there") as u64, size);
        }
    }
}

/// Loads these files as a mailbox's index, and asks for everything in it.
pub fn load(files: &[(&str, &[u8])]) {
    let (_temp, dir) = directory(files);
    let Ok(Some(index)) = dovecot_index::load(&dir, "dovecot.index", &mut |_| ()) else {
        return;
    };
    assert!(index.uids.is_sorted_by(|one, next| one < next));
    assert_eq!(index.uids.len(), index.flags.len());
    let names = index.keyword_names();
    for nth in 0..index.uids.len() {
        assert!(
            index
                .keywords_of(nth)
                .all(|bit| (bit as usize) < names.len())
        );
    }
    if let Ok(Some(cache)) = Cache::open(&dir, "dovecot.index.cache", &index, &mut |_| ()) {
        for nth in 0..index.uids.len() {
            let _ = cache.u32_of(&index, nth, "date.save");
        }
    }
}
