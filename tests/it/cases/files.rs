//! Catalogue 53 to 64: what else lies in a Maildir, links, and files that come and go.

use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use mailtally::disk::{Action, Dir, Disk, Step};
use mailtally::format::{OpenOptions, room};
use mailtally::ops::{Teller, convert, together::Together, users::Place, workers::Workers};
use mailtally::report::{Event, Observer, Status};
use serde_json::json;

use crate::harness::maildir::{Maildir, mail, name};
use crate::harness::run::Ran;
use crate::harness::store::Store;

#[test]
fn files_that_servers_keep_are_neither_folders_nor_mail() {
    // 53 and 54.
    let account = Maildir::five_and_one()
        .put(".DS_Store", "x")
        .put(".dovecot.lda-dupes", "x")
        .put("dovecot.mailbox.log", "x")
        .put(".Sent/maildirfolder", "")
        .put("cur/maildirfolder", "")
        .put("cur/dovecot.index.log", "x")
        .put("new/dovecot-uidlist", "x")
        .put("cur/subscriptions", "x");
    let (ran, store) = account.converted();
    let ran = ran.exits(0);
    assert_eq!(store.names(), ["INBOX", "Sent"]);
    assert_eq!(store.uids("INBOX"), [1, 2, 3, 4, 5]);
    assert_eq!(ran.codes(), ["maildir.stray"]);
    assert_eq!(
        paths(&ran, "maildir.stray"),
        [
            "cur/dovecot.index.log",
            "cur/maildirfolder",
            "cur/subscriptions",
            "new/dovecot-uidlist"
        ]
    );
}

fn paths(ran: &Ran, code: &str) -> Vec<String> {
    let all = ran.findings(code).into_iter();
    let mut paths: Vec<_> = all
        .map(|it| it["path"].as_str().unwrap().to_owned())
        .collect();
    paths.sort();
    paths
}

#[test]
fn strays_and_directories_among_the_messages_are_listed_and_not_counted() {
    // 55 and 56.
    let account = Maildir::five_and_one()
        .put("cur/.nfs000001", "x")
        .put("cur/note~", "x")
        .put("cur/#note#", "x")
        .dir("cur/lost+found")
        .dir("cur/.snapshot")
        .put("new/sub/file", "x");
    rustix::fs::mkfifoat(rustix::fs::CWD, account.at("cur/pipe"), 0o600.into()).unwrap();
    let (ran, store) = account.converted();
    let ran = ran.exits(0);
    assert_eq!(
        paths(&ran, "maildir.stray"),
        ["cur/#note#", "cur/.nfs000001", "cur/note~", "cur/pipe"]
    );
    assert_eq!(
        paths(&ran, "maildir.stray-dir"),
        ["cur/.snapshot", "cur/lost+found", "new/sub"]
    );
    assert_eq!(store.uids("INBOX"), [1, 2, 3, 4, 5]);
    assert_eq!(ran.user()["messages"], 6);
}

#[test]
fn unfinished_deliveries_are_listed_with_their_age() {
    // 59.
    let old = SystemTime::now() - Duration::from_hours(40);
    let account = Maildir::five_and_one()
        .put("tmp/1.old", "x")
        .time("tmp/1.old", old)
        .put("tmp/2.fresh", "x")
        .put("tmp/3.fresh", "x");
    let (ran, store) = account.converted();
    let ran = ran.exits(0);
    ran.says(
        "maildir.tmp",
        &json!({"mailbox": "INBOX", "path": "tmp", "severity": "info", "detail": "1 older than 36 hours, 2 fresh"}),
    );
    assert_eq!(store.uids("INBOX"), [1, 2, 3, 4, 5]);
}

/// A disk on which a session goes on: before a step on `name` it does `what`, once.
struct Session {
    name: Vec<u8>,
    action: Action,
    what: Box<dyn Fn() + Send + Sync>,
    done: AtomicBool,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Session")
    }
}

impl Disk for Session {
    fn before(&self, step: &Step<'_>) -> std::io::Result<()> {
        if step.action == self.action
            && step.name == self.name
            && !self.done.swap(true, Ordering::Relaxed)
        {
            (self.what)();
        }
        Ok(())
    }
}

