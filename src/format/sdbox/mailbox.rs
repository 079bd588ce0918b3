//! One sdbox mailbox, open for reading.

use std::io;

use bstr::{BString, ByteSlice};
use zerocopy::FromBytes;

use super::layout::{CACHE, DATE_SAVE, DboxHeader, INDEX, MAILBOXES, MAILS, file_name, uid_of};
use super::stored::{Refused, StoredMessage};
use crate::digest::Facts;
use crate::disk::{Dir, Kind};
use crate::error::Result;
use crate::format::compress;
use crate::format::dbox::Key;
use crate::format::dovecot_index::{self, Cache, Index};
use crate::format::{names, side_files};
use crate::model::{Flags, Mailbox, MailboxGuid, MailboxName, Message, Uid, UidValidity};
use crate::report::catalogue::{
    DBOX_DAMAGED, DBOX_ENCRYPTED, DBOX_EXTERNAL_ATTACHMENT, DBOX_GUID, DBOX_LOST, DBOX_METADATA,
    DBOX_ORPHAN, DBOX_SIZE, DBOX_STRAY, DBOX_UNREADABLE, INDEX_MISSING,
};
use crate::report::{Finding, Rule, counted};
use crate::store::{Claims, Found, MailboxSource, Opened};

pub(super) struct SdboxMailbox {
    mailbox: Mailbox,
    dir: Dir,
    /// From the account's root, for findings.
    path: BString,
    index: Index,
    /// Saved dates by place, where the cache tells them.
    saved: Vec<Option<u32>>,
}

impl SdboxMailbox {
    pub(super) fn only_above(name: MailboxName, dir: Dir) -> Self {
        let mut this = Self::of(name, dir, BString::default(), Index::default(), Vec::new());
        this.mailbox.selectable = false;
        this
    }

    pub(super) fn open(
        name: &MailboxName,
        dir: Dir,
        at: &[BString],
        found: Found<'_>,
    ) -> Result<Self> {
        let path = BString::from(format!(
            "{MAILBOXES}/{}/{MAILS}",
            bstr::join("/", at).as_bstr()
        ));
        let mut told = |finding: Finding| found(within(finding, name, &path));
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
        let saved = saved_dates(&dir, &index, &mut told)?;
        let mut this = Self::of(name.clone(), dir, path.clone(), index, saved);
        this.read_header(&mut |finding| found(within(finding, name, &path)));
        this.mailbox.acl = this.dir.read_if_there(side_files::ACL, side_files::MOST)?;
        Ok(this)
    }

    fn of(
        name: MailboxName,
        dir: Dir,
        path: BString,
        index: Index,
        saved: Vec<Option<u32>>,
    ) -> Self {
        let guid = names::made_guid(&dir, &name);
        let mailbox = Mailbox {
            selectable: true,
            guid,
            uidvalidity: UidValidity::new(index.uid_validity).unwrap_or(UidValidity::ONE),
            uidnext: index.next_uid,
            first_recent: index.first_recent_uid,
            highest_modseq: index.highest_modseq,
            keywords: index.keyword_names(),
            acl: None,
            name,
        };
        Self {
            mailbox,
            dir,
            path,
            index,
            saved,
        }
    }

    fn read_header(&mut self, found: Found<'_>) {
        let header = self.index.extension("dbox-hdr");
        let guid = header.and_then(|ext| {
            let (header, _) = DboxHeader::read_from_prefix(&ext.header).ok()?;
            MailboxGuid::new(header.mailbox_guid)
        });
        match guid {
            Some(guid) => self.mailbox.guid = guid,
            None => found(Finding::new(&DBOX_GUID, "a new one is made")),
        }
    }

    fn finding(&self, rule: &'static Rule, nth: usize, detail: impl Into<String>) -> Box<Finding> {
        let uid = self.uid(nth);
        let finding = Finding::new(rule, detail)
            .uid(uid)
            .path(file_name(uid.get()));
        Box::new(within(finding, &self.mailbox.name, &self.path))
    }
}

