//! A message that an mdbox stores once more under the same GUID: the same bytes lose nothing when they go, other
//! bytes are another message.

use std::fs;
use std::path::Path;

use super::recalled::{account, converted, run};
use super::{lost, mended};
use crate::harness::dovecot::Server;
use crate::harness::maildir::Maildir;
use crate::harness::run::Ran;
use crate::harness::store::Store;

/// The GUID of the third message of the INBOX.
const THIRD: &str = "1700000003.M1P1.host";
/// One that no message has, of the same length.
const NEW: &str = "1700000003.M1P1.none";

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|it| it == what)
}

/// All of them, from the front on.
fn replace(bytes: &mut Vec<u8>, from: &[u8], to: &[u8]) {
    let mut done = 0;
    while let Some(at) = find(&bytes[done..], from) {
        let at = done + at;
        bytes.splice(at..at + from.len(), to.iter().copied());
        done = at + to.len();
    }
}

/// The record of the message with this subject.
fn record(m_1: &[u8], subject: &str) -> Vec<u8> {
    const BEGIN: &[u8] = b"\x01\x02N";
    let at = find(m_1, subject.as_bytes()).unwrap();
    let begin = at - 100
        + m_1[at - 100..at]
            .windows(3)
            .rposition(|it| it == BEGIN)
            .unwrap();
    let end = find(&m_1[at..], BEGIN).map_or(m_1.len(), |next| at + next);
    m_1[begin..end].to_vec()
}

fn repair(account: &Maildir, store: &Path, more: &[&str]) -> Ran {
    let command = [&["repair", "--offline"], more].concat();
    run(account, &command, "mdbox", store)
}

/// Stores the third message of the INBOX twice more, under this GUID and changed in this way; the map counts
/// each once.
fn stored_again(account: &Maildir, store: &Path, guid: &str, change: impl Fn(&mut Vec<u8>)) {
    let path = store.join("storage/m.1");
    let mut m_1 = fs::read(&path).unwrap();
    let mut again = record(&m_1, "number 3");
    change(&mut again);
    // Each has a GUID of its own until the map has them both.
    let own = ["1700000003.M1P1.nonA", "1700000003.M1P1.nonB"];
    for own in own {
        let mut one = again.clone();
        replace(&mut one, THIRD.as_bytes(), own.as_bytes());
        m_1.extend(one);
    }
    fs::write(&path, m_1).unwrap();
    for name in ["dovecot.map.index", "dovecot.map.index.log"] {
        fs::remove_file(store.join("storage").join(name)).unwrap();
    }
    repair(account, store, &[]).exits(1);
    let mut m_1 = fs::read(&path).unwrap();
    for own in own {
        replace(&mut m_1, own.as_bytes(), guid.as_bytes());
    }
    fs::write(&path, m_1).unwrap();
}

fn inspect(account: &Maildir, store: &Path) -> Ran {
    run(account, &["inspect"], "mdbox", store)
}

/// Dovecot reads it, resyncs it and purges it, has nothing to say, and loses nothing.
fn assert_dovecot_agrees(test: &str, store: &Path) {
    let Some(server) = Server::here(test) else {
        return;
    };
    let dovecot = server.serve("mdbox", store);
    let before = dovecot.account();
    dovecot.force_resync();
    dovecot.ask(&["purge"]);
    dovecot.force_resync();
    let after = dovecot.account().without_modseqs().without_recent();
    assert_eq!(after, before.without_modseqs().without_recent());
    dovecot.assert_silent();
}

#[test]
fn a_second_copy_of_what_a_mailbox_has_may_be_purged() {
    for more in [&[][..], &["--recover-orphans"]] {
        let account = account();
        let store = converted(&account, "mdbox");
        let before = Store::of("mdbox", &store, "");
        stored_again(&account, &store, THIRD, |_| ());
        assert_eq!(inspect(&account, &store).findings("mdbox.orphan").len(), 1);
        let ran = repair(&account, &store, more).exits(0);
        assert_eq!(mended(&ran), ["mdbox.refcount"], "{ran}");
        let said = super::recalled::said(&ran);
        assert!(
            said.contains("; 2 stored messages that a mailbox has"),
            "{ran}"
        );
        assert_eq!(inspect(&account, &store).codes(), ["mdbox.unpurged"]);
        let after = Store::of("mdbox", &store, "");
        assert_eq!(after.names(), before.names());
        assert_eq!(after.mailbox("INBOX"), before.mailbox("INBOX"));
        assert!(
            repair(&account, &store, more)
                .exits(0)
                .records_of("step")
                .is_empty()
        );
        assert_dovecot_agrees("a_second_copy_of_what_a_mailbox_has", &store);
    }
}

#[test]
fn other_bytes_under_a_guid_that_a_mailbox_has_are_recovered() {
    for other in ["number X", "number three"] {
        let account = account();
        let store = converted(&account, "mdbox");
        let before = Store::of("mdbox", &store, "");
        stored_again(&account, &store, THIRD, |record| {
            replace(record, b"number 3", other.as_bytes());
            // Its size in the header and its virtual size, of 42 bytes with four lines.
            let size = 42 + other.len() - "number 3".len();
            let header = format!("{size:016X}");
            replace(record, b"000000000000002A", header.as_bytes());
            replace(record, b"V2e\n", format!("V{:x}\n", size + 4).as_bytes());
        });
        let ran = repair(&account, &store, &[]).exits(1);
        assert!(ran.records_of("step").is_empty(), "{ran}");
        let ran = repair(&account, &store, &["--recover-orphans"]);
        assert_eq!(lost(&ran), [""; 0]);
        let left = inspect(&account, &store);
        assert_eq!(left.codes(), ["mdbox.unpurged"], "{left}");
        let after = Store::of("mdbox", &store, "");
        assert_eq!(after.mailbox("INBOX"), before.mailbox("INBOX"));
        let recovered = after.mailbox("Recovered");
        assert_eq!(recovered.messages.len(), 1);
        let body = String::from_utf8(recovered.messages[&1].body.to_vec()).unwrap();
        assert!(body.contains(other), "{body}");
        assert_ne!(recovered.messages[&1].guid, THIRD);
        let again = repair(&account, &store, &["--recover-orphans"]).exits(0);
        assert!(again.records_of("step").is_empty(), "{again}");
        assert_dovecot_agrees("other_bytes_under_a_guid_that_a_mailbox_has", &store);
    }
}

#[test]
fn of_two_copies_that_no_mailbox_has_one_is_recovered_and_one_may_be_purged() {
    let account = account();
    let store = converted(&account, "mdbox");
    let before = Store::of("mdbox", &store, "");
    stored_again(&account, &store, NEW, |_| ());
    let ran = repair(&account, &store, &[]).exits(1);
    assert!(ran.records_of("step").is_empty(), "only said: {ran}");
    repair(&account, &store, &["--recover-orphans"]).exits(0);
    assert_eq!(inspect(&account, &store).codes(), ["mdbox.unpurged"]);
    let after = Store::of("mdbox", &store, "");
    assert_eq!(after.mailbox("INBOX"), before.mailbox("INBOX"));
    let recovered = &after.mailbox("Recovered").messages;
    assert_eq!(recovered.len(), 1);
    assert_eq!(recovered[&1].guid, NEW);
    assert_eq!(
        recovered[&1].body,
        before.mailbox("INBOX").messages[&3].body
    );
    assert_dovecot_agrees("of_two_copies_that_no_mailbox_has", &store);
}