/// What an observer heard of findings.
#[derive(Default)]
struct Codes(Mutex<Vec<&'static str>>);

impl Observer for Codes {
    fn on(&self, event: Event<'_>) {
        if let Event::Found(finding) = event {
            self.0.lock().unwrap().push(finding.rule.code);
        }
    }
}

/// Converts while `what` happens before message 3 is opened.
fn convert_while(
    account: &Maildir,
    what: impl Fn() + Send + Sync + 'static,
) -> (Status, Vec<&'static str>, Store) {
    // What was built and what the session does must not fall into one tick of the file system's clock.
    std::thread::sleep(Duration::from_millis(30));
    let disk: Arc<dyn Disk> = Arc::new(Session {
        name: format!("{}:2,S", name(3)).into(),
        action: Action::Open,
        what: Box::new(what),
        done: AtomicBool::new(false),
    });
    let destination = Place::named(account.destination(), &disk);
    let job = convert::Job {
        user: "",
        from: room("maildir").unwrap(),
        source: Dir::open(&account.source(), Arc::clone(&disk)).unwrap(),
        open: &OpenOptions {
            now: 1_800_000_000,
            ..OpenOptions::default()
        },
        to: room("sdbox").unwrap(),
        destination: &destination,
        together: &Together::default(),
    };
    let options = convert::Options {
        now: 1_800_000_000,
        ..Default::default()
    };
    let codes = Codes::default();
    let line = convert::account(
        job,
        &options,
        &Teller::new("", &codes),
        &Workers::new(1).unwrap(),
    )
    .unwrap();
    (line.status, codes.0.into_inner().unwrap(), account.store())
}

#[test]
fn a_flag_that_changes_during_the_run_does_not_lose_the_message() {
    // 60.
    let account = Maildir::five_and_one();
    let (from, to) = (
        account.at(format!("cur/{}:2,S", name(3))),
        account.at(format!("cur/{}:2,FS", name(3))),
    );
    let (status, codes, store) = convert_while(&account, move || fs::rename(&from, &to).unwrap());
    // Run again: what the first pass could not see for sure, the second one does.
    assert_eq!(
        (status, &codes[..]),
        (Status::Attention, &["account.changed"][..])
    );
    assert_eq!(store.uids("INBOX"), [1, 2, 3, 4, 5]);
    assert_eq!(store.message("INBOX", 3).flags, ["\\Flagged", "\\Seen"]);
}

#[test]
fn a_message_that_goes_away_during_the_run_is_said_and_the_rest_goes_on() {
    let account = Maildir::five_and_one();
    let file = account.at(format!("cur/{}:2,S", name(3)));
    let (status, codes, store) = convert_while(&account, move || fs::remove_file(&file).unwrap());
    assert_eq!(
        (status, &codes[..]),
        (
            Status::Attention,
            &["maildir.vanished", "account.changed"][..]
        )
    );
    assert_eq!(store.uids("INBOX"), [1, 2, 4, 5]);
}

#[test]
fn a_message_that_comes_during_the_run_is_for_the_next_pass() {
    let account = Maildir::five_and_one();
    let file = account.at(format!("new/{}", name(8)));
    let (status, codes, store) =
        convert_while(&account, move || fs::write(&file, mail("late")).unwrap());
    assert_eq!(
        (status, &codes[..]),
        (Status::Attention, &["account.changed"][..])
    );
    assert_eq!(store.uids("INBOX"), [1, 2, 3, 4, 5]);
    let ran = account.convert().exits(0);
    assert_eq!(ran.user()["status"], "verified");
    assert_eq!(account.store().uids("INBOX"), [1, 2, 3, 4, 5, 6]);
}

#[test]
fn a_link_to_a_message_inside_the_account_is_followed() {
    // 61.
    let target = format!("../.Sent/cur/{}:2,S", name(9));
    let link = format!("cur/{}:2,S", name(7));
    let account = Maildir::five_and_one().link(&link, &target);
    let (ran, store) = account.converted();
    let ran = ran.exits(0);
    ran.says(
        "maildir.symlink",
        &json!({"mailbox": "INBOX", "path": link, "detail": format!("followed to {target}")}),
    );
    assert_eq!(store.message("INBOX", 6).subject(), "sent one");
}

#[test]
fn a_link_to_a_folder_inside_the_account_is_a_folder_and_a_loop_is_not() {
    let account = Maildir::five_and_one()
        .link(".Copy", ".Sent")
        .link(".Loop", ".")
        .link(".Gone", ".Nowhere")
        .link(".mailfilter", "cur");
    let (ran, store) = account.converted();
    let ran = ran.exits(1);
    assert_eq!(store.names(), ["Copy", "INBOX", "Sent"]);
    assert_eq!(store.subjects("Copy"), store.subjects("Sent"));
    assert_ne!(store.mailbox("Copy").guid, store.mailbox("Sent").guid);
    assert_eq!(paths(&ran, "maildir.symlink"), [".Copy", ".Loop"]);
    assert_eq!(paths(&ran, "maildir.symlink-outside"), [".Gone"]);
    assert_eq!(ran.findings("mailbox.guid-twice").len(), 1);
}

#[test]
fn links_that_lead_in_circles_end() {
    let account = Maildir::five_and_one()
        .link("cur/a", "b")
        .link("cur/b", "a")
        .link("cur/self", "self")
        .link(".A", ".B")
        .link(".B", ".A");
    let (ran, store) = account.converted();
    let ran = ran.exits(1);
    assert_eq!(ran.findings("maildir.symlink-outside").len(), 3, "{ran}");
    assert_eq!(store.names(), ["INBOX", "Sent"]);
    assert_eq!(store.uids("INBOX"), [1, 2, 3, 4, 5]);
}

#[test]
fn a_maildir_inside_a_maildir_is_said_and_not_carried() {
    // 63.
    let account = Maildir::five_and_one().put("Backup/cur/1700000001.M1.h:2,S", mail("old"));
    let (ran, store) = account.converted();
    ran.exits(1).says(
        "maildir.nested",
        &json!({"path": "Backup", "severity": "error"}),
    );
    assert_eq!(store.names(), ["INBOX", "Sent"]);
}

#[test]
fn a_destination_inside_its_source_is_refused() {
    let account = Maildir::five_and_one();
    let inside = format!("sdbox:{}", account.at("sdbox").display());
    let ran = crate::harness::run::Run::new(account.temp())
        .args(["convert", &account.location(), &inside])
        .done()
        .exits(64);
    assert!(ran.stderr.contains("lie in one another"), "{ran}");
}

#[test]
fn acls_are_carried_and_shared_mailboxes_said() {
    // 64.
    let acl = "user=anna lrws\nowner lrwstipekxa\n";
    let account = Maildir::five_and_one()
        .side("Sent", "dovecot-acl", acl)
        .side("Sent", "dovecot-shared", "");
    let (ran, store) = account.converted();
    ran.exits(0).says(
        "maildir.shared",
        &json!({"mailbox": "Sent", "path": ".Sent/dovecot-shared", "severity": "info"}),
    );
    assert_eq!(store.mailbox("Sent").acl.as_ref().unwrap(), acl);
    assert_eq!(store.mailbox("INBOX").acl, None);
}

#[test]
fn names_of_every_kind_are_printed_escaped() {
    let odd: [&[u8]; 4] = [
        b"cur/\x1b[31mred~",
        b"cur/li\nne",
        b"cur/not\xffutf8~",
        b"cur/tab\t~",
    ];
    let mut account = Maildir::five_and_one().folder("esc\x1b[2J");
    for path in odd {
        account = account.put(std::ffi::OsString::from_vec(path.to_vec()), "x");
    }
    let last = std::ffi::OsString::from_vec(b"cur/1700000008.\x1b\xff:2,S".to_vec());
    account = account.put(last, "Subject: x\n\n");
    let (ran, store) = account.converted();
    let ran = ran.exits(0);
    assert_eq!(
        paths(&ran, "maildir.stray"),
        [
            "cur/\\x1B[31mred~",
            "cur/li\\x0Ane",
            "cur/not\\xFFutf8~",
            "cur/tab\\x09~"
        ]
    );
    assert!(
        ran.stdout.chars().all(|c| !c.is_control() || c == '\n'),
        "{ran}"
    );
    assert_eq!(store.message("INBOX", 6).guid, b"1700000008.\x1b\xff"[..]);
    // The same for people, also where the system's own message has the path.
    let account = account
        .dir(".un\x1b[31m/cur")
        .mode(".un\x1b[31m/cur", 0o000);
    let account = if crate::harness::run::is_root() {
        account.owned_by(crate::harness::run::NOBODY)
    } else {
        account
    };
    let ran = crate::harness::run::Run::new(account.temp())
        .args(["inspect", "-v", &account.location()])
        .unprivileged()
        .done()
        .exits(1);
    assert!(
        ran.stdout.contains("mailbox.unreadable") && ran.stdout.contains("un\\x1B[31m"),
        "{ran}"
    );
    let shown = ran.stdout.chars().chain(ran.stderr.chars());
    assert!(
        shown.into_iter().all(|c| !c.is_control() || c == '\n'),
        "{ran}"
    );
    let _ = account.mode(".un\x1b[31m/cur", 0o700);
}
