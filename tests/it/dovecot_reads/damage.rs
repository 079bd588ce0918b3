//! Stores that Dovecot has made and something has damaged, converted: what is sound arrives, and a Dovecot that
//! opens the result has nothing to say.

use std::fs;

use super::{HEADERS, by_dovecot, mail, nothing};
use crate::harness::dovecot::{Dovecot, Server};
use crate::harness::run::{Ran, Run};

fn spoil(dovecot: &Dovecot, uid: u32, spoil: impl Fn(&mut Vec<u8>)) {
    let mails = dovecot.mail().join("mailboxes/INBOX/dbox-Mails");
    let file = mails.join(format!("u.{uid}"));
    let mut bytes = fs::read(&file).unwrap();
    spoil(&mut bytes);
    fs::write(file, bytes).unwrap();
}

/// Converts to sdbox and asks Dovecot what has arrived: UIDs and sizes.
fn converted(server: &Server, from: &Dovecot, exit: i32) -> (Ran, Vec<(u64, u64)>) {
    let temp = tempfile::tempdir().unwrap();
    let to = temp.path().join("sdbox");
    let (source, destination) = (
        format!("sdbox:{}", from.mail().display()),
        format!("sdbox:{}", to.display()),
    );
    let args = ["convert", "--json", &source, &destination];
    let ran = Run::new(temp.path()).args(args).done().exits(exit);
    let dovecot = server.serve("sdbox", &to);
    let account = by_dovecot(dovecot.account());
    dovecot.assert_silent();
    let messages = account["INBOX"].messages.iter();
    let sizes = messages.map(|(uid, message)| (*uid, message.size));
    (ran, sizes.collect())
}

#[test]
fn damaged_messages_arrive_as_far_as_they_are_sound() {
    let Some(server) = Server::here("damaged_messages_arrive_as_far_as_they_are_sound") else {
        return;
    };
    let dovecot = nothing(&server, "sdbox", "");
    for nth in 1..=6 {
        dovecot.deliver("INBOX", &mail(&format!("damaged{nth}")));
    }
    let whole = by_dovecot(dovecot.account());
    let size = |uid| whole["INBOX"].messages[&uid].size;
    let body_end = HEADERS + usize::try_from(size(1)).unwrap();
    spoil(&dovecot, 1, |bytes| bytes[body_end..].fill(0));
    spoil(&dovecot, 2, |bytes| bytes.truncate(HEADERS + 100));
    spoil(&dovecot, 3, |bytes| bytes.fill(0));
    spoil(&dovecot, 4, |bytes| bytes[..16].fill(b'#'));
    spoil(&dovecot, 5, |bytes| bytes[16 + 20] = b'?');
    let (ran, arrived) = converted(&server, &dovecot, 1);
    let expected = [
        (1, size(1)),
        (2, 100),
        (4, size(4)),
        (5, size(5)),
        (6, size(6)),
    ];
    assert_eq!(arrived, expected, "{ran}");
    let findings = &ran.summary()["findings"];
    let codes = serde_json::json!({"dbox.metadata": 1, "dbox.truncated": 1, "dbox.header": 3});
    assert_eq!(findings, &codes, "{ran}");
    assert_eq!(ran.summary()["differences"], serde_json::json!({}), "{ran}");
}

#[test]
fn a_mailbox_whose_index_is_gone_arrives_with_the_uids_of_its_files() {
    let test = "a_mailbox_whose_index_is_gone_arrives_with_the_uids_of_its_files";
    let Some(server) = Server::here(test) else {
        return;
    };
    let dovecot = nothing(&server, "sdbox", "");
    for nth in 1..=4 {
        dovecot.deliver("INBOX", &mail(&format!("kept{nth}")));
    }
    dovecot.ask(&["expunge", "mailbox", "INBOX", "uid", "2"]);
    let sizes = by_dovecot(dovecot.account());
    let sizes: Vec<_> = sizes["INBOX"]
        .messages
        .iter()
        .map(|(uid, m)| (*uid, m.size))
        .collect();
    let mails = dovecot.mail().join("mailboxes/INBOX/dbox-Mails");
    for file in fs::read_dir(&mails).unwrap() {
        let path = file.unwrap().path();
        if path
            .file_name()
            .unwrap()
            .to_string_lossy()
            .starts_with("dovecot.index")
        {
            fs::remove_file(path).unwrap();
        }
    }
    let (ran, arrived) = converted(&server, &dovecot, 1);
    assert_eq!(arrived, sizes, "{ran}");
    assert_eq!(ran.summary()["findings"]["index.missing"], 1, "{ran}");
}

#[test]
fn an_index_that_lost_its_end_costs_flags_and_no_message() {
    let test = "an_index_that_lost_its_end_costs_flags_and_no_message";
    let Some(server) = Server::here(test) else {
        return;
    };
    let dovecot = nothing(&server, "sdbox", "");
    for nth in 1..=8 {
        dovecot.deliver("INBOX", &mail(&format!("logged{nth}")));
    }
    let log = dovecot
        .mail()
        .join("mailboxes/INBOX/dbox-Mails/dovecot.index.log");
    let bytes = fs::read(&log).unwrap();
    fs::write(&log, &bytes[..bytes.len() / 2]).unwrap();
    let (ran, arrived) = converted(&server, &dovecot, 1);
    assert_eq!(arrived.len(), 8, "{ran}");
    assert_eq!(ran.summary()["findings"]["dbox.recovered"], 1, "{ran}");
}
