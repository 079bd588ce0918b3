//! Catalogue 2 to 19, 39, 40, 57, 58, 62: what message files hold and how they are called.

use std::fs;
use std::io::Write;
use std::time::{Duration, SystemTime};

use serde_json::json;

use crate::harness::gz;
use crate::harness::maildir::{Maildir, mail, name};

/// An account of one listed message in `cur/`.
fn one(file: &str, body: impl AsRef<[u8]>) -> Maildir {
    let base = file.split(':').next().unwrap().to_owned();
    Maildir::new()
        .uidlist("INBOX", 2, &[(1, base)])
        .message("INBOX", file, body)
}

/// The first message under another name and with another body.
fn carried(file: &str, body: impl AsRef<[u8]>) -> (crate::harness::run::Ran, Vec<u8>) {
    let (ran, store) = one(file, body).converted();
    let body = store.message("INBOX", 1).body.to_vec();
    (ran, body)
}

fn bz2(plain: &[u8]) -> Vec<u8> {
    let mut out = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
    out.write_all(plain).unwrap();
    out.finish().unwrap()
}

fn xz(plain: &[u8]) -> Vec<u8> {
    let mut out = liblzma::write::XzEncoder::new(Vec::new(), 6);
    out.write_all(plain).unwrap();
    out.finish().unwrap()
}

fn zstandard(plain: &[u8]) -> Vec<u8> {
    zstd::encode_all(plain, 3).unwrap()
}

/// Dovecot's framing: magic, the largest chunk, then chunks with their sizes.
fn lz4(plain: &[u8]) -> Vec<u8> {
    let number = |size: usize| u32::try_from(size).unwrap().to_be_bytes();
    let most = 65_536;
    let mut out = b"Dovecot-LZ4\x0d\x2a\x9b\xc5".to_vec();
    out.extend(number(most));
    for chunk in plain.chunks(most) {
        let packed = lz4_flex::block::compress(chunk);
        out.extend(number(packed.len()));
        out.extend(packed);
    }
    out
}

/// Bytes that no codec makes much smaller, in lines.
fn large(size: usize) -> Vec<u8> {
    let mut body = mail("large one");
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"seed");
    let mut random = vec![0; size / 2];
    hasher.finalize_xof().fill(&mut random);
    for line in random.chunks(32) {
        body.extend(data_encoding::HEXLOWER.encode(line).into_bytes());
        body.push(b'\n');
    }
    body
}

#[test]
fn a_size_in_the_name_is_told_whether_too_large_or_too_small() {
    // 2 and 3: a truncated file, and one that something was appended to.
    for told in [4000, 7] {
        let (ran, body) = carried(&format!("1700000001.M1.h,S={told}:2,S"), mail("a"));
        let ran = ran.exits(0);
        let detail = format!("name says {told} bytes, file has {}", mail("a").len());
        ran.says(
            "maildir.size-mismatch",
            &json!({"uid": 1, "severity": "warning", "detail": detail}),
        );
        assert_eq!(body, mail("a"));
    }
}

#[test]
fn a_wrong_virtual_size_is_counted_anew() {
    // 4: Dovecot would cut the message short.
    let size = mail("a").len();
    let file = format!("1700000001.M1.h,S={size},W={size}:2,S");
    let (ran, body) = carried(&file, mail("a"));
    let ran = ran.exits(0);
    let detail = format!("name says {size} bytes, file has {}", size + 4);
    ran.says(
        "maildir.vsize-mismatch",
        &json!({"uid": 1, "detail": detail}),
    );
    assert_eq!(ran.codes(), ["maildir.vsize-mismatch"]);
    assert_eq!(ran.mailbox("INBOX")["virtual_bytes"], size + 4);
    assert_eq!(body, mail("a"));
}

