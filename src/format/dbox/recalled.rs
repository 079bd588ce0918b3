//! What a conversion wrote of the messages that it carried: for mailboxes whose index is gone with all its
//! copies. The store may have changed since, so a message is the same one only under the same GUID.

use std::collections::BTreeMap;

use bstr::BString;

use crate::disk::Dir;
use crate::format::tally::{self, MessagePrint};
use crate::model::{Flags, Message, Uid};
use crate::report::escape;

/// Where it comes from, for people.
pub const RECALLED_FROM: &str = "mailtally.state";

/// What is known of one message.
#[derive(Debug)]
pub struct Recall {
    /// Its number.
    pub uid: Uid,
    flags: Flags,
    /// In lower case.
    keywords: Vec<String>,
    saved: Option<i64>,
    guid: String,
    pop3: (Option<String>, Option<u32>),
}

impl Recall {
    fn of(print: MessagePrint) -> Option<Self> {
        let envelope = print.envelope?;
        Some(Self {
            uid: print.uid,
            flags: print.flags,
            keywords: print.keywords,
            saved: envelope.saved,
            guid: envelope.guid,
            pop3: (envelope.pop3_uidl, envelope.pop3_order),
        })
    }

    /// True where the message is the one with this GUID.
    pub fn is(&self, guid: &[u8]) -> bool {
        self.guid == escape(guid)
    }

    /// Its GUID.
    pub fn guid(&self) -> &[u8] {
        self.guid.as_bytes()
    }

    /// Gives a message what the index would say of it; its keywords become some of `names`.
    pub fn give(&self, message: &mut Message, names: &mut Vec<BString>) {
        message.flags = self.flags;
        message.saved = self.saved.or(message.saved);
        message.keywords = self
            .keywords
            .iter()
            .map(|name| place(name, names))
            .collect();
    }

    /// The message as its index would have it.
    pub fn message(&self, names: &mut Vec<BString>) -> Message {
        let mut message = Message {
            uid: self.uid,
            flags: self.flags,
            keywords: Vec::new(),
            received: 0,
            saved: self.saved,
            guid: self.guid().into(),
            pop3_uidl: self.pop3.0.as_deref().map(BString::from),
            pop3_order: self.pop3.1,
            sealed: None,
        };
        self.give(&mut message, names);
        message
    }
}

/// The place of a keyword among the names, where it is put if it is none of them.
fn place(name: &str, names: &mut Vec<BString>) -> u32 {
    let known = names.iter().position(|known| *known == name);
    let nth = known.unwrap_or_else(|| {
        names.push(name.into());
        names.len() - 1
    });
    u32::try_from(nth).expect("BUG: keywords are not that many")
}

/// What is known of all messages, by mailbox, in UID order.
#[derive(Debug, Default)]
pub(super) struct Recalled(BTreeMap<String, Vec<Recall>>);

impl Recalled {
    /// Reads what there is; what cannot be read tells nothing.
    pub(super) fn read(root: &Dir) -> Self {
        let mut this = Self::default();
        let read = tally::read_state_messages(root, &mut |mailbox, print| {
            let known = Recall::of(print);
            match this.0.get_mut(mailbox) {
                Some(all) => all.extend(known),
                None => drop(this.0.insert(mailbox.into(), known.into_iter().collect())),
            }
        });
        if let Err(error) = read {
            tracing::warn!("{}", error.chain());
        }
        this
    }

    /// Those of one mailbox, in UID order.
    pub(super) fn of(&self, mailbox: &str) -> &[Recall] {
        self.0.get(mailbox).map_or(&[], Vec::as_slice)
    }
}
