//! What messages are, as the conversion that wrote them proved it: for who reads the store later.

use std::collections::BTreeMap;

use super::state::{whole_mailboxes, whole_messages};
use crate::digest::Digest;
use crate::disk::Dir;
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
    /// What the account in `dir` remembers; or why that cannot be read, where there is something.
    pub fn read(dir: &Dir) -> Result<Self, String> {
        let mut this = Self::default();
        for line in whole_mailboxes(dir)? {
            let contents = Contents {
                uidvalidity: line.uidvalidity,
                messages: Vec::new(),
            };
            this.0.insert(line.mailbox, contents);
        }
        whole_messages(dir, &mut |mailbox, print| {
            if let (Some(known), Some(body)) = (this.0.get_mut(mailbox), print.body.read()) {
                known.messages.push((print.uid, half(&body.content)));
            }
        })?;
        Ok(this)
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
