//! Converted accounts, opened by the real Dovecot: it must see the same mail as in the Maildir, take
//! the account for its own, and have nothing to say.

mod maildir;
mod scenarios;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use bstr::{BString, ByteSlice};
use tempfile::TempDir;

use crate::harness::dovecot::account::Mailbox;
use crate::harness::dovecot::imap::Fetched;
use crate::harness::dovecot::{Account, Dovecot, Server};
use crate::harness::run::Run;
use crate::harness::testdata;
use scenarios::{Scenario, family, in_levels, message, scenarios};

/// A format that every scenario is converted to.
#[derive(Debug, Clone, Copy)]
struct Destination {
    driver: &'static str,
    /// Keys of its location.
    keys: &'static str,
    /// So many keywords a mailbox have room.
    keywords: usize,
    /// It keeps saved dates.
    saved_dates: bool,
    /// Where `Familie/Entwürfe` of the family lies.
    drafts: &'static str,
}

const DESTINATIONS: [Destination; 4] = [
    Destination {
        driver: "sdbox",
        keys: "",
        keywords: 4096,
        saved_dates: true,
        drafts: "mailboxes/Familie/Entw&APw-rfe/dbox-Mails",
    },
    Destination {
        driver: "mdbox",
        keys: "",
        keywords: 4096,
        saved_dates: true,
        drafts: "mailboxes/Familie/Entw&APw-rfe/dbox-Mails",
    },
    Destination {
        driver: "maildir",
        keys: "",
        keywords: 26,
        saved_dates: false,
        drafts: ".Familie.Entw&APw-rfe",
    },
    Destination {
        driver: "maildir",
        keys: ":LAYOUT=fs",
        keywords: 26,
        saved_dates: false,
        drafts: "Familie/Entw&APw-rfe",
    },
];

/// A scenario that was converted.
struct Converted<'a> {
    scenario: &'a Scenario,
    to: Destination,
    folder: TempDir,
}

impl Converted<'_> {
    fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    /// Dovecot looks at a copy of it.
    fn served_by(&self, server: &Server) -> Dovecot {
        let location = format!("{}{}", self.to.driver, self.to.keys);
        server.serve(&location, self.store())
    }
}

/// For messages.
impl fmt::Display for Converted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Destination { driver, keys, .. } = self.to;
        write!(f, "{} as {driver}{keys}", self.scenario.name)
    }
}

impl Scenario {
    /// The account that is made of it.
    fn convert(&self, to: Destination) -> Converted<'_> {
        let folder = tempfile::tempdir().unwrap();
        let converted = Converted {
            scenario: self,
            to,
            folder,
        };
        let destination = format!("{}:{}{}", to.driver, converted.store().display(), to.keys);
        let run = Run::new(converted.folder.path());
        let run = run.args(["convert", &self.location(), &destination]).done();
        let all_fit = self.keywords <= to.keywords;
        let exit = if all_fit { self.exit } else { 1 };
        assert_eq!(run.code, exit, "{converted}: {run}");
        converted
    }
}

