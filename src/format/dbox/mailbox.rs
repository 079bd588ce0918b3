//! What both formats read of a mailbox: its index, and what the metadata of a message says.

use std::io;

use bstr::{BString, ByteSlice};
use zerocopy::FromBytes;

use super::index::DATE_SAVE;
use super::layout::{CACHE, MailboxHeader};
use super::{Key, StoredMessage};
use crate::digest::Facts;
use crate::disk::Dir;
use crate::error::Result;
use crate::format::compress;
use crate::format::dovecot_index::{Cache, Index};
use crate::format::{names, side_files};
use crate::model::{Flags, Mailbox, MailboxGuid, MailboxName, Message, Uid, UidValidity};
use crate::report::catalogue::{
    ACL_UNREADABLE, DBOX_DAMAGED, DBOX_ENCRYPTED, DBOX_GUID, DBOX_METADATA, DBOX_SIZE,
    DBOX_UNREADABLE,
};
use crate::report::{Finding, Rule};
use crate::store::{Claims, Found};

/// A mailbox as its index has it.
#[derive(Debug)]
pub struct DboxMailbox {
    /// What it is.
    pub mailbox: Mailbox,
    /// Its messages.
    pub index: Index,
    /// From the account's root, for findings.
    pub path: BString,
    /// Where the header of the mailbox is in its index.
    header: Option<MailboxHeader>,
}

impl DboxMailbox {
    /// The mailbox of this index; `dir` holds its messages, `header` names the extension with its header.
    pub fn new(
        name: &MailboxName,
        dir: &Dir,
        path: BString,
        index: Index,
        header: &str,
        found: Found<'_>,
    ) -> Self {
        let header = index
            .extension(header)
            .and_then(|ext| header_of(&ext.header));
        let guid = header.and_then(|header| MailboxGuid::new(header.mailbox_guid));
        if guid.is_none() {
            found(Finding::new(&DBOX_GUID, "a new one is made"));
        }
        let acl = dir.read_if_there(side_files::ACL, side_files::MOST);
        let acl = acl.unwrap_or_else(|error| {
            found(Finding::new(&ACL_UNREADABLE, error.chain()).path(side_files::ACL));
            None
        });
        let mailbox = Mailbox {
            name: name.clone(),
            selectable: true,
            guid: guid.unwrap_or_else(|| names::made_guid(dir, name)),
            uidvalidity: UidValidity::new(index.uid_validity).unwrap_or(UidValidity::ONE),
            uidnext: index.next_uid,
            first_recent: index.first_recent_uid,
            highest_modseq: index.highest_modseq,
            keywords: index.keyword_names(),
            acl,
        };
        Self {
            mailbox,
            index,
            path,
            header,
        }
    }

    /// The first word of the mailbox's header, where it has one.
    pub fn first_word(&self) -> Option<u32> {
        self.header.map(|header| header.first_word.get())
    }

    /// The UID of the `nth` message.
    pub fn uid(&self, nth: usize) -> Uid {
        Uid::new(self.index.uids[nth]).expect("BUG: the index reader refuses UID 0")
    }

    /// Flags and keywords of the `nth` message.
    pub fn marks(&self, nth: usize) -> (Flags, Vec<u32>) {
        let flags = Flags::from_bits(self.index.flags[nth]);
        (flags, self.index.keywords_of(nth).collect())
    }

    /// A finding about the `nth` message, which lies in `file`.
    pub fn finding(
        &self,
        rule: &'static Rule,
        nth: usize,
        file: &str,
        detail: impl Into<String>,
    ) -> Box<Finding> {
        let finding = Finding::new(rule, detail).uid(self.uid(nth)).path(file);
        Box::new(finding.mailbox(&self.mailbox.name))
    }

    /// The `nth` message, with what the file says of it.
    pub fn message(
        &self,
        nth: usize,
        stored: &StoredMessage<'_>,
        saved: Option<i64>,
        file: &str,
    ) -> Result<Message, Box<Finding>> {
        let metadata = &stored.metadata;
        let guid = metadata
            .get(Key::Guid)
            .ok_or_else(|| self.finding(&DBOX_METADATA, nth, file, "no GUID"))?;
        let received = metadata.hex(Key::Received).unwrap_or(0);
        let sealed = compress::is_encrypted(&stored.head).then(|| {
            let plain = metadata.hex(Key::PlainSize).unwrap_or(stored.size);
            (plain, metadata.hex(Key::VirtualSize))
        });
        let (flags, keywords) = self.marks(nth);
        Ok(Message {
            uid: self.uid(nth),
            flags,
            keywords,
            received: i64::try_from(received).unwrap_or(i64::MAX),
            saved,
            guid: guid.into(),
            pop3_uidl: metadata.get(Key::Pop3Uidl).map(BString::from),
            pop3_order: metadata.decimal(Key::Pop3Order),
            sealed,
        })
    }

    /// What the metadata says of sizes against the bytes of the message.
    pub fn judge(
        &self,
        nth: usize,
        file: &str,
        message: &Message,
        claims: Claims,
        facts: &Facts,
        found: Found<'_>,
    ) {
        if message.sealed.is_some() {
            found(*self.finding(&DBOX_ENCRYPTED, nth, file, "ciphertext"));
            return;
        }
        for (key, told, real) in [
            ("size", claims.size, facts.size),
            ("virtual size", claims.virtual_size, facts.virtual_size),
        ] {
            if let Some(told) = told.filter(|told| *told != real) {
                let detail = format!("the metadata says {key} {told}, it is {real}");
                found(*self.finding(&DBOX_SIZE, nth, file, detail));
            }
        }
    }

    /// The finding for a body that broke off.
    pub fn broken(&self, nth: usize, file: &str, error: &io::Error, recovered: u64) -> Finding {
        let rule = if error.kind() == io::ErrorKind::InvalidData {
            &DBOX_DAMAGED
        } else {
            &DBOX_UNREADABLE
        };
        let detail = format!("{error}; {recovered} bytes could be read");
        *self.finding(rule, nth, file, detail)
    }

    /// Saved dates by place, where the cache tells them.
    pub fn saved_dates(index: &Index, dir: &Dir, found: Found<'_>) -> Result<Vec<Option<u32>>> {
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

    /// What metadata says of sizes.
    pub fn claims(stored: &StoredMessage<'_>) -> Claims {
        Claims {
            size: stored.metadata.hex(Key::PlainSize),
            virtual_size: stored.metadata.hex(Key::VirtualSize),
        }
    }

    /// Puts a finding of a mailbox's folder into its place in the account.
    pub fn within(mut finding: Finding, name: &MailboxName, path: &BString) -> Finding {
        let inner = finding.place.path.take();
        let finding = finding.mailbox(name);
        match inner {
            Some(file) => finding.path(format!("{}/{file}", path.as_bstr())),
            None => finding.path(path),
        }
    }
}

/// Servers before 2.2 wrote 20 bytes: without the flags.
fn header_of(bytes: &[u8]) -> Option<MailboxHeader> {
    let mut whole = [0; size_of::<MailboxHeader>()];
    let there = bytes.len().min(whole.len());
    whole[..there].copy_from_slice(&bytes[..there]);
    MailboxHeader::read_from_bytes(&whole)
        .ok()
        .filter(|_| there >= 20)
}
