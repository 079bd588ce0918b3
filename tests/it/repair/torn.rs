//! Bytes within a message are gone, and all around it is sound: what shows it is said, and not mended away.

use std::fs;
use std::path::Path;

use bstr::ByteSlice;
use serde_json::json;

use super::recalled::{converted, said};
use super::{Damaged, lost};
use crate::dovecot_reads::append;
use crate::harness::dovecot::Server;
use crate::harness::maildir::{Maildir, mail, name};
use crate::harness::run::{Ran, Run};
use crate::harness::store::Store;
use crate::harness::tree::tree;

/// The header line of a file and the header of its message.
const HEADERS: usize = 16 + 30;
const MARK: &[u8] = b"line 010: ";

fn seen(name: &str) -> String {
    format!("{name}:2,S")
}

/// A message of a hundred lines.
fn long() -> Vec<u8> {
    let lines = (0..100).map(|nth| format!("line {nth:03}: {}\n", "x".repeat(50)));
    [mail("long"), lines.collect::<String>().into_bytes()].concat()
}

fn account() -> Maildir {
    Maildir::new()
        .message("INBOX", &seen(&name(1)), mail("short"))
        .message("INBOX", &seen(&name(2)), long())
        .uidlist("INBOX", 3, &[(1, name(1)), (2, name(2))])
}

/// Zeroes so many bytes from the tenth line on, in whichever file has it.
fn zero(dir: &Path, len: usize) -> usize {
    zero_from(dir, MARK, len)
}

/// The same from a mark on.
fn zero_from(dir: &Path, mark: &[u8], len: usize) -> usize {
    let entries = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let zeroed = entries.map(|path| {
        if path.is_dir() {
            return zero_from(&path, mark, len);
        }
        let mut bytes = fs::read(&path).unwrap();
        let Some(at) = bytes.find(mark) else { return 0 };
        bytes[at..at + len].fill(0);
        fs::write(path, bytes).unwrap();
        1
    });
    zeroed.sum()
}

fn run(account: &Maildir, command: &str, location: &str, more: &[&str]) -> Ran {
    let args = [&[command, "--json", location], more].concat();
    Run::new(account.temp()).args(args).done()
}

#[test]
fn a_zeroed_block_in_a_dbox_message_is_damage_and_a_repair_says_what_is_lost() {
    let at = long().find(MARK).unwrap();
    for format in ["sdbox", "mdbox"] {
        for (len, stays) in [(100, false), (700, true)] {
            let account = account();
            let store = converted(&account, format);
            assert_eq!(zero(&store, len), 1);
            let location = format!("{format}:{}", store.display());
            let detail = format!("{len} NULs from byte {at} on");
            let wanted = json!({"uid": 2, "severity": "error", "detail": detail});
            let inspected = run(&account, "inspect", &location, &[]).exits(1);
            inspected.says("dbox.damaged", &wanted);
            let carried = run(&account, "convert", &location, &["maildir:back"]).exits(1);
            carried.says("dbox.damaged", &wanted);

            let repaired = run(&account, "repair", &location, &["--offline"]).exits(1);
            let told = format!("uid 2: some of its bytes: {detail}");
            assert_eq!(lost(&repaired), [told], "{repaired}");
            let left = run(&account, "inspect", &location, &[]);
            assert!(left.findings("dbox.size").is_empty(), "{left}");
            assert_eq!(
                left.findings("dbox.damaged").len(),
                usize::from(stays),
                "{left}"
            );
        }
    }
}

#[test]
fn nuls_that_came_with_a_message_are_a_note() {
    let odd = [
        mail("odd"),
        b"a\0b\n".to_vec(),
        vec![0; 511],
        b"\n".to_vec(),
    ]
    .concat();
    let account = account().message("INBOX", &seen(&name(3)), odd);
    let store = converted(&account, "sdbox");
    let ran = run(
        &account,
        "inspect",
        &format!("sdbox:{}", store.display()),
        &[],
    )
    .exits(0);
    ran.says(
        "message.nul",
        &json!({"severity": "info", "detail": "1 message, first uid 3"}),
    );
}

