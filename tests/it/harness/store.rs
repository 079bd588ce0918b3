//! What a finished store holds, read through the library.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use bstr::BString;
use mailtally::digest::Measured;
use mailtally::disk::{Dir, Real};
use mailtally::format::{Elsewhere, OpenOptions, room};
use mailtally::model;
use mailtally::report::Finding;
use mailtally::store::{Incoming, MailboxSource, MailboxWriter, Turns};

/// A store: its mailboxes by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    pub mailboxes: BTreeMap<String, Mailbox>,
    pub subscriptions: Vec<String>,
    /// Paths of the sieve scripts.
    pub sieve: Vec<String>,
    /// What reading it found: nothing, in a store that we made.
    pub findings: Vec<String>,
}

/// Writes messages and their bodies into a mailbox, in this order.
pub fn store_all<'m>(
    mut writer: Box<dyn MailboxWriter + '_>,
    messages: impl IntoIterator<Item = (&'m model::Message, &'m [u8])>,
) {
    let turns = Turns::default();
    for (nth, (message, body)) in messages.into_iter().enumerate() {
        let incoming = Incoming {
            message,
            body: Measured::new(Box::new(body)),
            coat: None,
            hint: None,
            turn: turns.of(nth),
        };
        let stored = writer.store(incoming).unwrap();
        writer.commit(message, &stored).unwrap();
    }
    writer.finish().unwrap();
}

/// One mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailbox {
    pub selectable: bool,
    pub uidvalidity: u32,
    pub uidnext: u32,
    pub first_recent: u32,
    pub guid: String,
    pub highest_modseq: u64,
    pub acl: Option<BString>,
    pub messages: BTreeMap<u32, Message>,
}

/// One message.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    pub flags: Vec<&'static str>,
    /// Sorted.
    pub keywords: Vec<String>,
    pub received: i64,
    pub saved: Option<i64>,
    pub guid: BString,
    pub pop3_uidl: Option<BString>,
    pub pop3_order: Option<u32>,
    pub body: BString,
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (flags, keywords) = (self.flags.join(" "), self.keywords.join(" "));
        write!(
            f,
            "{flags} {keywords} received {} saved {:?} guid {} P{:?} O{:?} {} bytes",
            self.received,
            self.saved,
            self.guid,
            self.pop3_uidl,
            self.pop3_order,
            self.body.len()
        )
    }
}

impl Store {
    /// Reads an sdbox account.
    pub fn sdbox(root: &Path) -> Self {
        Self::of("sdbox", root, "")
    }

    /// Reads an account; `keys` as in a location, without variables: `INDEX=/i:ALT=/a`.
    pub fn of(format: &str, root: &Path, keys: &str) -> Self {
        let mut findings = Vec::new();
        let mut found = |finding: Finding| {
            findings.push(format!("{} {}", finding.rule.code, finding.detail));
        };
        let dir = Dir::open(root, Arc::new(Real)).unwrap();
        let open = room(format).unwrap().open;
        let source = open(dir, &options(keys), &mut found).unwrap();
        let mut mailboxes = BTreeMap::new();
        for (nth, name) in source.mailboxes().iter().enumerate() {
            let mailbox = source.mailbox(nth, &mut found).unwrap();
            mailboxes.insert(name.to_string(), Mailbox::of(mailbox.as_ref(), &mut found));
        }
        let account = source.account();
        let subscriptions = account.subscriptions.iter().map(ToString::to_string);
        let sieve = account.sieve.iter().map(|file| bstr::join("/", &file.path));
        Self {
            subscriptions: subscriptions.collect(),
            sieve: sieve.map(|path| String::from_utf8(path).unwrap()).collect(),
            mailboxes,
            findings,
        }
    }

    /// A mailbox.
    #[track_caller]
    pub fn mailbox(&self, name: &str) -> &Mailbox {
        let found = self.mailboxes.get(name);
        found.unwrap_or_else(|| panic!("no {name} in {:?}", self.names()))
    }

