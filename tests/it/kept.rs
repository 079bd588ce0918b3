//! A second pass does not replace what was proven by less, unless a client made it less.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::harness::dovecot::Server;
use crate::harness::maildir::{Maildir, mail, name, scratch};
use crate::harness::run::{Ran, Run};
use crate::harness::store::Store;
use crate::harness::tree::{copy, differences, tree};
use crate::harness::unpacked;

/// A store of the samples, and an mdbox or sdbox that was made of it.
struct Pair {
    temp: tempfile::TempDir,
    format: &'static str,
}

impl Pair {
    /// The first pass over the sample of this format is done.
    fn of_sample(format: &'static str) -> Self {
        let sample = unpacked(&format!("dovecot-2.3.19/{format}.tar.gz"));
        let folder = if format == "maildir" {
            "Maildir"
        } else {
            format
        };
        Self::of(format, &sample.path().join(folder))
    }

    fn of(format: &'static str, store: &Path) -> Self {
        let temp = scratch();
        fs::create_dir(temp.path().join("home")).unwrap();
        let this = Self { temp, format };
        copy(store, &this.source());
        this.convert(&[]).exits(0);
        this
    }

    fn source(&self) -> PathBuf {
        self.temp.path().join("source")
    }

    fn copy(&self) -> PathBuf {
        self.temp.path().join("copy")
    }

    fn convert(&self, more: &[&str]) -> Ran {
        let from = format!("{}:{}", self.format, self.source().display());
        let to = format!("mdbox:{}", self.copy().display());
        let args = ["convert", "--json", &from, &to];
        Run::new(self.temp.path()).args(args).args(more).done()
    }

    /// Takes a file or folder of the source away, or all files of a folder.
    fn lose(&self, path: &str) {
        let (path, all) = match path.strip_suffix("/*") {
            Some(folder) => (self.source().join(folder), true),
            None => (self.source().join(path), false),
        };
        if all {
            for entry in fs::read_dir(path).unwrap() {
                fs::remove_file(entry.unwrap().path()).unwrap();
            }
        } else if path.is_dir() {
            fs::remove_dir_all(path).unwrap();
        } else {
            fs::remove_file(path).unwrap();
        }
    }
}

/// What is lost, what is found then, and what is said to be kept.
const LOSSES: &[(&str, &str, &str, &str)] = &[
    (
        "maildir",
        ".Sent",
        "mailbox.gone",
        "Sent: 4 messages, first uid 1",
    ),
    ("maildir", "cur/*", "maildir.emptied", "INBOX: "),
    (
        "maildir",
        "cur/1580000003.M3P300.lab:2,",
        "maildir.lost",
        "INBOX: 1 message, first uid 24",
    ),
    (
        "sdbox",
        "mailboxes/Sent",
        "mailbox.gone",
        "Sent: 4 messages, first uid 1",
    ),
    (
        "sdbox",
        "mailboxes/Sent/dbox-Mails/u.1",
        "dbox.lost",
        "Sent: 1 message, first uid 1",
    ),
    (
        "mdbox",
        "mailboxes/Sent",
        "mailbox.gone",
        "Sent: 4 messages, first uid 1",
    ),
];

#[test]
fn what_is_lost_at_the_source_stays_at_the_destination() {
    for (format, path, code, kept) in LOSSES {
        let pair = Pair::of_sample(format);
        let whole = scratch();
        copy(&pair.source(), &whole.path().join("whole"));
        let before = tree(&pair.copy());
        pair.lose(path);
        for more in [&[][..], &["--dry-run"], &[]] {
            let ran = pair.convert(more).exits(1);
            assert!(!ran.findings(code).is_empty(), "{path}: {ran}");
            assert_eq!(ran.summary()["verdict"], "no-go");
            let findings = ran.findings("account.kept");
            let detail = findings[0]["detail"].as_str().unwrap();
            assert!(detail.contains(kept), "{path}: {ran}");
            assert_eq!(differences(&before, &tree(&pair.copy())), [""; 0], "{path}");
        }
        // When it is back, all is well.
        fs::remove_dir_all(pair.source()).unwrap();
        copy(&whole.path().join("whole"), &pair.source());
        let ran = pair.convert(&[]).exits(0);
        assert!(ran.findings("account.kept").is_empty(), "{ran}");
    }
}