#[test]
fn a_maildir_message_whose_end_is_gone_is_said_to_be_lost_before_its_name_forgets_it() {
    let size = long().len();
    for (left, is_lost) in [(size - 20, true), (0, true), (size - 61, false)] {
        let bytes = &long()[..left];
        let sized = format!("{},S={size}", name(2));
        let account = Maildir::new()
            .message("INBOX", &seen(&name(1)), mail("short"))
            .message("INBOX", &seen(&sized), bytes)
            .uidlist("INBOX", 3, &[(1, name(1)), (2, sized.clone())]);
        let location = account.location();
        let ran = run(&account, "repair", &location, &["--offline"]);
        let told = format!("uid 2: perhaps its end: {size} bytes were told, and {left} are there");
        let told: &[String] = if is_lost { &[told] } else { &[] };
        assert_eq!(lost(&ran), told, "{ran}");
        ran.exits(i32::from(is_lost));
    }
}

/// The sample, after a server was asked for all of it: its cache knows every size.
fn cached(server: &Server) -> Damaged {
    let dovecot = server.serve("maildir", Damaged::sample("maildir").store());
    dovecot.account();
    Damaged::left_by(&dovecot, "maildir")
}

/// Half of each message.
fn cut(dir: &Path) {
    for file in fs::read_dir(dir).unwrap() {
        let path = file.unwrap().path();
        let time = fs::metadata(&path).unwrap().modified().unwrap();
        let file = fs::File::options().write(true).open(path).unwrap();
        file.set_len(file.metadata().unwrap().len() / 2).unwrap();
        file.set_modified(time).unwrap();
    }
}

#[test]
fn a_server_says_nothing_of_maildir_messages_that_were_cut_once_they_are_repaired() {
    let Some(server) = Server::here("a_server_says_nothing_of_maildir_messages_that_were_cut")
    else {
        return;
    };
    let damaged = cached(&server);
    let cache = fs::read(damaged.at("dovecot.index.cache")).unwrap();
    let at = damaged.store();
    let dates = || {
        let store = Store::of("maildir", &at, "");
        let inbox = store.mailbox("INBOX").messages.iter();
        let dates = inbox.map(|(uid, message)| (*uid, message.received, message.saved));
        dates.collect::<Vec<_>>()
    };
    let before = dates();
    cut(&damaged.at("cur"));
    damaged.repair();
    let dovecot = server.serve("maildir", damaged.store());
    dovecot.account();
    dovecot.assert_silent();
    assert_eq!(dates(), before, "the cache alone has the saved dates");
    damaged.run("repair", &["--undo", "--offline"]);
    assert!(fs::read(damaged.at("dovecot.index.cache")).unwrap() == cache);
}

#[test]
fn a_maildir_message_that_was_cut_is_said_where_only_the_servers_cache_knows_its_size() {
    let Some(server) = Server::here("a_maildir_message_that_was_cut_is_said") else {
        return;
    };
    let account = account();
    let dovecot = server.serve("maildir", account.source());
    dovecot.account();
    let damaged = Damaged::left_by(&dovecot, "maildir");
    let whole = damaged.inspect().exits(0);
    assert!(
        whole.findings("maildir.size-mismatch").is_empty(),
        "{whole}"
    );
    cut(&damaged.at("cur"));
    let (size, left) = (long().len(), long().len() / 2);
    let detail = format!("the server's cache says {size} bytes, file has {left}");
    let inspected = damaged.inspect();
    let found = inspected.findings("maildir.size-mismatch");
    let details: Vec<_> = found.iter().map(|it| &it["detail"]).collect();
    assert!(details.contains(&&json!(detail)), "{inspected}");
    let ran = damaged.repair().exits(1);
    let told = format!("uid 2: perhaps its end: {size} bytes were told, and {left} are there");
    assert!(lost(&ran).contains(&told), "{ran}");
    assert_eq!(damaged.inspect().codes(), [""; 0]);
    let dovecot = server.serve("maildir", damaged.store());
    dovecot.account();
    dovecot.assert_silent();
}

#[test]
fn a_message_whose_header_is_zeroed_is_kept_and_its_lost_bytes_are_told() {
    let sample = Damaged::sample("sdbox");
    let file = sample.mails("INBOX", "u.22");
    let damaged = sample.changed(&file, |bytes| bytes[..64].fill(0));
    let inspected = damaged.inspect().exits(1);
    assert!(!inspected.findings("dbox.header").is_empty(), "{inspected}");
    let detail = "18 NULs from byte 0 on";
    inspected.says("dbox.damaged", &json!({"uid": 22, "detail": detail}));
    let ran = damaged.repair().exits(1);
    let told = format!("uid 22: some of its bytes: {detail}");
    assert_eq!(lost(&ran), [told], "{ran}");
    assert_eq!(ran.mailbox("INBOX")["messages"], 12, "{ran}");
}

