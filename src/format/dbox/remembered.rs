//! What other files than its index know of a mailbox: for one whose index is gone.
//!
//! ```text
//! dovecot.list.index    the server's list of mailboxes: GUID, UIDVALIDITY, UIDNEXT
//! mailtally.state       what a conversion wrote: GUID, UIDVALIDITY, UIDNEXT
//! ```

use std::collections::BTreeMap;

use bstr::BString;

use crate::disk::Dir;
use crate::format::mailbox_list::{LIST, Listed};
use crate::format::tally;
use crate::model::{MailboxGuid, MailboxName, UidValidity};
use crate::report::escape;

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

impl From<Listed> for Known {
    fn from(listed: Listed) -> Self {
        Self {
            guid: listed.guid.map(|guid| (guid, LIST)),
            uidvalidity: listed.uidvalidity.map(|value| (value, LIST)),
            uidnext: listed.uidnext.map(|next| (next, LIST)),
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
    /// Takes what the list tells, and reads what else there is in the root; what cannot be read tells nothing.
    pub fn read(root: &Dir, listed: &BTreeMap<BString, Listed>) -> Self {
        let listed = listed.iter();
        Self {
            listed: listed
                .map(|(path, listed)| (path.clone(), (*listed).into()))
                .collect(),
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
        let converted = self.converted_uidvalidity(name);
        let best = self.of(storage_name, name).uidvalidity;
        converted.is_some() && converted == best.map(|(best, _)| best)
    }

    /// What a conversion wrote of it.
    pub fn converted(&self, name: &MailboxName) -> Option<Known> {
        let shown = escape(name.to_string().as_bytes());
        self.converted.get(&shown).copied()
    }

    /// UIDVALIDITY as a conversion wrote it.
    pub fn converted_uidvalidity(&self, name: &MailboxName) -> Option<UidValidity> {
        let (value, _) = self.converted(name)?.uidvalidity?;
        Some(value)
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
    let Ok(Some((_, lines))) = tally::read_state_mailboxes(root) else {
        return BTreeMap::new();
    };
    let known = lines.into_iter().map(|mailbox| {
        let guid = mailbox.guid().map(|guid| (guid, FROM));
        let line = mailbox.line;
        let uidvalidity = UidValidity::new(line.uidvalidity);
        let known = Known {
            guid,
            uidvalidity: uidvalidity.map(|value| (value, FROM)),
            uidnext: Some((line.uidnext, FROM)),
        };
        (line.mailbox, known)
    });
    known.collect()
}
