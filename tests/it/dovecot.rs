//! Converted accounts, opened by the real Dovecot: it must see the same mail as in the Maildir, take
//! the account for its own, and have nothing to say.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use bstr::{BString, ByteSlice};
use tempfile::TempDir;

use crate::harness::dovecot::{Account, Dovecot, Server};
use crate::harness::run::Run;
use crate::harness::{testdata, unpacked};

/// A source that is tried on every server.
struct Scenario {
    /// What the folder that holds it is called in messages.
    name: &'static str,
    folder: TempDir,
    root: &'static str,
    /// Keys of the Maildir's location.
    keys: &'static str,
    /// A doveadm search for what Dovecot can read of the Maildir; empty: all.
    healthy: &'static str,
}

impl Scenario {
    fn source(&self) -> PathBuf {
        self.folder.path().join(self.root)
    }

    fn location(&self) -> String {
        format!("maildir:{}{}", self.source().display(), self.keys)
    }

    fn query(&self) -> Vec<&'static str> {
        if self.healthy.is_empty() {
            vec!["all"]
        } else {
            self.healthy.split(' ').collect()
        }
    }

    /// What Dovecot says of the Maildir.
    fn told_by(&self, server: &Server) -> Account {
        let dovecot = server.serve_compressed(&format!("maildir{}", self.keys), self.source());
        // A link in the root would be a mailbox to Dovecot; see testdata/family/origin.md.
        let _ = fs::remove_file(dovecot.mail().join(".dovecot.sieve"));
        dovecot.account_of(&self.query())
    }

    /// The sdbox account that is made of it.
    fn convert(&self, exit: i32) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        let destination = format!("sdbox:{}", folder.path().join("sdbox").display());
        let run = Run::new(folder.path()).args(["convert", &self.location(), &destination]);
        let run = run.done();
        assert_eq!(run.code, exit, "{}: {run}", self.name);
        folder
    }
}

fn sample() -> Scenario {
    Scenario {
        name: "a Maildir that Dovecot has used",
        folder: unpacked("dovecot-2.3.19/maildir.tar.gz"),
        root: "Maildir",
        keys: "",
        healthy: "",
    }
}

fn family() -> Scenario {
    Scenario {
        name: "the family account",
        folder: unpacked("family/account.tar.gz"),
        root: "Maildir",
        keys: "",
        healthy: "not ( mailbox Archive/2023 ( uid 105 or uid 106 ) )",
    }
}

fn message(subject: &str) -> Vec<u8> {
    format!("From: a@example.org\nSubject: {subject}\nMessage-ID: <{subject}@example.org>\n\ntext of {subject}\n")
        .into_bytes()
}

/// A Maildir as deliveries alone leave it: no uidlist anywhere, messages in `new/` and `cur/`.
fn never_opened() -> Scenario {
    let folder = tempfile::tempdir().unwrap();
    for mailbox in ["", ".Archive", ".Archive.Sub & co", ".Empty"] {
        let mailbox = mailbox.replace('&', "&-");
        let root = folder.path().join("Maildir").join(mailbox);
        for place in ["cur", "new", "tmp"] {
            fs::create_dir_all(root.join(place)).unwrap();
        }
        if root.ends_with(".Empty") {
            continue;
        }
        for (nth, name) in [
            "cur/1600000009.M5P1.host:2,S",
            "cur/1600000002.M7P1.host:2,FT",
            "new/1600000010.M1P1.host",
            "cur/1600000002.M1P2.host,S=1:2,",
            "new/1500000000.Q1.host:2,D",
            "cur/notime:2,R",
        ]
        .iter()
        .enumerate()
        {
            let body = message(&format!("m{nth}"));
            let name = name.replace("S=1", &format!("S={}", body.len()));
            fs::write(root.join(name), body).unwrap();
        }
    }
    Scenario {
        name: "a Maildir that was never opened",
        folder,
        root: "Maildir",
        keys: "",
        healthy: "",
    }
}