#[test]
fn every_codec_is_told_by_its_first_bytes_and_its_size_is_that_of_the_plain_message() {
    // 5 and 6.
    let plain = mail("compressed");
    for (codec, packed) in [
        ("gz", gz(&plain)),
        ("bz2", bz2(&plain)),
        ("xz", xz(&plain)),
        ("zstd", zstandard(&plain)),
        ("lz4", lz4(&plain)),
    ] {
        for dry in [false, true] {
            let account = one(&format!("1700000001.M1.h,S={}:2,SZ", plain.len()), &packed);
            let more: &[&str] = if dry { &["--dry-run"] } else { &[] };
            let ran = account.convert_with(more).done().exits(0);
            let detail = format!("1 of 1 message ({codec})");
            ran.says(
                "maildir.compressed",
                &json!({"mailbox": "INBOX", "detail": detail}),
            );
            assert_eq!(ran.codes(), ["maildir.compressed"], "{codec}: {ran}");
            assert_eq!(ran.mailbox("INBOX")["bytes"], plain.len());
            if !dry {
                assert_eq!(account.store().message("INBOX", 1).body, plain, "{codec}");
            }
        }
    }
}

#[test]
fn a_compressed_message_whose_first_block_is_larger_than_one_read_is_decompressed() {
    let plain = large(1_500_000);
    for (codec, packed) in [
        ("gz", gz(&plain)),
        ("bz2", bz2(&plain)),
        ("xz", xz(&plain)),
        ("zstd", zstandard(&plain)),
        ("lz4", lz4(&plain)),
    ] {
        assert!(packed.len() > 200_000, "{codec}");
        let (ran, body) = carried("1700000001.M1.h:2,S", &packed);
        assert_eq!(ran.codes(), ["maildir.compressed"], "{codec}: {ran}");
        assert!(body == plain, "{codec}");
    }
}

#[test]
fn a_name_that_says_compressed_says_nothing() {
    // Compress scripts add a Z, and one that failed adds it too.
    let (ran, body) = carried("1700000001.M1.h:2,SZ", mail("plain"));
    assert_eq!(ran.exits(0).codes(), [""; 0]);
    assert_eq!(body, mail("plain"));
    let (ran, body) = carried("1700000001.M1.h.gz:2,S", bz2(&mail("misnamed")));
    assert_eq!(ran.exits(0).codes(), ["maildir.compressed"]);
    assert_eq!(body, mail("misnamed"));
}

#[test]
fn a_message_that_only_looks_compressed_is_carried_as_it_is() {
    let text = b"BZh9 is how a file of bzip2 begins.\n";
    let (ran, body) = carried("1700000001.M1.h:2,S", text);
    assert_eq!(ran.exits(0).codes(), ["message.no-header"]);
    assert_eq!(body, text);
}

#[test]
fn a_truncated_compressed_message_is_carried_as_far_as_it_goes() {
    // 7: `missing gz trailer`.
    let plain = large(200_000);
    let packed = gz(&plain);
    let file = format!("1700000001.M1.h,S={}:2,S", plain.len());
    let (ran, body) = carried(&file, &packed[..packed.len() - 8]);
    let ran = ran.exits(1);
    let detail = format!("gz: the stream ends early; {} bytes recovered", plain.len());
    ran.says(
        "maildir.damaged",
        &json!({"uid": 1, "severity": "error", "detail": detail}),
    );
    assert!(body == plain);

    let (ran, body) = carried(&file, &packed[..packed.len() / 2]);
    let ran = ran.exits(1);
    assert_eq!(ran.findings("maildir.damaged").len(), 1, "{ran}");
    assert!(body.len() > plain.len() / 4 && plain.starts_with(&body));
}

