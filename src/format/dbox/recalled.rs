//! What a conversion wrote of the messages that it carried: for mailboxes whose index is gone with all its
//! copies. The store may have changed since, so a message is the same one only under the same GUID.

use std::collections::BTreeMap;

use bstr::BString;

use super::Mails;
use super::conversion::Conversion;
use super::mailbox::{GUID, POP3_UIDL, RECEIVED};
use crate::digest::Digest;
use crate::disk::Dir;
use crate::error::Result;
use crate::format::dovecot_index::{Index, Origin};
use crate::format::tally::{self, Body, MessagePrint, STATE};
use crate::model::{Flags, MailboxName, Message, Uid};
use crate::report::escape;

/// Where it comes from, for people.
pub const RECALLED_FROM: &str = STATE;

/// So many are named.
const NAMED: usize = 20;

/// What is known of one message.
#[derive(Debug)]
pub struct Recall {
    /// Its number.
    pub uid: Uid,
    flags: Flags,
    /// In lower case, where the state does not tell how they were spelled.
    keywords: Vec<String>,
    saved: Option<i64>,
    guid: String,
    pop3: (Option<String>, Option<u32>),
    received: i64,
    content: Option<Digest>,
}

impl Recall {
    fn of(print: MessagePrint) -> Option<Self> {
        let envelope = print.envelope?;
        let content = match print.body {
            Body::Read(body) => Some(body.content),
            _ => None,
        };
        Some(Self {
            uid: print.uid,
            flags: print.flags,
            keywords: print.keywords,
            saved: envelope.saved,
            guid: envelope.guid,
            pop3: (envelope.pop3_uidl, envelope.pop3_order),
            received: envelope.received,
            content,
        })
    }

    /// What is known of the message with this UID; the mailbox may have given it to another one since.
    pub fn find(known: &[Self], uid: Uid) -> Option<&Self> {
        let at = known.binary_search_by_key(&uid, |known| known.uid);
        at.ok().map(|at| &known[at])
    }

    /// True where the message is the one with this GUID.
    pub fn is(&self, guid: &[u8]) -> bool {
        self.guid == escape(guid)
    }

    /// True where the message has the bytes that were proven.
    pub fn is_of_content(&self, content: &Digest) -> bool {
        self.content.as_ref() == Some(content)
    }

    /// Gives a message what its metadata no longer tells; false where that is not known either.
    pub fn complete(&self, message: &mut Message, what: &str) -> bool {
        match what {
            GUID => message.guid = self.guid().into(),
            RECEIVED => message.received = self.received,
            POP3_UIDL => {
                message.pop3_uidl = self.pop3.0.as_deref().map(BString::from);
                message.pop3_order = message.pop3_order.or(self.pop3.1);
            }
            _ => return false,
        }
        true
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

    /// When the message came into its mailbox.
    pub fn saved(&self) -> Option<i64> {
        self.saved
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
    // Those that differ only in case are one keyword to a server.
    let is_it = |known: &BString| known.eq_ignore_ascii_case(name.as_bytes());
    let known = names.iter().position(is_it);
    let nth = known.unwrap_or_else(|| {
        names.push(name.into());
        names.len() - 1
    });
    u32::try_from(nth).expect("BUG: keywords are not that many")
}

/// Says of which messages, in UID order, nothing is stored: all of those but where the log of the mailbox tells
/// that they were expunged.
pub fn not_stored(
    mails: &Mails,
    name: &MailboxName,
    mut missing: Vec<Uid>,
    alt_is_missing: bool,
) -> Result<Option<String>> {
    if missing.is_empty() {
        return Ok(None);
    }
    let marks = missing.iter().map(|uid| (uid.get(), 0, &[][..]));
    let before = Index::of_marks(&[], marks);
    // What is wrong with the log was told.
    if let Some(after) = mails.load_over(name, &before, &mut |_| ())?
        && let Origin::Log(first_new) = after.origin
    {
        let was_expunged = |uid: u32| uid < first_new && after.position(uid).is_none();
        missing.retain(|uid| !was_expunged(uid.get()));
    }
    let (them, hold) = match missing.len() {
        0 => return Ok(None),
        1 => ("it", "holds it"),
        _ => ("them", "holds them"),
    };
    let uids = shown(&missing);
    let why = if alt_is_missing {
        "expunged since then, or in the alternative storage (ALT=), which is not there"
    } else {
        "expunged since then, or lost"
    };
    let lost = format!("uid {uids}: {RECALLED_FROM} knows {them} and no file {hold}: {why}");
    Ok(Some(lost))
}

/// Applies what the log of a mailbox says to messages as they were before it, each with the flags that only its
/// format knows; all keywords then.
pub fn follow_log(
    mails: &Mails,
    name: &MailboxName,
    names: &[BString],
    messages: &mut [(Message, u8)],
) -> Result<Option<Vec<BString>>> {
    let marks = messages.iter().map(|(message, own_flags)| {
        let flags = message.flags.bits() | own_flags;
        (message.uid.get(), flags, &message.keywords[..])
    });
    let before = Index::of_marks(names, marks);
    // What is wrong with the log was told.
    let Some(index) = mails.load_over(name, &before, &mut |_| ())? else {
        return Ok(None);
    };
    for (message, _) in messages {
        if let Some(nth) = index.position(message.uid.get()) {
            message.flags = Flags::from_bits(index.flags[nth]);
            message.keywords = index.keywords_of(nth).collect();
        }
    }
    Ok(Some(index.keyword_names()))
}

/// The first of them, and how many more.
pub fn shown(uids: &[Uid]) -> String {
    let named = uids.iter().take(NAMED).map(ToString::to_string);
    let named = named.collect::<Vec<_>>().join(", ");
    match uids.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

/// What is known of all messages, by mailbox, in UID order.
#[derive(Debug, Default)]
pub(super) struct Recalled(BTreeMap<String, Vec<Recall>>);

impl Recalled {
    /// Reads what there is; what cannot be read tells nothing.
    pub(super) fn read(root: &Dir, conversion: &Conversion) -> Self {
        let mut this = Self::default();
        let read = tally::read_state_messages(root, &mut |mailbox, mut print| {
            if let Some(mailbox) = conversion.mailboxes().get(mailbox) {
                for keyword in &mut print.keywords {
                    if let Some(name) = mailbox.keyword_names.get(keyword) {
                        keyword.clone_from(name);
                    }
                }
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_twenty_messages_and_counts_the_others() {
        let uids = |last: u32| (1..=last).filter_map(Uid::new).collect::<Vec<_>>();
        assert_eq!(shown(&uids(3)), "1, 2, 3");
        assert!(shown(&uids(20)).ends_with(", 19, 20"));
        assert!(shown(&uids(1000)).ends_with(", 19, 20 and 980 more"));
    }
}
