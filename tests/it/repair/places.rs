//! Accounts that lie in several places; and no server takes what is kept for a mailbox.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{Damaged, mended};
use crate::harness::dovecot::{Dovecot, Server};
use crate::harness::maildir::{Maildir, mail, name};
use crate::harness::run::{Ran, Run};
use crate::harness::tree::{Tree, tree};

/// The places of an account that do not lie in its root.
const PLACES: [&str; 3] = ["control", "index", "inbox"];

/// A message of a wrong size in the INBOX, and one mailbox without a list: each in its place.
fn scattered() -> Maildir {
    let account = Maildir::five_and_one()
        .message("INBOX", &format!("{},S=999:2,S", name(7)), mail("sized"))
        .put("maildirsize", "1000S\n7 7\n");
    for place in PLACES {
        fs::create_dir(account.temp().join(place)).unwrap();
    }
    fs::create_dir(account.temp().join("control/.INBOX")).unwrap();
    for (from, to) in [
        ("dovecot-uidlist", "control/.INBOX/dovecot-uidlist"),
        ("maildirsize", "control/maildirsize"),
        ("cur", "inbox/cur"),
        ("new", "inbox/new"),
        ("tmp", "inbox/tmp"),
    ] {
        fs::rename(account.at(from), account.temp().join(to)).unwrap();
    }
    account.without(".Sent/dovecot-uidlist")
}

fn location(account: &Maildir) -> String {
    let at = |place: &str| account.temp().join(place).display().to_string();
    let [control, index, inbox] = PLACES.map(at);
    format!(
        "{}:CONTROL={control}:INDEX={index}:INBOX={inbox}",
        account.location()
    )
}

fn run(account: &Maildir, command: &str, location: &str, more: &[&str]) -> Ran {
    let args = [command, "--json", location];
    Run::new(account.temp()).args(args).args(more).done()
}

fn repair(account: &Maildir, location: &str, more: &[&str]) -> Ran {
    let more = [&["--offline"], more].concat();
    run(account, "repair", location, &more)
}

/// Content by name in all places, without what is kept.
fn contents(account: &Maildir) -> Vec<(std::path::PathBuf, bstr::BString)> {
    let all: Tree = tree(account.temp());
    let kept = |path: &Path| {
        path.components()
            .any(|it| it.as_os_str() == "mailtally-replaced")
    };
    let all = all.into_iter().filter(|(path, _)| !kept(path));
    all.map(|(path, node)| (path, node.content)).collect()
}

/// A copy of a place in the home of the server's user.
fn copied(account: &Maildir, dovecot: &Dovecot, place: &str) {
    let to = dovecot.home().join(place);
    let mut copy = Command::new("cp");
    copy.arg("-a").arg(account.temp().join(place)).arg(&to);
    assert!(copy.status().unwrap().success());
    let mut give = Command::new("chown");
    give.arg("-R")
        .arg("--reference")
        .arg(dovecot.mail())
        .arg(&to);
    assert!(give.status().unwrap().success());
}

#[test]
fn an_account_in_several_places_is_repaired_in_each() {
    let account = scattered();
    let (location, before) = (location(&account), contents(&account));
    let ran = repair(&account, &location, &[]).exits(1);
    let codes = ["maildir.size-mismatch", "quota.stale", "uidlist.missing"];
    assert_eq!(mended(&ran), codes);
    let named = format!("inbox/cur/{},S=39:2,S", name(7));
    assert!(account.temp().join(named).exists(), "{ran}");
    assert!(
        account
            .temp()
            .join("control/.Sent/dovecot-uidlist")
            .exists()
    );
    assert!(!account.at("dovecot-uidlist").exists());
    let left = run(&account, "inspect", &location, &[]).exits(0);
    assert!(left.codes().is_empty(), "{left}");
    let again = repair(&account, &location, &[]).exits(0);
    assert!(again.records_of("step").is_empty(), "{again}");
    if let Some(server) = Server::here("an_account_in_several_places") {
        let keys = "maildir:CONTROL=%h/control:INDEX=%h/index:INBOX=%h/inbox";
        let dovecot = server.serve(keys, account.source());
        for place in PLACES {
            copied(&account, &dovecot, place);
        }
        let told = dovecot.account();
        let uids = |name: &str| {
            let messages = told.mailbox(name).messages.iter();
            messages.map(|message| message.uid).collect::<Vec<_>>()
        };
        assert_eq!(uids("INBOX"), [1, 2, 3, 4, 5, 6]);
        assert_eq!(uids("Sent"), [1]);
        dovecot.assert_silent();
    }
    let without = repair(&account, &account.location(), &["--undo"]);
    assert_ne!(without.code, 0, "it is not taken back in part: {without}");
    repair(&account, &location, &["--undo"]).exits(0);
    assert_eq!(contents(&account), before);
    for place in PLACES.into_iter().chain(["Maildir"]) {
        let kept = account.temp().join(place).join("mailtally-replaced");
        assert!(!kept.exists(), "{place}");
    }
}