#[test]
fn a_hole_that_reaches_from_the_header_of_the_file_into_the_text_is_told() {
    for (mailbox, uid, from, len) in [("Sent", 2, 12, 64), ("Sent", 4, 13, 128)] {
        let sample = Damaged::sample("sdbox");
        let before = Store::of("sdbox", &sample.store(), "");
        let file = sample.mails(mailbox, &format!("u.{uid}"));
        let damaged = sample.changed(&file, |bytes| bytes[from..from + len].fill(0));
        let nuls = from + len - HEADERS;
        let detail = format!("{nuls} NULs from byte 0 on");
        let inspected = damaged.inspect().exits(1);
        inspected.says("dbox.damaged", &json!({"uid": uid, "detail": detail}));
        let ran = damaged.repair().exits(1);
        let told = format!("uid {uid}: some of its bytes: {detail}");
        assert_eq!(lost(&ran), [told], "{ran}");
        let after = Store::of("sdbox", &damaged.store(), "");
        let (was, is) = (before.message(mailbox, uid), after.message(mailbox, uid));
        assert_eq!(is.body.len(), was.body.len());
        assert_eq!(is.body[nuls..], was.body[nuls..], "what is sound is kept");
    }
}

#[test]
fn a_message_whose_file_lost_its_beginning_is_told_by_the_size_in_its_metadata() {
    let sample = Damaged::sample("sdbox");
    let file = sample.mails("Sent", "u.2");
    let damaged = sample.changed(&file, |bytes| drop(bytes.drain(..64)));
    let ran = damaged.repair().exits(1);
    let told = "uid 2: some of its bytes: at its beginning: the metadata says virtual size";
    assert!(lost(&ran)[0].starts_with(told), "{ran}");
    damaged.inspect().exits(0);
}

#[test]
fn a_hole_that_reaches_from_the_text_into_the_metadata_is_told_of_both() {
    for format in ["sdbox", "mdbox"] {
        let account = account();
        let store = converted(&account, format);
        let lines = long();
        let hole = lines.len() - lines.find("line 099: ").unwrap() + 12;
        assert_eq!(zero_from(&store, b"line 099: ", hole), 1);
        let location = format!("{format}:{}", store.display());
        let detail = format!(
            "{} NULs from byte {} on",
            hole - 12,
            lines.len() + 12 - hole
        );
        let wanted = json!({"uid": 2, "severity": "error", "detail": detail});
        for command in [
            &["inspect"][..],
            &["convert", "maildir:back"],
            &["verify", &account.location()],
        ] {
            let ran = run(&account, command[0], &location, &command[1..]).exits(1);
            assert!(!ran.findings("dbox.metadata").is_empty(), "{format}: {ran}");
            let found = ran.findings("dbox.damaged");
            assert!(!found.is_empty(), "{format}: {ran}");
            for (key, value) in wanted.as_object().unwrap() {
                assert_eq!(&found[0][key], value, "{format}: {ran}");
            }
        }
        fs::remove_file(store.join("mailtally.state")).unwrap();
        let repaired = run(&account, "repair", &location, &["--offline"]).exits(1);
        let told = format!("uid 2: some of its bytes: {detail}");
        let told = [&told, "uid 2: received date"];
        assert_eq!(lost(&repaired), told, "{repaired}");
    }
}

#[test]
fn zeros_in_a_uidlist_are_no_name_of_a_file_that_is_gone() {
    let sample = Damaged::sample("maildir");
    let list = sample.at("dovecot-uidlist");
    let damaged = sample.changed(&list, |bytes| bytes[192..448].fill(0));
    let ran = damaged.inspect();
    assert!(ran.findings("maildir.lost").is_empty(), "{ran}");
    assert!(!ran.findings("uidlist.broken").is_empty(), "{ran}");
}

/// The line of metadata with this key, in the file of the message that has the mark.
fn metadata_line(bytes: &[u8], mark: &[u8], key: u8) -> usize {
    let text = bytes.find(mark).unwrap();
    let block = text + bytes[text..].find(b"\n\x01\x03\n").unwrap();
    block + bytes[block..].find([b'\n', key]).unwrap() + 1
}

