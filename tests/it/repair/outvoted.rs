//! A digit or a bit of a UIDVALIDITY is wrong: of uidlist, index and the server's list of mailboxes two outvote the
//! third.

use std::fs;
use std::path::Path;

use super::recalled::said;
use super::{Damaged, lost, mended};
use crate::harness::dovecot::{Account, Dovecot, Server};
use crate::harness::maildir::{Indexed, Maildir, VALIDITY};
use crate::harness::store::Store;
use crate::harness::tree::copy;

const LIST: &str = "dovecot-uidlist";
const INDEX: &str = "dovecot.index";
/// By folder, as a client calls it.
const MAILBOXES: [(&str, &str); 2] = [("", "INBOX"), (".Sent", "Sent")];

/// An account with an index of each mailbox, which a server has listed, and what the server told of it.
fn served(server: &Server) -> (Dovecot, Account) {
    let of = |next, messages| Indexed {
        next,
        messages,
        ..Indexed::default()
    };
    let account = Maildir::five_and_one()
        .index(
            "INBOX",
            &of(6, &[1, 2, 3, 4, 5].map(|uid| (uid, 8, &[][..]))),
        )
        .index("Sent", &of(2, &[(1, 8, &[])]));
    let dovecot = server.serve("maildir", account.source());
    dovecot.ask(&["flags", "add", "Late", "mailbox", "*", "all"]);
    let told = dovecot.account();
    dovecot.assert_silent();
    (dovecot, told)
}

fn wrong_in_list(list: &Path) {
    let text = fs::read_to_string(list).unwrap();
    let right = format!("V{VALIDITY} ");
    assert!(text.contains(&right));
    fs::write(list, text.replacen(&right, "V1700000001 ", 1)).unwrap();
}

fn wrong_in_index(index: &Path) {
    let mut bytes = fs::read(index).unwrap();
    let mut places = bytes.windows(4);
    let at = places.position(|it| it == VALIDITY.to_le_bytes()).unwrap();
    bytes[at + 2] ^= 128;
    fs::write(index, bytes).unwrap();
}

#[test]
fn a_wrong_uidvalidity_is_outvoted_and_clients_load_nothing_again() {
    let Some(server) = Server::here("a_wrong_uidvalidity_is_outvoted") else {
        return;
    };
    let (dovecot, before) = served(&server);
    for (folder, mailbox) in MAILBOXES {
        for (file, code, ends) in [
            (LIST, "uidlist.uidvalidity", 1),
            (INDEX, "maildir.index-uidvalidity", 1),
        ] {
            let what = format!("{mailbox} {file}");
            let damaged = Damaged::left_by(&dovecot, "maildir");
            let whole = Store::of("maildir", &damaged.store(), "");
            let path = damaged.at(folder).join(file);
            if file == LIST {
                wrong_in_list(&path);
            } else {
                wrong_in_index(&path);
            }
            let found = damaged.inspect().exits(ends);
            assert_eq!(found.findings(code).len(), 1, "{what}: {found}");
            let read = Store::of("maildir", &damaged.store(), "");
            assert_eq!(read.mailboxes, whole.mailboxes, "{what}: as it is read");
            let ran = damaged.repair().exits(0);
            assert_eq!(mended(&ran), [code], "{what}: {ran}");
            assert!(lost(&ran).is_empty(), "{what}: {ran}");
            let says = "it had UIDVALIDITY 1700000001; dovecot.index and dovecot.list.index tell 1700000000";
            assert_eq!(said(&ran).contains(says), file == LIST, "{ran}");
            let after = Store::of("maildir", &damaged.store(), "");
            assert_eq!(after.mailboxes, whole.mailboxes, "{what}: repaired");
            damaged.is_not_touched();
            let dovecot = server.serve("maildir", damaged.store());
            let told = dovecot.account().without_modseqs();
            let wanted = before.clone().without_modseqs();
            assert_eq!(told.without_saved_dates(), wanted.without_saved_dates());
            dovecot.assert_silent();
        }
    }
}

#[test]
fn a_list_of_another_mailbox_of_that_name_has_no_vote() {
    let Some(server) = Server::here("a_list_of_another_mailbox_of_that_name") else {
        return;
    };
    let (dovecot, _) = served(&server);
    let damaged = Damaged::new("maildir", |store| copy(&dovecot.mail(), store));
    let list = damaged.at(LIST);
    wrong_in_list(&list);
    let text = fs::read_to_string(&list).unwrap();
    let at = text.find(" G").unwrap() + 2;
    let other = format!(
        "{}{}{}",
        &text[..at],
        "0123456789abcdef".repeat(2),
        &text[at + 32..]
    );
    fs::write(&list, other).unwrap();
    let ran = damaged.inspect().exits(0);
    assert_eq!(ran.findings("maildir.uidvalidity").len(), 1, "{ran}");
    let read = Store::of("maildir", &damaged.store(), "");
    assert_eq!(read.mailbox("INBOX").uidvalidity, VALIDITY + 1);
}

#[test]
fn a_header_of_which_uidvalidity_and_guid_are_damaged_is_outvoted_too() {
    let Some(server) = Server::here("a_header_of_which_uidvalidity_and_guid") else {
        return;
    };
    let (dovecot, before) = served(&server);
    for header in ["3 V12 N9 G00", "3 V12 N9"] {
        let damaged = Damaged::new("maildir", |store| copy(&dovecot.mail(), store));
        let list = damaged.at(LIST);
        let text = fs::read_to_string(&list).unwrap();
        let (_, rows) = text.split_once('\n').unwrap();
        fs::write(&list, format!("{header}\n{rows}")).unwrap();
        let found = damaged.inspect().exits(1);
        assert_eq!(found.findings("uidlist.uidvalidity").len(), 1, "{found}");
        damaged.repair().exits(0);
        is_as_before(&server, &damaged, &before);
    }
}

#[test]
fn half_a_uidvalidity_is_none() {
    let Some(server) = Server::here("half_a_uidvalidity_is_none") else {
        return;
    };
    let (dovecot, before) = served(&server);
    for len in [1, 5, 9, 14, 20] {
        let damaged = Damaged::new("maildir", |store| copy(&dovecot.mail(), store));
        let list = damaged.at(LIST);
        let text = fs::read(&list).unwrap();
        fs::write(&list, &text[..len]).unwrap();
        damaged.repair();
        is_as_before(&server, &damaged, &before);
    }
}

/// UIDVALIDITY and UIDs of the INBOX, as a server sees them without a word.
#[track_caller]
fn is_as_before(server: &Server, damaged: &Damaged, before: &Account) {
    let dovecot = server.serve("maildir", damaged.store());
    let after = dovecot.account();
    dovecot.assert_silent();
    let (was, is) = (before.mailbox("INBOX"), after.mailbox("INBOX"));
    let validity = |it: &crate::harness::dovecot::account::Mailbox| {
        it.status.as_ref().map(|status| status.uidvalidity)
    };
    assert_eq!(validity(is), validity(was));
    let uids = |it: &crate::harness::dovecot::account::Mailbox| -> Vec<u64> {
        it.messages.iter().map(|message| message.uid).collect()
    };
    assert_eq!(uids(is), uids(was));
}
