//! The dbox file: what one `u.<uid>` (sdbox) or `m.<n>` (mdbox) holds.
//!
//! ```text
//! "2 M1e C68e0a3b1" LF                  file header: version, message header size, created (hex)
//! +-- one message; repeated in mdbox -----------------------------------------------------+
//! | 01 02 'N' ...  size (16 hex) LF     message header, 30 bytes                          |
//! | body                                exactly `size` bytes                              |
//! | LF 01 03 LF                         metadata begins                                   |
//! | 'R' received LF ... 'G' guid LF     one key a line; unknown keys are kept             |
//! | LF                                  metadata ends                                     |
//! +---------------------------------------------------------------------------------------+
//! ```
//! Around the messages, sdbox and mdbox have the same tree of mailboxes, each with an index that is data
//! ([`Tree`], [`DboxMailbox`] to read, `MailboxIndex` of shelf `dovecot_index` to write):
//!
//! ```text
//! <root>/subscriptions, dovecot-uidvalidity*      shelf `side_files`
//!        .dovecot.sieve, sieve/
//!        mailboxes/Archive/2020/dbox-Mails/
//!            dovecot.index                        UIDs, flags, keywords, UIDVALIDITY, mailbox GUID
//!            dovecot.index.log                    here: nothing but its header
//!            dovecot-acl
//! ```
//! A mailbox is its `dbox-Mails`; a directory without one only stands above others (`\NoSelect`).
//!
//! Source: Dovecot 2.3, `src/lib-storage/index/dbox-common/dbox-file.h`.
//! Which of the two formats an account is, is told by what is left of it ([`kind`](fn@kind)).
//! Parts may lie elsewhere ([`Places`]), and what is damaged is taken as far as it is sound ([`Wound`]).

mod attachments;
mod conversion;
mod elsewhere;
mod gone;
mod guid;
mod identity;
mod kind;
mod layout;
mod mailbox;
mod metadata;
mod names;
mod outvoted;
mod places;
mod recalled;
pub mod record;
mod remembered;
mod repair;
mod salvage;
mod shape;
mod stored;
mod tree;
mod wound;

#[cfg(test)]
mod tests;

pub use elsewhere::doubt_loss;
pub use guid::{GUIDS, guid_128, indexed_guid};
pub use identity::Identities;
pub use kind::{Kind, holds_storage, kind};
pub use layout::{
    FileHeader, MAILBOXES, MAILS, MESSAGE_BEGIN, MESSAGE_HEADER, METADATA_MAGIC, STORAGE,
    file_header, message_header, read_message_header,
};
pub use mailbox::{About, DboxMailbox, casts_doubt};
pub use metadata::{Key, Metadata};
pub use names::{HOLDS, name_problem};
pub use places::{IndexAt, Mails, Places};
pub use recalled::{RECALLED_FROM, Recall, follow_log, not_stored, shown};
pub use repair::{
    FoundMessage, Hurt, Looked, found_message, if_readable, look, look_at, lost_with,
};
pub use stored::{Extent, Refused, StoredMessage};
pub use tree::{Tree, finish_account, make_mailbox, part, stamp_tree};
pub use wound::Wound;
