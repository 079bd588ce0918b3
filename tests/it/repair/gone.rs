//! A whole mailbox is gone: what still knows of it says so.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::json;

use super::hidden::{give, set_mode};
use super::{Damaged, lost};
use crate::harness::FORMATS;
use crate::harness::dovecot::{Dovecot, Server};
use crate::harness::maildir::scratch;
use crate::harness::run::{Ran, Run};

const LOG: &str = "dovecot.index.log";

/// The folder of a mailbox in the root.
fn folder(format: &str, mailbox: &str) -> String {
    match (format, mailbox) {
        ("maildir", "INBOX") => String::new(),
        ("maildir", name) => format!(".{name}/"),
        (_, name) => format!("mailboxes/{name}/"),
    }
}

fn without(format: &'static str, path: &str) -> Damaged {
    let sample = Damaged::sample(format);
    let path = sample.at(path);
    sample.without(&[path])
}

#[test]
fn a_mailbox_that_only_the_server_s_list_has_is_an_error() {
    for format in FORMATS {
        let ran = without(format, &folder(format, "Sent")).inspect().exits(1);
        let messages = if format == "maildir" { 2 } else { 4 };
        let detail = format!("it had {messages} messages");
        ran.says(
            "mailbox.gone",
            &json!({"mailbox": "Sent", "detail": detail}),
        );
        assert_eq!(ran.findings("mailbox.gone").len(), 1, "{ran}");
    }
}

#[test]
fn a_mailbox_that_is_gone_is_told_after_a_repair_too_and_a_server_goes_by_what_is_there() {
    let server = Server::here("a_mailbox_that_is_gone_is_told_after_a_repair_too");
    for format in ["sdbox", "mdbox"] {
        let damaged = without(format, &folder(format, "Sent"));
        let index = ["dovecot.index", "dovecot.index.log", "dovecot.index.cache"];
        let index = index.map(|name| damaged.mails("INBOX", name));
        let index: Vec<_> = index.into_iter().filter(|path| path.exists()).collect();
        let damaged = damaged.without(&index);
        let ran = damaged.repair().exits(1);
        assert!(!ran.records_of("step").is_empty(), "{ran}");
        let gone = json!({"mailbox": "Sent", "detail": "it had 4 messages"});
        for told in [ran, damaged.inspect(), damaged.repair(), damaged.inspect()] {
            told.exits(1).says("mailbox.gone", &gone);
        }
        let Some(server) = &server else { continue };
        let dovecot = server.serve(format, damaged.store());
        let inbox = dovecot.account().mailbox("INBOX").status.clone().unwrap();
        dovecot.assert_silent();
        let ours = damaged.inspect();
        let ours = ours.mailbox("INBOX");
        let theirs = [inbox.messages, inbox.uidvalidity, inbox.uidnext];
        let ours = ["messages", "uidvalidity", "uidnext"].map(|key| ours[key].as_u64().unwrap());
        assert_eq!(theirs, ours);
    }
}

#[test]
fn a_repair_that_can_do_nothing_about_a_lost_mailbox_says_what_comes_next() {
    for format in ["maildir", "sdbox"] {
        let damaged = without(format, &folder(format, "Sent"));
        let location = format!("{format}:{}", damaged.store().display());
        let args = ["repair", "--offline", &location];
        let run = Run::new(damaged.temp()).args(args);
        let ran = run.done().exits(1);
        let next = "\nnext: look at what is listed above; repair can do nothing about it\n";
        assert!(ran.stdout.ends_with(next), "{ran}");
    }
}

#[test]
fn a_dbox_without_its_inbox_is_an_error() {
    for format in ["sdbox", "mdbox"] {
        let ran = without(format, &folder(format, "INBOX")).inspect().exits(1);
        let detail = "how many messages it had is not told";
        ran.says(
            "mailbox.gone",
            &json!({"mailbox": "INBOX", "detail": detail}),
        );
    }
}

