//! Subscriptions, maildirsize, file names and mailbox names of any bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailtally::format::maildir::{filename, quota};
use mailtally::format::side_files::{read_subscriptions, write_subscriptions};
use mailtally::model::mutf7;
use mailtally::report::escape;

fuzz_target!(|data: &[u8]| {
    let level = |level: &[u8]| mutf7::decode(level).unwrap_or_else(|| escape(level));
    let names = read_subscriptions(data, b'.', level);
    assert_eq!(read_subscriptions(&write_subscriptions(&names), b'/', level), names);
    let _ = quota::read(data);
    let base = filename::base(data);
    let _ = (filename::info(data), filename::size(base, b'S'), filename::made_at(base));
    assert!(filename::arrival_order(base, base).is_eq());
    if let Some(text) = mutf7::decode(data) {
        assert_eq!(mutf7::encode(&text).as_bytes(), data);
    }
});
