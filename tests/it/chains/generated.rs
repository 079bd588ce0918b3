//! Accounts of every kind, as values: they can be written in any format, and say what must come back.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;

use bstr::BString;
use mailtally::disk::{Dir, Real};
use mailtally::format::room;
use mailtally::model::{self, Flags, MailboxGuid, MailboxName, Uid, UidValidity};
use mailtally::store::{CreateOptions, Form};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;

use crate::harness::store::{Mailbox, Message, store_all};

/// The highest there is to Dovecot; the number behind it is the last UIDNEXT.
const HIGHEST_UID: u32 = u32::MAX - 1;

/// An account.
#[derive(Debug, Clone)]
pub struct Account {
    mailboxes: BTreeMap<Vec<String>, Box_>,
    subscribed: BTreeSet<usize>,
    /// There is no such mailbox any more.
    subscribed_before: BTreeSet<Vec<String>>,
}

/// What the formats on the way have a place for.
#[derive(Debug, Clone, Copy)]
pub struct Held {
    /// Saved dates and CONDSTORE's counter.
    pub all: bool,
    /// Dates before 1970, and after 2106.
    pub all_dates: bool,
}

impl Held {
    fn date(self, date: i64) -> i64 {
        if self.all_dates {
            date
        } else {
            in_32_bits(date)
        }
    }
}

fn in_32_bits(date: i64) -> i64 {
    date.clamp(0, u32::MAX.into())
}

#[derive(Debug, Clone)]
struct Box_ {
    uidvalidity: u32,
    guid: [u8; 16],
    /// UIDs beyond the last message's that were given out.
    expunged_last: u32,
    /// So many of the last messages are recent.
    recent: usize,
    highest_modseq: u64,
    keywords: BTreeSet<String>,
    acl: Option<Vec<u8>>,
    messages: Vec<Mail>,
}

#[derive(Debug, Clone)]
struct Mail {
    /// UIDs left out before it.
    gap: u32,
    flags: u8,
    /// One bit a keyword.
    keywords: u32,
    received: i64,
    saved: i64,
    guid: Guid,
    pop3: (Option<String>, Option<u32>),
    body: Body,
}

#[derive(Debug, Clone)]
enum Guid {
    Hex([u8; 16]),
    BaseName(u32, u32),
    Text(String),
    /// That of the message before.
    Same,
}

#[derive(Debug, Clone)]
enum Body {
    Bytes(Vec<u8>),
    /// Lines, with either end.
    Lines(Vec<(String, bool)>),
    /// A piece over and over.
    Long(Vec<u8>, usize),
}

/// Names that every format can hold; what is done about others is tested elsewhere.
fn level() -> impl Strategy<Value = String> {
    let fits = |name: &String| {
        let taken = ["inbox", "cur", "new", "tmp", "sieve", "subscriptions"];
        let lower = name.to_lowercase();
        !taken.contains(&lower.as_str())
            && !lower.starts_with("dovecot")
            && !lower.starts_with("maildir")
    };
    let names = prop_oneof![
        3 => "[A-Za-z0-9&,+ _-]{1,12}",
        1 => "[äöü台北€😀&-]{1,6}",
        1 => "[^\\p{C}./~]{1,10}",
    ];
    names.prop_filter("a name of its own", fits)
}

/// Names from the top down.
fn levels() -> impl Strategy<Value = Vec<String>> {
    let below_inbox = level().prop_map(|level| vec!["INBOX".into(), level]);
    prop_oneof![6 => vec(level(), 1..4), 1 => below_inbox]
}

/// Before 1970, after 2038, and after the last second that 32 bits can tell.
fn date() -> impl Strategy<Value = i64> {
    prop_oneof![
        6 => any::<u32>().prop_map(i64::from),
        1 => i64::from(i32::MIN)..0,
        1 => i64::from(u32::MAX) - 1..10_000_000_000,
    ]
}

fn guid() -> impl Strategy<Value = Guid> {
    prop_oneof![
        2 => any::<[u8; 16]>().prop_map(Guid::Hex),
        2 => any::<(u32, u32)>().prop_map(|(secs, number)| Guid::BaseName(secs, number)),
        1 => "[!-~]{1,40}".prop_map(Guid::Text),
        1 => "[!-~äß台€]{100,300}".prop_map(Guid::Text),
        1 => Just(Guid::Same),
    ]
}

fn body() -> impl Strategy<Value = Body> {
    prop_oneof![
        3 => vec((any::<String>(), any::<bool>()), 0..30).prop_map(Body::Lines),
        2 => vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(0), Just(1), any::<u8>()], 0..200).prop_map(Body::Bytes),
        1 => Just(Body::Bytes(Vec::new())),
        1 => vec(("[ -~]{10000,11000}", any::<bool>()), 1..4).prop_map(Body::Lines),
        1 => (vec(any::<u8>(), 1..100), 1usize..8000).prop_map(|(piece, times)| Body::Long(piece, times)),
    ]
}