#[test]
fn a_loss_that_is_accepted_is_carried() {
    let pair = Pair::of_sample("maildir");
    pair.lose("cur/1580000003.M3P300.lab:2,");
    let ran = pair.convert(&["--accept-loss"]).exits(1);
    assert!(ran.findings("account.kept").is_empty(), "{ran}");
    assert_eq!(ran.findings("maildir.lost").len(), 1, "{ran}");
    let uids = Store::of("mdbox", &pair.copy(), "").uids("INBOX");
    assert!(!uids.contains(&24), "{uids:?}");
    let again = pair.convert(&[]).exits(1);
    assert!(again.findings("account.kept").is_empty(), "{again}");
}

#[test]
fn what_a_client_deletes_is_deleted_by_the_next_pass() {
    let Some(server) = Server::here("what_a_client_deletes_is_deleted_by_the_next_pass") else {
        return;
    };
    for format in ["maildir", "sdbox", "mdbox"] {
        let pair = Pair::of_sample(format);
        let steps: [&[&[&str]]; 4] = [
            &[&["expunge", "mailbox", "INBOX", "1"]],
            &[&["move", "Trash", "mailbox", "INBOX", "1:2"]],
            &[&["mailbox", "delete", "Sent"]],
            &[
                &["expunge", "mailbox", "INBOX", "all"],
                &["expunge", "mailbox", "Trash", "all"],
                &["purge"],
            ],
        ];
        for asked in steps {
            let dovecot = server.serve(format, pair.source());
            for asked in asked {
                dovecot.ask(asked);
            }
            fs::remove_dir_all(pair.source()).unwrap();
            copy(&dovecot.mail(), &pair.source());
            let ran = pair.convert(&[]).exits(0);
            assert_eq!(
                ran.user()["status"],
                "verified",
                "{format} {asked:?}: {ran}"
            );
        }
        let store = Store::of("mdbox", &pair.copy(), "");
        assert_eq!(store.uids("INBOX"), [0; 0]);
        assert!(!store.names().contains(&"Sent"));
    }
}

#[test]
fn more_than_half_of_the_mail_does_not_go_unasked() {
    let account = Maildir::five_and_one();
    account.convert().exits(0);
    let before = tree(&account.destination());
    for (first, code) in [(3, 0), (2, 1)] {
        let there = (first..=5).map(|nth| account.at(format!("cur/{}:2,S", name(nth))));
        there
            .filter(|file| file.exists())
            .for_each(|file| fs::remove_file(file).unwrap());
        let ran = account.convert_with(&["--dry-run"]).done();
        assert_eq!(ran.findings("account.kept").len(), code, "{ran}");
    }
    let ran = account.convert().exits(1);
    ran.says(
        "account.kept",
        &json!({"severity": "error", "detail": "INBOX: 4 messages, first uid 2"}),
    );
    assert_eq!(differences(&before, &tree(&account.destination())), [""; 0]);
}

/// Converts the account that lies elsewhere to where this one was converted to.
fn convert_from(account: &Maildir, elsewhere: &str) -> Ran {
    let from = format!("maildir:{}", account.temp().join(elsewhere).display());
    let args = ["convert", "--json", &from, &account.target()];
    Run::new(account.temp()).args(args).done()
}

#[test]
fn an_account_that_lies_elsewhere_is_said() {
    let account = Maildir::five_and_one();
    account.convert().exits(0);
    let snapshot = account.temp().join("snapshot");
    copy(&account.source(), &snapshot);
    let new = snapshot.join("new").join(name(7));
    fs::write(new, mail("seventh")).unwrap();
    let ran = convert_from(&account, "snapshot").exits(0);
    let (then, now) = (account.source(), snapshot);
    let detail = format!("{}, at the last pass {}", now.display(), then.display());
    ran.says(
        "account.elsewhere",
        &json!({"severity": "warning", "detail": detail}),
    );
    assert_eq!(account.store().uids("INBOX"), [1, 2, 3, 4, 5, 6]);
}

#[test]
fn another_account_with_the_same_inbox_replaces_nothing() {
    let account = Maildir::five_and_one();
    account.convert().exits(0);
    let before = tree(&account.destination());
    // As where both were made from one skeleton.
    let other = account.temp().join("other");
    copy(&account.source(), &other);
    let changes: [&dyn Fn(); 2] = [
        &|| fs::remove_file(other.join(format!("cur/{}:2,S", name(5)))).unwrap(),
        &|| fs::write(other.join(format!("cur/{}:2,S", name(5))), mail("another")).unwrap(),
    ];
    for change in changes {
        change();
        let ran = convert_from(&account, "other").exits(73);
        let why = format!(
            "holds the account that was made of {} and has other mail",
            account.source().display()
        );
        assert!(ran.stderr.contains(&why), "{ran}");
        assert_eq!(differences(&before, &tree(&account.destination())), [""; 0]);
    }
}
