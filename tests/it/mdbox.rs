//! What a server does to an mdbox of ours that it does to no other store: purge, move to alternative
//! storage, share a stored message.

use std::fs;
use std::path::Path;

use crate::harness::dovecot::{Dovecot, Server};
use crate::harness::maildir::{Maildir, mail, name};
use crate::harness::unpacked;

/// The account of the samples, and copies: hard links under one name, as a server's own copies are.
fn account() -> Maildir {
    let mut account = Maildir::five_and_one().folder("Copies");
    for nth in 1..=4 {
        let (from, to) = (
            format!("cur/{}:2,S", name(nth)),
            format!("cur/{}:2,F", name(nth)),
        );
        let from = account.in_folder("INBOX", &from);
        fs::hard_link(from, account.in_folder("Copies", &to)).unwrap();
    }
    let rows: Vec<_> = (1..=4).map(|nth| (nth, name(nth as usize))).collect();
    account = account.uidlist("Copies", 5, &rows);
    account.message("Copies", &format!("{}:2,", name(7)), mail("alone"))
}

fn storage(store: &Path) -> u64 {
    let files = fs::read_dir(store.join("storage")).into_iter().flatten();
    let files = files.map(|entry| entry.unwrap());
    let mails = files.filter(|entry| entry.file_name().to_string_lossy().starts_with("m."));
    mails.map(|entry| entry.metadata().unwrap().len()).sum()
}

/// Purge, expunge, copy, and once more.
fn use_for_a_day(dovecot: &Dovecot) {
    let before = dovecot.account();
    dovecot.ask(&["purge"]);
    assert_eq!(dovecot.account(), before, "nothing was to be purged");
    // Their copies stay.
    dovecot.ask(&["expunge", "mailbox", "INBOX", "2:3"]);
    dovecot.ask(&["purge"]);
    let after = dovecot.account();
    assert_eq!(
        after.mailbox("Copies").messages,
        before.mailbox("Copies").messages
    );
    assert_eq!(
        after.mailbox("INBOX").messages.len(),
        before.mailbox("INBOX").messages.len() - 2
    );
    dovecot.ask(&["expunge", "mailbox", "Copies", "2:3"]);
    dovecot.ask(&["copy", "Sent", "mailbox", "Copies", "all"]);
    dovecot.ask(&["move", "Sent", "mailbox", "INBOX", "1"]);
    let before = dovecot.account();
    let everywhere = || {
        let alt = dovecot.mail().with_file_name("run").join("alt");
        storage(&dovecot.mail()) + storage(&alt)
    };
    let size = everywhere();
    dovecot.ask(&["purge"]);
    assert!(everywhere() < size, "the purge frees what nobody has");
    assert_eq!(dovecot.account(), before);
    dovecot.force_resync();
    let resynced = dovecot.account().without_modseqs().without_recent();
    assert_eq!(resynced, before.without_modseqs().without_recent());
}

fn converted(server: &Server, keys: &str) -> (Maildir, Dovecot) {
    let account = account();
    let target = format!("mdbox:{}", account.temp().join("mdbox").display());
    account.convert_to(&target).done().exits(0);
    let dovecot = server.serve(&format!("mdbox{keys}"), account.temp().join("mdbox"));
    (account, dovecot)
}

#[test]
fn copies_share_a_stored_message_and_a_purge_removes_what_nobody_has() {
    let Some(server) = Server::here("copies_share_a_stored_message") else {
        return;
    };
    let (account, dovecot) = converted(&server, "");
    let bytes = 7 * 48;
    let stored = storage(&account.temp().join("mdbox"));
    assert!(
        (bytes..bytes + 7 * 140).contains(&stored),
        "{stored} bytes for seven messages"
    );
    use_for_a_day(&dovecot);
    dovecot.assert_silent();
}

#[test]
fn messages_move_to_alternative_storage_and_back() {
    let Some(server) = Server::here("messages_move_to_alternative_storage_and_back") else {
        return;
    };
    let (_, dovecot) = converted(&server, ":ALT=%h/alt");
    let before = dovecot.account();
    dovecot.ask(&["altmove", "all"]);
    assert_eq!(
        storage(&dovecot.mail()),
        0,
        "all of it is in the alternative storage"
    );
    assert_eq!(dovecot.account(), before);
    dovecot.ask(&["altmove", "-r", "mailbox", "INBOX"]);
    assert_eq!(dovecot.account(), before);
    use_for_a_day(&dovecot);
    dovecot.assert_silent();
}

#[test]
fn an_mdbox_that_a_server_has_used_is_repacked() {
    let Some(server) = Server::here("an_mdbox_that_a_server_has_used_is_repacked") else {
        return;
    };
    let sample = unpacked("dovecot-2.3.19/mdbox.tar.gz");
    let account = Maildir::new();
    let source = format!("mdbox:{}", sample.path().join("mdbox").display());
    let target = format!("mdbox:{}", account.temp().join("mdbox").display());
    let ran = crate::harness::run::Run::new(account.temp()).args(["convert", &source, &target]);
    ran.done().exits(0);
    let before = server.serve("mdbox", sample.path().join("mdbox"));
    let after = server.serve("mdbox", account.temp().join("mdbox"));
    let told = |dovecot: &Dovecot| dovecot.account().without_modseqs();
    assert_eq!(told(&after), told(&before));
    after.ask(&["purge"]);
    after.force_resync();
    after.assert_silent();
}