#[test]
fn a_compressed_message_of_which_nothing_is_left_is_carried_as_it_is() {
    let packed = bz2(&large(100_000));
    let torn = &packed[..packed.len() / 2];
    let (ran, body) = carried("1700000001.M1.h,S=100000:2,S", torn);
    let ran = ran.exits(1);
    let detail = format!(
        "bz2: the stream ends early; carried as it is, {} bytes",
        torn.len()
    );
    ran.says("maildir.damaged", &json!({"uid": 1, "detail": detail}));
    assert_eq!(body, torn);
    let (ran, _) = carried("1700000001.M1.h:2,S", b"\x1f\x8b\x08");
    assert_eq!(ran.exits(1).findings("maildir.damaged").len(), 1);
}

#[test]
fn an_encrypted_message_is_carried_as_ciphertext_with_the_sizes_of_its_name() {
    // 8: never converted to nothing.
    let cipher = b"CRYPTED\x03\x07\x02 and then what only the key can read";
    let (ran, body) = carried("1700000001.M1.h,S=20,W=22:2,S", cipher);
    let ran = ran.exits(0);
    let detail = format!("{} bytes of ciphertext", cipher.len());
    ran.says(
        "maildir.encrypted",
        &json!({"uid": 1, "severity": "warning", "detail": detail}),
    );
    assert_eq!(ran.codes(), ["maildir.encrypted"]);
    assert_eq!(body, cipher);
}

#[test]
fn nuls_at_the_end_of_a_message_are_what_a_crash_left() {
    // 10.
    let mut body = mail("lost tail");
    body.resize(body.len() + 4096, 0);
    let (ran, read) = carried("1700000001.M1.h:2,S", &body);
    let ran = ran.exits(1);
    let detail = format!("4096 NULs from byte {} on", mail("lost tail").len());
    ran.says("maildir.nul-block", &json!({"uid": 1, "detail": detail}));
    assert_eq!(read, body);
}

#[test]
fn odd_bytes_are_kept_and_told_once_a_mailbox() {
    // 11 to 15.
    let long = [b"Subject: long\n\n".as_slice(), &[b'x'; 10_000], b"\n"].concat();
    let bodies: [(&str, &[u8]); 6] = [
        ("message.nul", b"Subject: nul\n\na\0b\n"),
        ("message.bare-cr", b"Subject: cr\n\na\rb\n"),
        ("message.mixed-line-ends", b"Subject: mixed\r\n\r\na\nb\r\n"),
        ("message.8bit-header", b"Subject: \xe9t\xe9\n\na\n"),
        ("message.long-line", &long),
        ("message.no-header", b"only a body\n"),
    ];
    let mut account = Maildir::new();
    let rows: Vec<_> = (1..=6).map(|nth| (nth, name(nth as usize))).collect();
    account = account.uidlist("INBOX", 7, &rows);
    for (nth, (_, body)) in bodies.iter().enumerate() {
        account = account.message("INBOX", &format!("{}:2,S", name(nth + 1)), body);
    }
    let (ran, store) = account.converted();
    let ran = ran.exits(0);
    assert_eq!(ran.codes().len(), 6, "{ran}");
    for (nth, (code, body)) in (0_u32..).zip(bodies) {
        let detail = format!("1 message, first uid {}", nth + 1);
        ran.says(
            code,
            &json!({"mailbox": "INBOX", "severity": "info", "detail": detail}),
        );
        assert_eq!(store.message("INBOX", nth + 1).body, body, "{code}");
    }
}

#[test]
fn a_crlf_spool_and_an_lf_store_have_the_same_digest() {
    // 14: the bytes are kept, the content is the same.
    let crlf = mail("ends").into_iter().flat_map(|byte| match byte {
        b'\n' => vec![b'\r', b'\n'],
        byte => vec![byte],
    });
    let crlf: Vec<u8> = crlf.collect();
    let (one, two) = (
        carried("1700000001.M1.h:2,S", mail("ends")),
        carried("1700000001.M1.h:2,S", &crlf),
    );
    assert_eq!(two.1, crlf);
    assert_eq!(one.0.user()["digest"], two.0.user()["digest"]);
    assert_eq!(
        one.0.mailbox("INBOX")["virtual_bytes"],
        two.0.mailbox("INBOX")["bytes"]
    );
}