#[test]
fn a_mailbox_that_a_client_deleted_or_renamed_is_not_gone() {
    let Some(server) = Server::here("a_mailbox_that_a_client_deleted_or_renamed_is_not_gone")
    else {
        return;
    };
    for format in FORMATS {
        let sample = Damaged::sample(format);
        let dovecot = server.serve(format, sample.store());
        dovecot.ask(&["mailbox", "status", "all", "*"]);
        dovecot.ask(&["mailbox", "delete", "Sent"]);
        dovecot.ask(&["mailbox", "rename", "Trash", "Bin"]);
        dovecot.assert_silent();
        let used = Damaged::left_by(&dovecot, format);
        let ran = used.inspect();
        assert_eq!(ran.findings("mailbox.gone"), [&json!(null); 0][..], "{ran}");
        // Had it been removed beneath the server, that would have been seen; the list has its old name still.
        let bin = used.at(folder(format, "Bin"));
        let ran = used.without(&[bin]).inspect();
        ran.exits(1)
            .says("mailbox.gone", &json!({"mailbox": "Trash"}));
    }
}

/// Mailboxes with a message each, and the server's list of them.
fn in_levels(server: &Server) -> Dovecot {
    let empty = scratch();
    let dovecot = server.serve("maildir:LAYOUT=fs", empty.path());
    for mailbox in ["Sent", "Trash", "Lists/ä", "INBOX/Sub", "a.b"] {
        dovecot.ask(&["mailbox", "create", mailbox]);
        dovecot.deliver(mailbox, b"Subject: x\n\ntext\n");
    }
    dovecot.ask(&["mailbox", "status", "all", "*"]);
    dovecot
}

/// `command` on the store of a server, by a user for whom modes hold.
fn run(command: &str, location: &str) -> Ran {
    let temp = scratch();
    let args = [command, "--json", "--offline", location];
    let args = args
        .iter()
        .filter(|arg| command == "repair" || **arg != "--offline");
    Run::new(temp.path()).unprivileged().args(args).done()
}

#[test]
fn a_mailbox_in_directories_is_gone_only_if_its_directory_is() {
    let Some(server) = Server::here("a_mailbox_in_directories_is_gone_only_if_its_directory_is")
    else {
        return;
    };
    let dovecot = in_levels(&server);
    let location = format!("maildir:{}:LAYOUT=fs", dovecot.mail().display());
    assert_eq!(run("inspect", &location).exits(0).codes(), [""; 0]);
    dovecot.ask(&["mailbox", "delete", "Sent"]);
    dovecot.ask(&["mailbox", "rename", "Trash", "Bin"]);
    assert_eq!(run("inspect", &location).exits(0).codes(), [""; 0]);
    for (mailbox, folder) in [
        ("Lists/ä", "Lists/&AOQ-"),
        ("INBOX/Sub", "INBOX/Sub"),
        ("a.b", "a.b"),
        ("Trash", "Bin"),
    ] {
        let aside = dovecot.home().join("aside");
        let folder = dovecot.mail().join(folder);
        fs::rename(&folder, &aside).unwrap();
        let ran = run("inspect", &location).exits(1);
        let said = json!({"mailbox": mailbox, "detail": "it had 1 message"});
        ran.says("mailbox.gone", &said);
        fs::rename(&aside, &folder).unwrap();
    }
}

/// What is said of a store in which this file or folder cannot be read; it can be again then.
fn without_rights(format: &str, store: &Path, keys: &str, hidden: &str) -> [Ran; 2] {
    give(store);
    let hidden = store.join(hidden);
    let mode = fs::metadata(&hidden).unwrap().permissions().mode();
    set_mode(&hidden, 0o000);
    let location = format!("{format}:{}{keys}", store.display());
    let ran = ["inspect", "repair"].map(|command| run(command, &location).exits(1));
    set_mode(&hidden, mode);
    ran
}

#[test]
fn a_mailbox_that_cannot_be_read_is_not_gone() {
    let Some(server) = Server::here("a_mailbox_that_cannot_be_read_is_not_gone") else {
        return;
    };
    for hidden in ["Lists", "Lists/&AOQ-", "Lists/&AOQ-/cur", "INBOX", "Sent"] {
        let dovecot = in_levels(&server);
        for ran in without_rights("maildir", &dovecot.mail(), ":LAYOUT=fs", hidden) {
            assert!(!ran.findings("mailbox.unreadable").is_empty(), "{ran}");
            assert_eq!(ran.findings("mailbox.gone").len(), 0, "{hidden}: {ran}");
        }
    }
    for (format, hidden) in [
        ("maildir", ".Trash"),
        ("maildir", ".Trash/cur"),
        ("sdbox", "mailboxes/Trash"),
        ("sdbox", "mailboxes/Trash/dbox-Mails"),
        ("mdbox", "mailboxes/Trash"),
        ("mdbox", "mailboxes/Trash/dbox-Mails"),
    ] {
        let sample = Damaged::sample(format);
        for ran in without_rights(format, &sample.store(), "", hidden) {
            assert_eq!(ran.findings("mailbox.unreadable").len(), 1, "{ran}");
            assert_eq!(ran.findings("mailbox.gone").len(), 0, "{ran}");
        }
    }
}

