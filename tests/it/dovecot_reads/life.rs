//! What a mail server does to an account in its life.

use std::fmt::Write as _;
use std::fs;

use super::{each_format, mail, nothing, same_as_dovecot};
use crate::harness::dovecot::{Dovecot, Server};

/// Deliveries, saves, appends, flags, keywords, copies, moves, expunges, renames, deletions.
pub fn live(dovecot: &Dovecot) {
    dovecot.ask(&[
        "mailbox",
        "create",
        "-s",
        "Archive",
        "Archive/2020",
        "Lists/ä",
    ]);
    dovecot.ask(&["mailbox", "create", "Empty", "Gone", "Old name"]);
    for nth in 0..6 {
        dovecot.deliver("INBOX", &mail(&format!("delivered{nth}")));
    }
    let saved = dovecot.file("saved", mail("saved"));
    dovecot.ask(&["save", "-m", "Lists/ä", saved.to_str().unwrap()]);
    let mut imap = dovecot.imap();
    for nth in 0..12 {
        let body = mail(&format!("appended{nth}"));
        let append = format!(
            "APPEND INBOX \"0{}-Feb-2021 10:00:00 +0100\" {{{}+}}\r\n",
            nth % 9 + 1,
            body.len()
        );
        imap.send([append.as_bytes(), &body].concat());
    }
    imap.send("SELECT INBOX");
    imap.send("STORE 1:9 +FLAGS (\\Seen)");
    imap.send("STORE 3:9 +FLAGS (\\Flagged \\Answered \\Draft)");
    for keyword in 0..30 {
        let first = keyword % 12 + 1;
        imap.send(format!(
            "STORE {first}:{} +FLAGS (keyword{keyword})",
            first + 3
        ));
    }
    imap.send("STORE 5 -FLAGS (keyword3 \\Flagged)");
    imap.send("COPY 1:4 Archive");
    imap.send("MOVE 5:7 Archive/2020");
    imap.send("STORE 8:9 +FLAGS (\\Deleted)");
    imap.send("UID EXPUNGE 11");
    imap.send("EXPUNGE");
    imap.send("STORE 2 +FLAGS (\\Deleted)");
    drop(imap);
    dovecot.ask(&["mailbox", "rename", "Old name", "New name"]);
    dovecot.ask(&["mailbox", "delete", "Gone"]);
}

#[test]
fn a_store_that_dovecot_works_on_is_read_as_dovecot_reads_it() {
    let test = "a_store_that_dovecot_works_on_is_read_as_dovecot_reads_it";
    each_format(test, "", "", |dovecot, format| {
        live(dovecot);
        same_as_dovecot(dovecot, format, "");
        // What Dovecot has written meanwhile changes nothing.
        same_as_dovecot(dovecot, format, "");
    });
}

#[test]
fn a_store_is_the_same_after_a_resync() {
    each_format(
        "a_store_is_the_same_after_a_resync",
        "",
        "",
        |dovecot, format| {
            live(dovecot);
            dovecot.force_resync();
            same_as_dovecot(dovecot, format, "");
        },
    );
}

#[test]
fn a_store_that_was_purged_is_read_as_dovecot_reads_it() {
    let test = "a_store_that_was_purged_is_read_as_dovecot_reads_it";
    each_format(test, "", "", |dovecot, format| {
        live(dovecot);
        dovecot.ask(&["expunge", "mailbox", "INBOX", "seen"]);
        dovecot.ask(&["purge"]);
        dovecot.ask(&["index", "*"]);
        same_as_dovecot(dovecot, format, "");
    });
}

