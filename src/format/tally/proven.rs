//! What messages are, as the conversion that wrote them proved it: for who reads the store later.

use std::collections::BTreeMap;

use super::prints::{MessagePrint, shown};
use super::reader::{Reader, Record};
use super::state::STATE;
use crate::digest::Digest;
use crate::disk::Dir;
use crate::error::Result;
use crate::model::Uid;

/// The contents of an account's messages, by mailbox as records show it.
#[derive(Debug, Default)]
pub struct Proven(BTreeMap<String, Contents>);

#[derive(Debug, Default)]
struct Contents {
    /// Without the same UIDVALIDITY, UIDs mean nothing.
    uidvalidity: u32,
    /// By UID, ascending; half a digest is enough to see a difference.
    messages: Vec<(Uid, Half)>,
}

type Half = [u8; 16];

impl Proven {
    /// What the account in `dir` remembers; an error where something is there and cannot be read, or its sums
    /// are wrong.
    pub fn read(dir: &Dir) -> Result<Self> {
        let mut this = Self::default();
        if dir.stat_if_there(STATE)?.is_none() {
            return Ok(this);
        }
        let mut reader = Reader::open(dir, STATE.as_bytes())?;
        let mut mailbox = String::new();
        while let Some(record) = reader.next_record()? {
            match record {
                Record::Mailbox(print) => {
                    mailbox = shown(&print.name);
                    let contents = Contents {
                        uidvalidity: print.uidvalidity,
                        messages: Vec::new(),
                    };
                    this.0.insert(mailbox.clone(), contents);
                }
                Record::Message(print) => this.add(&mailbox, &print),
                Record::Account(..) | Record::Sum(_) | Record::End(_) => {}
            }
        }
        Ok(this)
    }

    fn add(&mut self, mailbox: &str, print: &MessagePrint) {
        if let (Some(known), Some(body)) = (self.0.get_mut(mailbox), print.body.read()) {
            known.messages.push((print.uid, half(&body.content)));
        }
    }

    /// True where the message of this UID was another one when it was proven.
    pub fn is_altered(&self, mailbox: &str, uidvalidity: u32, uid: Uid, content: &Digest) -> bool {
        let known = self.0.get(mailbox);
        let known = known.filter(|known| known.uidvalidity == uidvalidity);
        known.is_some_and(|Contents { messages, .. }| {
            let at = messages.binary_search_by_key(&uid, |(uid, _)| *uid);
            at.is_ok_and(|at| messages[at].1 != half(content))
        })
    }
}

fn half(digest: &Digest) -> Half {
    *digest.first_chunk().expect("BUG: a digest has 32 bytes")
}
