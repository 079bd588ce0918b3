//! Saved dates of an sdbox, which are in the server's cache alone.

use std::fs;
use std::path::Path;

use super::recalled::{account, converted, repair};
use super::{Damaged, lost};
use crate::harness::store::Store;

const CACHE: &str = "mailboxes/INBOX/dbox-Mails/dovecot.index.cache";

fn zero(path: &Path, from: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[from..].fill(0);
    fs::write(path, bytes).unwrap();
}

#[test]
fn what_a_damaged_cache_had_comes_from_what_a_conversion_wrote() {
    for from in [0, 27, 64, 120] {
        let account = account();
        let store = converted(&account, "sdbox");
        let before = Store::sdbox(&store);
        zero(&store.join(CACHE), from);
        let ran = repair(&account, "sdbox", &store).exits(0);
        assert_eq!(lost(&ran), [""; 0], "from byte {from}: {ran}");
        let after = Store::sdbox(&store);
        for (uid, message) in &before.mailbox("INBOX").messages {
            let saved = after.message("INBOX", *uid).saved;
            assert_eq!(saved, message.saved, "uid {uid} from byte {from}");
        }
    }
}

#[test]
fn without_that_the_dates_are_lost_and_counted() {
    let account = account();
    let store = converted(&account, "sdbox");
    fs::remove_file(store.join("mailtally.state")).unwrap();
    zero(&store.join(CACHE), 64);
    let ran = repair(&account, "sdbox", &store).exits(1);
    let told = "saved dates of 5 messages that dovecot.index.cache had: ";
    assert!(lost(&ran)[0].starts_with(told), "{ran}");
}

#[test]
fn a_server_that_keeps_no_saved_dates_loses_none_with_its_cache() {
    let damaged = Damaged::sample("sdbox");
    let cache = damaged.at(CACHE);
    let end = fs::metadata(&cache).unwrap().len();
    zero(&cache, usize::try_from(end).unwrap() - 200);
    let found = damaged.inspect().exits(1);
    assert_eq!(found.findings("index.cache").len(), 1, "{found}");
    let ran = damaged.repair().exits(0);
    assert_eq!(lost(&ran), [""; 0], "{ran}");
}