#[test]
fn a_mailbox_that_may_be_there_under_a_name_that_cannot_be_read_is_not_gone() {
    let test = "a_mailbox_that_may_be_there_under_a_name_that_cannot_be_read_is_not_gone";
    let Some(server) = Server::here(test) else {
        return;
    };
    for (location, hidden) in [
        ("maildir", ".Bin"),
        ("maildir", ".Bin/dovecot-uidlist"),
        ("maildir:LAYOUT=fs", "Bin"),
        ("maildir:LAYOUT=fs", "Bin/dovecot-uidlist"),
        ("sdbox", "mailboxes/Bin"),
        ("sdbox", "mailboxes/Bin/dbox-Mails"),
        ("sdbox", "mailboxes/Bin/dbox-Mails/dovecot.index.log"),
        ("mdbox", "mailboxes/Bin/dbox-Mails"),
    ] {
        let dovecot = server.serve(location, scratch().path());
        dovecot.ask(&["mailbox", "create", "Trash"]);
        dovecot.deliver("Trash", b"Subject: x\n\ntext\n");
        dovecot.ask(&["mailbox", "status", "all", "*"]);
        dovecot.ask(&["mailbox", "rename", "Trash", "Bin"]);
        let (format, keys) = location.split_once(':').unwrap_or((location, ""));
        let keys = if keys.is_empty() { "" } else { ":LAYOUT=fs" };
        for ran in without_rights(format, &dovecot.mail(), keys, hidden) {
            assert_eq!(ran.findings("mailbox.gone").len(), 0, "{hidden}: {ran}");
        }
    }
}

#[test]
fn a_maildir_of_which_no_file_is_left_is_an_error() {
    for (mailbox, lines) in [("Sent", 2), ("INBOX", 12)] {
        let cur = format!("{}cur", folder("maildir", mailbox));
        let ran = without("maildir", &cur).inspect().exits(1);
        let detail = format!("{lines} lines without a file, first uid 1");
        ran.says(
            "maildir.emptied",
            &json!({"mailbox": mailbox, "detail": detail}),
        );
    }
}

#[test]
fn a_repair_that_puts_the_list_aside_says_what_only_it_knew() {
    let sample = Damaged::sample("mdbox");
    let gone = ["Sent", "Archive"].map(|name| sample.at(folder("mdbox", name)));
    let damaged = sample.without(&gone);
    let ran = damaged.run("repair", &["--offline", "--recover-orphans"]);
    let said = [
        "the mailbox Archive/2020/Qä: it had 1 message",
        "the mailbox Sent: it had 4 messages",
    ];
    assert_eq!(lost(&ran.exits(1)), said);
    let left = damaged.inspect().exits(0);
    assert!(left.mailbox("Recovered")["messages"].as_u64() > Some(0));
}

#[test]
fn a_log_that_lost_its_end_is_told_by_the_server_s_list() {
    for format in ["sdbox", "mdbox"] {
        let sample = Damaged::sample(format);
        let log = sample.mails("Sent", "dovecot.index.log");
        let damaged = sample.changed(&log, |bytes| zero_the_second_half(bytes));
        let found = damaged.inspect().exits(1);
        found.says(
            "index.behind",
            &json!({"mailbox": "Sent", "severity": "error"}),
        );
        let ran = damaged.repair().exits(1);
        let told = if format == "mdbox" {
            "UIDs, flags and keywords of 3 messages that no index names"
        } else {
            "flags and keywords of 4 messages, the first is u.1"
        };
        assert!(lost(&ran).iter().any(|lost| lost == told), "{ran}");
        assert_eq!(ran.mailbox("Sent")["messages"], 4, "{ran}");
    }
}

