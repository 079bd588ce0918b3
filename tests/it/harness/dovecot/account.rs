//! What Dovecot says about an account, in plain values that can be compared and read.

use std::collections::HashMap;
use std::fmt;

use bstr::{BString, ByteSlice};
use serde_json::Value;

use super::Dovecot;

/// Everything that Dovecot says about an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Every mailbox by name, also those that only stand above others.
    pub mailboxes: Vec<Mailbox>,
    /// Subscribed names, whether there is such a mailbox or not, sorted.
    pub subscriptions: Vec<String>,
}

/// One mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailbox {
    /// UTF-8, `/` between levels.
    pub name: String,
    /// None: the name cannot be opened.
    pub status: Option<Status>,
    /// By UID.
    pub messages: Vec<Message>,
}

/// What `doveadm mailbox status` tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    pub guid: String,
    pub uidvalidity: u64,
    pub uidnext: u64,
    pub messages: u64,
    pub recent: u64,
    pub unseen: u64,
    /// None: not asked for.
    pub vsize: Option<u64>,
    pub highestmodseq: u64,
}

/// What `doveadm fetch` tells.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    pub uid: u64,
    pub guid: String,
    /// `\Seen` and the like, sorted, without `\Recent`.
    pub flags: Vec<String>,
    /// Sorted.
    pub keywords: Vec<String>,
    /// Until an IMAP session has selected the mailbox (EXAMINE and doveadm leave it).
    pub recent: bool,
    pub received: i64,
    pub saved: i64,
    pub modseq: u64,
    pub physical_size: u64,
    pub virtual_size: u64,
    /// Empty: none of its own.
    pub pop3_uidl: String,
    /// Empty: none.
    pub pop3_order: String,
    pub text: Text,
}

/// The message as stored, decompressed: NUL, a lone CR and both line ends as they are.
///
/// From `doveadm -f flow fetch text`, which copies the bytes. (With `-f json` what is not UTF-8 becomes
/// U+FFFD; IMAP sends NUL as 0x80 and every line end as CRLF.)
#[derive(Clone, PartialEq, Eq)]
pub struct Text(pub BString);

impl Account {
    pub(super) fn read(dovecot: &Dovecot, of_mailboxes: &str, query: &[&str]) -> Self {
        let mut messages = HashMap::<String, Vec<Message>>::new();
        let fields = fetch(dovecot, "json", MESSAGE, query, rows);
        let texts = fetch(dovecot, "flow", "uid size.physical text", query, texts);
        assert_eq!(fields.len(), texts.len(), "every message has a text");
        for (row, (uid, body)) in fields.iter().zip(texts) {
            assert_eq!(number::<u64>(row, "uid"), uid, "in the same order");
            messages
                .entry(text(row, "mailbox"))
                .or_default()
                .push(Message::of(row, body));
        }
        let status = rows(&dovecot.ask(&["-f", "json", "mailbox", "status", of_mailboxes, "*"]));
        let mut status = status
            .iter()
            .map(|row| (text(row, "mailbox"), Status::of(row)))
            .collect::<HashMap<_, _>>();
        let mailbox = |name: String| Mailbox {
            status: status.remove(&name),
            messages: messages.remove(&name).unwrap_or_default(),
            name,
        };
        let mailboxes = names(dovecot, &[]).into_iter().map(mailbox).collect();
        Self {
            mailboxes,
            subscriptions: names(dovecot, &["-s"]),
        }
    }

    /// The mailbox of that name.
    pub fn mailbox(&self, name: &str) -> &Mailbox {
        self.mailboxes
            .iter()
            .find(|mailbox| mailbox.name == name)
            .unwrap_or_else(|| panic!("no {name}: {self:#?}"))
    }

    /// For stores that keep none: see the module's first lines.
    #[must_use]
    pub fn without_saved_dates(self) -> Self {
        self.changed(|_| (), |message| message.saved = 0)
    }

    /// For stores that count changes in their own way.
    #[must_use]
    pub fn without_modseqs(self) -> Self {
        self.changed(
            |status| status.highestmodseq = 0,
            |message| message.modseq = 0,
        )
    }

    /// For stores of which one has been selected.
    #[must_use]
    pub fn without_recent(self) -> Self {
        self.changed(|status| status.recent = 0, |message| message.recent = false)
    }

    fn changed(mut self, status: impl Fn(&mut Status), message: impl Fn(&mut Message)) -> Self {
        for mailbox in &mut self.mailboxes {
            mailbox.status.iter_mut().for_each(&status);
            mailbox.messages.iter_mut().for_each(&message);
        }
        self
    }
}

