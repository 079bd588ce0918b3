//! What the index of a mailbox says of its messages: which stored ones they are.

use zerocopy::FromBytes;

use super::layout::{GUID, MAIL, MailRecord};
use crate::format::dovecot_index::Index;

/// Which stored message the `nth` is, and when it came into the mailbox.
pub(super) fn record(index: &Index, nth: usize) -> Option<MailRecord> {
    let record = index.extension(MAIL)?.record(nth);
    let (record, _) = MailRecord::read_from_prefix(record).ok()?;
    Some(record)
}

/// The GUID of the `nth` in short; zeros are none.
pub(super) fn guid(index: &Index, nth: usize) -> Option<[u8; 16]> {
    let guid = index.extension(GUID)?.record(nth);
    let guid = <[u8; 16]>::try_from(guid).ok()?;
    (guid != [0; 16]).then_some(guid)
}