/// `LAYOUT=fs`, levels without messages of their own, high UIDs, POP3 words, every line end.
fn in_levels() -> Scenario {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("Maildir");
    for mailbox in ["", "Work/2020/Qä", "Work/2021", "Lists"] {
        let mailbox = mailbox.replace('ä', "&AOQ-");
        for place in ["cur", "new", "tmp"] {
            fs::create_dir_all(root.join(&mailbox).join(place)).unwrap();
        }
    }
    let bodies: [&[u8]; 6] = [
        b"Subject: crlf\r\n\r\na\r\nb\r\n",
        b"Subject: mixed\r\n\na\nb\r\n",
        b"Subject: lone\n\na\rb\0c",
        b"no header at all\n",
        b"Subject: magic\n\n\n\x01\x03\nR1\n\n\x01\x02N",
        b"",
    ];
    let mut uidlist = "3 V4294967294 N4294967290 G000102030405060708090a0b0c0d0e0f\n".to_owned();
    for (nth, body) in bodies.iter().enumerate() {
        let name = format!("160000000{nth}.M1P1.host");
        let path = root.join("Lists/cur").join(format!("{name}:2,S"));
        fs::write(path, body).unwrap();
        let uid = [
            1,
            2,
            2_147_483_648_u32,
            3_000_000_000,
            4_000_000_000,
            4_294_967_280,
        ][nth];
        let words = ["P00000001.x ", "", "O7 ", "Gmy-guid ", "P1 O2 G1 ", ""][nth];
        writeln!(uidlist, "{uid} {words}:{name}").unwrap();
    }
    fs::write(root.join("Lists/dovecot-uidlist"), uidlist).unwrap();
    fs::write(root.join("subscriptions"), "Lists\nWork/2020/Q&AOQ-\n").unwrap();
    Scenario {
        name: "LAYOUT=fs and odd bytes",
        folder,
        root: "Maildir",
        keys: ":LAYOUT=fs",
        healthy: "",
    }
}

/// A Maildir that Dovecot itself has made and used: deliveries, flags, thirty keywords, copies, moves,
/// expunges.
fn aged(server: &Server) -> Scenario {
    let empty = tempfile::tempdir().unwrap();
    for place in ["cur", "new", "tmp"] {
        fs::create_dir(empty.path().join(place)).unwrap();
    }
    let dovecot = server.serve("maildir", empty.path());
    dovecot.ask(&[
        "mailbox",
        "create",
        "-s",
        "Archive",
        "Archive/2020",
        "Lists/ä",
    ]);
    let mut imap = dovecot.imap();
    for nth in 0..40 {
        let body = message(&format!("aged{nth}"));
        let size = body.len();
        let append = format!(
            "APPEND INBOX \"0{}-Feb-2021 10:00:00 +0100\" {{{size}+}}\r\n",
            nth % 9 + 1
        );
        imap.send([append.as_bytes(), &body].concat());
    }
    imap.send("SELECT INBOX");
    imap.send("STORE 1:20 +FLAGS (\\Seen)");
    imap.send("STORE 3:9 +FLAGS (\\Flagged \\Answered)");
    for keyword in 0..30 {
        imap.send(format!(
            "STORE {}:{} +FLAGS (keyword{keyword})",
            keyword + 1,
            keyword + 5
        ));
    }
    imap.send("STORE 31 +FLAGS ($Forwarded NonJunk)");
    imap.send("COPY 1:10 Archive");
    imap.send("MOVE 11:15 Archive/2020");
    imap.send("STORE 20:24 +FLAGS (\\Deleted)");
    imap.send("UID EXPUNGE 20:29");
    imap.send("STORE 2 +FLAGS (\\Deleted)");
    drop(imap);
    let folder = tempfile::tempdir().unwrap();
    let copied = std::process::Command::new("cp")
        .arg("-a")
        .arg(dovecot.mail())
        .arg(folder.path().join("Maildir"))
        .status();
    assert!(copied.unwrap().success());
    dovecot.assert_silent();
    Scenario {
        name: "a Maildir that Dovecot has aged",
        folder,
        root: "Maildir",
        keys: "",
        healthy: "",
    }
}

/// Every scenario, and what the conversion ends with.
fn scenarios(server: &Server) -> Vec<(Scenario, i32)> {
    vec![
        (sample(), 0),
        (family(), 1),
        (never_opened(), 0),
        (in_levels(), 0),
        (aged(server), 0),
    ]
}

/// Runs `test` with Dovecot 2.3 here, or says that it was skipped.
fn with_dovecot(name: &str, test: impl Fn(&Server)) {
    if let Some(server) = Server::here(name) {
        test(&server);
    }
}

/// Runs `test` with Dovecot 2.4 where there is one, or says that it was skipped.
fn with_dovecot_24(name: &str, test: impl Fn(&Server)) {
    if let Some(server) = Server::dovecot_24(name) {
        test(&server);
    }
}

macro_rules! on_both_servers {
    ($($name:ident, $name_24:ident: $test:ident;)*) => {$(
        #[test]
        fn $name() {
            with_dovecot(stringify!($name), $test);
        }

        #[test]
        fn $name_24() {
            with_dovecot_24(stringify!($name_24), $test);
        }
    )*};
}