impl Status {
    fn of(row: &Value) -> Self {
        Self {
            guid: text(row, "guid"),
            uidvalidity: number(row, "uidvalidity"),
            uidnext: number(row, "uidnext"),
            messages: number(row, "messages"),
            recent: number(row, "recent"),
            unseen: number(row, "unseen"),
            vsize: row.get("vsize").map(|_| number(row, "vsize")),
            highestmodseq: number(row, "highestmodseq"),
        }
    }
}

const MESSAGE: &str = "mailbox uid guid flags date.received.unixtime date.saved.unixtime modseq \
                       size.physical size.virtual pop3.uidl pop3.order";

impl Message {
    fn of(row: &Value, body: Text) -> Self {
        let words = text(row, "flags");
        let mut words = words
            .split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>();
        words.sort();
        let (mut flags, keywords) = words
            .into_iter()
            .partition::<Vec<_>, _>(|word| word.starts_with('\\'));
        let recent = flags.iter().any(|flag| flag == "\\Recent");
        flags.retain(|flag| flag != "\\Recent");
        Self {
            uid: number(row, "uid"),
            guid: text(row, "guid"),
            flags,
            keywords,
            recent,
            received: number(row, "date.received.unixtime"),
            saved: number(row, "date.saved.unixtime"),
            modseq: number(row, "modseq"),
            physical_size: number(row, "size.physical"),
            virtual_size: number(row, "size.virtual"),
            pop3_uidl: text(row, "pop3.uidl"),
            pop3_order: text(row, "pop3.order"),
            text: body,
        }
    }
}

fn names(dovecot: &Dovecot, which: &[&str]) -> Vec<String> {
    let listed = dovecot.ask(&[&["mailbox", "list"], which, &["*"]].concat());
    let mut names = listed
        .lines()
        .map(|name| name.to_str().unwrap().to_owned())
        .collect::<Vec<_>>();
    names.sort();
    names
}

fn fetch<T>(
    dovecot: &Dovecot,
    format: &str,
    fields: &str,
    query: &[&str],
    read: impl Fn(&[u8]) -> T,
) -> T {
    let command = ["-f", format, "fetch", fields, "mailbox", "*", "("];
    read(&dovecot.ask(&[&command[..], query, &[")"]].concat()))
}

/// UIDs and texts: `uid=U size.physical=N text=` N bytes LF.
fn texts(mut printed: &[u8]) -> Vec<(u64, Text)> {
    let mut texts = Vec::new();
    while let Some((head, rest)) = printed.split_once_str(" text=") {
        let head = head.to_str().unwrap().strip_prefix("uid=").unwrap();
        let (uid, size) = head.split_once(" size.physical=").unwrap();
        let (body, rest) = rest.split_at(size.parse().unwrap());
        texts.push((uid.parse().unwrap(), Text(body.into())));
        printed = rest.strip_prefix(b"\n").expect("a text of the size told");
    }
    assert_eq!(printed.as_bstr(), "", "not understood");
    texts
}

fn rows(printed: &[u8]) -> Vec<Value> {
    if printed.is_empty() {
        Vec::new()
    } else {
        serde_json::from_slice(printed).unwrap()
    }
}

fn text(row: &Value, field: &str) -> String {
    row[field]
        .as_str()
        .unwrap_or_else(|| panic!("no {field} in {row}"))
        .to_owned()
}

fn number<T: std::str::FromStr>(row: &Value, field: &str) -> T {
    text(row, field)
        .parse()
        .unwrap_or_else(|_| panic!("{field} is no number in {row}"))
}

/// One line a message, so that a failed comparison can be read.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = [self.flags.join(" "), self.keywords.join(" ")].join(" ");
        let recent = if self.recent { "recent " } else { "" };
        write!(f, "uid {} {recent}[{}] ", self.uid, words.trim())?;
        write!(f, "received {} saved {} ", self.received, self.saved)?;
        write!(f, "{}/{} B ", self.physical_size, self.virtual_size)?;
        write!(f, "modseq {} guid {:?} ", self.modseq, self.guid)?;
        write!(f, "pop3 {:?} {:?} ", self.pop3_uidl, self.pop3_order)?;
        self.text.fmt(f)
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start = self.0.chars().take(40).collect::<String>();
        write!(
            f,
            "{} B {} {start:?}",
            self.0.len(),
            &blake3::hash(&self.0).to_hex()[..8]
        )
    }
}
