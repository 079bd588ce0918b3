//! What both formats read of a mailbox: its index, and what the metadata of a message says.

mod judged;
mod message;

use std::fmt;
use std::sync::OnceLock;

use bstr::{BString, ByteSlice};

use super::outvoted::outvote;
use super::places::Mails;
use crate::disk::Dir;
use crate::error::Result;
use crate::format::dovecot_index::{Cache, Index, MailboxHeader, header_of};
use crate::format::mailbox_list::{LIST, Listed};
use crate::format::{Elsewhere, names, side_files};
use crate::model::{Flags, Mailbox, MailboxGuid, MailboxName, Message, Uid, UidValidity};
use crate::report::catalogue::{
    ACL_UNREADABLE, DBOX_GUID, INDEX_BROKEN, INDEX_PENDING_EXPUNGE, INDEX_UIDVALIDITY,
};
use crate::report::{Finding, Rule};
use crate::store::{Access, Found, MadeUp};

/// What metadata tells, for people.
pub(super) const GUID: &str = "GUID";
pub(super) const RECEIVED: &str = "received date";
pub(super) const POP3_UIDL: &str = "POP3 UIDL";

/// What is said of what is taken instead.
const GUID_DERIVED: &str = "; the GUID is derived";
const DATE_OF_HEADER: &str = "; the received date is that of the topmost Received header";
const DATE_OF_FILE: &str = "; the received date is that of the file";
pub(super) const INSTEAD: [(&str, &str); 3] = [
    (GUID, GUID_DERIVED),
    (RECEIVED, DATE_OF_HEADER),
    (RECEIVED, DATE_OF_FILE),
];

/// The highest number of a process: `PID_MAX_LIMIT` of Linux.
const MOST_PROCESSES: u32 = 1 << 22;

/// What a room knows of a message beside its record.
#[derive(Clone, Copy)]
pub struct About<'f, 'a> {
    /// The file that it lies in, for findings: few messages have any.
    pub file: &'f dyn fmt::Display,
    /// When it came into its mailbox.
    pub saved: Option<i64>,
    /// Where attachments lie.
    pub attachments: &'a Elsewhere,
    /// The files of attachments have mailbox and UID in their names, as in sdbox.
    pub named_by_message: bool,
}

/// A mailbox as its index has it.
#[derive(Debug)]
pub struct DboxMailbox {
    /// What it is.
    pub mailbox: Mailbox,
    /// Its messages.
    pub index: Index,
    /// From the account's root, for findings.
    pub path: BString,
    /// Who may touch the directory of its messages.
    pub access: Option<Access>,
    /// Where the header of the mailbox is in its index.
    header: Option<MailboxHeader>,
    /// Where the index lies.
    index_dir: Option<Dir>,
    /// What the server remembers of messages: few are asked for.
    cache: OnceLock<Option<Cache>>,
    /// The server's list knows of no other state.
    pub is_listed_as_it_is: bool,
    /// What was wrong with the UIDVALIDITY of the index.
    pub outvoted: Option<String>,
    /// What neither the index nor the list tells.
    pub made_up: MadeUp,
}