#[test]
fn a_mailbox_of_an_older_backup_is_told_by_the_changes_that_the_server_s_list_knows() {
    let Some(server) = Server::here("a_mailbox_of_an_older_backup") else {
        return;
    };
    for format in ["sdbox", "mdbox"] {
        let dovecot = server.serve(format, scratch().path());
        dovecot.ask(&["mailbox", "create", "New"]);
        dovecot.deliver("New", b"Subject: x\n\ntext\n");
        let older = Damaged::left_by(&dovecot, format);
        dovecot.ask(&["flags", "add", "\\Seen Late", "mailbox", "New", "all"]);
        dovecot.ask(&["mailbox", "status", "all", "*"]);
        let damaged = Damaged::left_by(&dovecot, format);
        damaged.is_not_touched();
        let log = fs::read(older.mails("New", LOG)).unwrap();
        fs::write(damaged.mails("New", LOG), log).unwrap();
        let said = &json!({"mailbox": "New", "severity": "error"});
        damaged.inspect().exits(1).says("index.behind", said);
        let ran = damaged.repair().exits(1);
        let changed = |lost: &String| lost.starts_with("what was changed between HIGHESTMODSEQ ");
        assert!(lost(&ran).iter().any(changed), "{ran}");
        damaged.is_not_touched();
        let dovecot = server.serve(format, damaged.store());
        assert_eq!(dovecot.account().mailbox("New").messages.len(), 1);
        dovecot.assert_silent();
    }
}

#[test]
fn where_a_log_ends_in_a_half_record_what_was_changed_last_may_be_lost_unless_the_list_knows_better()
 {
    let half = |bytes: &mut Vec<u8>| bytes.extend([0, 0, 0, 0, 4, 0, 0, 0x10, 1]);
    let sample = Damaged::sample("sdbox");
    let log = sample.mails("Sent", LOG);
    let damaged = sample.changed(&log, half);
    let ran = damaged.repair().exits(0);
    assert!(lost(&ran).is_empty(), "{ran}");
    let sample = Damaged::sample("sdbox");
    let list = sample.at("dovecot.list.index.log");
    let damaged = sample.without(&[list]);
    let log = damaged.mails("Sent", LOG);
    let ran = damaged.changed(&log, half).repair().exits(1);
    let perhaps = "perhaps what was changed last: the log of the index ends in a half record";
    assert_eq!(lost(&ran), [perhaps]);
}

#[test]
fn a_new_uidlist_does_not_forget_that_files_are_gone() {
    let sample = Damaged::sample("maildir");
    let one = sample.at("cur/1580000003.M3P300.lab:2,");
    let list = sample.at("dovecot-uidlist");
    let damaged = sample
        .without(&[one])
        .changed(&list, |bytes| bytes.push(b'x'));
    let ran = damaged.repair().exits(1);
    assert_eq!(
        lost(&ran),
        ["uid 24: cur/1580000003.M3P300.lab is gone"],
        "{ran}"
    );
}

/// A Maildir whose server knows a message, and whose file is gone.
fn without_a_file() -> Damaged {
    without("maildir", "cur/1580000003.M3P300.lab:2,")
}

#[test]
fn a_message_that_list_and_index_have_and_no_file_is_an_error_to_every_command() {
    let damaged = without_a_file();
    let said = json!({
        "mailbox": "INBOX", "uid": 24, "path": "cur/1580000003.M3P300.lab", "severity": "error",
    });
    damaged.inspect().exits(1).says("maildir.lost", &said);
    let copy = format!("sdbox:{}", damaged.at("../copy").display());
    let ran = damaged.run("convert", &[&copy]).exits(1);
    assert_eq!(ran.summary()["verdict"], "no-go");
    ran.says("maildir.lost", &said);
    let ran = damaged.run("verify", &[&copy]).exits(1);
    ran.says("maildir.lost", &said);
    assert_eq!(ran.records_of("difference").len(), 0, "{ran}");
}

#[test]
fn quiet_hides_warnings_and_no_error() {
    let damaged = without_a_file();
    let location = format!("maildir:{}", damaged.store().display());
    let copy = format!("sdbox:{}", damaged.at("../copy").display());
    for args in [
        &["inspect", "-q", &location][..],
        &["convert", "-q", &location, &copy],
        &["verify", "-q", &location, &copy],
    ] {
        let ran = Run::new(&damaged.at("..")).args(args).done().exits(1);
        assert!(ran.stdout.contains("maildir.lost"), "{ran}");
        assert!(!ran.stdout.contains("warning"), "{ran}");
    }
}

