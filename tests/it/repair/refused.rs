//! Damage in an index, a log or a map that a server would refuse, or take for something else in silence: it is told,
//! mended, and no server has a word to say of it.

use std::path::Path;

use super::{Damaged, lost, mended};
use crate::harness::dovecot::Server;
use crate::harness::store::Store;

const INBOX: &str = "mailboxes/INBOX/dbox-Mails";

/// Bytes of a file of the sample are zeros.
fn zeroed(format: &'static str, file: &str, from: usize, size: usize) -> Damaged {
    let damaged = Damaged::sample(format);
    let path = damaged.at(file);
    damaged.changed(&path, |bytes| bytes[from..from + size].fill(0))
}

/// Flags and keywords of all messages, and all else that the sample has.
fn as_before(damaged: &Damaged) {
    let sample = Damaged::sample(damaged.format());
    let [was, is] = [&sample, damaged].map(|store| {
        let store = Store::of(damaged.format(), &store.store(), "");
        let mailboxes = store.mailboxes.into_iter();
        let told = mailboxes.map(|(name, it)| (name, it.uidvalidity, it.messages));
        told.collect::<Vec<_>>()
    });
    assert_eq!(is, was);
}

/// A server opens it, and rebuilds it, without a word.
fn served(server: &Server, store: &Path, format: &str) {
    let dovecot = server.serve(format, store);
    dovecot.account();
    dovecot.force_resync();
    dovecot.account();
    dovecot.assert_silent();
}

#[test]
fn keywords_whose_names_are_zeroed_in_the_index_come_back_from_its_log() {
    for size in [64, 128] {
        let damaged = zeroed("mdbox", &format!("{INBOX}/dovecot.index"), 352, size);
        let ran = damaged.repair().exits(0);
        assert!(mended(&ran).contains(&"index.broken".into()), "{ran}");
        as_before(&damaged);
    }
}

#[test]
fn keywords_whose_names_are_zeroed_and_in_no_log_are_lost_and_said_to_be() {
    let damaged = zeroed("mdbox", &format!("{INBOX}/dovecot.index"), 352, 128);
    let log = damaged.mails("INBOX", "dovecot.index.log");
    let damaged = damaged.without(&[log]);
    let inspected = damaged.inspect();
    assert!(inspected.codes().contains(&"index.lost"));
    let ran = damaged.repair().exits(1);
    let lost = lost(&ran).join("\n");
    assert!(lost.contains("have no name"), "{ran}");
    damaged.is_not_touched();
}

#[test]
fn a_map_of_which_too_little_is_left_is_made_anew_for_the_mailboxes_as_they_are() {
    let Some(server) = Server::here("a_map_of_which_too_little_is_left") else {
        return;
    };
    let log = "storage/dovecot.map.index.log";
    for len in [40, 41, 53, 60] {
        let damaged = Damaged::sample("mdbox");
        let path = damaged.at(log);
        let damaged = damaged.changed(&path, |bytes| bytes.truncate(len));
        let inspected = damaged.inspect();
        let codes = inspected.codes();
        assert!(codes.contains(&"mdbox.map-missing"), "{codes:?}");
        let ran = damaged.repair().exits(0);
        assert!(
            !mended(&ran).contains(&"mdbox.map-uidvalidity".into()),
            "{ran}"
        );
        as_before(&damaged);
        served(&server, &damaged.store(), "mdbox");
        damaged.is_not_touched();
    }
}
