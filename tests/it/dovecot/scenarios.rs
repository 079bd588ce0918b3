//! Maildirs that are converted, and opened by the real Dovecot.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::harness::dovecot::{Account, Server};
use crate::harness::unpacked;

/// A source that is tried on every server.
pub struct Scenario {
    /// What the folder that holds it is called in messages.
    pub name: &'static str,
    pub folder: TempDir,
    pub root: &'static str,
    /// Keys of the Maildir's location.
    pub keys: &'static str,
    /// A doveadm search for what Dovecot can read of the Maildir; empty: all.
    pub healthy: &'static str,
    /// What a conversion ends with, where all keywords fit.
    pub exit: i32,
    /// The most keywords that a mailbox has.
    pub keywords: usize,
}

impl Scenario {
    /// Where it lies.
    pub fn source(&self) -> PathBuf {
        self.folder.path().join(self.root)
    }

    /// Its location.
    pub fn location(&self) -> String {
        format!("maildir:{}{}", self.source().display(), self.keys)
    }

    /// The doveadm search.
    pub fn query(&self) -> Vec<&'static str> {
        if self.healthy.is_empty() {
            vec!["all"]
        } else {
            self.healthy.split(' ').collect()
        }
    }

    /// What Dovecot says of the Maildir.
    pub fn told_by(&self, server: &Server) -> Account {
        let dovecot = server.serve_compressed(&format!("maildir{}", self.keys), self.source());
        // A link in the root would be a mailbox to Dovecot; see testdata/family/origin.md.
        let _ = fs::remove_file(dovecot.mail().join(".dovecot.sieve"));
        dovecot.account_of(&self.query())
    }
}

fn sample() -> Scenario {
    Scenario {
        name: "a Maildir that Dovecot has used",
        folder: unpacked("dovecot-2.3.19/maildir.tar.gz"),
        root: "Maildir",
        keys: "",
        healthy: "",
        exit: 0,
        keywords: 10,
    }
}

/// The account that ships with the project, damage and all.
pub fn family() -> Scenario {
    Scenario {
        name: "the family account",
        folder: unpacked("family/account.tar.gz"),
        root: "Maildir",
        keys: "",
        healthy: "not ( mailbox Archive/2023 ( uid 105 or uid 106 ) )",
        exit: 1,
        keywords: 10,
    }
}

/// A message with this subject.
pub fn message(subject: &str) -> Vec<u8> {
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
        exit: 0,
        keywords: 0,
    }
}

/// `LAYOUT=fs`, levels without messages of their own, high UIDs, POP3 words, every line end.
pub fn in_levels() -> Scenario {
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
        exit: 0,
        keywords: 0,
    }
}

/// A Maildir that Dovecot itself has made and used: deliveries, flags, thirty keywords, copies, moves,
/// expunges.
pub fn aged(server: &Server) -> Scenario {
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
        exit: 0,
        keywords: 32,
    }
}

/// All of them.
pub fn scenarios(server: &Server) -> [Scenario; 5] {
    [
        sample(),
        family(),
        never_opened(),
        in_levels(),
        aged(server),
    ]
}
