//! Small text files that Dovecot keeps beside the mail, whatever the mail's format.
//!
//! ```text
//! <control root>/subscriptions                 names, version 1 or 2
//!                dovecot-uidvalidity           8 hex digits: the last UIDVALIDITY given out
//!                dovecot-uidvalidity.6b027830  the same as a name, empty
//! <root>/.dovecot.sieve -> sieve/main.sieve    the active script
//!        sieve/                                all scripts
//! <mailbox>/dovecot-acl                        rights, the same text in every format
//! ```

mod quota_dict;
mod sieve;
mod subscriptions;
mod uidvalidity;

pub use quota_dict::{corrected as corrected_quota_dict, read as read_quota_dict};
pub use sieve::{read as read_sieve, write as write_sieve};
pub use subscriptions::{read as read_subscriptions, write as write_subscriptions};
pub use uidvalidity::{
    files as uidvalidity_files, is_named as is_uidvalidity_name, read as read_uidvalidity,
    write as write_uidvalidity,
};

/// Where a mailbox keeps its access control list.
pub const ACL: &str = "dovecot-acl";

/// No file of this kind is larger.
pub const MOST: u64 = 64 << 20;
