//! Do we understand Dovecot? Checked on stores that it made itself, and against what it said of them then.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use bstr::{BString, ByteSlice};
use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use sha1::{Digest, Sha1};
use tempfile::TempDir;

use super::account::{Mailbox, Message};
use super::{Account, Server};

#[test]
fn dovecot_says_of_its_own_stores_what_it_said_when_it_made_them() {
    let Some(server) =
        Server::here("dovecot_says_of_its_own_stores_what_it_said_when_it_made_them")
    else {
        return;
    };
    samples_are_as_they_were(&server);
}

#[test]
fn dovecot_2_4_says_the_same_of_2_3_stores() {
    let Some(server) = Server::dovecot_24("dovecot_2_4_says_the_same_of_2_3_stores") else {
        return;
    };
    samples_are_as_they_were(&server);
}

#[test]
fn imap_and_doveadm_agree_about_every_byte() {
    let Some(server) = Server::here("imap_and_doveadm_agree_about_every_byte") else {
        return;
    };
    imap_is_doveadm_with_crlf(&server);
}

#[test]
fn imap_and_doveadm_agree_about_every_byte_in_2_4() {
    let Some(server) = Server::dovecot_24("imap_and_doveadm_agree_about_every_byte_in_2_4") else {
        return;
    };
    imap_is_doveadm_with_crlf(&server);
}

#[test]
fn dovecot_works_on_a_copy_that_differs_in_saved_dates_only() {
    let Some(server) = Server::here("dovecot_works_on_a_copy_that_differs_in_saved_dates_only")
    else {
        return;
    };
    let store = maildir(&[("1600000000.M1P1.host:2,", b"Subject: x\n\n")]);
    let uidlist = "3 V1600000000 N2 G101112131415161718191a1b1c1d1e1f\n1 :1600000000.M1P1.host\n";
    fs::write(store.path().join("dovecot-uidlist"), uidlist).unwrap();
    let [one, other] = [(); 2].map(|()| server.serve("maildir", &store));

    assert_eq!(
        one.account().without_saved_dates(),
        other.account().without_saved_dates()
    );
    assert!(one.mail().join("dovecot.index.log").exists());
    assert!(!store.path().join("dovecot.index.log").exists());
}

#[test]
fn odd_bytes_come_back_as_they_are() {
    let Some(server) = Server::here("odd_bytes_come_back_as_they_are") else {
        return;
    };
    let odd: &[u8] = b"Subject: \xff\xe4\r\nX: y\n\nNUL \0 CR \r tab \t text=\nuid=7 size.physical=1 text=\n\x01 no end";
    let dovecot = server.serve("maildir", maildir(&[("1600000000.M1P1.host:2,FS", odd)]));

    let account = dovecot.account();
    assert_eq!(account.mailbox("INBOX").messages[0].text.0, odd.as_bstr());
    assert_eq!(
        account.mailbox("INBOX").messages[0].flags,
        ["\\Flagged", "\\Seen"]
    );
    assert_eq!(dovecot.imap().mailboxes(), ["INBOX"]);
    dovecot.assert_silent();
}

#[test]
fn a_damaged_message_makes_dovecot_complain_and_can_be_left_out() {
    let Some(server) = Server::here("a_damaged_message_makes_dovecot_complain_and_can_be_left_out")
    else {
        return;
    };
    let store = maildir(&[
        ("1600000001.M1P1.host:2,", b"Subject: good\n\n"),
        ("1600000002.M1P1.host,S=99:2,", b"Subject: cut\n\n"),
    ]);
    let dovecot = server.serve("maildir", &store);

    let healthy = dovecot.account_of(&["not", "uid", "2"]);
    assert_eq!(healthy.mailbox("INBOX").messages.len(), 1);
    dovecot.assert_silent();

    assert!(
        !dovecot
            .doveadm(&["fetch", "text", "uid", "2"])
            .status
            .success()
    );
    assert!(
        dovecot
            .log()
            .contains("Cached message size larger than expected (99 > 14"),
        "{}",
        dovecot.log()
    );
}

