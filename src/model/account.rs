//! One user's mail: mailboxes and what belongs to the account as a whole.

use bstr::BString;
use serde::{Deserialize, Serialize};

use super::{MailboxGuid, MailboxName, UidValidity};

/// A mailbox with more keywords is an attack and not a filing system: each costs a bit in every record.
pub const MOST_KEYWORDS: usize = 4096;

/// What a mailbox is, without its messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailbox {
    /// Its name.
    pub name: MailboxName,
    /// False for a name that only stands above others (`\NoSelect`).
    pub selectable: bool,
    /// Its identity over renames.
    pub guid: MailboxGuid,
    /// Whether UIDs seen earlier still hold.
    pub uidvalidity: UidValidity,
    /// The lowest UID that the next message can get.
    pub uidnext: u32,
    /// Messages from this UID on are `\Recent`.
    pub first_recent: u32,
    /// CONDSTORE's counter; at least 1.
    pub highest_modseq: u64,
    /// Every keyword that the mailbox knows; messages name them by place.
    pub keywords: Vec<BString>,
    /// The access control list as Dovecot writes it.
    pub acl: Option<Vec<u8>>,
}

/// What belongs to an account as a whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    /// Subscribed names, whether there is such a mailbox or not, in the order of the file.
    pub subscriptions: Vec<MailboxName>,
    /// Sieve scripts and the link that says which one is active.
    pub sieve: Vec<SieveFile>,
    /// Limits that the store itself keeps.
    pub quota: Option<QuotaLimits>,
    /// The highest UIDVALIDITY that was ever given out in the account.
    pub last_uidvalidity: u32,
}

/// Limits that the store itself keeps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuotaLimits {
    /// Bytes.
    pub bytes: Option<u64>,
    /// Messages.
    pub messages: Option<u64>,
}

/// One file of the account's sieve scripts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SieveFile {
    /// Names from the account's root down.
    pub path: Vec<BString>,
    /// What it is.
    pub kind: SieveKind,
}

/// A script, or a link to one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SieveKind {
    /// A script's bytes.
    Script(Vec<u8>),
    /// A link to another script of the account, relative.
    Link(BString),
}