fn mail() -> impl Strategy<Value = Mail> {
    let gap = prop_oneof![6 => Just(0), 4 => 0u32..100, 2 => 0u32..400_000_000, 1 => 0..u32::MAX];
    let pop3 = (
        option::weighted(0.2, "[!-~]{1,60}"),
        option::weighted(0.2, any::<u32>()),
    );
    let dates = (date(), date());
    (gap, 0u8..32, any::<u32>(), dates, guid(), pop3, body()).prop_map(
        |(gap, flags, keywords, (received, saved), guid, pop3, body)| Mail {
            gap,
            flags,
            keywords,
            received,
            saved,
            guid,
            pop3,
            body,
        },
    )
}

fn mailbox() -> impl Strategy<Value = Box_> {
    let numbers = (
        (1u32.., any::<[u8; 16]>()),
        prop_oneof![0u32..1000, any::<u32>()],
        0usize..4,
        prop_oneof![Just(1), 1u64..1 << 50],
    );
    let keyword = prop_oneof![4 => "[A-Z$][a-z0-9]{0,12}", 1 => "[!#$&'+-\\[^-z|~äß台]{1,60}"];
    let keywords = btree_set(keyword, 0..26).prop_filter("case means nothing", |names| {
        let lower: BTreeSet<_> = names.iter().map(|name| name.to_lowercase()).collect();
        lower.len() == names.len()
    });
    let acl = option::of(vec(any::<u8>(), 0..80));
    (numbers, keywords, acl, vec(mail(), 0..8)).prop_map(|(numbers, keywords, acl, messages)| {
        let ((uidvalidity, mut guid), expunged_last, recent, highest_modseq) = numbers;
        guid[0] |= 1;
        Box_ {
            uidvalidity,
            guid,
            expunged_last,
            recent,
            highest_modseq,
            keywords,
            acl,
            messages,
        }
    })
}

/// Any account that every format can hold.
pub fn account() -> impl Strategy<Value = Account> {
    let others = btree_map(levels(), mailbox(), 0..5);
    let subscribed = (btree_set(0usize..6, 0..4), btree_set(levels(), 0..3));
    (mailbox(), others, subscribed).prop_map(
        |(inbox, mut mailboxes, (subscribed, mut subscribed_before))| {
            mailboxes.insert(vec!["INBOX".into()], inbox);
            // No identity twice.
            for (nth, mailbox) in (0..).zip(mailboxes.values_mut()) {
                mailbox.guid[15] = nth;
            }
            subscribed_before.retain(|name| !mailboxes.contains_key(name));
            Account {
                mailboxes,
                subscribed,
                subscribed_before,
            }
        },
    )
}

impl Body {
    /// NULs at the end are said to be blocks that were never written, and need a person: not here.
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.all_bytes();
        if bytes.last() == Some(&0) {
            bytes.push(b'.');
        }
        bytes
    }

    fn all_bytes(&self) -> Vec<u8> {
        match self {
            Self::Bytes(bytes) => bytes.clone(),
            Self::Lines(lines) => {
                let line = |(text, crlf): &(String, bool)| {
                    format!("{text}{}", if *crlf { "\r\n" } else { "\n" })
                };
                lines.iter().map(line).collect::<String>().into_bytes()
            }
            Self::Long(piece, times) => piece.repeat(*times),
        }
    }
}

impl Box_ {
    /// UIDs and GUIDs of the messages.
    fn identities(&self) -> Vec<(u32, BString)> {
        let (mut uid, mut guid) = (0_u32, BString::from("first"));
        let highest = HIGHEST_UID - u32::try_from(self.messages.len()).unwrap();
        let messages = (highest + 1..).zip(&self.messages);
        messages
            .map(|(highest, mail)| {
                uid = uid.saturating_add(1 + mail.gap).min(highest);
                guid = match &mail.guid {
                    Guid::Hex(bytes) => data_encoding::HEXLOWER.encode(bytes).into(),
                    Guid::BaseName(secs, number) => format!("{secs}.M{number}P1.host").into(),
                    Guid::Text(text) => text.as_str().into(),
                    Guid::Same => guid.clone(),
                };
                (uid, guid.clone())
            })
            .collect()
    }

    fn uidnext(&self) -> u32 {
        let last = self.identities().last().map_or(0, |(uid, _)| *uid);
        (last + 1).saturating_add(self.expunged_last)
    }

    fn first_recent(&self) -> u32 {
        let identities = self.identities();
        let recent = identities.len() - self.recent.min(identities.len());
        let first = identities.get(recent);
        first.map_or(self.uidnext(), |(uid, _)| *uid)
    }