/// An index that was written between two logs: what came before is in the one, what came after in the other.
#[test]
fn an_index_and_the_log_behind_it_are_put_together() {
    let test = "an_index_and_the_log_behind_it_are_put_together";
    let settings = "mail_index_log_rotate_min_size = 1k\nmail_index_log_rotate_max_size = 2k\n\
                    mail_index_log_rotate_min_age = 0\nmail_index_rewrite_min_log_bytes = 512\n\
                    mail_index_rewrite_max_log_bytes = 1k\n";
    each_format(test, "", settings, |dovecot, format| {
        for _ in 0..3 {
            let mut imap = dovecot.imap();
            for nth in 0..20 {
                let body = mail(&format!("rotated{nth}"));
                let append = format!("APPEND INBOX (\\Seen k{nth}) {{{}+}}\r\n", body.len());
                imap.send([append.as_bytes(), &body].concat());
            }
            imap.send("SELECT INBOX");
            imap.send("STORE 1:* +FLAGS (\\Flagged)");
            imap.send("STORE 1:3 +FLAGS (\\Deleted)");
            imap.send("EXPUNGE");
            drop(imap);
            same_as_dovecot(dovecot, format, "");
        }
        let logs = dovecot.mail().join("mailboxes/INBOX/dbox-Mails");
        assert!(logs.join("dovecot.index").exists(), "an index was written");
        assert!(
            logs.join("dovecot.index.log.2").exists(),
            "the log was rotated"
        );
    });
}

#[test]
fn what_dovecot_backs_up_is_read_as_dovecot_reads_it() {
    let Some(server) = Server::here("what_dovecot_backs_up_is_read_as_dovecot_reads_it") else {
        return;
    };
    let formats = ["sdbox", "mdbox", "maildir"];
    for from in formats {
        let source = nothing(&server, from, "");
        live(&source);
        // A backup makes a mailbox of every name, and one without messages has no GUID before it is opened.
        source.ask(&["mailbox", "create", "Lists"]);
        let location = format!("{from}:{}", source.mail().display());
        let copies = formats.map(|to| (to, nothing(&server, to, "")));
        let back_up = || {
            for (to, copy) in &copies {
                copy.ask(&["backup", "-R", &location]);
                same_as_dovecot(copy, to, "");
            }
        };
        back_up();
        source.ask(&["expunge", "mailbox", "INBOX", "seen"]);
        source.ask(&["flags", "add", "\\Flagged later", "mailbox", "INBOX", "all"]);
        source.ask(&["mailbox", "rename", "Archive", "Attic"]);
        source.deliver("INBOX", &mail("after the first backup"));
        back_up();
    }
}

/// POP3 UIDLs and orders come from a Maildir that an older server kept.
#[test]
fn a_store_that_dovecot_made_of_a_maildir_keeps_its_pop3_uidls() {
    let test = "a_store_that_dovecot_made_of_a_maildir_keeps_its_pop3_uidls";
    let Some(server) = Server::here(test) else {
        return;
    };
    let maildir = tempfile::tempdir().unwrap();
    for place in ["cur", "new", "tmp"] {
        fs::create_dir(maildir.path().join(place)).unwrap();
    }
    let mut uidlist = "3 V1600000000 N90 G101112131415161718191a1b1c1d1e1f\n".to_owned();
    for (uid, words) in [
        (3, "P0000abc.x "),
        (7, ""),
        (20, "O7 Pz "),
        (80, "Gmy-guid O1 "),
    ] {
        let name = format!("16000000{uid:02}.M1P1.host");
        writeln!(uidlist, "{uid} {words}:{name}").unwrap();
        let body = mail(&format!("pop{uid}"));
        fs::write(maildir.path().join("cur").join(format!("{name}:2,S")), body).unwrap();
    }
    fs::write(maildir.path().join("dovecot-uidlist"), uidlist).unwrap();
    let from = server.serve("maildir", maildir.path());
    let location = format!("maildir:{}", from.mail().display());
    for format in super::FORMATS {
        let dovecot = nothing(&server, format, "");
        dovecot.ask(&["backup", "-R", &location]);
        let store = same_as_dovecot(&dovecot, format, "");
        let uidl = |uid| store.message("INBOX", uid).pop3_uidl.clone();
        assert_eq!(uidl(3), Some("0000abc.x".into()));
        assert_eq!(uidl(7), None);
        assert_eq!(store.message("INBOX", 20).pop3_order, Some(7));
        assert_eq!(store.message("INBOX", 80).guid, "my-guid");
    }
}
