//! In what messages lie.

use std::fs;

use super::{convert, read};
use crate::harness::gz;
use crate::harness::maildir::{Maildir, mail, name};

#[test]
fn messages_get_the_coat_that_was_chosen() {
    const GZ: &[u8] = b"\x1f\x8b";
    const ZSTD: &[u8] = b"\x28\xb5\x2f\xfd";
    let plain = mail(&"long subject ".repeat(300));
    let account = Maildir::new()
        .message("INBOX", "1700000001.M1P1.h:2,S", gz(&plain))
        .message("INBOX", "1700000002.M1P1.h:2,S", &plain)
        .uidlist(
            "INBOX",
            3,
            &[
                (1, "1700000001.M1P1.h".into()),
                (2, "1700000002.M1P1.h".into()),
            ],
        );
    for (coat, wanted) in [
        ("none", [None, None]),
        ("keep", [Some(GZ), None]),
        ("gz", [Some(GZ), Some(GZ)]),
        ("zstd", [Some(ZSTD), Some(ZSTD)]),
    ] {
        let made = account.temp().join(coat);
        let target = format!("maildir:{}", made.display());
        let more = ["--compress", coat];
        convert(account.temp(), &account.location(), &target, &more).exits(0);
        let mut files: Vec<_> = fs::read_dir(made.join("cur"))
            .unwrap()
            .map(|it| it.unwrap().path())
            .collect();
        files.sort();
        for (file, magic) in files.iter().zip(wanted) {
            let stored = fs::read(file).unwrap();
            match magic {
                Some(magic) => assert!(stored.starts_with(magic), "{coat}"),
                None => assert!(stored == plain, "{coat}"),
            }
            let sizes = format!(",S={},W={}:", plain.len(), plain.len() + 4);
            assert!(
                file.to_str().unwrap().contains(&sizes),
                "{coat}: {}",
                file.display()
            );
        }
        assert_eq!(files.len(), 2);
        let store = read(&made, "");
        assert!(
            store
                .mailbox("INBOX")
                .messages
                .values()
                .all(|message| message.body == plain)
        );
    }
}

#[test]
fn a_message_that_is_compressed_twice_stays_compressed_once() {
    let mut noise = vec![0; 700_000];
    blake3::Hasher::new().finalize_xof().fill(&mut noise);
    let inner = [gz(&mail("small")), gz(&noise)];
    let account = Maildir::new()
        .message("INBOX", &name(1), gz(&inner[0]))
        .message("INBOX", &name(2), gz(&inner[1]))
        .uidlist("INBOX", 3, &[(1, name(1)), (2, name(2))]);
    let made = account.temp().join("made");
    let target = format!("maildir:{}", made.display());
    convert(account.temp(), &account.location(), &target, &[]).exits(0);
    let store = read(&made, "");
    for (uid, inner) in (1..).zip(inner) {
        assert!(store.message("INBOX", uid).body == inner, "uid {uid}");
    }
}
