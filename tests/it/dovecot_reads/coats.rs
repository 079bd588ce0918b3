//! Messages that Dovecot has compressed or encrypted.

use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use mailtally::format::compress::Codec;

use super::{HEADERS, append, by_dovecot, each_format, life, mail, same_as_dovecot};
use crate::harness::dovecot::Server;
use crate::harness::run::Run;
use crate::harness::store::Store;

#[test]
fn compressed_messages_are_read_as_dovecot_reads_them() {
    let test = "compressed_messages_are_read_as_dovecot_reads_them";
    for codec in ["gz", "bz2", "zstd", "lz4"] {
        let settings = format!("mail_plugins = zlib\nplugin {{\n  zlib_save = {codec}\n}}\n");
        each_format(test, "", &settings, |dovecot, format| {
            life::live(dovecot);
            append(dovecot, "INBOX", &mail("large").repeat(500));
            same_as_dovecot(dovecot, format, "");
            if format == "sdbox" {
                let file = dovecot.mail().join("mailboxes/INBOX/dbox-Mails/u.1");
                let stored = fs::read(file).unwrap();
                let coat = Codec::of(&stored[HEADERS..]).map(Codec::name);
                assert_eq!(coat, Some(codec), "it is in use");
            }
        });
    }
}

#[test]
fn a_compressed_message_that_is_cut_is_carried_as_far_as_it_goes() {
    let test = "a_compressed_message_that_is_cut_is_carried_as_far_as_it_goes";
    let Some(server) = Server::here(test) else {
        return;
    };
    let settings = "mail_plugins = zlib\nplugin {\n  zlib_save = gz\n}\n";
    let dovecot = super::nothing(&server, "sdbox", settings);
    let mut text = String::new();
    for line in 0..20_000 {
        writeln!(text, "line {line} of many").unwrap();
    }
    let whole = format!("Subject: cut\n\n{text}");
    append(&dovecot, "INBOX", whole.as_bytes());
    let file = dovecot.mail().join("mailboxes/INBOX/dbox-Mails/u.1");
    let stored = fs::read(&file).unwrap();
    fs::write(&file, &stored[..stored.len() / 2]).unwrap();
    let store = Store::sdbox(&dovecot.mail());
    let body = &store.message("INBOX", 1).body;
    assert!(
        body.len() > 1000 && whole.as_bytes().starts_with(body),
        "{body:?}"
    );
    assert_eq!(store.findings.len(), 1, "{:?}", store.findings);
    let told = &store.findings[0];
    assert!(
        told.starts_with("dbox.truncated byte 16: the body needs"),
        "{told}"
    );
    assert!(told.contains("the GUID is derived"), "{told}");
}

/// A pair that was made for this test and guards nothing.
const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----\n\
    MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgPf6GI1TM+vgzW38s\n\
    YyyfV0yw1bMpbq+FK0sgXYSnpwahRANCAASQqSye3SlT15ucus6tI6HUEcS8s2cR\n\
    1ERMS3/UGWll6x1Kc5yQZ1ogwAfSmCsL++r0aBAw+A02Q1NAn6yv1Q5t\n\
    -----END PRIVATE KEY-----\n";
const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\n\
    MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEkKksnt0pU9ebnLrOrSOh1BHEvLNn\n\
    EdRETEt/1BlpZesdSnOckGdaIMAH0pgrC/vq9GgQMPgNNkNTQJ+sr9UObQ==\n\
    -----END PUBLIC KEY-----\n";

const CRYPT: &str = "mail_plugins = mail_crypt\nplugin {\n\
                     mail_crypt_global_private_key = <KEYS/private\n\
                     mail_crypt_global_public_key = <KEYS/public\nmail_crypt_save_version = 2\n}\n";

#[test]
fn encrypted_messages_are_carried_as_ciphertext_that_dovecot_can_still_read() {
    let test = "encrypted_messages_are_carried_as_ciphertext_that_dovecot_can_still_read";
    let Some(server) = Server::here(test) else {
        return;
    };
    let temp = tempfile::tempdir().unwrap();
    let readable = Permissions::from_mode(0o755);
    fs::set_permissions(temp.path(), readable.clone()).unwrap();
    for (name, key) in [("private", PRIVATE), ("public", PUBLIC)] {
        let path = temp.path().join(name);
        fs::write(&path, key).unwrap();
        fs::set_permissions(&path, readable.clone()).unwrap();
    }
    let settings = CRYPT.replace("KEYS", &temp.path().display().to_string());
    for format in super::FORMATS {
        let dovecot = super::nothing(&server, format, &settings);
        append(&dovecot, "INBOX", &mail("secret"));
        append(&dovecot, "INBOX", &mail("large secret").repeat(300));
        let theirs = by_dovecot(dovecot.account());
        let source = format!("{format}:{}", dovecot.mail().display());
        for compress in ["none", "gz"] {
            let to = temp.path().join(format!("{format}-{compress}"));
            let destination = format!("sdbox:{}", to.display());
            let ran = Run::new(temp.path())
                .args([
                    "convert",
                    "--json",
                    "--compress",
                    compress,
                    &source,
                    &destination,
                ])
                .done()
                .exits(0);
            assert_eq!(ran.summary()["findings"]["dbox.encrypted"], 2, "{ran}");
            let ciphertext = &Store::sdbox(&to).message("INBOX", 1).body.clone();
            assert!(ciphertext.starts_with(b"CRYPTED\x03\x07"), "{ciphertext:?}");
            let carried = server.serve_with("sdbox", &to, &settings);
            assert_eq!(by_dovecot(carried.account()), theirs, "{format} {compress}");
            carried.assert_silent();
        }
    }
}
