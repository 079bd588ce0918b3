//! The server's list of mailboxes, `dovecot.list.index`: a cache that outlives the mailboxes in it.
//!
//! ```text
//! header of `list`      names by number, one a level
//! record of `list`      number of the name, UID of the level above, GUID, UIDVALIDITY
//! record of `msgs`      messages, unseen, recent, UIDNEXT
//! record of `hmodseq`   HIGHESTMODSEQ
//! flags                 `\Deleted` it is not there, `\Draft` it only stands above others
//! ```
//! Source: Dovecot 2.3, `src/lib-storage/list/mailbox-list-index.h`.

use std::collections::{BTreeMap, BTreeSet};

use bstr::{BString, ByteSlice};

use super::dovecot_index::{self, Index};
use super::names;
use crate::disk::Dir;
use crate::error::Result;
use crate::model::{Flags, MailboxGuid, MailboxName, UidValidity};
use crate::report::catalogue::{INDEX_BROKEN, MAILBOX_GONE};
use crate::report::{Finding, counted};
use crate::store::Found;

/// Its name, in the account's root or where `INDEX=` says.
pub const LIST: &str = "dovecot.list.index";

/// The list, its logs and its copy.
pub const FILES: [&str; 4] = [
    LIST,
    "dovecot.list.index.log",
    "dovecot.list.index.log.2",
    "dovecot.list.index.backup",
];

/// It can be older than the last UIDs that were given out: by so many, at the most.
pub const UNKNOWN_UIDS: u32 = 1000;

/// No mailbox is changed so often: it is damage that says so.
const MODSEQ_MOST: u64 = 1 << 40;

/// What the list tells of a mailbox.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Listed {
    /// Its GUID.
    pub guid: Option<MailboxGuid>,
    /// UIDVALIDITY.
    pub uidvalidity: Option<UidValidity>,
    /// No UID from here on was given out.
    pub uidnext: Option<u32>,
    /// It was changed so often.
    pub modseq: Option<u64>,
    /// How many messages it had: not told of INBOX.
    pub messages: Option<u32>,
    /// It is marked as deleted.
    was_taken_out: bool,
    /// It only stands above others.
    is_only_above: bool,
}

impl Listed {
    /// True where mail is lost if nothing of the mailbox is there.
    fn held_mail(&self, path: &BString) -> bool {
        let told = self.messages.map(|messages| messages > 0);
        !self.was_taken_out && told.unwrap_or(path == "INBOX")
    }

    /// It is there, as far as the list knows, and how many messages it has is not told.
    pub fn counts_none(&self) -> bool {
        !self.was_taken_out && !self.is_only_above && self.messages.is_none()
    }

    /// UIDNEXT, where it is the mailbox with this UIDVALIDITY that is listed.
    pub fn uidnext_of(&self, uidvalidity: u32) -> Option<u32> {
        let is_of_it = self.uidvalidity?.get() == uidvalidity;
        self.uidnext.filter(|_| is_of_it)
    }

    /// How often it was changed, where it is the mailbox with this GUID and UIDVALIDITY that is listed.
    pub fn modseq_of(&self, guid: Option<MailboxGuid>, uidvalidity: u32) -> Option<u64> {
        let is_of_it = guid.is_some() && guid == self.guid;
        self.uidnext_of(uidvalidity)?;
        self.modseq.filter(|_| is_of_it)
    }

    /// What it had, for people.
    pub fn had(&self) -> String {
        self.messages.map_or_else(
            || "how many messages it had is not told".into(),
            |messages| format!("it had {}", counted(messages, "message")),
        )
    }
}

/// The mailboxes of the list in `dir`, by their names on disk with `/` between levels; what cannot be read
/// tells nothing.
pub fn read(dir: &Dir) -> BTreeMap<BString, Listed> {
    read_and_tell(dir, &mut |_| ())
}

/// The same; what is wrong with the list is told.
pub fn read_and_tell(dir: &Dir, found: Found<'_>) -> BTreeMap<BString, Listed> {
    let index = dovecot_index::load(dir, LIST, found).ok().flatten();
    if let Some(why) = index.as_ref().and_then(fault_in) {
        found(Finding::new(&INDEX_BROKEN, why).path(LIST));
    }
    index.map(|index| listed(&index)).unwrap_or_default()
}

/// Says which mailboxes are gone.
pub fn tell(gone: &[(BString, Listed)], utf8: bool, found: Found<'_>) {
    for (path, listed) in gone {
        let finding = Finding::new(&MAILBOX_GONE, listed.had());
        found(finding.mailbox(&name(path, utf8)).path(LIST));
    }
}

/// What a client calls the mailbox of this name on disk.
pub fn name(path: &BString, utf8: bool) -> MailboxName {
    let levels = path.split_str("/").map(|level| names::level(level, utf8));
    MailboxName::new(levels.collect::<Vec<_>>())
}

/// Mailboxes with messages that are in the list and not there, under no name. A server takes a
/// mailbox out of its list when it deletes it; one that it gives another name stands there under the old one
/// until a client asks for the list. `there` are the mailboxes that are there, and `guid_of` tells a GUID of
/// each: an error where it cannot be read.
pub fn gone(
    listed: &BTreeMap<BString, Listed>,
    there: &BTreeMap<BString, usize>,
    guid_of: impl Fn(usize) -> Result<Option<MailboxGuid>>,
) -> Vec<(BString, Listed)> {
    let mut gone: Vec<_> = { listed.iter() }
        .filter(|(path, listed)| listed.held_mail(path) && !there.contains_key(*path))
        .map(|(path, listed)| (path.clone(), *listed))
        .collect();
    if gone.is_empty() {
        return gone;
    }
    let mut guids = BTreeSet::new();
    for (path, nth) in there {
        match guid_of(*nth) {
            Ok(guid) => guids.extend(guid),
            // It may be any of them under a new name.
            Err(_) if !listed.contains_key(path) => return Vec::new(),
            Err(_) => {}
        }
    }
    gone.retain(|(_, listed)| listed.guid.is_none_or(|guid| !guids.contains(&guid)));
    gone
}

