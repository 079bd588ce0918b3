//! An index of any bytes, and its cache.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailtally_fuzz::load;

fuzz_target!(|data: &[u8]| {
    load(&[("dovecot.index", data), ("dovecot.index.cache", data)]);
});
