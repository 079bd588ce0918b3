//! What other files than its index know of a mailbox: for one whose index is gone.
//!
//! ```text
//! dovecot.list.index    the server's list of mailboxes: GUID, UIDVALIDITY, UIDNEXT
//! mailtally.state       what a conversion wrote: UIDVALIDITY, UIDNEXT
//! ```
//! Source: Dovecot 2.3, `src/lib-storage/list/mailbox-list-index.h`.

use std::collections::{BTreeMap, BTreeSet};

use bstr::{BString, ByteSlice};

use crate::disk::Dir;
use crate::format::dovecot_index::{self, Index};
use crate::format::tally;
use crate::model::{MailboxGuid, MailboxName, UidValidity};
use crate::report::escape;

const LIST: &str = "dovecot.list.index";

/// What is known of one mailbox, and from where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Known {
    /// Its GUID.
    pub guid: Option<(MailboxGuid, &'static str)>,
    /// UIDVALIDITY.
    pub uidvalidity: Option<(UidValidity, &'static str)>,
    /// No UID from here on was given out.
    pub uidnext: Option<(u32, &'static str)>,
}

impl Known {
    /// What the one does not know, the other may.
    fn or(self, other: Self) -> Self {
        Self {
            guid: self.guid.or(other.guid),
            uidvalidity: self.uidvalidity.or(other.uidvalidity),
            uidnext: self.uidnext.max(other.uidnext),
        }
    }
}

/// What is known of all mailboxes of an account.
#[derive(Debug, Default)]
pub struct Remembered {
    /// By the name on disk, `/` between levels.
    listed: BTreeMap<BString, Known>,
    /// By the name that a client sees.
    converted: BTreeMap<String, Known>,
}

impl Remembered {
    /// Reads what there is; what cannot be read tells nothing.
    pub fn read(root: &Dir) -> Self {
        let list = dovecot_index::load(root, LIST, &mut |_| ()).ok().flatten();
        Self {
            listed: list.map(|index| listed(&index)).unwrap_or_default(),
            converted: converted(root),
        }
    }

    /// What is known of a mailbox.
    pub fn of(&self, storage_name: &BString, name: &MailboxName) -> Known {
        let listed = self.listed.get(storage_name).copied().unwrap_or_default();
        let shown = escape(name.to_string().as_bytes());
        let converted = self.converted.get(&shown).copied().unwrap_or_default();
        listed.or(converted)
    }

    /// True where the conversion that left its state made the mailbox as it is now, as far as that is known.
    pub fn is_as_converted(&self, storage_name: &BString, name: &MailboxName) -> bool {
        let shown = escape(name.to_string().as_bytes());
        let converted = self
            .converted
            .get(&shown)
            .and_then(|known| known.uidvalidity);
        let best = self.of(storage_name, name).uidvalidity;
        match (converted, best) {
            (Some((converted, _)), Some((best, _))) => converted == best,
            _ => false,
        }
    }

    /// The highest UIDVALIDITY that is known: a new one is above it.
    pub fn highest_uidvalidity(&self) -> u32 {
        let all = self.listed.values().chain(self.converted.values());
        let told = all.filter_map(|known| known.uidvalidity);
        told.map(|(value, _)| value.get()).max().unwrap_or(0)
    }
}

fn converted(root: &Dir) -> BTreeMap<String, Known> {
    const FROM: &str = "mailtally.state";
    let Ok(Some((_, lines))) = tally::read_state(root) else {
        return BTreeMap::new();
    };
    let known = lines.into_iter().map(|line| {
        let uidvalidity = UidValidity::new(line.uidvalidity);
        let known = Known {
            guid: None,
            uidvalidity: uidvalidity.map(|value| (value, FROM)),
            uidnext: Some((line.uidnext, FROM)),
        };
        (line.mailbox, known)
    });
    known.collect()
}

/// Reads a number of a record or header.
fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn listed(index: &Index) -> BTreeMap<BString, Known> {
    let Some(list) = index.extension("list") else {
        return BTreeMap::new();
    };
    let names = names(&list.header);
    let mut nodes = BTreeMap::new();
    for (nth, uid) in index.uids.iter().enumerate() {
        let record = list.record(nth);
        if let (Some(name), Some(parent)) = (number(record, 0), number(record, 4)) {
            nodes.insert(*uid, (name, parent));
        }
    }
    let entries = index.uids.iter().enumerate().filter_map(|(nth, uid)| {
        let path = path(*uid, &nodes, &names)?;
        Some((path, known(index, list.record(nth), nth)))
    });
    entries.collect()
}

/// Record: u32 name, u32 parent, 16 bytes GUID, u32 UIDVALIDITY. `msgs`: messages, unseen, recent, UIDNEXT.
fn known(index: &Index, record: &[u8], nth: usize) -> Known {
    let guid = record.get(8..24).and_then(|bytes| bytes.try_into().ok());
    let uidvalidity = number(record, 24).and_then(UidValidity::new);
    let counts = index.extension("msgs").map(|ext| ext.record(nth));
    let uidnext = counts.and_then(|counts| number(counts, 12));
    Known {
        guid: guid.and_then(MailboxGuid::new).map(|guid| (guid, LIST)),
        uidvalidity: uidvalidity.map(|value| (value, LIST)),
        uidnext: uidnext.filter(|next| *next > 0).map(|next| (next, LIST)),
    }
}

/// Header: a byte, then u32 number and name with a NUL behind it, again and again; number 0 ends it.
fn names(header: &[u8]) -> BTreeMap<u32, BString> {
    let mut names = BTreeMap::new();
    let mut rest = header.get(1..).unwrap_or_default();
    while let Some((id, text)) = rest.split_first_chunk::<4>() {
        let id = u32::from_le_bytes(*id);
        let Some(end) = text.find_byte(0).filter(|_| id != 0) else {
            break;
        };
        names.insert(id, text[..end].into());
        rest = &text[end + 1..];
    }
    names
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
        let names = names(header);
        assert_eq!(names[&1], "Archive");
        assert_eq!(names[&2], "2020");
        assert_eq!(names.len(), 2);
        assert!(super::names(b"\0\x01\0\0\0no end").is_empty());
        assert!(super::names(b"").is_empty());
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
