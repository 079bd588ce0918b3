//! Stores that the real Dovecot has made and used, read as Dovecot itself reads them: every value of every
//! message, byte by byte.

mod attachments; // mail_attachment_dir
mod coats; // compressed and encrypted messages
mod damage; // what is left of a damaged store, carried to a Dovecot that is content with it
mod life; // deliveries, flags, copies, moves, expunges
mod maildir; // what a live server makes of a Maildir
mod places; // ALT, INDEX, CONTROL, DIRNAME

use std::collections::BTreeMap;

use bstr::BString;

use crate::harness::dovecot::{Account, Dovecot, Server};
use crate::harness::store::Store;

/// The formats that these tests are run with. A new one is one more entry.
const FORMATS: &[&str] = &["sdbox", "mdbox"];
/// Bytes before a message in its file: the header line and the message header.
const HEADERS: usize = 16 + 30;

/// What both sides tell of a mailbox.
#[derive(Debug, PartialEq, Eq)]
struct Mailbox {
    guid: String,
    uidvalidity: u64,
    uidnext: u64,
    highestmodseq: u64,
    messages: BTreeMap<u64, Message>,
}

/// What both sides tell of a message.
#[derive(Debug, PartialEq, Eq)]
struct Message {
    flags: Vec<String>,
    keywords: Vec<String>,
    received: i64,
    saved: i64,
    guid: String,
    pop3_uidl: String,
    pop3_order: String,
    size: u64,
    digest: String,
}

/// Enough to tell two bodies apart in a message of a failed test.
fn digest(body: &BString) -> String {
    let start: String = body.iter().take(60).map(|byte| char::from(*byte)).collect();
    format!("{} {start:?}", &blake3::hash(body).to_hex()[..16])
}

type Mailboxes = BTreeMap<String, Mailbox>;

fn by_dovecot(account: Account) -> Mailboxes {
    let open = account.mailboxes.into_iter().filter_map(|mailbox| {
        let status = mailbox.status?;
        let messages = mailbox.messages.into_iter().map(|message| {
            let told = Message {
                flags: message.flags,
                keywords: message.keywords,
                received: message.received,
                saved: message.saved,
                guid: message.guid,
                pop3_uidl: message.pop3_uidl,
                pop3_order: message.pop3_order,
                size: message.physical_size,
                digest: digest(&message.text.0),
            };
            (message.uid, told)
        });
        let told = Mailbox {
            guid: status.guid,
            uidvalidity: status.uidvalidity,
            uidnext: status.uidnext,
            highestmodseq: status.highestmodseq,
            messages: messages.collect(),
        };
        Some((mailbox.name, told))
    });
    open.collect()
}

fn by_us(store: &Store) -> Mailboxes {
    let selectable = store
        .mailboxes
        .iter()
        .filter(|(_, mailbox)| mailbox.selectable);
    let told = selectable.map(|(name, mailbox)| {
        let messages = mailbox.messages.iter().map(|(uid, message)| {
            let words = |words: &[&str]| words.iter().map(ToString::to_string).collect();
            let text = |text: &Option<BString>| {
                text.as_ref().map_or_else(String::new, ToString::to_string)
            };
            let order = message.pop3_order;
            let told = Message {
                flags: words(&message.flags),
                keywords: message.keywords.clone(),
                received: message.received,
                saved: message.saved.expect("a server tells saved dates"),
                guid: message.guid.to_string(),
                pop3_uidl: text(&message.pop3_uidl),
                pop3_order: order.map_or_else(String::new, |order| order.to_string()),
                size: message.body.len() as u64,
                digest: digest(&message.body),
            };
            (u64::from(*uid), told)
        });
        let told = Mailbox {
            guid: mailbox.guid.clone(),
            uidvalidity: mailbox.uidvalidity.into(),
            uidnext: mailbox.uidnext.into(),
            highestmodseq: mailbox.highest_modseq,
            messages: messages.collect(),
        };
        (name.clone(), told)
    });
    told.collect()
}

/// Our keys for what `%h` stands for in Dovecot's.
fn keys(dovecot: &Dovecot, keys: &str) -> String {
    keys.replace("%h", &dovecot.home().display().to_string())
}

/// What Dovecot says nothing of: what waits for a purge, and lines of messages that are expunged.
const NO_COMPLAINT: [&str; 2] = ["mdbox.unpurged", "uidlist.expunged"];

/// Reads the store that Dovecot works on, as it is now, and compares it with what Dovecot says.
#[track_caller]
fn same_as_dovecot(dovecot: &Dovecot, format: &str, of: &str) -> Store {
    let (driver, own) = format.split_once(':').unwrap_or((format, ""));
    let of = &joined(own, &keys(dovecot, of));
    let store = Store::of(driver, &dovecot.mail(), of.trim_matches(':'));
    let mut findings = store.findings.clone();
    findings.retain(|finding| !NO_COMPLAINT.iter().any(|code| finding.starts_with(code)));
    assert_eq!(findings, [""; 0], "{format} {of}");
    let account = dovecot.account();
    let mut subscribed = store.subscriptions.clone();
    subscribed.sort();
    assert_eq!(subscribed, account.subscriptions, "{format} {of}");
    let (ours, theirs) = (by_us(&store), by_dovecot(account));
    assert!(theirs.values().any(|mailbox| !mailbox.messages.is_empty()));
    assert_eq!(ours, theirs, "{format} {of}");
    dovecot.assert_silent();
    store
}

/// An account that does not exist yet.
fn nothing(server: &Server, location: &str, settings: &str) -> Dovecot {
    let empty = tempfile::tempdir().unwrap();
    server.serve_with(location, empty.path(), settings)
}

/// For each format: a Dovecot with an empty account. Says that `test` was skipped where there is none.
fn each_format(test: &str, keys: &str, settings: &str, run: impl Fn(&Dovecot, &str)) {
    each_of(FORMATS, test, keys, settings, run);
}

/// The same, for each of these.
fn each_of(all: &[&str], test: &str, keys: &str, settings: &str, run: impl Fn(&Dovecot, &str)) {
    let Some(server) = Server::here(test) else {
        return;
    };
    for format in all {
        run(&nothing(&server, &joined(format, keys), settings), format);
    }
}

/// A location with more keys.
fn joined(location: &str, keys: &str) -> String {
    [location, keys].join(if keys.is_empty() { "" } else { ":" })
}

fn mail(subject: &str) -> Vec<u8> {
    format!(
        "From: a@example.org\nSubject: {subject}\nMessage-ID: <{subject}@example.org>\n\n\
         text of {subject}\n{}",
        "A line that can be compressed.\n".repeat(40)
    )
    .into_bytes()
}

/// Appends a message over IMAP, which sends its line ends as CRLF.
pub(super) fn append(dovecot: &Dovecot, mailbox: &str, message: &[u8]) {
    let text = message.to_vec();
    let command = format!("APPEND {mailbox} {{{}+}}\r\n", text.len());
    dovecot.imap().send([command.as_bytes(), &text].concat());
}