#[test]
fn what_only_the_metadata_told_is_lost_with_it() {
    for format in ["sdbox", "mdbox"] {
        for (key, len, what) in [(b'R', 5, "uid 2: received date"), (b'G', 5, "uid 2: GUID")] {
            let account = account();
            let store = converted(&account, format);
            fs::remove_file(store.join("mailtally.state")).unwrap();
            let path = file_with(&store, MARK);
            let mut bytes = fs::read(&path).unwrap();
            let line = metadata_line(&bytes, MARK, key);
            bytes[line..line + len].fill(0);
            fs::write(path, bytes).unwrap();
            let ran = run(
                &account,
                "repair",
                &format!("{format}:{}", store.display()),
                &["--offline"],
            );
            assert_eq!(lost(&ran.exits(1)), [what], "{format}");
        }
    }
}

/// An mdbox without its map, in which the second message has no received date, and more is damaged.
fn without_map(account: &Maildir, more: impl Fn(&mut [u8])) -> std::path::PathBuf {
    let store = converted(account, "mdbox");
    for file in ["dovecot.map.index", "dovecot.map.index.log"] {
        fs::remove_file(store.join("storage").join(file)).unwrap();
    }
    let path = file_with(&store, MARK);
    let mut bytes = fs::read(&path).unwrap();
    let line = metadata_line(&bytes, MARK, b'R');
    bytes[line..line + 5].fill(0);
    more(&mut bytes);
    fs::write(path, bytes).unwrap();
    store
}

/// So that it lies within a damaged stretch.
fn spoil_header(bytes: &mut [u8]) {
    let text = bytes.find(MARK).unwrap();
    let header = bytes[..text].rfind(b"\x01\x02N").unwrap();
    bytes[header..header + 2].fill(0);
}

fn spoil_header_and_text(bytes: &mut [u8]) {
    spoil_header(bytes);
    let text = bytes.find(MARK).unwrap();
    bytes[text..text + 90].fill(0);
}

#[test]
fn what_a_message_that_only_its_guid_leads_to_no_longer_tells_is_lost_or_what_a_conversion_proved()
{
    let repaired = |more: fn(&mut [u8]), has_state: bool| {
        let account = account();
        let store = without_map(&account, more);
        if !has_state {
            fs::remove_file(store.join("mailtally.state")).unwrap();
        }
        let location = format!("mdbox:{}", store.display());
        run(&account, "repair", &location, &["--offline"])
    };
    for more in [|_: &mut [u8]| (), spoil_header] {
        let ran = repaired(more, true).exits(0);
        assert_eq!(lost(&ran), [""; 0], "{ran}");
        let told = "received date from mailtally.state";
        assert!(said(&ran).contains(told), "{ran}");
        let ran = repaired(more, false).exits(1);
        assert_eq!(lost(&ran), ["uid 2: received date"], "{ran}");
    }
    let ran = repaired(spoil_header_and_text, false).exits(1);
    let told = lost(&ran);
    let bytes = "uid 2: some of its bytes: 90 NULs from byte";
    assert!(told.iter().any(|lost| lost.starts_with(bytes)), "{ran}");
    assert!(
        told.iter().any(|lost| lost == "uid 2: received date"),
        "{ran}"
    );
}

#[test]
fn what_the_metadata_told_is_that_which_a_conversion_proved() {
    for format in ["sdbox", "mdbox"] {
        for is_altered in [false, true] {
            let lines = format!("3 V1700000000 N3\n1 :{}\n2 Puidl-2 :{}\n", name(1), name(2));
            let account = account().put("dovecot-uidlist", &lines);
            let store = converted(&account, format);
            let before = Store::of(format, &store, "");
            let was = before.message("INBOX", 2);
            assert_eq!(was.pop3_uidl, Some("uidl-2".into()));
            let path = file_with(&store, MARK);
            let mut bytes = fs::read(&path).unwrap();
            let (from, to) = (
                metadata_line(&bytes, MARK, b'R'),
                metadata_line(&bytes, MARK, b'G') + 5,
            );
            bytes[from..to].fill(0);
            let text = bytes.find(MARK).unwrap();
            bytes[text] ^= u8::from(is_altered);
            fs::write(path, bytes).unwrap();
            let location = format!("{format}:{}", store.display());
            let ran = run(&account, "repair", &location, &["--offline"]);
            let after = Store::of(format, &store, "");
            if is_altered {
                let told = ["uid 2: received date, GUID, POP3 UIDL"];
                assert_eq!(lost(&ran.exits(1)), told, "{format}");
            } else {
                let ran = ran.exits(0);
                assert_eq!(lost(&ran), [""; 0], "{format}");
                let told = "received date, GUID, POP3 UIDL from mailtally.state";
                assert!(said(&ran).contains(told), "{ran}");
                assert!(!said(&ran).contains("derived"), "{ran}");
                assert_eq!(after.mailboxes, before.mailboxes, "{format}");
            }
            let Some(server) = Server::here("what_the_metadata_told") else {
                continue;
            };
            let dovecot = server.serve(format, &store);
            dovecot.account();
            dovecot.assert_silent();
        }
    }
}

