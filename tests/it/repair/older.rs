//! A backup that was laid over a store, or a part of one: what is newer is not lost in silence.

use serde_json::json;

use super::{Damaged, mended};
use crate::harness::dovecot::{Dovecot, Server};
use crate::harness::maildir::scratch;
use crate::harness::tree::copy;

fn deliver(dovecot: &Dovecot, subjects: &[&str]) {
    for subject in subjects {
        let message = format!("From: a@b.example\nSubject: {subject}\n\ntext of {subject}\n");
        dovecot.deliver("INBOX", message.as_bytes());
    }
}

/// An mdbox whose messages a purge moved to another file after the backup, before one more came.
fn laid_over(server: &Server) -> Damaged {
    let dovecot = server.serve("mdbox", scratch().path());
    deliver(&dovecot, &["one", "two", "three"]);
    let backup = scratch();
    copy(&dovecot.mail(), &backup.path().join("mail"));
    dovecot.ask(&["expunge", "mailbox", "INBOX", "uid", "1"]);
    dovecot.ask(&["purge"]);
    deliver(&dovecot, &["four"]);
    let damaged = Damaged::left_by(&dovecot, "mdbox");
    copy(&backup.path().join("mail/."), &damaged.store());
    damaged
}

#[test]
fn a_message_that_came_after_the_map_was_written_is_an_orphan_until_it_is_taken_in() {
    let Some(server) = Server::here("a_message_that_came_after_the_map_was_written") else {
        return;
    };
    let damaged = laid_over(&server);
    let detail = "1 stored message that came after the map was written, the first in m.2 at byte ";
    let found = damaged.inspect().exits(1);
    let orphans = found.findings("mdbox.orphan");
    assert!(
        orphans[0]["detail"].as_str().unwrap().starts_with(detail),
        "{found}"
    );
    for _ in 0..2 {
        let ran = damaged.repair().exits(1);
        ran.says("mdbox.orphan", &json!({"severity": "error"}));
        assert_eq!(ran.mailbox("INBOX")["messages"], 3, "{ran}");
    }
    let ran = damaged.run("repair", &["--offline", "--recover-orphans"]);
    assert_eq!(mended(&ran.exits(0)), ["mdbox.orphan"]);
    let whole = damaged.inspect().exits(0);
    assert_eq!(whole.mailbox("Recovered")["messages"], 1, "{whole}");
    let dovecot = server.serve("mdbox", damaged.store());
    let query = ["fetch", "hdr.subject", "mailbox", "Recovered", "all"];
    let recovered = String::from_utf8(dovecot.ask(&query)).unwrap();
    assert!(recovered.contains("four"), "{recovered}");
    dovecot.assert_silent();
}

#[test]
fn copies_that_a_purge_has_made_before_the_map_was_written_are_no_orphans() {
    let Some(server) = Server::here("copies_that_a_purge_has_made") else {
        return;
    };
    let dovecot = server.serve("mdbox", scratch().path());
    deliver(&dovecot, &["one", "two"]);
    let damaged = Damaged::left_by(&dovecot, "mdbox");
    let file = |name: &str| damaged.at("storage").join(name);
    std::fs::copy(file("m.1"), file("m.2")).unwrap();
    let found = damaged.inspect().exits(0);
    assert_eq!(found.findings("mdbox.orphan").len(), 0, "{found}");
    assert_eq!(found.findings("mdbox.stray").len(), 1, "{found}");
    damaged.is_not_touched();
}

#[test]
fn above_a_file_from_uidnext_on_the_next_message_is_saved_without_a_word() {
    let Some(server) = Server::here("above_a_file_from_uidnext_on") else {
        return;
    };
    let dovecot = server.serve("sdbox", scratch().path());
    deliver(&dovecot, &["one", "two"]);
    let log = dovecot
        .mail()
        .join("mailboxes/INBOX/dbox-Mails/dovecot.index.log");
    let older = std::fs::read(&log).unwrap();
    deliver(&dovecot, &["three"]);
    let damaged = Damaged::left_by(&dovecot, "sdbox");
    std::fs::write(damaged.mails("INBOX", "dovecot.index.log"), older).unwrap();

    let found = damaged.inspect().exits(1);
    let told = json!({"mailbox": "INBOX", "detail": "UIDNEXT is 3"});
    found.says("dbox.newer", &told);
    let ran = damaged.repair();
    assert_eq!(mended(&ran), ["dbox.newer"], "{ran}");
    let left = damaged.inspect().exits(0);
    assert_eq!(left.mailbox("INBOX")["uidnext"], 4);
    assert_eq!(left.findings("dbox.orphan").len(), 1);
    let dovecot = server.serve("sdbox", damaged.store());
    deliver(&dovecot, &["four"]);
    dovecot.assert_silent();
    let ran = damaged.run("repair", &["--offline", "--recover-orphans"]);
    assert_eq!(ran.exits(0).mailbox("Recovered")["messages"], 1);
}

#[test]
fn what_a_lost_map_alone_told_is_said_before_the_repair_as_after_it() {
    let Some(server) = Server::here("what_a_lost_map_alone_told") else {
        return;
    };
    let dovecot = server.serve("mdbox", scratch().path());
    deliver(&dovecot, &["one", "two"]);
    dovecot.ask(&["expunge", "mailbox", "INBOX", "uid", "1"]);
    let damaged = Damaged::left_by(&dovecot, "mdbox");
    let map = damaged.at("storage/dovecot.map.index.log");
    let damaged = damaged.without(&[map]);
    let found = damaged.inspect().exits(1);
    let detail = found.findings("mdbox.orphan")[0]["detail"].clone();
    let told = "1 stored message of which the map alone told if they were expunged, the first in m.1 at byte ";
    assert!(detail.as_str().unwrap().starts_with(told), "{found}");
    let ran = damaged.repair().exits(1);
    assert_eq!(ran.findings("mdbox.orphan").len(), 1, "{ran}");
    assert_eq!(ran.mailbox("INBOX")["messages"], 1, "{ran}");
}
