//! Accounts of every kind, as values: they can be written in any format, and say what must come back.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;

use bstr::BString;
use mailtally::digest::Measured;
use mailtally::disk::{Dir, Real};
use mailtally::format::room;
use mailtally::model::{self, Flags, MailboxGuid, MailboxName, Uid, UidValidity};
use mailtally::store::{CreateOptions, Form, Incoming, Turns};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;

use crate::harness::store::{Mailbox, Message};

/// An account.
#[derive(Debug, Clone)]
pub struct Account {
    mailboxes: BTreeMap<Vec<String>, Box_>,
    subscribed: BTreeSet<usize>,
}

#[derive(Debug, Clone)]
struct Box_ {
    uidvalidity: u32,
    guid: [u8; 16],
    /// UIDs beyond the last message's that were given out.
    expunged_last: u32,
    /// So many of the last messages are recent.
    recent: usize,
    keywords: BTreeSet<String>,
    acl: bool,
    messages: Vec<Mail>,
}

#[derive(Debug, Clone)]
struct Mail {
    /// UIDs left out before it.
    gap: u32,
    flags: u8,
    /// One bit a keyword.
    keywords: u32,
    received: u32,
    saved: u32,
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

fn guid() -> impl Strategy<Value = Guid> {
    prop_oneof![
        2 => any::<[u8; 16]>().prop_map(Guid::Hex),
        2 => any::<(u32, u32)>().prop_map(|(secs, number)| Guid::BaseName(secs, number)),
        1 => "[!-~]{1,40}".prop_map(Guid::Text),
        1 => Just(Guid::Same),
    ]
}

fn body() -> impl Strategy<Value = Body> {
    prop_oneof![
        3 => vec((any::<String>(), any::<bool>()), 0..30).prop_map(Body::Lines),
        2 => vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(0), Just(1), any::<u8>()], 0..200).prop_map(Body::Bytes),
        1 => (vec(any::<u8>(), 1..100), 1usize..8000).prop_map(|(piece, times)| Body::Long(piece, times)),
    ]
}

fn mail() -> impl Strategy<Value = Mail> {
    let gap = prop_oneof![3 => Just(0), 2 => 0u32..100, 1 => 0u32..400_000_000];
    let pop3 = (
        option::weighted(0.2, "[!-~]{1,60}"),
        option::weighted(0.2, any::<u32>()),
    );
    let dates = (any::<u32>(), any::<u32>());
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
    let numbers = (1u32.., any::<[u8; 16]>(), 0u32..1000, 0usize..4);
    let keywords =
        btree_set("[A-Z$][a-z0-9]{0,12}", 0..26).prop_filter("case means nothing", |names| {
            let lower: BTreeSet<_> = names.iter().map(|name| name.to_lowercase()).collect();
            lower.len() == names.len()
        });
    (numbers, keywords, any::<bool>(), vec(mail(), 0..8)).prop_map(
        |((uidvalidity, mut guid, expunged_last, recent), keywords, acl, messages)| {
            guid[0] |= 1;
            Box_ {
                uidvalidity,
                guid,
                expunged_last,
                recent,
                keywords,
                acl,
                messages,
            }
        },
    )
}

/// Any account that every format can hold.
pub fn account() -> impl Strategy<Value = Account> {
    let others = btree_map(vec(level(), 1..4), mailbox(), 0..5);
    (mailbox(), others, btree_set(0usize..6, 0..4)).prop_map(
        |(inbox, mut mailboxes, subscribed)| {
            mailboxes.insert(vec!["INBOX".into()], inbox);
            // No identity twice.
            for (nth, mailbox) in (0..).zip(mailboxes.values_mut()) {
                mailbox.guid[15] = nth;
            }
            Account {
                mailboxes,
                subscribed,
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
        let messages = self.messages.iter();
        messages
            .map(|mail| {
                uid += 1 + mail.gap;
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
        last + 1 + self.expunged_last
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

    fn acl(&self) -> Option<Vec<u8>> {
        self.acl.then(|| b"user=friend lrs\n".to_vec())
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
                    received: mail.received.into(),
                    saved: Some(mail.saved.into()),
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
                highest_modseq: 1,
                keywords: mailbox.names(),
                acl: mailbox.acl(),
            };
            let mut writer = account.mailbox(&whole).unwrap();
            let turns = Turns::default();
            for (nth, (message, body)) in mailbox.messages().iter().enumerate() {
                let incoming = Incoming {
                    message,
                    body: Measured::new(Box::new(&body[..])),
                    coat: None,
                    hint: None,
                    turn: turns.of(nth),
                };
                let stored = writer.store(incoming).unwrap();
                writer.commit(message, &stored).unwrap();
            }
            writer.finish().unwrap();
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
        chosen.filter_map(move |nth| names.get(*nth).copied())
    }

    /// The names that are subscribed.
    pub fn subscriptions(&self) -> Vec<String> {
        self.subscribed().map(|levels| levels.join("/")).collect()
    }

    /// What must come back; names above others come with the tree. Where not all formats hold saved
    /// dates, none is compared.
    pub fn expected(&self, with_saved: bool) -> BTreeMap<String, Mailbox> {
        let mailboxes = self.mailboxes.iter();
        mailboxes
            .map(|(levels, mailbox)| (levels.join("/"), mailbox.expected(with_saved)))
            .collect()
    }
}

impl Box_ {
    fn expected(&self, with_saved: bool) -> Mailbox {
        let messages = self.messages().into_iter().map(|(message, body)| {
            let names = message
                .keywords
                .iter()
                .map(|place| self.names()[*place as usize].to_string());
            let told = Message {
                flags: message.flags.names().collect(),
                keywords: names.collect(),
                received: message.received,
                saved: message.saved.filter(|_| with_saved),
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
            highest_modseq: 1,
            acl: self.acl().map(BString::from),
            messages: messages.collect(),
        }
    }
}
