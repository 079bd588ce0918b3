//! What the index of a mailbox says of its messages: which stored ones they are.

use zerocopy::FromBytes;

use super::layout::{MAIL, MailRecord};
use crate::format::dovecot_index::Index;

/// Which stored message the `nth` is, and when it came into the mailbox.
pub(super) fn record(index: &Index, nth: usize) -> Option<MailRecord> {
    let record = index.extension(MAIL)?.record(nth);
    let (record, _) = MailRecord::read_from_prefix(record).ok()?;
    Some(record)
}
