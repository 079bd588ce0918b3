//! A location of any bytes is understood or refused.
#![no_main]

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use libfuzzer_sys::fuzz_target;
use mailtally::format::location;

fuzz_target!(|data: &[u8]| {
    let _ = location::parse(OsStr::from_bytes(data));
});
