//! Attachments that Dovecot has put outside of the store (`mail_attachment_dir`), joined again.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use bstr::{BString, ByteSlice};
use data_encoding::BASE64;

use super::{append, each_format, keys, same_as_dovecot};
use crate::harness::dovecot::Dovecot;
use crate::harness::run::Run;
use crate::harness::store::Store;

/// Above Dovecot's `mail_attachment_min_size`.
const LARGE: usize = 200_000;

const PLACE: &str = "ATTACHMENTS=%h/attachments";

fn settings(fs: &str, more: &str) -> String {
    format!("mail_attachment_dir = %h/attachments\nmail_attachment_fs = {fs}\n{more}")
}

fn random(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    bytes
}

/// A message with an attachment in lines of base64 and one of plain lines.
fn with_attachments(len: usize, chars: usize, end: &str) -> Vec<u8> {
    let base64 = BASE64.encode(&random(len));
    let lines: Vec<_> = base64.as_bytes().chunks(chars).collect();
    let base64 = BString::from(bstr::join(end, lines));
    let mut plain = String::new();
    for line in 0..9000 {
        write!(plain, "line {line} of an attachment{end}").unwrap();
    }
    let text = "From: a@example.org\nSubject: attached\nMIME-Version: 1.0\n\
         Content-Type: multipart/mixed; boundary=\"b1\"\n\n--b1\nContent-Type: text/plain\n\nhello\n\
         --b1\nContent-Type: application/octet-stream; name=x.bin\n\
         Content-Transfer-Encoding: base64\nContent-Disposition: attachment; filename=x.bin\n\n";
    let between = "--b1\nContent-Type: application/octet-stream; name=y.txt\n\
                   Content-Disposition: attachment; filename=y.txt\n\n";
    let ends = |text: &str| text.replace('\n', end);
    let mut message = ends(text).into_bytes();
    message.extend_from_slice(&base64);
    message.extend(ends("\n").bytes());
    message.extend(ends(between).bytes());
    message.extend(plain.bytes());
    message.extend(ends("--b1--\n").bytes());
    message
}

/// Messages with attachments that are taken out, some that stay, and copies.
fn fill(dovecot: &Dovecot) {
    for (len, chars, end) in [
        (LARGE, 76, "\n"),
        (LARGE + 1, 72, "\r\n"),
        (LARGE + 2, 4, "\n"),
        (1000, 76, "\n"),
    ] {
        append(dovecot, "INBOX", &with_attachments(len, chars, end));
    }
    let saved = dovecot.file("saved", with_attachments(LARGE, 60, "\r\n"));
    dovecot.ask(&["save", "-m", "INBOX", saved.to_str().unwrap()]);
    dovecot.deliver("INBOX", &with_attachments(LARGE + 3, 76, "\n"));
    dovecot.ask(&["mailbox", "create", "Copies"]);
    dovecot.ask(&["copy", "Copies", "mailbox", "INBOX", "uid", "1"]);
    dovecot.ask(&["move", "Copies", "mailbox", "INBOX", "uid", "2"]);
}

