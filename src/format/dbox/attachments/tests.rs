//! Attachments as Dovecot takes them out, and what is made of those that do not fit.

use std::fs;
use std::io::Read;
use std::sync::Arc;

use data_encoding::BASE64;
use proptest::prelude::*;

use super::*;
use crate::disk::Real;

const SUFFIX: &str = "-0123-7";

/// A directory with `5e/6a/NAME` files.
fn directory(files: &[(&str, &[u8])]) -> (tempfile::TempDir, Dir) {
    let temp = tempfile::tempdir().unwrap();
    fs::create_dir_all(temp.path().join("5e/6a")).unwrap();
    for (name, content) in files {
        fs::write(temp.path().join("5e/6a").join(name), content).unwrap();
    }
    let dir = Dir::open(temp.path(), Arc::new(Real)).unwrap();
    (temp, dir)
}

fn joined(value: &str, dir: &Dir, body: &[u8]) -> Result<Vec<u8>, String> {
    let attachments = Attachments::find(value.as_bytes(), dir, SUFFIX.into())?;
    let mut whole = Vec::new();
    let read = attachments.join(Box::new(body)).read_to_end(&mut whole);
    read.map(|_| whole).map_err(|error| error.to_string())
}

#[test]
fn attachments_come_back_to_their_places() {
    let (_temp, dir) = directory(&[("a-1-0123-7", b"AAAA"), ("b-1-0123-7", &[0; 5])]);
    let value = "2 4 - 5e/6a/a-1 8 9 B4 5e/6a/b-1";
    assert_eq!(
        joined(value, &dir, b"xxyyzz").unwrap(),
        b"xxAAAAyyAAAA\nAAA=zz"
    );
    let value = "0 10 B4C 5e/6a/b-1 10 4 - 5e/6a/a-1";
    assert_eq!(joined(value, &dir, b"z").unwrap(), b"AAAA\r\nAAA=AAAAz");
}

#[test]
fn an_attachment_under_another_owners_name_is_the_same_attachment() {
    let (_temp, dir) = directory(&[("a-1-ffff-9", b"AAAA"), ("a-12-0123-7", b"BBBB")]);
    assert_eq!(joined("0 4 - 5e/6a/a-1", &dir, b"x").unwrap(), b"AAAAx");
}

#[test]
fn what_does_not_fit_is_told_and_nothing_is_read() {
    let (temp, dir) = directory(&[("a-0123-7", b"AAAA")]);
    std::os::unix::fs::symlink("a-0123-7", temp.path().join("5e/6a/l-0123-7")).unwrap();
    fs::create_dir(temp.path().join("5e/6a/d-0123-7")).unwrap();
    for (value, says) in [
        ("", "no attachments"),
        ("0 4 -", "no attachments"),
        ("0 4 - 5e/6a/a 3 4 - 5e/6a/a", "no attachments"),
        ("0 4 B 5e/6a/a", "no attachments"),
        ("0 4 B6 5e/6a/a", "no attachments"),
        ("0 4 B0 5e/6a/a", "no attachments"),
        ("0 4 Q 5e/6a/a", "no attachments"),
        ("-1 4 - 5e/6a/a", "no attachments"),
        ("18446744073709551615 4 - 5e/6a/a", "no attachments"),
        ("0 5 - 5e/6a/a", "do not come to the 5"),
        ("0 18446744073709551615 B4 5e/6a/a", "do not come to"),
        ("0 4 - 5e/6a/b", "5e/6a/b: cannot open"),
        ("0 4 - 5e/6a/l", "5e/6a/l: cannot open"),
        ("0 4 - 5e/6a/d", "5e/6a/d: not a regular file"),
        ("0 4 - ../5e/a", "not a name"),
        ("0 4 - /5e/6a/a", "not a name"),
        ("9 4 - 5e/6a/a", "ends before its attachment"),
    ] {
        let told = joined(value, &dir, b"xxxx").unwrap_err();
        assert!(told.contains(says), "{value}: {told}");
    }
}

proptest! {
    #[test]
    fn any_value_is_read_or_refused(
        value in "([0-9]{1,20} [0-9]{1,20} (-|B[0-9]{0,20}|C|CB4) [5e/6a.]{0,9}[ ]?){0,3}",
    ) {
        let (_temp, dir) = directory(&[("a-0123-7", b"AAAA")]);
        let _ = joined(&value, &dir, b"body");
    }

    #[test]
    fn lines_of_base64_are_those_of_any_encoder(
        len in prop_oneof![0..200usize, 49_000..50_000usize],
        groups in 1..30usize,
        crlf: bool,
    ) {
        let content: Vec<u8> = (0..=250).cycle().step_by(7).take(len).collect();
        let (chars, end) = (groups * 4, if crlf { "\r\n" } else { "\n" });
        let plain = BASE64.encode(&content);
        let lines: Vec<_> = plain.as_bytes().chunks(chars).collect();
        let expected = bstr::join(end, lines);
        let (_temp, dir) = directory(&[("a-0123-7", &content)]);
        let c = if crlf { "C" } else { "" };
        let value = format!("1 {} {c}B{chars} 5e/6a/a", expected.len());
        let whole = joined(&value, &dir, b"<>").unwrap();
        prop_assert_eq!(whole, [&b"<"[..], &expected, b">"].concat());
    }
}
