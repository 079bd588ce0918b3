//! Is it the same mail? Two sides, each a store or a tally, are compared as two ordered streams.
//!
//! ```text
//! store --- mailboxes in name order, messages in UID order,   StoreSide --.
//!           a batch read and digested side by side                         +-- Join --> differences
//! tally --- the same, line by line                            TallySide --'      |
//!                                                                                |
//!   seems to differ: read again before it is said                      Suspects  |
//!   on one side only, or another message in its place: looked for      Strays  <-'
//!   no UIDs: matched by name, then by content                          Waiting
//! ```
//! Two stores are read together, a message beside the one of that UID: what is the same in both is compared
//! byte by byte and measured once.
//!
//! What is compared is what a tally holds: prints of account, mailbox and message. Memory is a batch, and
//! what Suspects, Strays and Waiting hold, each with a limit. [`compare`] says what "differs" means,
//! [`terms`] what is not compared because one side has no place for it.

mod by_name;
pub mod compare;
mod join;
mod look;
mod party;
mod side;
mod store_side;
mod strays;
mod suspects;
mod tally_side;
pub mod terms;
mod waiting;

pub(super) use look::Look;
pub use party::{Party, StoreAt, account};
pub(super) use side::{Side, Voice};
pub(super) use store_side::StoreSide;
pub use tally_side::Tally;

/// How much is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Level {
    /// Every byte.
    #[default]
    Full,
    /// Lists, flags, dates and sizes; no message is opened for its body.
    Quick,
    /// The lists of all, and every byte of one message in `of`: the same ones on both sides.
    Sample {
        /// One in so many.
        of: u32,
        /// Which of them: seeds from 0 to `of - 1` choose every message once.
        seed: u64,
    },
}

impl Level {
    /// True if the body of the message with this GUID is read.
    pub fn takes(self, guid: &[u8]) -> bool {
        match self {
            Self::Full => true,
            Self::Quick => false,
            Self::Sample { of, seed } => {
                let hash = blake3::hash(guid);
                let first = hash.as_bytes().first_chunk();
                let hash = u64::from_le_bytes(*first.expect("BUG: a hash has 32 bytes"));
                let of = u64::from(of.max(1));
                hash % of == seed % of
            }
        }
    }

    fn not_compared(self) -> Option<String> {
        match self {
            Self::Full => None,
            Self::Quick => Some("contents: --quick opens no message".into()),
            Self::Sample { of, seed } => {
                let seed = seed % u64::from(of.max(1));
                Some(format!(
                    "contents of all but one message in {of}: --sample, with --seed {seed}"
                ))
            }
        }
    }
}
