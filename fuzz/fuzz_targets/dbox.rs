//! A dbox file of any bytes: what is accepted can be written and read again, and what is damaged is taken as
//! far as it goes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailtally::format::dbox::{FileHeader, Metadata, message_header, read_message_header};
use mailtally_fuzz::salvage;

fuzz_target!(|data: &[u8]| {
    if let Ok(header) = FileHeader::read(data) {
        assert!(header.len <= data.len());
    }
    if let Ok(size) = read_message_header(data) {
        assert_eq!(read_message_header(&message_header(size)), Ok(size));
    }
    if let Ok(metadata) = Metadata::read(data) {
        let mut written = Vec::new();
        metadata.write(&mut written);
        assert_eq!(Metadata::read(&written), Ok(metadata));
    }
    salvage(data);
});
