//! One message, without its body.

use bstr::BString;

use super::{Flags, Uid};

/// What is known of one message beside its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its number in the mailbox.
    pub uid: Uid,
    /// System flags.
    pub flags: Flags,
    /// Keywords, as places in [`Mailbox::keywords`](super::Mailbox::keywords), ascending.
    pub keywords: Vec<u32>,
    /// INTERNALDATE, seconds since 1970.
    pub received: i64,
    /// When it came into this mailbox (RFC 8514), seconds since 1970.
    pub saved: Option<i64>,
    /// The identity of the message over copies.
    pub guid: BString,
    /// What POP3 clients know it by, where that is not made from other values.
    pub pop3_uidl: Option<BString>,
    /// Its place in POP3 listings, where that is not the UID order.
    pub pop3_order: Option<u32>,
    /// Physical and virtual size as the source tells them, of a body that only its key can open.
    pub sealed: Option<(u64, Option<u64>)>,
}
