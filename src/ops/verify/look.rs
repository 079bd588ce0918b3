//! Reads one message of a store, as far as the level asks for.

use super::Level;
use crate::digest::Measured;
use crate::format::tally::{Body, MessagePrint};
use crate::report::{Finding, Severity};
use crate::store::{MailboxSource, Opened, Peek};

/// A message that was looked at.
pub struct Looked {
    /// What is compared of it.
    pub print: MessagePrint,
    /// What was found.
    pub findings: Vec<Finding>,
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
        let mut looked = self.message(source, nth, scratch);
        if self.access {
            looked.print.access = source.access(nth);
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
            Ok(Peek { message, claims }) => {
                let body = Body::Told {
                    size: claims.size,
                    virtual_size: claims.virtual_size,
                };
                let names = &source.mailbox().keywords;
                Looked {
                    print: MessagePrint::of(&message, names, body),
                    findings: Vec::new(),
                }
            }
            Err(finding) => unread(source, nth, *finding),
        }
    }
}

/// Every byte of a message.
fn whole(source: &dyn MailboxSource, nth: usize, scratch: &mut Vec<u8>) -> Looked {
    let opened = match source.open(nth, scratch) {
        Ok(opened) => opened,
        Err(finding) => return unread(source, nth, *finding),
    };
    let Opened {
        message,
        claims,
        body,
        ..
    } = opened;
    let mut measured = Measured::new(body);
    let mut findings = Vec::new();
    let read = loop {
        match measured.piece(|_| ()) {
            Ok(true) => {}
            Ok(false) => break Ok(measured.facts()),
            Err(error) => break Err(source.broken(nth, &error, measured.size())),
        }
    };
    let body = match &read {
        Ok(facts) => {
            source.judge(nth, &message, claims, facts, &mut |finding| {
                findings.push(finding);
            });
            // A coat that is torn was read as it lies there: that is not the message.
            let torn = findings.iter().find(|finding| is_torn(finding));
            torn.map_or_else(|| Body::Read(facts.into()), broken)
        }
        Err(finding) => broken(finding),
    };
    findings.extend(read.err());
    let names = &source.mailbox().keywords;
    let print = MessagePrint::of(&message, names, body);
    Looked { print, findings }
}

fn is_torn(finding: &Finding) -> bool {
    finding.rule.code.ends_with(".damaged")
}

fn broken(finding: &Finding) -> Body {
    Body::Unread {
        code: finding.rule.code.into(),
        said: finding.severity() == Severity::Error,
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
            body: broken(&finding),
            access: None,
        },
        findings: vec![finding],
    }
}