#[test]
fn an_index_that_is_not_of_today_makes_no_error_of_a_file_that_is_gone() {
    type Change = fn(&mut Vec<u8>);
    let changes: [(&str, &str, Change); 3] = [
        ("the list is newer", "dovecot-uidlist", |bytes| {
            bytes.extend(b"90 :1590000000.M9P9.lab\n");
        }),
        ("the list is another one", "dovecot-uidlist", |bytes| {
            for key in [b'V', b'G'] {
                let at = bytes.iter().position(|byte| *byte == key).unwrap();
                bytes[at + 1] ^= 1;
            }
        }),
        ("the log is not whole", "dovecot.index.log", |bytes| {
            bytes.truncate(bytes.len() - 4);
        }),
    ];
    for (what, file, change) in changes {
        let damaged = without_a_file();
        let file = damaged.at(file);
        let ran = damaged.changed(&file, change).inspect();
        assert!(ran.findings("maildir.lost").is_empty(), "{what}: {ran}");
    }
    let damaged = without_a_file();
    let files = ["dovecot.index", "dovecot.index.log"];
    let files = files.map(|file| damaged.at(file));
    let files = files.into_iter().filter(|file| file.exists());
    let ran = { damaged.without(&files.collect::<Vec<_>>()) }
        .inspect()
        .exits(0);
    assert!(ran.findings("maildir.lost").is_empty(), "{ran}");
}

#[test]
fn what_a_server_expunged_and_moved_is_not_lost() {
    let Some(server) = Server::here("what_a_server_expunged_and_moved_is_not_lost") else {
        return;
    };
    let dovecot = server.serve("maildir", Damaged::sample("maildir").store());
    let not_lost = |what: &str| {
        let used = Damaged::left_by(&dovecot, "maildir");
        let ran = used.inspect();
        for code in ["maildir.lost", "maildir.emptied", "uidlist.lost"] {
            assert!(ran.findings(code).is_empty(), "{what}: {ran}");
        }
    };
    for nth in 0..3 {
        dovecot.deliver("INBOX", format!("Subject: {nth}\n\nx\n").as_bytes());
    }
    not_lost("saved");
    dovecot.ask(&["expunge", "mailbox", "INBOX", "1"]);
    not_lost("one expunged");
    dovecot.ask(&["move", "Trash", "mailbox", "INBOX", "2:3"]);
    not_lost("moved");
    let mut imap = dovecot.imap();
    imap.send("SELECT INBOX");
    imap.send("STORE 1:2 +FLAGS (\\Deleted)");
    imap.send("EXPUNGE");
    not_lost("expunged in a session that is still open");
    drop(imap);
    dovecot.ask(&["expunge", "mailbox", "Trash", "all"]);
    not_lost("all expunged");
    dovecot.force_resync();
    not_lost("resynced");
    dovecot.ask(&["expunge", "mailbox", "INBOX", "all"]);
    not_lost("nothing left");
}

#[test]
fn a_repair_takes_a_lost_message_out_of_the_list_and_says_so() {
    let damaged = without_a_file();
    let ran = damaged.repair().exits(1);
    assert_eq!(
        lost(&ran),
        ["uid 24: cur/1580000003.M3P300.lab is gone"],
        "{ran}"
    );
    damaged.inspect().exits(0);
    damaged.repair().exits(0);
}

fn zero_the_second_half(bytes: &mut [u8]) {
    let half = bytes.len() / 2;
    bytes[half..].fill(0);
}

#[test]
fn a_folder_behind_a_link_out_of_the_account_is_not_gone() {
    let sample = Damaged::sample("maildir");
    let folder = sample.at(".Sent");
    let outside = sample.temp().join("home/sent");
    fs::rename(&folder, &outside).unwrap();
    std::os::unix::fs::symlink(&outside, &folder).unwrap();
    let ran = sample.inspect();
    assert_eq!(ran.findings("maildir.symlink-outside").len(), 1, "{ran}");
    assert_eq!(ran.findings("mailbox.gone").len(), 0, "{ran}");
    let ran = sample.run("repair", &["--offline", "--accept-loss"]);
    assert!(sample.at("dovecot.list.index.log").exists(), "{ran}");
}