/// Reads a number of a record or header.
fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn listed(index: &Index) -> BTreeMap<BString, Listed> {
    let Some(list) = index.extension("list") else {
        return BTreeMap::new();
    };
    let names = level_names(&list.header);
    let mut nodes = BTreeMap::new();
    for (nth, uid) in index.uids.iter().enumerate() {
        let record = list.record(nth);
        if let (Some(name), Some(parent)) = (number(record, 0), number(record, 4)) {
            nodes.insert(*uid, (name, parent));
        }
    }
    let entries = index.uids.iter().enumerate().filter_map(|(nth, uid)| {
        let path = path(*uid, &nodes, &names)?;
        Some((path, mailbox(index, list.record(nth), nth)))
    });
    entries.collect()
}

/// What a server takes for damage, and lists no mailbox for.
fn fault_in(index: &Index) -> Option<String> {
    if let Some(why) = index.to_be_rebuilt() {
        return Some(why.into());
    }
    let list = index.extension("list")?;
    if !ends_well(&list.header) {
        return Some("the names of the mailboxes cannot be read".into());
    }
    let names = level_names(&list.header);
    let mut places = BTreeSet::new();
    { index.uids.iter().enumerate() }.find_map(|(nth, uid)| {
        let record = list.record(nth);
        let (name, parent) = (number(record, 0)?, number(record, 4)?);
        let why = if !names.contains_key(&name) {
            format!("has name {name}, which is none")
        } else if parent == *uid || (parent > 0 && index.position(parent).is_none()) {
            format!("stands beneath {parent}, which is no mailbox")
        } else if !places.insert((parent, name)) {
            "stands there twice".into()
        } else {
            return None;
        };
        Some(format!("mailbox {uid} of the list {why}"))
    })
}

fn mailbox(index: &Index, record: &[u8], nth: usize) -> Listed {
    let guid = record.get(8..24).and_then(|bytes| bytes.try_into().ok());
    let counts = index.extension("msgs").map(|ext| ext.record(nth));
    let count = |at| counts.and_then(|counts| number(counts, at));
    let modseqs = index.extension("hmodseq").map(|ext| ext.record(nth));
    let modseq = modseqs.and_then(|field| Some(u64::from_le_bytes(*field.first_chunk()?)));
    // A record that was never filled in is all zero.
    let uidnext = count(12).filter(|next| *next > 0);
    let flags = Flags::from_bits(index.flags[nth]);
    Listed {
        guid: guid.and_then(MailboxGuid::new),
        uidvalidity: number(record, 24).and_then(UidValidity::new),
        uidnext,
        modseq: modseq.filter(|modseq| (1..MODSEQ_MOST).contains(modseq)),
        messages: uidnext.and_then(|_| count(0)),
        was_taken_out: flags.contains(Flags::DELETED),
        is_only_above: flags.contains(Flags::DRAFT),
    }
}

/// Header: a byte, then u32 number and name with a NUL behind it, again and again; number 0 ends it.
fn level_names(header: &[u8]) -> BTreeMap<u32, BString> {
    names_and_rest(header).0
}

/// True where the names come to their end: their numbers ascend, and behind the last stands none, or 0.
fn ends_well(header: &[u8]) -> bool {
    let rest = names_and_rest(header).1;
    rest.is_empty() || number(rest, 0) == Some(0)
}

fn names_and_rest(header: &[u8]) -> (BTreeMap<u32, BString>, &[u8]) {
    let mut names = BTreeMap::new();
    let (mut rest, mut last) = (header.get(1..).unwrap_or_default(), 0);
    while let Some((id, text)) = rest.split_first_chunk::<4>() {
        let id = u32::from_le_bytes(*id);
        let Some(end) = text.find_byte(0).filter(|_| id > last) else {
            break;
        };
        names.insert(id, text[..end].into());
        (rest, last) = (&text[end + 1..], id);
    }
    (names, rest)
}

/// The names from the top down to a node.
fn path(
    uid: u32,
    nodes: &BTreeMap<u32, (u32, u32)>,
    names: &BTreeMap<u32, BString>,
) -> Option<BString> {
    let (mut levels, mut at, mut been) = (Vec::new(), uid, BTreeSet::new());
    while at != 0 {
        // Damage can make a ring.
        if !been.insert(at) {
            return None;
        }
        let (name, parent) = nodes.get(&at)?;
        levels.push(names.get(name)?.clone());
        at = *parent;
    }
    levels.reverse();
    Some(bstr::join("/", levels).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_end_at_the_number_zero_or_where_the_bytes_do() {
        let header = b"\x00\x01\0\0\0Archive\0\x02\0\0\x002020\0\0\0\0\0";
        let names = level_names(header);
        assert_eq!(names[&1], "Archive");
        assert_eq!(names[&2], "2020");
        assert_eq!(names.len(), 2);
        assert!(level_names(b"\0\x01\0\0\0no end").is_empty());
        assert!(level_names(b"").is_empty());
    }

    #[test]
    fn a_ring_of_parents_is_no_path() {
        let names = BTreeMap::from([(1, "a".into()), (2, "b".into())]);
        let nodes = BTreeMap::from([(1, (1, 0)), (2, (2, 1)), (3, (1, 4)), (4, (2, 3))]);
        assert_eq!(path(2, &nodes, &names).unwrap(), "a/b");
        assert_eq!(path(3, &nodes, &names), None);
        assert_eq!(path(9, &nodes, &names), None);
    }
}