on_both_servers! {
    a_converted_account_is_to_dovecot_what_the_maildir_was,
    a_converted_account_is_to_dovecot_2_4_what_the_maildir_was: same_as_maildir;
    a_converted_account_is_the_same_after_a_resync,
    a_converted_account_is_the_same_after_a_resync_of_2_4: same_after_resync;
    a_converted_account_serves_a_days_use,
    a_converted_account_serves_a_days_use_of_2_4: days_use;
    an_imap_session_sees_the_same_in_both,
    an_imap_session_of_2_4_sees_the_same_in_both: same_over_imap;
    a_converted_account_keeps_the_saved_dates,
    a_converted_account_keeps_the_saved_dates_for_2_4: saved_dates;
}

/// Names that only stand above others need no message folder; which of them are shown depends on the layout.
fn comparable(account: Account) -> Account {
    let mut account = account.without_saved_dates().without_modseqs();
    account.mailboxes.retain(|mailbox| mailbox.status.is_some());
    for mailbox in &mut account.mailboxes {
        mailbox.status.as_mut().unwrap().vsize = None;
    }
    account
}

fn same_as_maildir(server: &Server) {
    for (scenario, exit) in scenarios(server) {
        let sdbox = scenario.convert(exit);
        let before = comparable(scenario.told_by(server));
        let dovecot = server.serve("sdbox", sdbox.path().join("sdbox"));
        let mut after = comparable(dovecot.account_of(&scenario.query()));
        let mut before = before;
        forget_made_up(&scenario, &mut before, &mut after);
        assert_eq!(after, before, "{}", scenario.name);
        // What Dovecot cannot read of the Maildir, it can of the sdbox.
        dovecot.account();
        dovecot.assert_silent();
    }
}

/// Without a uidlist, UIDVALIDITY and mailbox GUID are new: whoever opens the Maildir first makes them up.
fn forget_made_up(scenario: &Scenario, one: &mut Account, other: &mut Account) {
    for mailbox in one.mailboxes.iter_mut().chain(&mut other.mailboxes) {
        let disk = match mailbox.name.as_str() {
            "INBOX" => String::new(),
            name if scenario.keys.is_empty() => {
                format!(".{}", name.replace('/', ".").replace('&', "&-"))
            }
            name => name.replace('ä', "&AOQ-"),
        };
        let folder = scenario.source().join(&disk);
        if folder.is_dir() && !folder.join("dovecot-uidlist").exists() {
            let status = mailbox.status.as_mut().unwrap();
            status.uidvalidity = 0;
            status.guid = String::new();
        }
    }
}

fn same_after_resync(server: &Server) {
    for (scenario, exit) in scenarios(server) {
        let sdbox = scenario.convert(exit);
        let dovecot = server.serve("sdbox", sdbox.path().join("sdbox"));
        let before = dovecot.account();
        dovecot.force_resync();
        let after = dovecot.account();
        assert_eq!(
            after.without_modseqs().without_recent(),
            before.without_modseqs().without_recent(),
            "{}",
            scenario.name
        );
        dovecot.assert_silent();
    }
}

fn days_use(server: &Server) {
    for (scenario, exit) in scenarios(server) {
        let sdbox = scenario.convert(exit);
        let dovecot = server.serve("sdbox", sdbox.path().join("sdbox"));
        let before = dovecot.account();
        use_for_a_day(&dovecot);
        let after = dovecot.account();
        let status = |account: &Account, name: &str| account.mailbox(name).status.clone().unwrap();
        let (old, new) = (status(&before, "INBOX"), status(&after, "INBOX"));
        assert_eq!(new.uidvalidity, old.uidvalidity, "{}", scenario.name);
        assert_eq!(new.guid, old.guid, "{}", scenario.name);
        // Three came, one was moved away, one expunged.
        assert_eq!(new.messages, old.messages + 1, "{}", scenario.name);
        assert_eq!(new.uidnext, old.uidnext + 3, "{}", scenario.name);
        let copied = status(&after, "Day/Copies").messages;
        assert_eq!(copied, old.messages + 3, "{}", scenario.name);
        // The old messages are as they were, but for what was done to them.
        let bodies = |account: &Account| -> BTreeMap<u64, BString> {
            let messages = account.mailbox("INBOX").messages.iter();
            messages
                .map(|message| (message.uid, message.text.0.clone()))
                .collect()
        };
        let (old, new) = (bodies(&before), bodies(&after));
        for (uid, body) in old {
            assert_eq!(new[&uid], body, "{}: uid {uid}", scenario.name);
        }
        dovecot.force_resync();
        dovecot.account();
        dovecot.assert_silent();
    }
}