fn attachments(dovecot: &Dovecot) -> Vec<PathBuf> {
    let root = dovecot.home().join("attachments");
    let mut dirs = vec![root];
    let mut files = Vec::new();
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

#[test]
fn attachments_are_joined_to_what_dovecot_shows() {
    let test = "attachments_are_joined_to_what_dovecot_shows";
    let gz = "mail_plugins = zlib\nplugin {\n  zlib_save = gz\n}\n";
    for (fs, more) in [("posix", ""), ("sis posix", ""), ("sis posix", gz)] {
        each_format(test, "", &settings(fs, more), |dovecot, format| {
            fill(dovecot);
            // Dovecot's own key is no part of its location.
            let store = Store::of(format, &dovecot.mail(), &keys(dovecot, PLACE));
            assert_eq!(store.findings, [""; 0], "{fs} {more}");
            same_as_dovecot(dovecot, format, PLACE);
            assert!(
                attachments(dovecot).len() >= 8,
                "attachments were taken out"
            );
        });
    }
}

#[test]
fn attachments_of_compressed_messages_in_alternative_storage_are_joined_too() {
    let test = "attachments_of_compressed_messages_in_alternative_storage_are_joined_too";
    let alt = "ALT=%h/alt";
    for codec in ["gz", "bz2", "zstd", "lz4"] {
        let zlib = format!("mail_plugins = zlib\nplugin {{\n  zlib_save = {codec}\n}}\n");
        let settings = settings("sis posix", &zlib);
        each_format(test, alt, &settings, |dovecot, format| {
            dovecot.make_dir("alt");
            fill(dovecot);
            dovecot.ask(&["altmove", "mailbox", "INBOX", "1:3"]);
            dovecot.ask(&["expunge", "mailbox", "INBOX", "2"]);
            dovecot.ask(&["purge"]);
            let moved = fs::read_dir(dovecot.home().join("alt")).unwrap();
            assert!(moved.count() > 0, "some lie there");
            same_as_dovecot(dovecot, format, &[alt, PLACE].join(":"));
        });
    }
}

#[test]
fn a_message_whose_attachment_is_missing_is_not_carried_half_and_not_in_silence() {
    let test = "a_message_whose_attachment_is_missing_is_not_carried_half_and_not_in_silence";
    each_format(test, "", &settings("posix", ""), |dovecot, format| {
        append(dovecot, "INBOX", &with_attachments(LARGE, 76, "\n"));
        append(dovecot, "INBOX", &with_attachments(1000, 76, "\n")[..2000]);
        let told = |place: &str| {
            let store = Store::of(format, &dovecot.mail(), &keys(dovecot, place));
            assert_eq!(store.uids("INBOX"), [2]);
            assert_eq!(store.findings.len(), 1, "{:?}", store.findings);
            store.findings[0].clone()
        };
        assert!(told("").ends_with("the location has no ATTACHMENTS="));
        let files = attachments(dovecot);
        let whole = fs::read(&files[0]).unwrap();
        fs::write(&files[0], &whole[1..]).unwrap();
        assert!(told(PLACE).contains("do not come to"), "{}", told(PLACE));
        fs::remove_file(&files[0]).unwrap();
        assert!(
            told(PLACE).starts_with("dbox.external-attachment "),
            "{}",
            told(PLACE)
        );
        std::os::unix::fs::symlink("/etc/passwd", &files[0]).unwrap();
        assert!(
            told(PLACE).starts_with("dbox.external-attachment "),
            "{}",
            told(PLACE)
        );
    });
}

#[test]
fn an_account_with_attachments_is_converted_whole() {
    let test = "an_account_with_attachments_is_converted_whole";
    each_format(test, "", &settings("sis posix", ""), |dovecot, format| {
        fill(dovecot);
        let temp = tempfile::tempdir().unwrap();
        let source = format!(
            "{format}:{}:{}",
            dovecot.mail().display(),
            keys(dovecot, PLACE)
        );
        let destination = temp.path().join("sdbox");
        let to = format!("sdbox:{}", destination.display());
        let ran = Run::new(temp.path()).args(["convert", &source, &to]).done();
        ran.exits(0);
        let gone = format!(
            "{format}:{}:ATTACHMENTS=/not/there",
            dovecot.mail().display()
        );
        let ran = Run::new(temp.path())
            .args(["inspect", "--json", &gone])
            .done();
        let ran = ran.exits(1);
        assert_eq!(
            ran.summary()["findings"]["dbox.external-attachment"],
            7,
            "{ran}"
        );
        let (ours, theirs) = (Store::sdbox(&destination), dovecot.account());
        for (name, mailbox) in &ours.mailboxes {
            let theirs = &theirs.mailbox(name).messages;
            let bodies = mailbox.messages.values().map(|message| &message.body);
            assert!(
                bodies.eq(theirs.iter().map(|message| &message.text.0)),
                "{name}"
            );
        }
    });
}

/// Dovecot saves LF line ends, so it takes no attachment out with CRLF; it reads one that is so.
#[test]
fn lines_that_end_in_crlf_are_joined_as_dovecot_joins_them() {
    let test = "lines_that_end_in_crlf_are_joined_as_dovecot_joins_them";
    let Some(server) = crate::harness::dovecot::Server::here(test) else {
        return;
    };
    let dovecot = super::nothing(&server, "sdbox", &settings("posix", ""));
    append(&dovecot, "INBOX", b"Subject: x\n\nto be another\n");
    let guid = Store::sdbox(&dovecot.mail()).mailbox("INBOX").guid.clone();
    let content = random(1000);
    let base64 = BASE64.encode(&content);
    let lines: Vec<_> = base64.as_bytes().chunks(76).collect();
    let (head, lines, end) = (
        &b"Subject: x\r\n\r\n"[..],
        bstr::join("\r\n", lines),
        &b"\r\nend\r\n"[..],
    );
    let whole = [head, &lines, end].concat();
    let file = format!(
        "2 M1e C5f5e1000\n\x01\x02N          {:016X}\n{}{}\n\x01\x03\nZ{:x}\nR5f5e1000\nV{:x}\nGx\n\
         X{} {} CB76 5e/6a/name\n\n",
        head.len() + end.len(),
        head.to_str().unwrap(),
        end.to_str().unwrap(),
        whole.len(),
        whole.len(),
        head.len(),
        lines.len(),
    );
    let mails = dovecot.mail().join("mailboxes/INBOX/dbox-Mails");
    fs::write(mails.join("u.1"), file).unwrap();
    let _ = fs::remove_file(mails.join("dovecot.index.cache"));
    let dir = dovecot.home().join("attachments/5e/6a");
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join(format!("name-{guid}-1")), content).unwrap();
    let store = same_as_dovecot(&dovecot, "sdbox", PLACE);
    assert_eq!(store.message("INBOX", 1).body, whole);
}
