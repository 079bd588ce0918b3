//! What is left of a mailbox without an index, or with a damaged one.

use super::fields;
use super::layout::{GUID, HEADER};
use super::map::Place;
use super::read::Mdbox;
use super::unnamed::{is_led_to, mapped_place};
use crate::error::Result;
use crate::format::dbox::{DboxMailbox, Mails, indexed_guid};
use crate::format::dovecot_index::{INDEX, Index, Origin, header_of};
use crate::model::MailboxName;
use crate::report::catalogue::{DBOX_RECOVERED, INDEX_LOST, MDBOX_INDEX_MISSING, MDBOX_LOST};
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
    let Some(mut index) = mails.load(name, &mut holds_up, found)? else {
        return Ok(None);
    };
    let mut told = |finding| found(DboxMailbox::within(finding, name, &mails.path));
    if index.origin == Origin::Damaged {
        leave_out_lost(&mut index, &held, &mut told);
    }
    tell_empty_records(&index, &mut told);
    Ok(Some(index))
}

/// No server writes a record without a map UID: a part of it is gone, and perhaps more.
fn tell_empty_records(index: &Index, found: Found<'_>) {
    let is_empty = |nth: &usize| {
        let record = fields::record(index, *nth);
        record.is_some_and(|record| record.map_uid.get() == 0)
    };
    let empty: Vec<_> = (0..index.uids.len()).filter(is_empty).collect();
    if let Some(first) = empty.first() {
        let records = counted(empty.len() as u64, "record");
        let detail = format!(
            "{records} without a map UID, the first is of UID {}",
            index.uids[*first]
        );
        found(Finding::new(&INDEX_LOST, detail).path(INDEX));
    }
}

/// The UIDs of those messages of an index that the map has, or the storage files under their GUIDs.
fn stored(store: &Mdbox, index: &Index) -> Vec<u32> {
    let is_mapped = |nth: usize| {
        let map_uid = fields::record(index, nth)?.map_uid.get();
        store.storage.map.as_ref()?.position(map_uid)
    };
    let is_found = |nth: usize| store.storage.scan().find(&indexed_guid(index, nth)?);
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

/// Leaves out of an index in doubt what leads nowhere, and takes in what no index has: at the end, with new UIDs.
/// Those are returned.
pub(super) fn complete(
    store: &Mdbox,
    nth: usize,
    mails: &Mails,
    index: &mut Index,
    found: Found<'_>,
) -> Vec<(Place, [u8; 16])> {
    if belongs_to_map(store, index) {
        forget_damaged_guids(store, index);
    }
    let led_to = (0..index.uids.len()).filter(|nth| is_led_to(store, index, *nth));
    let led_to: Vec<_> = led_to.map(|nth| index.uids[nth]).collect();
    let lost = index.keep(|uid| led_to.binary_search(&uid).is_ok());
    if let Some(first) = lost.first() {
        let records = counted(lost.len() as u64, "record");
        index.left_out += lost.len();
        let detail = format!("{records} without map UID and GUID, the first is of UID {first}");
        found(Finding::new(&INDEX_LOST, detail).path(INDEX));
    }
    let mut unnamed = store.unnamed(nth);
    let listed = mails
        .listed
        .and_then(|listed| listed.uidnext_of(index.uid_validity));
    let first = index.next_uid.max(listed.unwrap_or(1));
    let uids: Vec<_> = (first..u32::MAX).take(unnamed.len()).collect();
    unnamed.truncate(uids.len());
    index.take_in(&uids);
    if let Some(first) = uids.first() {
        let messages = counted(uids.len() as u64, "message");
        let detail = format!("{messages} that no index names, with new UIDs from {first} on");
        found(Finding::new(&DBOX_RECOVERED, detail));
    }
    unnamed
}

fn belongs_to_map(store: &Mdbox, index: &Index) -> bool {
    let map = store.storage.map.as_ref().filter(|map| !map.is_in_doubt());
    let header = header_of(index, HEADER);
    map.zip(header)
        .is_some_and(|(map, header)| header.first_word.get() == map.uid_validity())
}

/// A GUID that no message has is none, where the map leads to a message.
fn forget_damaged_guids(store: &Mdbox, index: &mut Index) {
    let scan = store.storage.scan();
    for nth in 0..index.uids.len() {
        let guid = indexed_guid(index, nth);
        let is_nowhere = guid.is_some_and(|guid| scan.find(&guid).is_none());
        let place = mapped_place(store, index, nth);
        let is_there =
            || place.is_some_and(|place| scan.message_at((place.file_id, place.at)).is_some());
        if is_nowhere && is_there() {
            index.clear(GUID, nth);
        }
    }
}

/// Says that its messages are those that were first saved to it.
pub(super) fn missing_index(messages: usize) -> Finding {
    let detail = match messages {
        0 => "no stored message is known to be of it".into(),
        _ => {
            let messages = counted(messages as u64, "message");
            format!(
                "new UIDs for {messages} that it was the first to hold; expunged ones may be among them"
            )
        }
    };
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