#[test]
fn a_compressed_message_is_read_with_the_plugin_only() {
    let Some(server) = Server::here("a_compressed_message_is_read_with_the_plugin_only") else {
        return;
    };
    let plain = b"Subject: small\n\nbody\n";
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut packed, plain).unwrap();
    let name = format!("1600000000.M1P1.host,S={}:2,", plain.len());
    let store = maildir(&[(&name, &packed.finish().unwrap())]);

    let account = server.serve_compressed("maildir", &store).account();
    assert_eq!(account.mailbox("INBOX").messages[0].text.0, plain.as_bstr());
    assert!(
        !server
            .serve("maildir", &store)
            .doveadm(&["fetch", "text", "all"])
            .status
            .success()
    );
}

#[test]
fn a_resync_of_a_sound_store_is_no_complaint() {
    let Some(server) = Server::here("a_resync_of_a_sound_store_is_no_complaint") else {
        return;
    };
    let dovecot = server.serve(
        "sdbox",
        unpacked("dovecot-2.3.19/sdbox.tar.gz").path().join("sdbox"),
    );
    let before = dovecot.account();
    dovecot.force_resync();
    assert_eq!(
        dovecot.account().without_recent().without_modseqs(),
        before.without_recent().without_modseqs()
    );
    dovecot.assert_silent();
}

#[test]
fn the_family_account_is_to_dovecot_what_its_origin_says() {
    let Some(server) = Server::here("the_family_account_is_to_dovecot_what_its_origin_says") else {
        return;
    };
    family_is_as_its_origin_says(&server);
}

#[test]
fn the_family_account_is_to_dovecot_2_4_what_its_origin_says() {
    let Some(server) =
        Server::dovecot_24("the_family_account_is_to_dovecot_2_4_what_its_origin_says")
    else {
        return;
    };
    family_is_as_its_origin_says(&server);
}

fn family_is_as_its_origin_says(server: &Server) {
    let family = unpacked("family/account.tar.gz");
    let dovecot = server.serve_compressed("maildir", family.path().join("Maildir"));
    fs::remove_file(dovecot.mail().join(".dovecot.sieve")).unwrap(); // would be a mailbox
    let damaged = "( mailbox Archive/2023 ( uid 105 or uid 106 ) )";
    let healthy = [&["not"][..], &damaged.split(' ').collect::<Vec<_>>()].concat();
    let account = dovecot.account_of(&healthy);

    let uids = |name| {
        let messages = account.mailbox(name).messages.iter();
        messages.map(|message| message.uid).collect::<Vec<_>>()
    };
    assert_eq!(uids("Archive/2023"), [100, 101, 110, 111]);
    assert_eq!(uids("Familie/Entwürfe"), [1, 2, 6]);
    assert_eq!(uids("台北"), [11, 12]);
    let inbox = account.mailbox("INBOX");
    assert_eq!(inbox.messages.len(), 25);
    assert!(inbox.messages.last().unwrap().recent, "{inbox:#?}");
    assert_eq!(inbox.messages[3].guid, "5f1d0c2e9a8b47665544332211ffee01");
    assert_eq!(inbox.messages[3].pop3_uidl, "1638255490.8");
    assert_eq!(inbox.messages[3].pop3_order, "4");
    assert_eq!(
        inbox.messages[14].keywords,
        ["$Label1", "Familie", "Urlaub"]
    );
    let vacation = account.mailbox("Urlaub");
    assert_eq!(vacation.messages, []);
    let vacation = vacation.status.as_ref().unwrap();
    assert_eq!(
        (vacation.uidnext, vacation.uidvalidity),
        (50, 1_628_000_001)
    );
    assert!(account.subscriptions.contains(&"Schule".to_owned()));
    dovecot.assert_silent();
}

fn samples_are_as_they_were(server: &Server) {
    for (format, root) in [
        ("maildir", "Maildir"),
        ("sdbox", "sdbox"),
        ("mdbox", "mdbox"),
    ] {
        let store = unpacked(&format!("dovecot-2.3.19/{format}.tar.gz"));
        let dovecot = server.serve(format, store.path().join(root));
        assert_eq!(as_truth(dovecot.account()), truth(format), "{format}");
        dovecot.assert_silent();
    }
}