    fn names(&self) -> Vec<BString> {
        self.keywords
            .iter()
            .map(|name| name.as_str().into())
            .collect()
    }

    /// The messages in the words of the model, with their bodies.
    fn messages(&self) -> Vec<(model::Message, Vec<u8>)> {
        let mails = self.messages.iter().zip(self.identities());
        mails
            .map(|(mail, (uid, guid))| {
                let count = u32::try_from(self.keywords.len()).unwrap();
                let message = model::Message {
                    uid: Uid::new(uid).unwrap(),
                    flags: Flags::from_bits(mail.flags),
                    keywords: (0..count)
                        .filter(|bit| mail.keywords >> bit & 1 == 1)
                        .collect(),
                    received: mail.received,
                    saved: Some(mail.saved),
                    guid,
                    pop3_uidl: mail.pop3.0.as_deref().map(BString::from),
                    pop3_order: mail.pop3.1,
                    sealed: None,
                };
                (message, mail.body.bytes())
            })
            .collect()
    }
}

impl Account {
    /// Writes the account as a store of this format.
    pub fn write(&self, format: &str, form: &Form, root: &Path) {
        fs::create_dir(root).unwrap();
        let dir = Dir::open(root, Arc::new(Real)).unwrap();
        let options = CreateOptions {
            now: 1_700_000_000,
            owner: None,
            mode: 0o700,
            form: *form,
        };
        let account = (room(format).unwrap().create.unwrap())(dir, &options).unwrap();
        for (levels, mailbox) in &self.mailboxes {
            let whole = model::Mailbox {
                name: MailboxName::new(levels),
                selectable: true,
                guid: MailboxGuid::new(mailbox.guid).unwrap(),
                uidvalidity: UidValidity::new(mailbox.uidvalidity).unwrap(),
                uidnext: mailbox.uidnext(),
                first_recent: mailbox.first_recent(),
                highest_modseq: mailbox.highest_modseq,
                keywords: mailbox.names(),
                acl: mailbox.acl.clone(),
            };
            let messages = mailbox.messages();
            let messages = messages.iter().map(|(message, body)| (message, &body[..]));
            store_all(account.mailbox(&whole).unwrap(), messages);
        }
        let subscriptions = self.subscribed().map(MailboxName::new).collect();
        let whole = model::Account {
            subscriptions,
            last_uidvalidity: self
                .mailboxes
                .values()
                .map(|it| it.uidvalidity)
                .max()
                .unwrap(),
            ..model::Account::default()
        };
        account.finish(&whole).unwrap();
    }

    fn subscribed(&self) -> impl Iterator<Item = &Vec<String>> {
        let names: Vec<_> = self.mailboxes.keys().collect();
        let chosen = self.subscribed.iter();
        let there = chosen.filter_map(move |nth| names.get(*nth).copied());
        there.chain(&self.subscribed_before)
    }

    /// A message was received when a dbox has no number for it.
    pub fn has_odd_dates(&self) -> bool {
        let mut messages = self.mailboxes.values().flat_map(|it| &it.messages);
        messages.any(|mail| mail.received != in_32_bits(mail.received))
    }

    /// The names that are subscribed.
    pub fn subscriptions(&self) -> Vec<String> {
        self.subscribed().map(|levels| levels.join("/")).collect()
    }

    /// What must come back; names above others come with the tree.
    pub fn expected(&self, held: Held) -> BTreeMap<String, Mailbox> {
        let mailboxes = self.mailboxes.iter();
        mailboxes
            .map(|(levels, mailbox)| (levels.join("/"), mailbox.expected(held)))
            .collect()
    }
}

impl Box_ {
    fn expected(&self, held: Held) -> Mailbox {
        let messages = self.messages().into_iter().map(|(message, body)| {
            let names = message
                .keywords
                .iter()
                .map(|place| self.names()[*place as usize].to_string());
            let told = Message {
                flags: message.flags.names().collect(),
                keywords: names.collect(),
                received: held.date(message.received),
                saved: message
                    .saved
                    .filter(|_| held.all)
                    .map(|date| held.date(date)),
                guid: message.guid,
                pop3_uidl: message.pop3_uidl,
                pop3_order: message.pop3_order,
                body: body.into(),
            };
            (message.uid.get(), told)
        });
        Mailbox {
            selectable: true,
            uidvalidity: self.uidvalidity,
            uidnext: self.uidnext(),
            first_recent: self.first_recent(),
            guid: MailboxGuid::new(self.guid).unwrap().to_string(),
            highest_modseq: if held.all { self.highest_modseq } else { 1 },
            acl: self.acl.clone().map(BString::from),
            messages: messages.collect(),
        }
    }
}