impl DboxMailbox {
    /// The mailbox of this index, in the directory of `mails`; `header` names the extension with its header.
    /// What is lost of its identity is taken from `listed`.
    pub fn new(
        name: &MailboxName,
        mails: &Mails,
        mut index: Index,
        header: &str,
        listed: Option<Listed>,
        found: Found<'_>,
    ) -> Self {
        let (dir, listed) = (&mails.dir, listed.unwrap_or_default());
        let header = header_of(&index, header);
        let guid = header.and_then(|header| MailboxGuid::new(header.mailbox_guid));
        if guid.is_none() {
            let detail = match listed.guid {
                Some(_) => format!("that of {LIST} is taken"),
                None => "a new one is made".into(),
            };
            found(Finding::new(&DBOX_GUID, detail));
        }
        let outvoted = mails
            .given
            .as_ref()
            .and_then(|given| outvote(name, guid, &mut index, (listed, given), found));
        let uidvalidity = UidValidity::new(index.uid_validity);
        if uidvalidity.is_none() && !index.uids.is_empty() {
            found(without_uidvalidity(listed));
        }
        let guid = guid.or(listed.guid);
        let uidvalidity = uidvalidity.or(listed.uidvalidity);
        let acl = dir.read_if_there(side_files::ACL, side_files::MOST);
        let acl = acl.unwrap_or_else(|error| {
            found(Finding::new(&ACL_UNREADABLE, error.chain()).path(side_files::ACL));
            None
        });
        let listed_modseq = listed.modseq_of(guid, index.uid_validity);
        let is_listed_as_it_is = listed_modseq == Some(index.highest_modseq);
        let mailbox = Mailbox {
            name: name.clone(),
            selectable: true,
            guid: guid.unwrap_or_else(|| names::made_guid(dir, name)),
            uidvalidity: uidvalidity.unwrap_or(UidValidity::ONE),
            uidnext: uidvalidity
                .and_then(|value| listed.uidnext_of(value.get()))
                .unwrap_or(0)
                .max(index.next_uid),
            first_recent: index.first_recent_uid,
            highest_modseq: listed_modseq.unwrap_or(0).max(index.highest_modseq),
            keywords: index.keyword_names(),
            acl,
        };
        Self {
            mailbox,
            index,
            path: mails.path.clone(),
            access: dir.own_stat().ok().map(Access::from),
            header,
            index_dir: mails.index_dir().ok().flatten(),
            cache: OnceLock::new(),
            is_listed_as_it_is,
            outvoted,
            made_up: MadeUp {
                uids: false,
                guid: guid.is_none(),
                uidvalidity: uidvalidity.is_none(),
            },
        }
    }

    /// The first word of the mailbox's header, where it has one.
    pub fn first_word(&self) -> Option<u32> {
        self.header.map(|header| header.first_word.get())
    }

    /// False where the index has no GUID for the mailbox.
    pub fn has_guid(&self) -> bool {
        let guid = self.header.map(|header| header.mailbox_guid);
        guid.and_then(MailboxGuid::new).is_some()
    }

    /// The directory of the index.
    pub fn index_place(&self) -> Result<Option<Dir>> {
        self.index_dir.as_ref().map(Dir::again).transpose()
    }

    /// What the index alone tells of the `nth` message.
    pub fn as_known(&self, nth: usize, saved: Option<i64>) -> Message {
        let (flags, keywords) = self.marks(nth);
        let place = format!("{} {}", self.mailbox.guid, self.uid(nth));
        Message {
            uid: self.uid(nth),
            flags,
            keywords,
            received: saved.unwrap_or(0),
            saved,
            guid: self.derived_guid(nth, place.as_bytes()),
            pop3_uidl: None,
            pop3_order: None,
            sealed: None,
        }
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
        file: &dyn fmt::Display,
        detail: impl Into<String>,
    ) -> Box<Finding> {
        let finding = Finding::new(rule, detail).uid(self.uid(nth));
        let finding = finding.path(file.to_string());
        Box::new(finding.mailbox(&self.mailbox.name))
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

fn without_uidvalidity(listed: Listed) -> Finding {
    match listed.uidvalidity {
        Some(_) => Finding::new(
            &INDEX_BROKEN,
            format!("there is no UIDVALIDITY; that of {LIST} is taken"),
        ),
        None => Finding::new(&INDEX_UIDVALIDITY, "it becomes 1"),
    }
}

/// True for a finding in an index that may have cost it a message.
pub fn casts_doubt(finding: &Finding) -> bool {
    finding.rule != &INDEX_PENDING_EXPUNGE
}

/// The GUID that the index of a mailbox has for it, in either format.
pub fn mailbox_guid(index: &Index) -> Option<MailboxGuid> {
    let headers = ["dbox-hdr", "mdbox-hdr"].into_iter();
    let header = { headers }.find_map(|name| header_of(index, name));
    MailboxGuid::new(header?.mailbox_guid)
}
