//! Mailboxes with messages that are not there: only the server's list, or the state of a conversion, has them.
//!
//! ```text
//! a list of mailboxes           a server takes out what it deletes; what it has, and does not count, the state counts
//! only dovecot.mailbox.log      it has the GUIDs of mailboxes that a server deleted
//! neither                       no server deleted a mailbox since the conversion
//! ```

use std::collections::{BTreeMap, BTreeSet};

use bstr::BString;

use super::{RECALLED_FROM, Tree, mailbox::mailbox_guid};
use crate::disk::Dir;
use crate::error::Result;
use crate::format::mailbox_list::{self, LIST, Listed};
use crate::format::mailbox_log;
use crate::format::tally::{StateMailbox, shown};
use crate::model::{MailboxGuid, MailboxName};
use crate::report::catalogue::MAILBOX_GONE;
use crate::report::{Finding, counted};

/// A mailbox that is not there.
#[derive(Debug)]
pub struct Gone {
    /// Its name.
    pub name: MailboxName,
    /// What it had, for people.
    pub had: String,
    /// What has it still.
    pub known_by: &'static str,
}

impl Gone {
    fn listed(path: &BString, listed: &Listed, utf8: bool) -> Self {
        Self {
            name: mailbox_list::name(path, utf8),
            had: listed.had(),
            known_by: LIST,
        }
    }

    fn converted(name: &str, converted: &StateMailbox) -> Self {
        Self {
            name: MailboxName::verbatim(name.split('/')),
            had: format!("it had {}", counted(converted.line.messages, "message")),
            known_by: RECALLED_FROM,
        }
    }

    /// Says so.
    pub fn finding(&self) -> Finding {
        let finding = Finding::new(&MAILBOX_GONE, self.had.clone());
        finding.mailbox(&self.name).path(self.known_by)
    }

    /// The same as a loss.
    pub fn lost(&self) -> String {
        format!("the mailbox {}: {}", shown(&self.name), self.had)
    }
}

/// What a server tells of what became of mailboxes.
enum Server<'a> {
    WasNever,
    /// What its list has, by the names that a client sees.
    Lists(BTreeMap<String, &'a Listed>),
    /// It has no list, and deleted these.
    Deleted(BTreeSet<MailboxGuid>),
}

impl Tree {
    /// Mailboxes with messages that are not there, under no name; none where some cannot be read. `root` is the
    /// account's.
    pub fn gone(&self, root: &Dir) -> Vec<Gone> {
        if self.is_partly_hidden {
            return Vec::new();
        }
        let there = self.selectable().map(|nth| (self.storage_name(nth), nth));
        let listed = mailbox_list::gone(&self.listed, &there.collect(), |nth| {
            let index = self.index_of(nth)?;
            Ok(index.and_then(|index| mailbox_guid(&index)))
        });
        let listed = listed.iter();
        let mut gone: Vec<_> = listed
            .map(|(path, listed)| Gone::listed(path, listed, self.utf8))
            .collect();
        let told: BTreeSet<_> = gone.iter().map(|gone| shown(&gone.name)).collect();
        let converted = self.gone_since_conversion(root).unwrap_or_default();
        let others = { converted.into_iter() }.filter(|(name, _)| !told.contains(*name));
        gone.extend(others.map(|(name, converted)| Gone::converted(name, converted)));
        gone
    }

    fn server(&self, root: &Dir) -> Server<'_> {
        let lists = self.places.index.as_ref().unwrap_or(root);
        let is_there = |name: &str| !matches!(lists.stat_if_there(name), Ok(None));
        if mailbox_list::FILES.iter().any(|name| is_there(name)) {
            let each = self.listed.iter();
            let each = each.map(|(path, it)| (shown(&mailbox_list::name(path, self.utf8)), it));
            return Server::Lists(each.collect());
        }
        mailbox_log::deleted(lists).map_or(Server::WasNever, Server::Deleted)
    }

    fn gone_since_conversion(&self, root: &Dir) -> Result<Vec<(&str, &StateMailbox)>> {
        let names = { self.selectable() }.map(|nth| shown(&self.names[nth]));
        let there: BTreeSet<_> = names.collect();
        let server = self.server(root);
        if let Server::Lists(listed) = &server {
            let is_open =
                |(name, it): (&String, &&Listed)| it.counts_none() && !there.contains(name);
            if !listed.iter().any(is_open) {
                return Ok(Vec::new());
            }
        }
        let conversion = &self.given.conversion;
        if !conversion.is_of(self.format) {
            return Ok(Vec::new());
        }
        let converted = conversion.mailboxes();
        let mut gone: Vec<_> = { converted.iter() }
            .filter(|(name, it)| it.line.messages > 0 && !there.contains(*name))
            .filter(|(name, it)| server.leaves_open(name, it))
            .map(|(name, it)| (name.as_str(), it))
            .collect();
        if gone.is_empty() {
            return Ok(gone);
        }
        let (mut guids, mut new) = (BTreeSet::new(), BTreeSet::new());
        for nth in self.selectable() {
            let index = self.index_of(nth)?;
            guids.extend(index.as_ref().and_then(mailbox_guid));
            if !converted.contains_key(&shown(&self.names[nth])) {
                new.extend(index.map(|index| index.uid_validity));
            }
        }
        gone.retain(|(name, it)| {
            let guid = server.guid(name).or(it.guid());
            // A server gives a mailbox another UIDVALIDITY with another name, and keeps its GUID.
            let may_be_renamed = match guid {
                Some(guid) => guids.contains(&guid),
                None => !matches!(server, Server::WasNever) && !new.is_empty(),
            };
            !may_be_renamed && !new.contains(&it.line.uidvalidity)
        });
        Ok(gone)
    }
}

impl Server<'_> {
    /// True where it does not tell that the mailbox is gone on purpose.
    fn leaves_open(&self, name: &str, converted: &StateMailbox) -> bool {
        match self {
            Self::WasNever => true,
            Self::Lists(listed) => listed.get(name).is_some_and(|listed| {
                let other = |told: u32| told != converted.line.uidvalidity;
                let is_other = listed.uidvalidity.is_some_and(|told| other(told.get()));
                listed.counts_none() && !is_other
            }),
            Self::Deleted(guids) => converted.guid().is_some_and(|guid| !guids.contains(&guid)),
        }
    }

    fn guid(&self, name: &str) -> Option<MailboxGuid> {
        match self {
            Self::Lists(listed) => listed.get(name)?.guid,
            _ => None,
        }
    }
}
