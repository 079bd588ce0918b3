//! One sdbox mailbox, open for reading.

use std::io;
use std::sync::Arc;

use bstr::BString;

use super::layout::{HEADER, file_name, uid_of};
use crate::digest::Facts;
use crate::disk::{Dir, Kind};
use crate::error::Result;
use crate::format::dbox::{
    DboxMailbox, Extent, INDEX, Key, MESSAGE_HEADER, Refused, StoredMessage,
};
use crate::format::dovecot_index::{self, Index};
use crate::model::{Flags, Mailbox, MailboxName, Message, Uid};
use crate::report::catalogue::{
    DBOX_EXTERNAL_ATTACHMENT, DBOX_LOST, DBOX_ORPHAN, DBOX_STRAY, DBOX_UNREADABLE, INDEX_MISSING,
};
use crate::report::{Finding, counted};
use crate::store::{Claims, Found, MailboxSource, Opened};

pub(super) struct SdboxMailbox {
    dbox: DboxMailbox,
    dir: Dir,
    /// Saved dates by place, where the cache tells them.
    saved: Vec<Option<u32>>,
}

impl SdboxMailbox {
    pub(super) fn open(
        name: &MailboxName,
        dir: Dir,
        path: &BString,
        found: Found<'_>,
    ) -> Result<Self> {
        let mut told = |finding: Finding| found(DboxMailbox::within(finding, name, path));
        let index = dovecot_index::load(&dir, INDEX, &mut told)?;
        let files = list(&dir, &mut told)?;
        let index = index.unwrap_or_else(|| {
            if !files.is_empty() {
                told(Finding::new(
                    &INDEX_MISSING,
                    counted(files.len() as u64, "message file"),
                ));
            }
            made_from(&files)
        });
        compare(&index, &files, &mut told);
        let saved = DboxMailbox::saved_dates(&index, &dir, &mut told)?;
        let dbox = DboxMailbox::new(name, &dir, path.clone(), index, HEADER, &mut told);
        Ok(Self { dbox, dir, saved })
    }

    /// Where the file of a message is, for findings.
    fn path(&self, nth: usize) -> String {
        format!("{}/{}", self.dbox.path, file_name(self.uid(nth).get()))
    }
}

/// The UIDs that have a file, ascending.
fn list(dir: &Dir, found: Found<'_>) -> Result<Vec<u32>> {
    let mut files = Vec::new();
    dir.each_entry(|name, kind| {
        if let (Some(uid), Kind::File) = (uid_of(name), kind) {
            files.push(uid);
        } else if !name.starts_with(b"dovecot") && !name.starts_with(b".temp.") {
            found(Finding::new(&DBOX_STRAY, "not a message").path(name));
        }
    })?;
    files.sort_unstable();
    Ok(files)
}

/// What is left of a mailbox without an index: the numbers in the file names.
fn made_from(files: &[u32]) -> Index {
    let mut index = Index::default();
    index.uids = files.to_vec();
    index.flags = vec![0; files.len()];
    index.next_uid = files.last().map_or(1, |uid| uid.saturating_add(1));
    index.first_recent_uid = 1;
    index
}

fn compare(index: &Index, files: &[u32], found: Found<'_>) {
    for uid in files {
        if index.position(*uid).is_none() && !index.requested_expunges.contains(uid) {
            found(Finding::new(&DBOX_ORPHAN, "not in the index").path(file_name(*uid)));
        }
    }
}

impl MailboxSource for SdboxMailbox {
    fn mailbox(&self) -> &Mailbox {
        &self.dbox.mailbox
    }

    fn len(&self) -> usize {
        self.dbox.index.uids.len()
    }

    fn uid(&self, nth: usize) -> Uid {
        self.dbox.uid(nth)
    }

    fn marks(&self, nth: usize) -> (Flags, Vec<u32>) {
        self.dbox.marks(nth)
    }

    fn open<'a>(
        &'a self,
        nth: usize,
        scratch: &'a mut Vec<u8>,
    ) -> Result<Opened<'a>, Box<Finding>> {
        let path = || self.path(nth);
        let refuse = |rule, detail: String| self.dbox.finding(rule, nth, &path(), detail);
        let unreadable = |error: crate::Error| {
            let rule = if error.is_not_found() {
                &DBOX_LOST
            } else {
                &DBOX_UNREADABLE
            };
            refuse(rule, error.chain())
        };
        let file = self.dir.file(file_name(self.uid(nth).get()));
        let file = file.map_err(unreadable)?;
        let stat = file.stat().map_err(unreadable)?;
        let extent = Extent {
            at: None,
            header: MESSAGE_HEADER,
            end: stat.size,
        };
        let stored = StoredMessage::read(Arc::new(file), extent, scratch);
        let stored = stored.map_err(|refused| match refused {
            Refused::Io(error) => refuse(&DBOX_UNREADABLE, error.to_string()),
            Refused::Damaged(rule, why) => refuse(rule, why),
        })?;
        if stored.metadata.get(Key::External).is_some() {
            return Err(refuse(&DBOX_EXTERNAL_ATTACHMENT, "not joined".into()));
        }
        let saved = self.saved.get(nth).copied().flatten();
        let saved = saved.map_or(stat.ctime, i64::from);
        Ok(Opened {
            message: self.dbox.message(nth, &stored, Some(saved), &path())?,
            claims: DboxMailbox::claims(&stored),
            coat: stored.coat(),
            body: stored.plain_body(),
        })
    }

    fn judge(
        &self,
        nth: usize,
        message: &Message,
        claims: Claims,
        facts: &Facts,
        found: Found<'_>,
    ) {
        let path = self.path(nth);
        self.dbox.judge(nth, &path, message, claims, facts, found);
    }

    fn broken(&self, nth: usize, error: &io::Error, recovered: u64) -> Finding {
        self.dbox.broken(nth, &self.path(nth), error, recovered)
    }

    fn conclude(&self, _: Found<'_>) {}
}
