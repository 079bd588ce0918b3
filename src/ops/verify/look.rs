//! Reads one message of a store, as far as the level asks for.

use std::io::ErrorKind;

use super::Level;
use crate::digest::{Facts, Measured, Pass};
use crate::format::tally::{Body, BodyPrint, MessagePrint};
use crate::model::Message;
use crate::report::catalogue::MAILDIR_DAMAGED;
use crate::report::{Finding, Severity};
use crate::store::{Access, Claims, MailboxSource, Opened, Peek};

/// A message that was looked at.
pub struct Looked {
    /// What is compared of it.
    pub print: MessagePrint,
    /// What was found.
    pub findings: Vec<Finding>,
}

/// A message of a store, and how it is looked at.
#[derive(Clone, Copy)]
pub struct One<'a> {
    /// The mailbox.
    pub source: &'a dyn MailboxSource,
    /// Which message of it.
    pub nth: usize,
    /// How.
    pub look: Look,
}

/// Looks at every byte of two messages that should be the same one.
pub fn both(pair: [One<'_>; 2], scratch: &mut [Vec<u8>; 2]) -> [Looked; 2] {
    let mut looked = both_whole(pair, scratch).into_iter();
    pair.map(|One { source, nth, look }| {
        let looked = looked.next().expect("BUG: there are two");
        look.within(source, nth, looked)
    })
}

/// How a store's messages are looked at.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// How much of it is read.
    pub level: Level,
    /// Who may touch its files is looked at too.
    pub access: bool,
    /// The format keeps saved dates.
    pub saved: bool,
}

impl Look {
    /// Looks at the `nth` message.
    pub fn at(self, source: &dyn MailboxSource, nth: usize, scratch: &mut Vec<u8>) -> Looked {
        let looked = self.message(source, nth, scratch);
        self.within(source, nth, looked)
    }

    /// Without what is not compared.
    fn within(self, source: &dyn MailboxSource, nth: usize, mut looked: Looked) -> Looked {
        if !self.access {
            looked.print.access = None;
        }
        if !self.saved || !source.tells_saved(nth) {
            looked.print.forget_saved();
        }
        looked
    }

    fn message(self, source: &dyn MailboxSource, nth: usize, scratch: &mut Vec<u8>) -> Looked {
        if self.level == Level::Full {
            return whole(source, nth, scratch);
        }
        match source.peek(nth, scratch) {
            Ok(peek) if self.level.takes(&peek.message.guid) => whole(source, nth, scratch),
            Ok(Peek {
                message,
                claims,
                access,
            }) => {
                let body = Body::Told {
                    size: claims.size,
                    virtual_size: claims.virtual_size,
                };
                let names = &source.mailbox().keywords;
                let mut print = MessagePrint::of(&message, names, body);
                print.access = access;
                Looked {
                    print,
                    findings: Vec::new(),
                }
            }
            Err(finding) => unread(source, nth, *finding),
        }
    }
}

/// Every byte of a message.
fn whole(source: &dyn MailboxSource, nth: usize, scratch: &mut Vec<u8>) -> Looked {
    match source.open(nth, scratch) {
        Ok(opened) => {
            let (told, body) = Told::split(opened);
            told.looked(source, nth, body.pass())
        }
        Err(finding) => unread(source, nth, *finding),
    }
}

/// Every byte of two messages that should be the same one.
fn both_whole(pair: [One<'_>; 2], scratch: &mut [Vec<u8>; 2]) -> [Looked; 2] {
    let [one, other] = pair;
    let [scratch, other_scratch] = scratch;
    let opened = (
        one.source.open(one.nth, scratch),
        other.source.open(other.nth, other_scratch),
    );
    let passes: [Result<_, Box<Finding>>; 2] = match opened {
        (Ok(opened), Ok(others)) => {
            let ((told, body), (others, other_body)) = (Told::split(opened), Told::split(others));
            let [pass, other_pass] = Measured::pass_both(body, other_body);
            [Ok((told, pass)), Ok((others, other_pass))]
        }
        (opened, others) => [opened, others].map(|opened| {
            let (told, body) = Told::split(opened?);
            Ok((told, body.pass()))
        }),
    };
    let mut pair = pair.into_iter();
    passes.map(|passed| {
        let One { source, nth, .. } = pair.next().expect("BUG: there are two");
        match passed {
            Ok((told, pass)) => told.looked(source, nth, pass),
            Err(finding) => unread(source, nth, *finding),
        }
    })
}

/// An open message without its body.
struct Told {
    message: Message,
    claims: Claims,
    access: Option<Access>,
}

impl Told {
    fn split(opened: Opened<'_>) -> (Self, Measured<'_>) {
        let told = Self {
            message: opened.message,
            claims: opened.claims,
            access: opened.access,
        };
        (told, Measured::new(opened.body))
    }

    fn looked(self, source: &dyn MailboxSource, nth: usize, pass: Pass) -> Looked {
        let Pass { facts, broken } = pass;
        let mut findings = Vec::new();
        let told = (&self.message, self.claims);
        source.tell(nth, told, broken.as_ref(), &facts, &mut |finding| {
            findings.push(finding);
        });
        let body = match broken {
            None => {
                // A coat of which nothing comes off was read as it lies there: that is not the message.
                let is_torn = |finding: &&Finding| finding.rule.code == MAILDIR_DAMAGED.code;
                let torn = findings.iter().find(is_torn);
                torn.map_or_else(
                    || Body::Read((&facts).into()),
                    |finding| not_whole(finding, Some(&facts)),
                )
            }
            Some(error) => {
                let is_damage = error.kind() == ErrorKind::InvalidData;
                not_whole(&findings[0], is_damage.then_some(&facts))
            }
        };
        let names = &source.mailbox().keywords;
        let mut print = MessagePrint::of(&self.message, names, body);
        print.access = self.access;
        Looked { print, findings }
    }
}

fn not_whole(finding: &Finding, recovered: Option<&Facts>) -> Body {
    Body::Unread {
        code: finding.rule.code.into(),
        said: finding.severity() == Severity::Error,
        recovered: recovered.map(BodyPrint::from),
    }
}

/// Of a message that cannot be opened only the list knows something.
fn unread(source: &dyn MailboxSource, nth: usize, finding: Finding) -> Looked {
    let (flags, places) = source.marks(nth);
    let names = &source.mailbox().keywords;
    let known = places.iter().filter_map(|place| names.get(*place as usize));
    let mut keywords: Vec<_> = known
        .map(|name| crate::digest::merkle::keyword(name))
        .collect();
    keywords.sort();
    Looked {
        print: MessagePrint {
            uid: source.uid(nth),
            flags,
            keywords,
            envelope: None,
            body: not_whole(&finding, None),
            access: None,
        },
        findings: vec![finding],
    }
}
