//! What mail is, in no format's words. Plain data, no input or output.

mod account;
mod codec;
mod flags;
mod ids;
mod message;
pub mod mutf7;
mod name;

pub use account::{Account, MOST_KEYWORDS, Mailbox, QuotaLimits, SieveFile, SieveKind};
pub use codec::Codec;
pub use flags::Flags;
pub use ids::{MailboxGuid, Uid, UidValidity};
pub use message::Message;
pub use name::MailboxName;
