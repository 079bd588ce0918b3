//! What is left of a mailbox without an index.

use crate::format::dovecot_index::Index;
use crate::report::catalogue::MDBOX_INDEX_MISSING;
use crate::report::{Finding, counted};

/// Says that its messages are those that were first saved to it.
pub(super) fn missing_index(messages: usize) -> Finding {
    let messages = counted(messages as u64, "message");
    let detail = format!(
        "{messages} were first saved to it, and get new UIDs; those that were expunged may be among them"
    );
    Finding::new(&MDBOX_INDEX_MISSING, detail)
}

/// What is left of a mailbox without an index: how many messages there are.
pub(super) fn made_from(messages: usize) -> Index {
    let count = u32::try_from(messages).unwrap_or(u32::MAX - 1);
    let mut index = Index::default();
    index.uids = (1..=count).collect();
    index.flags = vec![0; index.uids.len()];
    index.next_uid = count + 1;
    index.first_recent_uid = 1;
    index
}
