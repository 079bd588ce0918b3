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

/// The sample with one bit flipped; its file is told, and nobody complains of what is repaired.
fn flipped_bit_is_told(format: &'static str, file: &str, (byte, bit): (usize, u32), code: &str) {
    let Some(server) = Server::here("flipped_bit_is_told") else {
        return;
    };
    let damaged = Damaged::sample(format);
    let path = damaged.at(file);
    let damaged = damaged.changed(&path, |bytes| bytes[byte] ^= 1 << bit);
    let inspected = damaged.inspect();
    assert!(inspected.codes().contains(&code), "{inspected}");
    let ran = damaged.repair();
    assert_eq!(ran.code, i32::from(!lost(&ran).is_empty()), "{ran}");
    assert!(mended(&ran).contains(&code.into()), "{ran}");
    served(&server, &damaged.store(), format);
    damaged.is_not_touched();
}

#[test]
fn uids_of_a_change_that_do_not_ascend_are_told_and_no_server_refuses_what_is_repaired() {
    let log = format!("{INBOX}/dovecot.index.log");
    for byte in [6440, 6442, 6443, 7000] {
        flipped_bit_is_told("sdbox", &log, (byte, 3), "index.lost");
    }
}

#[test]
fn a_record_of_the_map_s_log_that_became_none_is_told_and_mended() {
    let log = "storage/dovecot.map.index.log";
    flipped_bit_is_told("mdbox", log, (666, 1), "index.log");
}

#[test]
fn a_place_up_to_which_modseqs_are_counted_that_makes_a_server_fall_is_told_and_mended() {
    let log = "mailboxes/Sent/dbox-Mails/dovecot.index.log";
    for byte in [236, 240] {
        flipped_bit_is_told("mdbox", log, (byte, 2), "index.log");
    }
}

#[test]
fn an_index_that_only_a_server_would_refuse_is_told_and_nothing_of_it_is_lost() {
    // An alignment that no field has, and an unknown bit beside the byte order.
    for place in [(229, 0), (12, 3)] {
        let index = format!("{INBOX}/dovecot.index");
        flipped_bit_is_told("mdbox", &index, place, "index.broken");
    }
}

#[test]
fn a_list_of_mailboxes_with_zeros_anywhere_in_its_log_hides_none_from_a_server() {
    let Some(server) = Server::here("a_list_of_mailboxes_with_zeros_anywhere") else {
        return;
    };
    for from in (0..4096).step_by(512) {
        let damaged = Damaged::sample("mdbox");
        let path = damaged.at("dovecot.list.index.log");
        let damaged = damaged.changed(&path, |bytes| {
            let to = bytes.len().min(from + 1024);
            bytes[from..to].fill(0);
        });
        damaged.repair().exits(0);
        as_before(&damaged);
        served(&server, &damaged.store(), "mdbox");
    }
}