fn imap_is_doveadm_with_crlf(server: &Server) {
    let dovecot = server.serve(
        "sdbox",
        unpacked("dovecot-2.3.19/sdbox.tar.gz").path().join("sdbox"),
    );
    let account = dovecot.account();
    let mut imap = dovecot.imap();
    let names = imap.mailboxes();
    assert_eq!(names.len(), 5, "{names:?}");

    let inbox = &account.mailbox("INBOX").messages;
    let fetched = imap.read(b"INBOX");
    assert_eq!(fetched.len(), inbox.len());
    for (seen, message) in fetched.iter().zip(inbox) {
        let body = on_the_wire(&message.text.0);
        let literal = [format!("{{{}}}\r\n", body.len()).as_bytes(), &body].concat();
        assert_eq!(seen["BODY[]"], literal.as_bstr(), "{message:?}");
        assert_eq!(seen["UID"], message.uid.to_string().as_str());
        assert_eq!(
            seen["RFC822.SIZE"],
            message.virtual_size.to_string().as_str()
        );
        assert_eq!(
            seen["FLAGS"].fields().count(),
            message.flags.len() + message.keywords.len()
        );
    }
    assert_eq!(
        imap.search("UNSEEN").len() as u64,
        account.mailbox("INBOX").status.as_ref().unwrap().unseen
    );
    drop(imap);
    dovecot.assert_silent();
}

/// CRLF for LF, 0x80 for NUL.
fn on_the_wire(stored: &[u8]) -> BString {
    stored
        .replace("\r\n", "\n")
        .replace("\n", "\r\n")
        .replace("\0", b"\x80")
        .into()
}

fn truth(format: &str) -> Value {
    let path = testdata(&format!("dovecot-2.3.19/{format}.json"));
    let mut truth: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let mut mailboxes = truth["mailboxes"].take();
    let mailboxes_by_name = mailboxes.as_array_mut().unwrap();
    mailboxes_by_name.sort_by_key(|mailbox| mailbox["name"].as_str().unwrap().to_owned());
    for message in mailboxes_by_name
        .iter_mut()
        .flat_map(|mailbox| mailbox["msgs"].as_array_mut().unwrap())
    {
        message["keywords"]
            .as_array_mut()
            .unwrap()
            .sort_by_key(ToString::to_string);
        message["flags"]
            .as_array_mut()
            .unwrap()
            .sort_by_key(ToString::to_string);
        message.as_object_mut().unwrap().remove("saved"); // the ctime of a file that was unpacked just now
    }
    mailboxes
}

fn as_truth(account: Account) -> Value {
    let mailbox = |Mailbox {
                       name,
                       status,
                       messages,
                   }| {
        let status = status?;
        Some(json!({
            "name": name, "guid": status.guid, "uidvalidity": status.uidvalidity, "uidnext": status.uidnext,
            "messages": status.messages, "recent": status.recent, "unseen": status.unseen,
            "vsize": status.vsize, "highestmodseq": status.highestmodseq,
            "msgs": messages.iter().map(message_as_truth).collect::<Vec<_>>(),
        }))
    };
    account.mailboxes.into_iter().filter_map(mailbox).collect()
}

fn message_as_truth(message: &Message) -> Value {
    json!({
        "uid": message.uid, "guid": message.guid, "flags": message.flags, "keywords": message.keywords,
        "recent": message.recent, "received": message.received, "modseq": message.modseq,
        "size_physical": message.physical_size, "size_virtual": message.virtual_size,
        "text_len": message.text.0.len(), "text_sha1": HEXLOWER.encode(&Sha1::digest(&message.text.0)),
    })
}

fn unpacked(archive: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut tar = Command::new("tar");
    tar.arg("-xzf")
        .arg(testdata(archive))
        .arg("-C")
        .arg(folder.path());
    assert!(tar.status().unwrap().success());
    folder
}

fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("testdata")
        .join(name)
}

fn maildir(messages: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["cur", "new", "tmp"] {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    for (name, content) in messages {
        fs::write(folder.path().join("cur").join(name), content).unwrap();
    }
    folder
}
