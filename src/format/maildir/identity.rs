//! What makes a mailbox the same one over time, and which ones the server knew.

use std::collections::BTreeSet;

use bstr::{BString, ByteSlice};

use super::folders::Folder;
use super::read::{Maildir, UIDLISTS};
use super::uidlist::{self, Uidlist};
use crate::error::Result;
use crate::format::mailbox_list::{self, Listed};
use crate::model::{MailboxGuid, UidValidity};
use crate::report::Finding;
use crate::report::catalogue::MAILBOX_GUID_TWICE;
use crate::store::Found;

/// The first line of a uidlist is not longer.
const HEADER: usize = 4096;

/// UIDVALIDITY and GUID of a mailbox.
#[derive(Debug, Clone, Copy)]
pub(super) struct Identity {
    pub uidvalidity: UidValidity,
    pub guid: Option<MailboxGuid>,
    /// The file that tells UIDVALIDITY; `None` where it is made up.
    pub told_by: Option<&'static str>,
}

impl Maildir {
    /// UIDVALIDITY and GUID of every mailbox, before one is opened: no value is given out twice.
    pub(super) fn read_identities(&mut self, found: Found<'_>) {
        let headers: Vec<_> = self
            .folders
            .iter()
            .map(|folder| self.header(folder))
            .collect();
        let told = headers.iter().filter_map(|header| header.uidvalidity).max();
        let mut last = self.account.last_uidvalidity.max(told.unwrap_or(0));
        if last == 0 {
            last = u32::try_from(self.now).unwrap_or(1);
        }
        let mut guids = BTreeSet::new();
        for (nth, header) in headers.iter().enumerate() {
            let name = &self.names[nth];
            let uidvalidity = { header.uidvalidity }
                .or_else(|| self.given(name).map(|given| given.uidvalidity))
                .and_then(UidValidity::new);
            let uidvalidity = uidvalidity.unwrap_or_else(|| {
                last = last.saturating_add(1);
                UidValidity::new(last).unwrap_or(UidValidity::ONE)
            });
            let told = header.guid.or_else(|| self.listed_guid(nth, header));
            let guid = told.filter(|guid| guids.insert(*guid));
            if let (Some(claimed), None) = (told, guid) {
                let detail = format!("{claimed}");
                found(Finding::new(&MAILBOX_GUID_TWICE, detail).mailbox(name));
            }
            self.identities.push(Identity {
                uidvalidity,
                guid,
                told_by: header.uidvalidity.map(|_| UIDLISTS[0]),
            });
        }
        self.account.last_uidvalidity = last;
    }

    /// The GUID that the server's list has of a mailbox whose uidlist has none, and no UIDVALIDITY of another one.
    fn listed_guid(&self, nth: usize, header: &Uidlist) -> Option<MailboxGuid> {
        let listed = self.listed(&self.folders[nth]);
        let is_other = |told| listed.uidvalidity.is_some_and(|it| it.get() != told);
        let may_be = header.faults.header.is_some() || !header.uidvalidity.is_some_and(is_other);
        listed.guid.filter(|_| header.version > 0 && may_be)
    }

    fn header(&self, folder: &Folder) -> Uidlist {
        let Ok(dir) = self.lists(folder) else {
            return Uidlist::default();
        };
        let first_bytes = |name: &str| {
            let file = dir.file(name).ok()?;
            let mut head = vec![0; HEADER];
            let read = file.read_at(0, &mut head).ok().filter(|read| *read > 0)?;
            head.truncate(read);
            Some(head)
        };
        let head = UIDLISTS.iter().find_map(|name| first_bytes(name));
        head.map_or_else(Uidlist::default, |head| uidlist::read_header(&head))
    }

    pub(super) fn tell_gone(&self, found: Found<'_>) {
        let selectable = { self.folders.iter().enumerate() }.filter(|(_, it)| it.selectable);
        let there = selectable.map(|(nth, folder)| (self.listed_as(folder), nth));
        let gone = mailbox_list::gone(&self.listed, &there.collect(), |nth| self.guid_of(nth));
        mailbox_list::tell(&gone, self.options.utf8, found);
    }

    fn guid_of(&self, nth: usize) -> Result<Option<MailboxGuid>> {
        let guid = self.identities[nth].guid;
        let dir = self.lists(&self.folders[nth]);
        match dir.and_then(|dir| dir.file(UIDLISTS[0])) {
            Err(error) if guid.is_none() && !error.is_not_found() => Err(error),
            _ => Ok(guid),
        }
    }

    /// What the server's list of mailboxes tells of a folder.
    pub(super) fn listed(&self, folder: &Folder) -> Listed {
        let listed = self.listed.get(&self.listed_as(folder));
        listed.copied().unwrap_or_default()
    }

    /// What a folder is called in the server's list, `/` between levels.
    fn listed_as(&self, folder: &Folder) -> BString {
        let name = bstr::join("/", &folder.side);
        if self.options.fs_layout {
            return name.into();
        }
        let name = name.strip_prefix(b".").unwrap_or(&name);
        name.replace(".", "/").into()
    }
}
