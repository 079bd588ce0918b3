//! A storage file of any bytes, its map of any bytes: what is told of the file tiles it, and reading the
//! account comes to an end.
#![no_main]

use std::fs;
use std::io;
use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use mailtally::disk::{Dir, Real};
use mailtally::format::mdbox::scan::{Found, header_line, scan};
use mailtally::format::{OpenOptions, room};

fuzz_target!(|data: &[u8]| {
    let temp = tempfile::tempdir().expect("a temporary directory");
    let root = temp.path();
    let (storage, mails) = (root.join("storage"), root.join("mailboxes/INBOX/dbox-Mails"));
    fs::create_dir(&storage).expect("a folder in it");
    fs::create_dir_all(&mails).expect("another");
    let (map, messages) = data.split_at(data.len() / 4);
    fs::write(storage.join("dovecot.map.index"), map).expect("a file in it");
    fs::write(storage.join("m.1"), messages).expect("a file in it");
    let dir = Dir::open(&storage, Arc::new(Real)).expect("it can be opened");
    let file = dir.file("m.1").expect("it is there");
    let mut at = header_line(&file).expect("it can be read").map_or(0, |line| line.len as u64);
    scan(&file, messages.len() as u64, &mut |found| {
        let (from, to) = match found {
            Found::Message(message) => (message.at, message.at + message.len),
            Found::Gap(from, to) => (from, to),
        };
        assert_eq!(from, at);
        assert!(to > from);
        at = to;
    })
    .expect("it can be read");
    assert!(at == messages.len() as u64 || messages.is_empty());
    let dir = Dir::open(root, Arc::new(Real)).expect("it can be opened");
    let open = room("mdbox").expect("a known format").open;
    let Ok(source) = open(dir, &OpenOptions::default(), &mut |_| ()) else {
        return;
    };
    let mailbox = source.mailbox(0, &mut |_| ()).expect("a mailbox");
    for nth in 0..mailbox.len() {
        let mut scratch = Vec::new();
        if let Ok(mut opened) = mailbox.open(nth, &mut scratch) {
            let _ = io::copy(&mut opened.body, &mut io::sink());
        }
    }
});