/// Save, flag, copy, move, expunge.
fn use_for_a_day(dovecot: &Dovecot) {
    let mut imap = dovecot.imap();
    imap.send("CREATE Day/Copies");
    imap.send("CREATE Day/Moved");
    for nth in 0..3 {
        let body = message(&format!("day{nth}"));
        let append = format!("APPEND INBOX (\\Seen fresh) {{{}+}}\r\n", body.len());
        imap.send([append.as_bytes(), &body].concat());
    }
    imap.send("SELECT INBOX");
    imap.send("COPY 1:* Day/Copies");
    imap.send("STORE 1:* +FLAGS (\\Flagged daily)");
    imap.send("STORE 1:* -FLAGS (\\Flagged daily)");
    let new = imap.search("SUBJECT day0");
    imap.send(format!("UID MOVE {} Day/Moved", new[0]));
    let new = imap.search("SUBJECT day1");
    imap.send(format!("UID STORE {} +FLAGS (\\Deleted)", new[0]));
    imap.send(format!("UID EXPUNGE {}", new[0]));
    drop(imap);
    dovecot.ask(&["mailbox", "rename", "Day", "Tag"]);
    dovecot.ask(&["mailbox", "rename", "Tag", "Day"]);
}

fn same_over_imap(server: &Server) {
    for (scenario, exit) in scenarios(server) {
        let sdbox = scenario.convert(exit);
        let destination = server.serve("sdbox", sdbox.path().join("sdbox"));
        let mut imap = destination.imap();
        let names = imap.mailboxes();
        let mut read = BTreeMap::new();
        for name in &names {
            let messages = imap.read(name);
            let found = imap.search("OR SUBJECT a TEXT text");
            read.insert(name.clone(), (messages, found, imap.search("SEEN")));
        }
        drop(imap);
        destination.assert_silent();
        let folder = format!("maildir{}", scenario.keys);
        let maildir = server.serve_compressed(&folder, scenario.source());
        let _ = fs::remove_file(maildir.mail().join(".dovecot.sieve"));
        let mut imap = maildir.imap();
        assert_eq!(names, imap.mailboxes(), "{}", scenario.name);
        for name in &names {
            // Dovecot hangs up on the damaged messages of a Maildir.
            if !scenario.healthy.is_empty() && name == "Archive/2023" {
                continue;
            }
            let messages = imap.read(name);
            let found = imap.search("OR SUBJECT a TEXT text");
            let told = (messages, found, imap.search("SEEN"));
            assert_eq!(read[name], told, "{}: {name}", scenario.name);
        }
    }
}

/// The saved date of a Maildir message is the ctime of its file; a copy would have another one.
fn saved_dates(server: &Server) {
    let scenario = in_levels();
    let sdbox = scenario.convert(0);
    let dovecot = server.serve("sdbox", sdbox.path().join("sdbox"));
    let files = fs::read_dir(scenario.source().join("Lists/cur")).unwrap();
    let mut expected: Vec<i64> = files
        .map(|file| file.unwrap().metadata().unwrap().ctime())
        .collect();
    expected.sort_unstable();
    let account = dovecot.account();
    let mut told: Vec<i64> = account
        .mailbox("Lists")
        .messages
        .iter()
        .map(|m| m.saved)
        .collect();
    told.sort_unstable();
    assert_eq!(told, expected);
    dovecot.force_resync();
    let after = dovecot.account();
    let mut told: Vec<i64> = after
        .mailbox("Lists")
        .messages
        .iter()
        .map(|m| m.saved)
        .collect();
    told.sort_unstable();
    assert_eq!(told, expected);
    dovecot.assert_silent();
}

#[test]
fn the_acl_and_the_scripts_come_along() {
    let scenario = family();
    let sdbox = scenario.convert(1);
    let read = |root: &Path, name: &str| fs::read(root.join(name)).unwrap();
    let (from, to) = (scenario.source(), sdbox.path().join("sdbox"));
    let acl = read(&from, ".Familie.Entw&APw-rfe/dovecot-acl");
    assert_eq!(
        read(&to, "mailboxes/Familie/Entw&APw-rfe/dbox-Mails/dovecot-acl"),
        acl
    );
    assert_eq!(read(&to, ".dovecot.sieve"), read(&from, "sieve/main.sieve"));
    assert_eq!(
        fs::read_link(to.join(".dovecot.sieve")).unwrap(),
        Path::new("sieve/main.sieve")
    );
    let subscriptions = read(&to, "subscriptions");
    assert!(
        subscriptions.contains_str("Schule"),
        "{}",
        subscriptions.as_bstr()
    );
    assert!(testdata("family/origin.md").exists());
}
