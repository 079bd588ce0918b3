//! A tally of any lines: refusing is fine, panicking is not, and no record is out of order.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailtally::format::tally::{Head, Reader, Record, Writer};

/// The lines behind a sound head, as a stream.
fn stream(lines: &[u8]) -> Vec<u8> {
    let mut out = Writer::new(Vec::new(), "fuzz".into()).expect("memory takes it");
    let head = Head::new("2026-01-01T00:00:00Z".into(), "sdbox", String::new());
    out.line(&head).expect("memory takes it");
    out.text(lines).expect("memory takes it");
    out.finish().expect("memory takes it")
}

fuzz_target!(|data: &[u8]| {
    let _ = Reader::new(std::io::Cursor::new(data.to_vec()), "fuzz".into());
    let bytes = std::io::Cursor::new(stream(data));
    let mut reader = Reader::new(bytes, "fuzz".into()).expect("the head is sound");
    let mut uid = 0;
    while let Ok(Some(record)) = reader.next_record() {
        match record {
            Record::Mailbox(_) => uid = 0,
            Record::Message(print) => {
                assert!(print.uid.get() > uid);
                uid = print.uid.get();
            }
            _ => {}
        }
    }
});
