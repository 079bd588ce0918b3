//! What other files than its index know of a mailbox: for one whose index is gone.
//!
//! ```text
//! dovecot.list.index    the server's list of mailboxes: GUID, UIDVALIDITY, UIDNEXT
//! mailtally.state       what a conversion wrote: GUID, UIDVALIDITY, UIDNEXT
//! ```

use std::collections::BTreeMap;

use bstr::BString;

use super::RECALLED_FROM;
use super::conversion::Conversion;
use crate::format::mailbox_list::{LIST, Listed};
use crate::format::tally::{StateMailbox, shown};
use crate::model::{MailboxGuid, MailboxName, UidValidity};

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
    /// Takes what the list tells, and what a conversion wrote.
    pub fn of_both(listed: &BTreeMap<BString, Listed>, conversion: &Conversion) -> Self {
        let listed = listed.iter();
        let mailboxes = conversion.mailboxes().iter();
        Self {
            listed: listed
                .map(|(path, listed)| (path.clone(), (*listed).into()))
                .collect(),
            converted: mailboxes
                .map(|(name, mailbox)| (name.clone(), converted(mailbox)))
                .collect(),
        }
    }

    /// What is known of a mailbox.
    pub fn of(&self, storage_name: &BString, name: &MailboxName) -> Known {
        let listed = self.listed.get(storage_name).copied().unwrap_or_default();
        let converted = self.converted(name).unwrap_or_default();
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
        self.converted.get(&shown(name)).copied()
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

fn converted(mailbox: &StateMailbox) -> Known {
    let line = &mailbox.line;
    let uidvalidity = UidValidity::new(line.uidvalidity);
    Known {
        guid: mailbox.guid().map(|guid| (guid, RECALLED_FROM)),
        uidvalidity: uidvalidity.map(|value| (value, RECALLED_FROM)),
        uidnext: Some((line.uidnext, RECALLED_FROM)),
    }
}