#[test]
fn messages_with_one_message_id_are_two_and_exact_copies_are_told() {
    // 16 and 17: identity is the UID and the bytes.
    let with_id = |text: &str| format!("Message-Id: <one@b.example>\nSubject: {text}\n\nx\n");
    let account = Maildir::new()
        .uidlist("INBOX", 4, &[(1, name(1)), (2, name(2)), (3, name(3))])
        .message("INBOX", &format!("{}:2,S", name(1)), with_id("draft"))
        .message("INBOX", &format!("{}:2,S", name(2)), with_id("edited"))
        .message("INBOX", &format!("{}:2,S", name(3)), with_id("draft"));
    let (ran, store) = account.converted();
    let ran = ran.exits(0);
    ran.says("message.twice", &json!({"mailbox": "INBOX", "severity": "info", "detail": "1 message, such as uid 3, as uid 1"}));
    let subjects: Vec<_> = store
        .subjects("INBOX")
        .into_iter()
        .map(|(_, subject)| subject)
        .collect();
    assert_eq!(subjects, ["draft", "edited", "draft"]);
}

#[test]
fn two_flag_sets_of_different_bytes_are_two_messages() {
    // 18: rsync without --delete, and the file changed in between.
    let base = name(1);
    let account = one(&format!("{base}:2,S"), mail("first")).message(
        "INBOX",
        &format!("{base}:2,RS"),
        mail("other"),
    );
    let (ran, store) = account.converted();
    let ran = ran.exits(0);
    ran.says(
        "maildir.duplicate-name",
        &json!({"mailbox": "INBOX", "detail": format!("{base}:2,RS, {base}:2,S")}),
    );
    assert_eq!(store.uids("INBOX"), [1, 2]);
    let guids: Vec<_> = [1, 2]
        .map(|uid| store.message("INBOX", uid).guid.clone())
        .into();
    assert_ne!(guids[0], guids[1]);
    assert_eq!(guids[0], base, "the listed one keeps its identity");
}

#[test]
fn a_third_name_of_one_message_is_no_message_of_its_own() {
    let base = name(1);
    let mut account = one(&format!("{base}:2,S"), mail("same"));
    for flags in ["RS", "FS", "FRS"] {
        account = account.message("INBOX", &format!("{base}:2,{flags}"), mail("same"));
    }
    let (ran, store) = account.converted();
    assert_eq!(ran.exits(0).findings("maildir.duplicate-name").len(), 1);
    assert_eq!(store.uids("INBOX"), [1]);
}

#[test]
fn dates_of_a_copy_and_dates_that_cannot_be_are_told() {
    // 39: touched in one minute, made over days.
    let minute = SystemTime::UNIX_EPOCH + Duration::from_secs(1_750_000_000);
    let mut account = Maildir::new();
    for nth in 0..25 {
        let file = format!("{}.M1P1.host:2,S", 1_600_000_000 + nth * 86_400);
        account = account.message("INBOX", &file, mail(&format!("{nth}")));
        account = account.time(&format!("cur/{file}"), minute);
    }
    let (ran, store) = account.converted();
    ran.says(
        "maildir.copy-dates",
        &json!({"mailbox": "INBOX", "detail": "25 of 25 messages in the minute of 2025-06-15T15:06:00Z"}),
    );
    assert_eq!(store.message("INBOX", 1).received, 1_750_000_000);

    // 40: bad clocks.
    let future = SystemTime::now() + Duration::from_hours(400 * 24);
    let past = SystemTime::UNIX_EPOCH - Duration::from_hours(1);
    for (time, received) in [
        (SystemTime::UNIX_EPOCH, Some(0)),
        (future, None),
        (past, Some(0)),
    ] {
        let file = format!("{}:2,S", name(1));
        let account = one(&file, mail("a")).time(&format!("cur/{file}"), time);
        let (ran, store) = account.converted();
        let ran = ran.exits(0);
        let finding = ran.findings("maildir.date")[0];
        let detail = finding["detail"].as_str().unwrap();
        assert!(
            detail.starts_with("1 of 1 message, first uid 1: "),
            "{detail}"
        );
        if let Some(received) = received {
            assert_eq!(store.message("INBOX", 1).received, received);
        }
    }
}

