//! Which UIDs messages have at the destination of an earlier pass: what has none of its own keeps that one.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use super::state::{read_state, read_state_messages};
use crate::digest::short;
use crate::disk::Dir;
use crate::report::escape;

/// A few bytes a message, whatever its name.
type Key = [u8; 16];

/// The UIDs of an account, by mailbox as records show it.
#[derive(Debug)]
pub struct Given {
    dir: Dir,
    /// UIDVALIDITY and UIDNEXT.
    mailboxes: BTreeMap<String, (u32, u32)>,
    /// By GUID, sorted. Few accounts have a message that is asked for: read at the first question.
    uids: OnceLock<BTreeMap<String, Vec<(Key, u32)>>>,
}

/// The UIDs of a mailbox.
#[derive(Debug)]
pub struct GivenUids<'g> {
    /// UIDVALIDITY: without the same one they mean nothing.
    pub uidvalidity: u32,
    /// Above all UIDs that were given out.
    pub uidnext: u32,
    all: &'g Given,
    mailbox: String,
}

impl Given {
    /// What the account in `dir` remembers; what cannot be read tells nothing.
    pub fn read(dir: Dir) -> Self {
        let state = read_state(&dir).ok().flatten();
        let lines = state.map(|(_, lines)| lines).unwrap_or_default();
        let told = lines.into_iter();
        let told = told.map(|line| (line.mailbox, (line.uidvalidity, line.uidnext)));
        Self {
            mailboxes: told.collect(),
            uids: OnceLock::new(),
            dir,
        }
    }

    /// Those of the mailbox that records show as `mailbox`.
    pub fn of_mailbox(&self, mailbox: String) -> Option<GivenUids<'_>> {
        let (uidvalidity, uidnext) = *self.mailboxes.get(&mailbox)?;
        Some(GivenUids {
            uidvalidity,
            uidnext,
            all: self,
            mailbox,
        })
    }

    fn read_uids(&self) -> BTreeMap<String, Vec<(Key, u32)>> {
        let mut all: BTreeMap<String, Vec<(Key, u32)>> = BTreeMap::new();
        let read = read_state_messages(&self.dir, &mut |mailbox, print| {
            let Some(envelope) = print.envelope else {
                return;
            };
            let given = (short(envelope.guid.as_bytes()), print.uid.get());
            match all.get_mut(mailbox) {
                Some(uids) => uids.push(given),
                None => drop(all.insert(mailbox.into(), vec![given])),
            }
        });
        if read.is_err() {
            return BTreeMap::new();
        }
        for uids in all.values_mut() {
            uids.sort_unstable();
        }
        all
    }
}

impl GivenUids<'_> {
    /// The UID of the message with this GUID; of several, the lowest.
    pub fn uid(&self, guid: &[u8]) -> Option<u32> {
        let uids = self.all.uids.get_or_init(|| self.all.read_uids());
        let uids = uids.get(&self.mailbox)?;
        let key = short(escape(guid).as_bytes());
        let at = uids.partition_point(|(known, _)| *known < key);
        let (known, uid) = uids.get(at)?;
        (*known == key).then_some(*uid)
    }
}
