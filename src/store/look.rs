//! What a store tells of a message or a mailbox beside its mail: for who compares two stores.

use super::{Claims, Opened};
use crate::disk::Stat;
use crate::model::Message;

/// A message as far as it shows without its body being read.
#[derive(Debug, Clone)]
pub struct Peek {
    /// All but the body.
    pub message: Message,
    /// What is told of its sizes, the storage coat taken off.
    pub claims: Claims,
    /// Who may touch its file, where it has one of its own.
    pub access: Option<Access>,
}

impl From<Opened<'_>> for Peek {
    fn from(opened: Opened<'_>) -> Self {
        Self {
            message: opened.message,
            claims: opened.claims,
            access: opened.access,
        }
    }
}

/// What a mailbox does not tell, so that it was made up: it says nothing about another store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MadeUp {
    /// The UIDs of all messages, because no list of them is there.
    pub uids: bool,
    /// The mailbox's GUID.
    pub guid: bool,
    /// UIDVALIDITY.
    pub uidvalidity: bool,
}

/// Who may touch a file or directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Access {
    /// User and group, as numbers.
    pub owner: (u32, u32),
    /// Permission bits.
    pub mode: u32,
}

impl From<Stat> for Access {
    fn from(stat: Stat) -> Self {
        Self {
            owner: (stat.uid, stat.gid),
            mode: stat.mode,
        }
    }
}
