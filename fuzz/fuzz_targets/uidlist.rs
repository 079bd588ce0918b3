//! A uidlist of any bytes: UIDs ascend, and every range lies in the file.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailtally::format::maildir::uidlist;

fuzz_target!(|data: &[u8]| {
    let list = uidlist::read(data);
    assert!(list.rows.is_sorted_by(|one, next| one.uid < next.uid));
    for row in &list.rows {
        assert!(!data[row.base.range()].is_empty());
        for key in b'A'..=b'Z' {
            let _ = uidlist::word(&data[row.words.range()], key);
        }
    }
});
