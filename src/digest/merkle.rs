//! Digests that build up: message, mailbox, account, store. Two hosts compare one line.
//!
//! ```text
//! store    = H("mailtally 2026 store",   user, account digest, user, account digest, ...)
//! account  = H("mailtally 2026 account", mailbox digest, mailbox digest, ...)   in name order
//! mailbox  = H("mailtally 2026 mailbox", name, message digest, ...)             in UID order
//! message  = H("mailtally 2026 message", uid u32, flags u8, received i64,
//!              number of keywords u32, keyword, ..., content digest)
//! ```
//! `H` is BLAKE3 in its key derivation mode with the quoted text as context. Numbers are
//! little-endian; a text is its length in bytes as u32, then its UTF-8 or raw bytes. Flags are the bits
//! 1 `\Answered`, 2 `\Flagged`, 4 `\Deleted`, 8 `\Seen`, 16 `\Draft`. Keywords are in lower case
//! (ASCII), control characters and what is not UTF-8 as `\xNN`, sorted by bytes. Names have `/` between levels. The content digest is BLAKE3 of the body,
//! its storage coat taken off, CRLF read as LF. Of a damaged message it is that of what is sound of it; a message of which nothing can be
//! read is left out, and is a finding.

use std::sync::LazyLock;

use blake3::hazmat::{ContextKey, HasherExt, hash_derive_key_context};
use bstr::BString;

use super::{Digest, Facts};
use crate::model::{Flags, MailboxName, Message, Uid};
use crate::report::escape;

fn text(hasher: &mut blake3::Hasher, bytes: &[u8]) {
    hasher.update(&len_of(bytes).to_le_bytes());
    hasher.update(bytes);
}

fn len_of<T>(all: &[T]) -> u32 {
    u32::try_from(all.len()).unwrap_or(u32::MAX)
}

/// The digest of one message; `names` are the keywords of its mailbox.
pub fn message(message: &Message, names: &[BString], facts: &Facts) -> Digest {
    let keywords = keywords(message, names);
    let (uid, flags) = (message.uid, message.flags);
    parts(uid, flags, message.received, &keywords, &facts.content)
}

/// The same, of what a tally has of the message.
pub fn parts(
    uid: Uid,
    flags: Flags,
    received: i64,
    keywords: &[String],
    content: &Digest,
) -> Digest {
    static CONTEXT: LazyLock<ContextKey> =
        LazyLock::new(|| hash_derive_key_context("mailtally 2026 message"));
    // One text, since a hasher takes many small pieces slowly.
    let mut parts = Vec::with_capacity(256);
    parts.extend(uid.get().to_le_bytes());
    parts.push(flags.bits());
    parts.extend(received.to_le_bytes());
    parts.extend(len_of(keywords).to_le_bytes());
    for keyword in keywords {
        parts.extend(len_of(keyword.as_bytes()).to_le_bytes());
        parts.extend(keyword.as_bytes());
    }
    parts.extend(content);
    let mut hasher = blake3::Hasher::new_from_context_key(&CONTEXT);
    *hasher.update(&parts).finalize().as_bytes()
}

/// The keywords of a message in lower case, sorted.
pub fn keywords(message: &Message, names: &[BString]) -> Vec<String> {
    let known = message.keywords.iter();
    let mut keywords: Vec<_> = known
        .filter_map(|place| names.get(*place as usize))
        .map(|name| keyword(name))
        .collect();
    keywords.sort();
    keywords
}

/// A keyword as it is compared: in lower case, and fit to be shown.
pub fn keyword(name: &[u8]) -> String {
    escape(&name.to_ascii_lowercase())
}

/// Takes the messages of a mailbox in UID order.
#[derive(Debug)]
pub struct MailboxDigest(blake3::Hasher);

impl MailboxDigest {
    /// A mailbox of this name.
    pub fn new(name: &MailboxName) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("mailtally 2026 mailbox");
        text(&mut hasher, name.to_string().as_bytes());
        Self(hasher)
    }

    /// The next message.
    pub fn push(&mut self, message: &Digest) {
        self.0.update(message);
    }

    /// The digest.
    pub fn finish(&self) -> Digest {
        *self.0.finalize().as_bytes()
    }
}

/// The digest of an account, from its mailboxes in name order.
pub fn account<'a>(mailboxes: impl IntoIterator<Item = &'a Digest>) -> Digest {
    let mut hasher = blake3::Hasher::new_derive_key("mailtally 2026 account");
    for mailbox in mailboxes {
        hasher.update(mailbox);
    }
    *hasher.finalize().as_bytes()
}

/// The digest of a whole store, from its accounts in name order: user and hex digest.
pub fn store<'a>(accounts: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut digest = StoreDigest::default();
    for (user, account) in accounts {
        digest.push(user, account);
    }
    digest.finish()
}

/// Takes the accounts of a store in name order.
#[derive(Debug)]
pub struct StoreDigest(blake3::Hasher);

impl Default for StoreDigest {
    fn default() -> Self {
        Self(blake3::Hasher::new_derive_key("mailtally 2026 store"))
    }
}

impl StoreDigest {
    /// The next account and its digest, in hex.
    pub fn push(&mut self, user: &str, account: &str) {
        text(&mut self.0, user.as_bytes());
        let digest = data_encoding::HEXLOWER.decode(account.as_bytes());
        self.0.update(&digest.unwrap_or_default());
    }

    /// The digest, in hex.
    pub fn finish(&self) -> String {
        super::hex(self.0.finalize().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Measure;

    /// The example of the rustdoc, worked out byte by byte.
    #[test]
    fn a_message_digest_can_be_computed_by_hand() {
        let mut measure = Measure::default();
        measure.update(b"Subject: a\r\n\r\nx\r\n");
        let subject = Message {
            uid: Uid::new(3).unwrap(),
            flags: Flags::SEEN | Flags::FLAGGED,
            keywords: vec![1, 0],
            received: 1_500_000_000,
            saved: None,
            guid: "g".into(),
            pop3_uidl: None,
            pop3_order: None,
            sealed: None,
        };
        let names = ["Work".into(), "$Label1".into()];
        let mut bytes = vec![
            3, 0, 0, 0, 10, 0x00, 0x2f, 0x68, 0x59, 0, 0, 0, 0, 2, 0, 0, 0,
        ];
        bytes.extend(b"\x07\0\0\0$label1\x04\0\0\0work");
        bytes.extend(blake3::hash(b"Subject: a\n\nx\n").as_bytes());
        let by_hand = blake3::derive_key("mailtally 2026 message", &bytes);
        assert_eq!(message(&subject, &names, &measure.finish()), by_hand);
    }
}
