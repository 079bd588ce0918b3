//! Index files are read from a directory: here is one.

use std::fs;
use std::sync::Arc;

use mailtally::disk::{Dir, Real};
use mailtally::format::dovecot_index::{self, Cache};

/// Loads these files as a mailbox's index, and asks for everything in it.
pub fn load(files: &[(&str, &[u8])]) {
    let temp = tempfile::tempdir().expect("a temporary directory");
    for (name, bytes) in files {
        fs::write(temp.path().join(name), bytes).expect("a file in it");
    }
    let dir = Dir::open(temp.path(), Arc::new(Real)).expect("it can be opened");
    let Ok(Some(index)) = dovecot_index::load(&dir, "dovecot.index", &mut |_| ()) else {
        return;
    };
    assert!(index.uids.is_sorted_by(|one, next| one < next));
    assert_eq!(index.uids.len(), index.flags.len());
    let names = index.keyword_names();
    for nth in 0..index.uids.len() {
        assert!(index.keywords_of(nth).all(|bit| (bit as usize) < names.len()));
    }
    if let Ok(Some(cache)) = Cache::open(&dir, "dovecot.index.cache", &index, &mut |_| ()) {
        for nth in 0..index.uids.len() {
            let _ = cache.u32_of(&index, nth, "date.save");
        }
    }
}
