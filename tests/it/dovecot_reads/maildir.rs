//! Maildirs that a server has made, in both layouts.

use std::fs;

use mailtally::format::compress::Codec;

use super::{append, each_of, life, mail, same_as_dovecot};

const LAYOUTS: &[&str] = &["maildir", "maildir:LAYOUT=fs"];

#[test]
fn a_maildir_that_dovecot_works_on_is_read_as_dovecot_reads_it() {
    let test = "a_maildir_that_dovecot_works_on_is_read_as_dovecot_reads_it";
    each_of(LAYOUTS, test, "", "", |dovecot, location| {
        life::live(dovecot);
        same_as_dovecot(dovecot, location, "");
        dovecot.ask(&["expunge", "mailbox", "INBOX", "flagged"]);
        dovecot.ask(&["copy", "Lists/ä", "mailbox", "INBOX", "all"]);
        dovecot.ask(&["move", "Empty", "mailbox", "Archive", "1:2"]);
        same_as_dovecot(dovecot, location, "");
        dovecot.force_resync();
        same_as_dovecot(dovecot, location, "");
    });
}

#[test]
fn compressed_messages_of_a_maildir_are_read_as_dovecot_reads_them() {
    let test = "compressed_messages_of_a_maildir_are_read_as_dovecot_reads_them";
    for codec in ["gz", "bz2", "zstd", "lz4"] {
        let settings = format!("mail_plugins = zlib\nplugin {{\n  zlib_save = {codec}\n}}\n");
        each_of(LAYOUTS, test, "", &settings, |dovecot, location| {
            life::live(dovecot);
            append(dovecot, "INBOX", &mail("large").repeat(500));
            same_as_dovecot(dovecot, location, "");
            let files = fs::read_dir(dovecot.mail().join("cur")).unwrap();
            let stored = files.map(|file| fs::read(file.unwrap().path()).unwrap());
            let mut coats = stored.map(|stored| Codec::of(&stored).map(Codec::name));
            assert!(coats.all(|coat| coat == Some(codec)), "it is in use");
        });
    }
}

#[test]
fn a_maildir_is_read_wherever_its_lists_and_indexes_lie() {
    let test = "a_maildir_is_read_wherever_its_lists_and_indexes_lie";
    for keys in [
        "INDEX=%h/index",
        "CONTROL=%h/control",
        "INDEX=%h/index:CONTROL=%h/control",
    ] {
        each_of(LAYOUTS, test, keys, "", |dovecot, location| {
            dovecot.make_dir("index");
            dovecot.make_dir("control");
            life::live(dovecot);
            same_as_dovecot(dovecot, location, keys);
        });
    }
}