    /// A message.
    #[track_caller]
    pub fn message(&self, mailbox: &str, uid: u32) -> &Message {
        let mailbox = self.mailbox(mailbox);
        let found = mailbox.messages.get(&uid);
        found.unwrap_or_else(|| panic!("no UID {uid}: {mailbox:?}"))
    }

    /// The UIDs of a mailbox.
    #[track_caller]
    pub fn uids(&self, mailbox: &str) -> Vec<u32> {
        self.mailbox(mailbox).messages.keys().copied().collect()
    }

    /// Subjects by UID, for messages made by `mail()`.
    #[track_caller]
    pub fn subjects(&self, mailbox: &str) -> Vec<(u32, String)> {
        let messages = self.mailbox(mailbox).messages.iter();
        messages
            .map(|(uid, message)| (*uid, message.subject()))
            .collect()
    }

    /// The names.
    pub fn names(&self) -> Vec<&str> {
        self.mailboxes.keys().map(String::as_str).collect()
    }
}

impl Message {
    /// The subject.
    pub fn subject(&self) -> String {
        let text = self.body.to_string();
        let line = text.lines().find_map(|line| line.strip_prefix("Subject: "));
        line.unwrap_or_default().trim_end().to_owned()
    }
}

impl Mailbox {
    fn of(source: &dyn MailboxSource, found: &mut dyn FnMut(Finding)) -> Self {
        let mailbox = source.mailbox();
        let messages = (0..source.len()).filter_map(|nth| message(source, nth, found));
        Self {
            selectable: mailbox.selectable,
            uidvalidity: mailbox.uidvalidity.get(),
            uidnext: mailbox.uidnext,
            first_recent: mailbox.first_recent,
            guid: mailbox.guid.to_string(),
            highest_modseq: mailbox.highest_modseq,
            acl: mailbox.acl.clone().map(BString::from),
            messages: messages.collect(),
        }
    }
}

/// What a location's keys are to a room.
fn options(keys: &str) -> OpenOptions {
    let mut options = OpenOptions::default();
    for key in keys.split_terminator(':') {
        let (key, value) = key.split_once('=').unwrap();
        let dir = || Dir::open(Path::new(value), Arc::new(Real)).unwrap();
        match key {
            "INDEX" => options.index = Some(dir()),
            "CONTROL" => options.control = Some(dir()),
            "ALT" => options.alt = Elsewhere::At(dir()),
            "ATTACHMENTS" => options.attachments = Elsewhere::At(dir()),
            "DIRNAME" => options.dirname = Some(value.into()),
            "LAYOUT" => options.fs_layout = value == "fs",
            "MAILBOXDIR" => options.mailboxdir = Some(value.into()),
            _ => panic!("{key} is not known here"),
        }
    }
    options
}

/// A message, or what stands against reading it; what is damaged is there as far as it goes.
fn message(
    source: &dyn MailboxSource,
    nth: usize,
    found: &mut dyn FnMut(Finding),
) -> Option<(u32, Message)> {
    let mut scratch = Vec::new();
    let mut opened = match source.open(nth, &mut scratch) {
        Ok(opened) => opened,
        Err(finding) => {
            found(*finding);
            return None;
        }
    };
    let mut body = Vec::new();
    if let Err(error) = opened.body.read_to_end(&mut body) {
        found(source.broken(nth, &error, body.len() as u64));
    } else {
        let facts = Measured::new(Box::new(&body[..])).drain().unwrap();
        source.judge(nth, &opened.message, opened.claims, &facts, found);
    }
    let message = opened.message;
    let names = &source.mailbox().keywords;
    let keywords = message.keywords.iter();
    let keywords = keywords.map(|place| names[*place as usize].to_string());
    let mut keywords: Vec<_> = keywords.collect();
    keywords.sort();
    let told = Message {
        flags: message.flags.names().collect(),
        keywords,
        received: message.received,
        saved: message.saved,
        guid: message.guid,
        pop3_uidl: message.pop3_uidl,
        pop3_order: message.pop3_order,
        body: body.into(),
    };
    Some((message.uid.get(), told))
}
