//! The lines of a tally: prints as JSON objects, and back.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::prints::{AccountPrint, Body, BodyPrint, Envelope, MailboxPrint, MessagePrint, shown};
use crate::digest::{Digest, hex};
use crate::model::{Flags, MailboxName, Uid};
use crate::store::MadeUp;

/// A line as it stands in the file. Compressed whole it takes far less time than piece by piece.
pub fn text(line: &impl Serialize) -> Vec<u8> {
    let mut text = serde_json::to_vec(line).expect("BUG: a line is plain data");
    text.push(b'\n');
    text
}

/// An account: before its mailboxes.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename = "account")]
pub struct AccountLine {
    /// Which.
    pub user: String,
    /// What belongs to it as a whole.
    #[serde(flatten)]
    pub print: AccountPrint,
}

/// A mailbox: before its messages.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename = "mailbox")]
pub struct MailboxLine {
    /// The account.
    pub user: String,
    /// The name, `/` between levels.
    pub mailbox: String,
    /// The levels, where the name does not show them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    levels: Option<Vec<String>>,
    #[serde(default = "yes")]
    selectable: bool,
    messages: u64,
    uidvalidity: u32,
    uidnext: u32,
    #[serde(default)]
    guid: Option<String>,
    #[serde(default)]
    acl: Option<String>,
    #[serde(default)]
    keywords: Vec<String>,
    /// What the store did not tell.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    made_up: Vec<String>,
    /// Why it could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unread: Option<String>,
    /// In a state only.
    #[serde(default, skip_serializing)]
    bytes: Option<u64>,
    /// In a state only.
    #[serde(default, skip_serializing)]
    digest: Option<String>,
}

/// What the line of a mailbox says that its messages add up to.
#[derive(Debug)]
pub struct Claimed {
    /// How many messages.
    pub messages: u64,
    /// Their bytes.
    pub bytes: Option<u64>,
    /// The digest.
    pub digest: Option<String>,
}

impl Claimed {
    /// The digest, if it is one.
    pub fn known_digest(&self) -> Option<Digest> {
        self.digest.as_deref().and_then(digest)
    }
}

fn yes() -> bool {
    true
}

impl MailboxLine {
    /// The line of this mailbox.
    pub fn of(user: &str, print: &MailboxPrint) -> Self {
        let mailbox = shown(&print.name);
        let plain = MailboxName::verbatim(mailbox.split('/')) == print.name;
        let made_up = MADE_UP
            .iter()
            .filter(|(_, of)| *of(&mut print.made_up.clone()));
        Self {
            user: user.into(),
            levels: (!plain).then(|| print.name.levels().to_vec()),
            mailbox,
            selectable: print.selectable,
            messages: print.messages,
            uidvalidity: print.uidvalidity,
            uidnext: print.uidnext,
            guid: print.guid.clone(),
            acl: print.acl.clone().flatten(),
            keywords: print.keywords.clone(),
            made_up: made_up.map(|(name, _)| (*name).into()).collect(),
            unread: print.unread.clone(),
            bytes: None,
            digest: None,
        }
    }

    /// What the line says that the messages add up to.
    pub fn claimed(&self) -> Claimed {
        Claimed {
            messages: self.messages,
            bytes: self.bytes,
            digest: self.digest.clone(),
        }
    }

    /// What the line says.
    pub fn print(self) -> MailboxPrint {
        let mut made_up = MadeUp::default();
        for (name, of) in MADE_UP {
            *of(&mut made_up) = self.made_up.iter().any(|told| told == name);
        }
        MailboxPrint {
            name: match self.levels {
                Some(levels) => MailboxName::verbatim(levels),
                None => MailboxName::verbatim(self.mailbox.split('/')),
            },
            selectable: self.selectable,
            uidvalidity: self.uidvalidity,
            uidnext: self.uidnext,
            acl: self.guid.is_some().then_some(self.acl),
            guid: self.guid,
            keywords: self.keywords,
            messages: self.messages,
            made_up,
            unread: self.unread,
            access: None,
        }
    }
}

type Place = fn(&mut MadeUp) -> &mut bool;

const MADE_UP: [(&str, Place); 3] = [
    ("uids", |made_up| &mut made_up.uids),
    ("guid", |made_up| &mut made_up.guid),
    ("uidvalidity", |made_up| &mut made_up.uidvalidity),
];

/// What the messages of a mailbox add up to, or the mailboxes of an account, or all: behind them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SumLine {
    /// `sum` behind a mailbox or account, `end` in the last line.
    #[serde(rename = "type")]
    pub kind: String,
    /// The account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The mailbox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mailbox: Option<String>,
    /// How many accounts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub users: Option<u64>,
    /// How many mailboxes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mailboxes: Option<u64>,
    /// How many messages.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The digest.
    pub digest: String,
}