#[test]
fn a_half_line_of_metadata_is_not_believed() {
    // It breaks off in the received date, then in the GUID.
    for (uid, len, told) in [
        (25, 255, "uid 25: received date, GUID"),
        (20, 257, "uid 20: GUID"),
    ] {
        let sample = Damaged::sample("sdbox");
        let file = sample.mails("INBOX", &format!("u.{uid}"));
        let damaged = sample.changed(&file, |bytes| bytes.truncate(len));
        let ran = damaged.repair().exits(1);
        assert_eq!(lost(&ran), [told], "{ran}");
        assert!(said(&ran).contains("the GUID is derived"), "{ran}");
        damaged.inspect().exits(0);
    }
}

#[test]
fn a_guid_that_the_index_of_an_mdbox_has_is_not_lost() {
    let Some(server) = Server::here("a_guid_that_the_index_of_an_mdbox_has") else {
        return;
    };
    let account = account();
    let dovecot = server.serve("mdbox", converted(&account, "mdbox"));
    fs::remove_file(dovecot.mail().join("mailtally.state")).unwrap();
    let text = mail("as a server stores it");
    append(&dovecot, "INBOX", &text);
    let store = dovecot.mail();
    let before = Store::of("mdbox", &store, "");
    let mark = b"as a server stores it";
    let path = file_with(&store, mark);
    let mut bytes = fs::read(&path).unwrap();
    let line = metadata_line(&bytes, mark, b'G');
    bytes[line..line + 5].fill(0);
    fs::write(path, bytes).unwrap();
    let location = format!("mdbox:{}", store.display());
    let ran = run(&account, "repair", &location, &["--offline"]);
    assert_eq!(lost(&ran), [""; 0], "{ran}");
    let after = Store::of("mdbox", &store, "");
    assert_eq!(
        after.message("INBOX", 3).guid,
        before.message("INBOX", 3).guid
    );
}

/// The file that has the mark.
fn file_with(store: &Path, mark: &[u8]) -> std::path::PathBuf {
    let files = tree(store).into_keys().map(|path| store.join(path));
    let mut files = files.filter(|path| path.is_file());
    let has = |path: &std::path::PathBuf| fs::read(path).unwrap().contains_str(mark);
    files.find(has).unwrap()
}

#[test]
fn a_message_without_metadata_keeps_the_received_date_that_the_servers_cache_has() {
    let Some(server) = Server::here("a_message_without_metadata") else {
        return;
    };
    for format in ["sdbox", "mdbox"] {
        let account = account();
        let settings = "mail_always_cache_fields = date.received";
        let dovecot = server.serve_with(format, converted(&account, format), settings);
        dovecot.ask(&["fetch", "date.received hdr", "ALL"]);
        let store = dovecot.mail();
        let before = Store::of(format, &store, "");
        let path = file_with(&store, MARK);
        let mut bytes = fs::read(&path).unwrap();
        let metadata = bytes.rfind(b"\n\x01\x03\n").unwrap() + 4;
        bytes[metadata..].fill(0);
        fs::write(&path, bytes).unwrap();

        let location = format!("{format}:{}", store.display());
        let ran = run(&account, "repair", &location, &["--offline"]);
        let told = "the received date is that of the server's cache";
        assert!(said(&ran).contains(told), "{format}: {ran}");
        let after = Store::of(format, &store, "");
        for uid in [1, 2] {
            let was = &before.mailbox("INBOX").messages[&uid];
            let is = &after.mailbox("INBOX").messages[&uid];
            assert_eq!(
                (is.received, &is.body),
                (was.received, &was.body),
                "{format}"
            );
        }
    }
}
