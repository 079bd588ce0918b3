//! A compressed message of any bytes: it ends, in text or in an error.
#![no_main]

use std::io::{self, Read};

use libfuzzer_sys::fuzz_target;
use mailtally::format::compress::{Codec, decoder};

fuzz_target!(|data: &[u8]| {
    let Some(codec) = Codec::of(data) else { return };
    let plain = decoder(codec, Box::new(data));
    // A bomb is the caller's to bound; here 16 MiB are enough.
    let _ = io::copy(&mut plain.take(16 << 20), &mut io::sink());
});