#[test]
fn a_lock_in_another_place_says_that_a_server_works_there() {
    let account = scattered();
    fs::write(
        account.temp().join("control/.INBOX/dovecot-uidlist.lock"),
        "",
    )
    .unwrap();
    run(&account, "repair", &location(&account), &[]).exits(75);
}

/// Mailboxes in directories, and a wrong size in each.
fn levels(dirname: &str) -> Maildir {
    let mut account = Maildir::new();
    let inbox = if dirname.is_empty() { "" } else { "INBOX/" };
    if !dirname.is_empty() {
        for place in ["cur", "new", "tmp"] {
            fs::remove_dir(account.at(place)).unwrap();
        }
    }
    for mailbox in [inbox, "Work/", "Work/Sub/"] {
        let folder = format!("{mailbox}{dirname}");
        for place in ["new", "tmp"] {
            account = account.dir(format!("{folder}{place}"));
        }
        let file = format!("{folder}cur/{},S=999:2,S", name(1));
        account = account.put(&file, mail("sized"));
    }
    account
}

#[test]
fn what_is_kept_is_no_mailbox_where_directories_stand_for_levels() {
    for (dirname, keys, kept) in [
        ("", "LAYOUT=fs", "tmp/mailtally-replaced"),
        ("m/", "LAYOUT=fs:DIRNAME=m", "m/mailtally-replaced"),
    ] {
        let account = levels(dirname);
        let location = format!("{}:{keys}", account.location());
        let before = contents(&account);
        let ran = repair(&account, &location, &[]).exits(1);
        assert_eq!(mended(&ran), ["maildir.size-mismatch", "uidlist.missing"]);
        assert!(account.at(kept).exists(), "{ran}");
        let told = ran.records_of("step");
        let told = told[0]["kept"].as_str().unwrap().to_owned();
        assert!(told.starts_with(kept), "{told}");
        let left = run(&account, "inspect", &location, &[]).exits(0);
        assert!(left.codes().is_empty(), "{left}");
        let names = mailboxes(&left);
        assert_eq!(names, ["INBOX", "Work", "Work/Sub"], "{keys}");
        run(&account, "convert", &location, &[&account.target()]).exits(0);
        if let Some(server) = Server::here("what_is_kept_is_no_mailbox") {
            let dovecot = server.serve(&format!("maildir:{keys}"), account.source());
            let told = dovecot.account();
            assert_eq!(shown(&told), names, "{keys}");
            dovecot.assert_silent();
        }
        repair(&account, &location, &["--undo"]).exits(0);
        fs::remove_dir_all(account.destination()).unwrap();
        let empty = |path: &Path| path == Path::new("Maildir/m") || path.starts_with("sdbox");
        let mut after = contents(&account);
        after.retain(|(path, _)| !empty(path));
        assert_eq!(after, before, "{keys}");
    }
}

fn mailboxes(ran: &Ran) -> Vec<String> {
    let records = ran.records_of("mailbox");
    let names = records.iter().map(|it| it["mailbox"].as_str().unwrap());
    let mut names: Vec<_> = names.map(ToOwned::to_owned).collect();
    names.sort();
    names
}

fn shown(account: &crate::harness::dovecot::account::Account) -> Vec<String> {
    let mut names: Vec<_> = account.mailboxes.iter().map(|it| it.name.clone()).collect();
    names.sort();
    names
}

#[test]
fn no_server_shows_what_is_kept_as_a_mailbox() {
    let Some(server) = Server::here("no_server_shows_what_is_kept") else {
        return;
    };
    let log = |damaged: &Damaged| damaged.mails("Sent", "dovecot.index.log");
    for (format, keys) in [
        ("maildir", ""),
        ("sdbox", ""),
        ("mdbox", ""),
        ("sdbox", ":LAYOUT=fs"),
    ] {
        let damaged = Damaged::sample(format);
        let before = server.serve(format, damaged.store()).account();
        let damaged = if format == "maildir" {
            fs::write(damaged.at("maildirsize"), "1000S\n-1 -1\n").unwrap();
            damaged
        } else {
            let log = log(&damaged);
            damaged.changed(&log, |bytes| bytes.truncate(bytes.len() - 3))
        };
        let location = format!("{format}:{}{keys}", damaged.store().display());
        let args = ["repair", "--json", "--offline", &location];
        let ran = Run::new(damaged.store().parent().unwrap())
            .args(args)
            .done();
        assert!(!ran.records_of("step").is_empty(), "{ran}");
        assert!(damaged.at("mailtally-replaced").exists());
        let served = format!("{format}{keys}");
        let after = server.serve(&served, damaged.store()).account();
        assert_eq!(shown(&after), shown(&before), "{format}{keys}");
    }
}