#[test]
fn names_without_flags_or_with_foreign_ones_are_messages_without_flags() {
    // 57.
    let account = one("1700000001.M1.h", mail("bare")).message(
        "INBOX",
        "1700000002.M1.h;2,S",
        mail("windows"),
    );
    let (ran, store) = account.converted();
    let ran = ran.exits(0);
    ran.says(
        "maildir.no-info",
        &json!({"mailbox": "INBOX", "detail": "2 names"}),
    );
    ran.says(
        "maildir.foreign-info",
        &json!({"mailbox": "INBOX", "detail": "1 name"}),
    );
    assert_eq!(store.uids("INBOX"), [1, 2]);
    assert_eq!(store.message("INBOX", 2).flags, [""; 0]);
    assert_eq!(store.message("INBOX", 2).guid, "1700000002.M1.h;2,S");
}

#[test]
fn fields_behind_the_flags_are_told() {
    // 58.
    let (ran, store) = one("1700000001.M1.h:2,FS,Z", mail("more")).converted();
    ran.exits(0).says(
        "maildir.extra-fields",
        &json!({"mailbox": "INBOX", "detail": "1 name"}),
    );
    assert_eq!(store.message("INBOX", 1).flags, ["\\Flagged", "\\Seen"]);
}

#[test]
fn hard_links_of_one_file_are_messages_of_their_own() {
    // 62.
    let account = one(&format!("{}:2,S", name(1)), mail("linked")).folder("Archive");
    let file = account.at(format!("cur/{}:2,S", name(1)));
    fs::hard_link(&file, account.at(format!(".Archive/cur/{}:2,", name(1)))).unwrap();
    let (ran, store) = account.converted();
    let ran = ran.exits(0);
    let told = ran.findings("maildir.hard-link");
    assert_eq!(told.len(), 2, "{ran}");
    assert_eq!(told[0]["detail"], "1 of 1 message");
    assert_eq!(store.subjects("Archive"), store.subjects("INBOX"));
}

#[test]
fn flags_and_dates_come_from_the_file() {
    let (_, store) = one(&format!("{}:2,DFRST", name(1)), mail("all")).converted();
    let message = store.message("INBOX", 1);
    assert_eq!(
        message.flags,
        ["\\Answered", "\\Deleted", "\\Draft", "\\Flagged", "\\Seen"]
    );
    assert_eq!(message.received, 1_700_000_001);
    assert_eq!(message.guid, name(1));
}

#[test]
fn keywords_beyond_all_reason_are_said_and_the_others_carried() {
    let names: Vec<String> = (0..5000).map(|nth| format!("k{nth}")).collect();
    let places: Vec<String> = (0..5000).map(|nth| nth.to_string()).collect();
    let (names, places) = (names.join("\n"), places.join(" "));
    let list = format!("{names}\n\n{}:{places}\n", name(1));
    let account = one(&format!("{}:2,S", name(1)), mail("tagged"));
    let account = account.put("courierimapkeywords/:list", list);
    let (ran, store) = account.converted();
    let ran = ran.exits(1);
    ran.says("mailbox.keywords", &json!({"mailbox": "INBOX"}));
    let detail = ran.findings("mailbox.keywords")[0]["detail"].to_string();
    assert!(detail.contains("room for 4096; 904 keywords"), "{detail}");
    assert_eq!(store.message("INBOX", 1).keywords.len(), 4096);
}
