//! What is left of a mailbox without an index, or with a damaged one.

use zerocopy::FromBytes;

use super::layout::{GUID, HEADER, MAIL, MailRecord};
use super::read::Mdbox;
use crate::error::Result;
use crate::format::dbox::{DboxMailbox, Mails};
use crate::format::dovecot_index::{Index, Origin};
use crate::model::MailboxName;
use crate::report::catalogue::{MDBOX_INDEX_MISSING, MDBOX_LOST};
use crate::report::{Finding, counted};
use crate::store::Found;

/// Loads the index of a mailbox. One with a damaged header is used if most of its messages are stored, and it
/// is whole: what it does not have would be nobody's.
pub(super) fn load(
    store: &Mdbox,
    name: &MailboxName,
    mails: &Mails,
    found: Found<'_>,
) -> Result<Option<Index>> {
    let mut held = Vec::new();
    let mut holds_up = |index: &Index, is_whole: bool| {
        held = stored(store, index);
        let enough = held.len() * 2 >= index.uids.len();
        is_whole && index.extension(HEADER).is_some() && !held.is_empty() && enough
    };
    let index = mails.load(name, &mut holds_up, found)?;
    Ok(index.map(|mut index| {
        if index.origin == Origin::Damaged {
            leave_out_lost(&mut index, &held, &mut |finding| {
                found(DboxMailbox::within(finding, name, &mails.path));
            });
        }
        index
    }))
}

/// The UIDs of those messages of an index that the map has, or the storage files under their GUIDs.
fn stored(store: &Mdbox, index: &Index) -> Vec<u32> {
    let (mail, guid) = (index.extension(MAIL), index.extension(GUID));
    let is_mapped = |nth: usize| {
        let record = MailRecord::read_from_prefix(mail?.record(nth)).ok()?;
        store.storage.map.as_ref()?.position(record.0.map_uid.get())
    };
    let is_found = |nth: usize| {
        let guid = <[u8; 16]>::try_from(guid?.record(nth)).ok()?;
        store.storage.scan().find(&guid)
    };
    let all = index.uids.iter().enumerate();
    all.filter(|(nth, _)| is_mapped(*nth).is_some() || is_found(*nth).is_some())
        .map(|(_, uid)| *uid)
        .collect()
}

/// What is damaged may name any message: where it is not stored, it is none.
fn leave_out_lost(index: &mut Index, stored: &[u32], found: Found<'_>) {
    let lost = index.keep(|uid| stored.binary_search(&uid).is_ok());
    if let Some(first) = lost.first() {
        let lost = counted(lost.len() as u64, "message");
        let detail =
            format!("{lost} that neither map nor storage files have, the first is UID {first}");
        found(Finding::new(&MDBOX_LOST, detail));
    }
}

/// Says that its messages are those that were first saved to it.
pub(super) fn missing_index(messages: usize) -> Finding {
    let messages = counted(messages as u64, "message");
    let detail = format!(
        "new UIDs for {messages} that it was the first to hold; expunged ones may be among them"
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