/// Puts a finding of a mailbox's folder into its place in the account.
fn within(mut finding: Finding, name: &MailboxName, path: &BString) -> Finding {
    let inner = finding.place.path.take();
    let finding = finding.mailbox(name);
    match inner {
        Some(file) => finding.path(format!("{path}/{file}")),
        None => finding.path(path),
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

fn saved_dates(dir: &Dir, index: &Index, found: Found<'_>) -> Result<Vec<Option<u32>>> {
    let Some(cache) = Cache::open(dir, CACHE, index, found)? else {
        return Ok(Vec::new());
    };
    if !cache.has(DATE_SAVE) {
        return Ok(Vec::new());
    }
    let places = 0..index.uids.len();
    Ok(places
        .map(|nth| cache.u32_of(index, nth, DATE_SAVE))
        .collect())
}

impl MailboxSource for SdboxMailbox {
    fn mailbox(&self) -> &Mailbox {
        &self.mailbox
    }

    fn len(&self) -> usize {
        self.index.uids.len()
    }

    fn uid(&self, nth: usize) -> Uid {
        Uid::new(self.index.uids[nth]).expect("BUG: the index reader refuses UID 0")
    }

    fn open<'a>(
        &'a self,
        nth: usize,
        scratch: &'a mut Vec<u8>,
    ) -> Result<Opened<'a>, Box<Finding>> {
        let uid = self.uid(nth);
        let file = self.dir.file(file_name(uid.get())).map_err(|error| {
            let rule = if error.is_not_found() {
                &DBOX_LOST
            } else {
                &DBOX_UNREADABLE
            };
            self.finding(rule, nth, error.chain())
        })?;
        let unreadable = |error: io::Error| self.finding(&DBOX_UNREADABLE, nth, error.to_string());
        let stored = StoredMessage::read(file, scratch).map_err(|refused| match refused {
            Refused::Io(error) => unreadable(error),
            Refused::Damaged(rule, why) => self.finding(rule, nth, why),
        })?;
        if stored.metadata.get(Key::External).is_some() {
            return Err(self.finding(&DBOX_EXTERNAL_ATTACHMENT, nth, "not joined"));
        }
        let saved = match self.saved.get(nth).copied().flatten() {
            Some(saved) => Some(i64::from(saved)),
            None => Some(stored.changed),
        };
        let message = self.message(nth, &stored, saved)?;
        let claims = Claims {
            size: stored.metadata.hex(Key::PlainSize),
            virtual_size: stored.metadata.hex(Key::VirtualSize),
        };
        Ok(Opened {
            message,
            claims,
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
        if message.sealed.is_some() {
            found(*self.finding(&DBOX_ENCRYPTED, nth, "ciphertext"));
            return;
        }
        for (key, told, real) in [
            ("size", claims.size, facts.size),
            ("virtual size", claims.virtual_size, facts.virtual_size),
        ] {
            if let Some(told) = told.filter(|told| *told != real) {
                let detail = format!("the metadata says {key} {told}, it is {real}");
                found(*self.finding(&DBOX_SIZE, nth, detail));
            }
        }
    }

    fn broken(&self, nth: usize, error: &io::Error, recovered: u64) -> Finding {
        let rule = if error.kind() == io::ErrorKind::InvalidData {
            &DBOX_DAMAGED
        } else {
            &DBOX_UNREADABLE
        };
        *self.finding(
            rule,
            nth,
            format!("{error}; {recovered} bytes could be read"),
        )
    }

    fn conclude(&self, _: Found<'_>) {}
}

impl SdboxMailbox {
    fn message(
        &self,
        nth: usize,
        stored: &StoredMessage<'_>,
        saved: Option<i64>,
    ) -> Result<Message, Box<Finding>> {
        let metadata = &stored.metadata;
        let guid = metadata
            .get(Key::Guid)
            .ok_or_else(|| self.finding(&DBOX_METADATA, nth, "no GUID"))?;
        let received = metadata.hex(Key::Received).unwrap_or(0);
        let sealed = compress::is_encrypted(stored.head).then(|| {
            let plain = metadata.hex(Key::PlainSize).unwrap_or(stored.size);
            (plain, metadata.hex(Key::VirtualSize))
        });
        Ok(Message {
            uid: self.uid(nth),
            flags: Flags::from_bits(self.index.flags[nth]),
            keywords: self.index.keywords_of(nth).collect(),
            received: i64::try_from(received).unwrap_or(i64::MAX),
            saved,
            guid: guid.into(),
            pop3_uidl: metadata.get(Key::Pop3Uidl).map(BString::from),
            pop3_order: metadata.decimal(Key::Pop3Order),
            sealed,
        })
    }
}
