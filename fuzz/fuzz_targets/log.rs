//! An index log of any bytes, alone and behind another one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailtally_fuzz::load;

fuzz_target!(|data: &[u8]| {
    load(&[("dovecot.index.log", data)]);
    let (one, other) = data.split_at(data.len() / 2);
    load(&[("dovecot.index.log.2", one), ("dovecot.index.log", other)]);
});