#[derive(Serialize)]
#[serde(tag = "type", rename = "message")]
struct MessageOut<'a> {
    user: &'a str,
    mailbox: &'a str,
    uid: u32,
    flags: Vec<&'static str>,
    keywords: &'a [String],
    received: Option<String>,
    saved: Option<String>,
    guid: Option<&'a str>,
    pop3_uidl: Option<&'a str>,
    pop3_order: Option<u32>,
    size: Option<u64>,
    virtual_size: Option<u64>,
    crc32: Option<String>,
    content: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unread: Option<&'a str>,
}

/// The line of a message; `mailbox` as the mailbox's own line has it.
pub fn message_text(user: &str, mailbox: &str, print: &MessagePrint) -> Vec<u8> {
    let envelope = print.envelope.as_ref();
    let (size, virtual_size) = print.sizes();
    let body = print.body.read();
    text(&MessageOut {
        user,
        mailbox,
        uid: print.uid.get(),
        flags: print.flags.names().collect(),
        keywords: &print.keywords,
        received: envelope.map(|envelope| time(envelope.received)),
        saved: envelope.and_then(|envelope| envelope.saved).map(time),
        guid: envelope.map(|envelope| envelope.guid.as_str()),
        pop3_uidl: envelope.and_then(|envelope| envelope.pop3_uidl.as_deref()),
        pop3_order: envelope.and_then(|envelope| envelope.pop3_order),
        size,
        virtual_size,
        crc32: body.map(|body| format!("{:08x}", body.crc32)),
        content: body.map(|body| hex(&body.content)),
        unread: match &print.body {
            Body::Unread { code, .. } => Some(code),
            _ => None,
        },
    })
}

/// A message as its line has it.
#[derive(Deserialize)]
pub struct MessageIn<'a> {
    /// The account.
    #[serde(borrow)]
    pub user: Cow<'a, str>,
    /// The mailbox.
    #[serde(borrow)]
    pub mailbox: Cow<'a, str>,
    uid: u32,
    #[serde(borrow)]
    flags: Vec<Cow<'a, str>>,
    keywords: Vec<String>,
    #[serde(borrow, default)]
    received: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    saved: Option<Cow<'a, str>>,
    #[serde(default)]
    guid: Option<String>,
    #[serde(default)]
    pop3_uidl: Option<String>,
    #[serde(default)]
    pop3_order: Option<u32>,
    #[serde(default)]
    size: Option<u64>,
    #[serde(default)]
    virtual_size: Option<u64>,
    #[serde(borrow, default)]
    crc32: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    content: Option<Cow<'a, str>>,
    #[serde(default)]
    unread: Option<String>,
}

impl MessageIn<'_> {
    /// What the line says, or which field cannot be read.
    pub fn print(self) -> Result<MessagePrint, &'static str> {
        let uid = Uid::new(self.uid).ok_or("uid")?;
        let mut flags = Flags::NONE;
        for name in &self.flags {
            flags |= Flags::named(name).ok_or("flags")?;
        }
        let envelope = match (self.received, self.guid) {
            (Some(received), Some(guid)) => Some(Envelope {
                received: seconds(&received).ok_or("received")?,
                saved: match self.saved {
                    Some(saved) => Some(seconds(&saved).ok_or("saved")?),
                    None => None,
                },
                guid,
                pop3_uidl: self.pop3_uidl,
                pop3_order: self.pop3_order,
            }),
            _ => None,
        };
        let read = match (self.content, self.size) {
            (Some(content), Some(size)) => Some(BodyPrint {
                size,
                virtual_size: self.virtual_size.ok_or("virtual_size")?,
                crc32: self.crc32.and_then(|text| crc(&text)).ok_or("crc32")?,
                content: digest(&content).ok_or("content")?,
            }),
            _ => None,
        };
        let body = match (self.unread, read) {
            (Some(code), recovered) => Body::Unread {
                code,
                said: true,
                recovered,
            },
            (None, Some(read)) => Body::Read(read),
            (None, None) => return Err("content"),
        };
        Ok(MessagePrint {
            uid,
            flags,
            keywords: self.keywords,
            envelope,
            body,
            access: None,
        })
    }
}

/// A time as a tally has it: RFC 3339, or the bare number where that has no place for it.
pub fn time(seconds: i64) -> String {
    let time = jiff::Timestamp::from_second(seconds);
    time.map_or_else(|_| seconds.to_string(), |time| time.to_string())
}

fn seconds(text: &str) -> Option<i64> {
    match text.parse::<jiff::Timestamp>() {
        Ok(time) => Some(time.as_second()),
        Err(_) => text.parse().ok(),
    }
}

fn crc(text: &str) -> Option<u32> {
    u32::from_str_radix(text, 16).ok()
}

fn digest(text: &str) -> Option<Digest> {
    let bytes = data_encoding::HEXLOWER.decode(text.as_bytes()).ok()?;
    bytes.try_into().ok()
}
