//! Which UIDs messages have at the destination of an earlier pass: what has none of its own keeps that one.

use std::collections::BTreeMap;

use super::state::{read_state, read_state_messages};
use crate::digest::short;
use crate::disk::Dir;
use crate::error::Result;
use crate::report::escape;

/// A few bytes a message, whatever its name.
type Key = [u8; 16];

/// The UIDs of an account, by mailbox.
#[derive(Debug, Default)]
pub struct Given(BTreeMap<String, GivenUids>);

/// The UIDs of a mailbox.
#[derive(Debug, Default)]
pub struct GivenUids {
    /// UIDVALIDITY: without the same one they mean nothing.
    pub uidvalidity: u32,
    /// Above all UIDs that were given out.
    pub uidnext: u32,
    /// By GUID, sorted.
    uids: Vec<(Key, u32)>,
}

impl Given {
    /// Reads what the account in `dir` remembers; what cannot be read tells nothing.
    pub fn read(dir: &Dir) -> Self {
        Self::of(dir).unwrap_or_default()
    }

    fn of(dir: &Dir) -> Result<Self> {
        let lines = read_state(dir)?.map(|(_, lines)| lines).unwrap_or_default();
        let empty = lines.into_iter().map(|line| {
            let given = GivenUids {
                uidvalidity: line.uidvalidity,
                uidnext: line.uidnext,
                uids: Vec::new(),
            };
            (line.mailbox, given)
        });
        let mut this = Self(empty.collect());
        read_state_messages(dir, &mut |mailbox, print| {
            let (Some(given), Some(envelope)) = (this.0.get_mut(mailbox), print.envelope) else {
                return;
            };
            given
                .uids
                .push((short(envelope.guid.as_bytes()), print.uid.get()));
        })?;
        for given in this.0.values_mut() {
            given.uids.sort_unstable();
        }
        Ok(this)
    }

    /// Those of the mailbox that records show as `mailbox`.
    pub fn of_mailbox(&self, mailbox: &str) -> Option<&GivenUids> {
        self.0.get(mailbox)
    }
}

impl GivenUids {
    /// The UID of the message with this GUID; of several, the lowest.
    pub fn uid(&self, guid: &[u8]) -> Option<u32> {
        let key = short(escape(guid).as_bytes());
        let at = self.uids.partition_point(|(known, _)| *known < key);
        let (known, uid) = self.uids.get(at)?;
        (*known == key).then_some(*uid)
    }
}