/// Runs `test` on every scenario in every format.
fn in_every_format(server: &Server, test: impl Fn(&Converted<'_>)) {
    for scenario in scenarios(server) {
        for to in DESTINATIONS {
            test(&scenario.convert(to));
        }
    }
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
    in_every_format(server, |converted| {
        let scenario = converted.scenario;
        let mut before = comparable(scenario.told_by(server));
        let dovecot = converted.served_by(server);
        let mut after = comparable(dovecot.account_of(&scenario.query()));
        forget_made_up(scenario, &mut before, &mut after);
        forget_lost_keywords(converted.to, &mut before, &after);
        assert_eq!(after, before, "{converted}");
        // What Dovecot cannot read of the Maildir, it can of what was made of it.
        dovecot.account();
        dovecot.assert_silent();
    });
}

/// Where a mailbox has more keywords than there is room for, as many as there is room for are kept.
fn forget_lost_keywords(to: Destination, before: &mut Account, after: &Account) {
    let keywords = |mailbox: &Mailbox| -> BTreeSet<String> {
        let messages = mailbox.messages.iter();
        messages.flat_map(|it| it.keywords.clone()).collect()
    };
    for mailbox in &mut before.mailboxes {
        let (wanted, kept) = (keywords(mailbox), keywords(after.mailbox(&mailbox.name)));
        assert_eq!(
            kept.len(),
            wanted.len().min(to.keywords),
            "{}",
            mailbox.name
        );
        for message in &mut mailbox.messages {
            message.keywords.retain(|keyword| kept.contains(keyword));
        }
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
    in_every_format(server, |converted| {
        let dovecot = converted.served_by(server);
        let before = dovecot.account();
        dovecot.force_resync();
        let after = dovecot.account();
        assert_eq!(
            after.without_modseqs().without_recent(),
            before.without_modseqs().without_recent(),
            "{converted}"
        );
        dovecot.assert_silent();
    });
}

fn days_use(server: &Server) {
    in_every_format(server, |converted| {
        let dovecot = converted.served_by(server);
        let before = dovecot.account();
        use_for_a_day(&dovecot);
        let after = dovecot.account();
        let status = |account: &Account, name: &str| account.mailbox(name).status.clone().unwrap();
        let (old, new) = (status(&before, "INBOX"), status(&after, "INBOX"));
        assert_eq!(new.uidvalidity, old.uidvalidity, "{converted}");
        assert_eq!(new.guid, old.guid, "{converted}");
        // Three came, one was moved away, one expunged.
        assert_eq!(new.messages, old.messages + 1, "{converted}");
        assert_eq!(new.uidnext, old.uidnext + 3, "{converted}");
        let copied = status(&after, "Day/Copies").messages;
        assert_eq!(copied, old.messages + 3, "{converted}");
        // The old messages are as they were, but for what was done to them.
        let bodies = |account: &Account| -> BTreeMap<u64, BString> {
            let messages = account.mailbox("INBOX").messages.iter();
            messages
                .map(|message| (message.uid, message.text.0.clone()))
                .collect()
        };
        let (old, new) = (bodies(&before), bodies(&after));
        for (uid, body) in old {
            assert_eq!(new[&uid], body, "{converted}: uid {uid}");
        }
        dovecot.force_resync();
        dovecot.account();
        dovecot.assert_silent();
        // Whatever a server does to messages, their bytes are those that were proven.
        let location = format!(
            "{}:{}{}",
            converted.to.driver,
            dovecot.mail().display(),
            converted.to.keys
        );
        let run = Run::new(converted.folder.path());
        let inspected = run.args(["inspect", "--json", &location]).done();
        assert!(
            inspected.findings("message.altered").is_empty(),
            "{converted}: {inspected}"
        );
    });
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
    in_every_format(server, |converted| {
        let scenario = converted.scenario;
        let destination = converted.served_by(server);
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
        assert_eq!(names, imap.mailboxes(), "{converted}");
        for name in &names {
            // Dovecot hangs up on the damaged messages of a Maildir.
            if !scenario.healthy.is_empty() && name == "Archive/2023" {
                continue;
            }
            let mut messages = imap.read(name);
            if scenario.keywords > converted.to.keywords {
                forget_lost_flags(&mut messages, &read[name].0);
            }
            let found = imap.search("OR SUBJECT a TEXT text");
            let told = (messages, found, imap.search("SEEN"));
            assert_eq!(read[name], told, "{converted}: {name}");
        }
    });
}

/// The same as `forget_lost_keywords`, of what an IMAP session shows.
fn forget_lost_flags(before: &mut [Fetched], after: &[Fetched]) {
    let words = |message: &Fetched| -> Vec<BString> {
        let words = message["FLAGS"].split_str(" ");
        words.map(BString::from).collect()
    };
    let kept: BTreeSet<BString> = after.iter().flat_map(words).collect();
    for message in before {
        let mut words = words(message);
        words.retain(|word| kept.contains(word));
        message.insert("FLAGS".into(), bstr::join(" ", words).into());
    }
}

/// The saved date of a Maildir message is the ctime of its file; a copy would have another one.
fn saved_dates(server: &Server) {
    let scenario = in_levels();
    let files = fs::read_dir(scenario.source().join("Lists/cur")).unwrap();
    let mut expected: Vec<i64> = files
        .map(|file| file.unwrap().metadata().unwrap().ctime())
        .collect();
    expected.sort_unstable();
    let told = |dovecot: &Dovecot| -> Vec<i64> {
        let account = dovecot.account();
        let messages = account.mailbox("Lists").messages.iter();
        let mut told: Vec<_> = messages.map(|message| message.saved).collect();
        told.sort_unstable();
        told
    };
    for to in DESTINATIONS.into_iter().filter(|to| to.saved_dates) {
        let converted = scenario.convert(to);
        let dovecot = converted.served_by(server);
        assert_eq!(told(&dovecot), expected, "{converted}");
        dovecot.force_resync();
        assert_eq!(told(&dovecot), expected, "{converted}");
        dovecot.assert_silent();
    }
}

#[test]
fn the_acl_and_the_scripts_come_along() {
    let scenario = family();
    let read = |root: &Path, name: &str| fs::read(root.join(name)).unwrap();
    for to in DESTINATIONS {
        let converted = scenario.convert(to);
        let acl = format!("{}/dovecot-acl", to.drafts);
        let (from, to) = (scenario.source(), converted.store());
        let theirs = read(&from, ".Familie.Entw&APw-rfe/dovecot-acl");
        assert_eq!(read(&to, &acl), theirs, "{converted}");
        assert_eq!(read(&to, ".dovecot.sieve"), read(&from, "sieve/main.sieve"));
        // In a Maildir++ Dovecot would take a link for a mailbox.
        let link = fs::read_link(to.join(".dovecot.sieve")).ok();
        let main = Path::new("sieve/main.sieve").to_owned();
        let is_dotted = converted.to.drafts.starts_with('.');
        assert_eq!(link, (!is_dotted).then_some(main), "{converted}");
        let subscriptions = read(&to, "subscriptions");
        assert!(
            subscriptions.contains_str("Schule"),
            "{}",
            subscriptions.as_bstr()
        );
    }
    assert!(testdata("family/origin.md").exists());
}
