//! What both formats read of a mailbox: its index, and what the metadata of a message says.

use std::fmt;
use std::io;
use std::sync::OnceLock;

use bstr::{BString, ByteSlice};
use data_encoding::HEXLOWER;

use super::attachments::Attachments;
use super::guid::indexed_guid;
use super::outvoted::outvote;
use super::places::Mails;
use super::wound::Wounded;
use super::{Key, StoredMessage, Wound};
use crate::digest::Facts;
use crate::disk::Dir;
use crate::error::Result;
use crate::format::dovecot_index::{
    CACHE, Cache, DATE_RECEIVED, HAVE_POP3_UIDLS, Index, MailboxHeader, header_of,
};
use crate::format::mailbox_list::{LIST, Listed};
use crate::format::{Elsewhere, compress, names, received, side_files};
use crate::model::{Flags, Mailbox, MailboxGuid, MailboxName, Message, Uid, UidValidity};
use crate::report::catalogue::{
    ACL_UNREADABLE, DBOX_DAMAGED, DBOX_ENCRYPTED, DBOX_EXTERNAL_ATTACHMENT, DBOX_GUID, DBOX_HEADER,
    DBOX_METADATA, DBOX_SIZE, DBOX_UNREADABLE, INDEX_BROKEN, INDEX_PENDING_EXPUNGE,
    INDEX_UIDVALIDITY,
};
use crate::report::{Finding, Rule, counted};
use crate::store::{Access, Claims, Found, MadeUp, Opened};

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
            highest_modseq: index.highest_modseq,
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

    /// The received date of the `nth` message, where the server's cache has it.
    fn cached_received(&self, nth: usize) -> Option<i64> {
        let cache = self.cache.get_or_init(|| {
            let dir = self.index_dir.as_ref()?;
            // A cache that is damaged tells nothing, and the server makes another one.
            Cache::open(dir, CACHE, &self.index, &mut |_| ()).ok()?
        });
        let received = cache.as_ref()?.u32_of(&self.index, nth, DATE_RECEIVED);
        received.filter(|date| *date != 0).map(i64::from)
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

    /// Opens the `nth` message: its coat taken off, its attachments joined, and what is wrong with it behind
    /// what is sound.
    pub fn opened<'a>(
        &self,
        nth: usize,
        mut stored: StoredMessage<'a>,
        about: About<'_, 'a>,
    ) -> Result<Opened<'a>, Box<Finding>> {
        let message = self.message(nth, &mut stored, about.saved);
        let attachments = self.attachments(&stored, &message, about);
        let attachments = attachments
            .map_err(|why| self.finding(&DBOX_EXTERNAL_ATTACHMENT, nth, about.file, why))?;
        let (claims, coat) = (Self::claims(&stored), stored.coat());
        let wound = stored.wound.clone();
        let mut body = stored.plain_body();
        if let Some(attachments) = attachments {
            body = attachments.join(body);
        }
        if let Some(wound) = wound {
            body = Box::new(Wounded::new(body, wound));
        }
        Ok(Opened {
            message,
            claims,
            access: None,
            coat,
            body,
        })
    }

    /// The `nth` message, with what the file says of it. What a damaged one does not say is derived.
    fn message(&self, nth: usize, stored: &mut StoredMessage<'_>, saved: Option<i64>) -> Message {
        let metadata = &stored.metadata;
        let (guid, told) = (metadata.get(Key::Guid), metadata.hex(Key::Received));
        let sealed = compress::is_encrypted(&stored.head).then(|| {
            let plain = metadata.hex(Key::PlainSize).unwrap_or(stored.size);
            (plain, metadata.hex(Key::VirtualSize))
        });
        let mut unknown = Vec::new();
        let (received, of_date) = match told {
            Some(received) => (i64::try_from(received).unwrap_or(i64::MAX), ""),
            None => self.derived_date(nth, stored, saved, &mut unknown),
        };
        if guid.is_none() && !self.tells_guid(nth) {
            unknown.push(GUID);
        }
        let uidl = metadata.get(Key::Pop3Uidl);
        if uidl.is_none() && !unknown.is_empty() && self.may_have_uidls() {
            unknown.push(POP3_UIDL);
        }
        let (flags, keywords) = self.marks(nth);
        let message = Message {
            uid: self.uid(nth),
            flags,
            keywords,
            received,
            saved,
            guid: guid.map_or_else(|| self.derived_guid(nth, &stored.digest()), BString::from),
            pop3_uidl: uidl.map(BString::from),
            pop3_order: metadata.decimal(Key::Pop3Order),
            sealed,
        };
        let of_guid = guid.map_or(GUID_DERIVED, |_| "");
        if let Some(wound) = &mut stored.wound {
            wound.why += of_guid;
            wound.why += of_date;
            wound.unknown = unknown;
        }
        message
    }

    /// When the `nth` message came, where its metadata does not say it, and what tells that.
    fn derived_date(
        &self,
        nth: usize,
        stored: &StoredMessage<'_>,
        saved: Option<i64>,
        unknown: &mut Vec<&'static str>,
    ) -> (i64, &'static str) {
        if stored.wound.is_some() {
            if let Some(date) = self.cached_received(nth) {
                return (date, "; the received date is that of the server's cache");
            }
            unknown.push(RECEIVED);
            if let Some(date) = received::date(stored.beginning()) {
                return (date, DATE_OF_HEADER);
            }
        }
        let date = older(stored.mtime, saved);
        (date, DATE_OF_FILE)
    }

    /// What the index has of the message's GUID, or a function of what is known of it.
    fn derived_guid(&self, nth: usize, known: &[u8]) -> BString {
        match indexed_guid(&self.index, nth) {
            Some(guid) => HEXLOWER.encode(&guid).into(),
            None => names::made_message_guid(known).into(),
        }
    }

    /// True where the index has the whole GUID of the `nth` message. Of one that is any other text it has a hash.
    fn tells_guid(&self, nth: usize) -> bool {
        indexed_guid(&self.index, nth).is_some_and(|guid| is_of_a_server(&guid))
    }

    /// True where some message may have a POP3 UIDL.
    fn may_have_uidls(&self) -> bool {
        let header = self.header.as_ref();
        header.is_some_and(|header| header.flags & HAVE_POP3_UIDLS != 0)
    }

    /// The attachments of a message that has any outside of the store.
    fn attachments<'a>(
        &self,
        stored: &StoredMessage<'_>,
        message: &Message,
        about: About<'_, 'a>,
    ) -> Result<Option<Attachments<'a>>, String> {
        let Some(value) = stored.metadata.get(Key::External) else {
            return Ok(None);
        };
        if message.sealed.is_some() {
            return Err(
                "the message is encrypted, so its attachments cannot be joined to it".into(),
            );
        }
        let suffix = if about.named_by_message {
            format!("-{}-{}", self.mailbox.guid, message.uid)
        } else {
            String::new()
        };
        match about.attachments {
            Elsewhere::At(dir) => Attachments::find(value, dir, suffix).map(Some),
            Elsewhere::NotNamed => Err("the location has no ATTACHMENTS=".into()),
            Elsewhere::Gone(why) => Err(why.clone()),
        }
    }

    /// What the metadata says of sizes against the bytes of the message.
    pub fn judge(
        &self,
        nth: usize,
        file: &dyn fmt::Display,
        message: &Message,
        claims: Claims,
        facts: &Facts,
        found: Found<'_>,
    ) {
        if message.sealed.is_some() {
            found(*self.finding(&DBOX_ENCRYPTED, nth, file, "ciphertext"));
            return;
        }
        let traits = &facts.traits;
        let told = [claims.size, claims.virtual_size].into_iter();
        let is_as_told = { told }
            .zip([facts.size, facts.virtual_size])
            .all(|(told, real)| told.is_none_or(|told| told == real));
        // Of a few NULs only the sizes tell whether they came with the message.
        let few = || (traits.nuls > 0 && !is_as_told).then_some(traits.nul_row);
        if let Some(row) = traits.zeroed(facts.size).or_else(few) {
            found(*self.zeroed(nth, file, row));
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
    pub fn broken(
        &self,
        nth: usize,
        file: &dyn fmt::Display,
        error: &io::Error,
        recovered: u64,
    ) -> Finding {
        let rule = match Wound::of(error) {
            Some(wound) => wound.rule,
            None if error.kind() == io::ErrorKind::InvalidData => &DBOX_DAMAGED,
            None => &DBOX_UNREADABLE,
        };
        let detail = format!("{error}; {recovered} bytes could be read");
        *self.finding(rule, nth, file, detail)
    }

    /// Where what stands around a message is damaged, NULs in it are most likely of the same damage; and where
    /// its header is, only the metadata tells whether it begins where it was found.
    pub fn judge_broken(
        &self,
        nth: usize,
        file: &dyn fmt::Display,
        (message, claims): (&Message, Claims),
        error: &io::Error,
        facts: &Facts,
        found: Found<'_>,
    ) {
        let rule = Wound::of(error).map(|wound| wound.rule);
        let is_around = rule == Some(&DBOX_METADATA) || rule == Some(&DBOX_HEADER);
        let told = claims.virtual_size.filter(|_| message.sealed.is_none());
        if is_around && facts.traits.nuls > 0 {
            found(*self.zeroed(nth, file, facts.traits.nul_row));
        } else if rule == Some(&DBOX_HEADER)
            && let Some(told) = told.filter(|told| *told != facts.virtual_size)
        {
            let real = facts.virtual_size;
            let detail =
                format!("at its beginning: the metadata says virtual size {told}, it is {real}");
            found(*self.finding(&DBOX_DAMAGED, nth, file, detail));
        }
    }

    fn zeroed(
        &self,
        nth: usize,
        file: &dyn fmt::Display,
        (from, nuls): (u64, u64),
    ) -> Box<Finding> {
        let detail = format!("{} from byte {from} on", counted(nuls, "NUL"));
        self.finding(&DBOX_DAMAGED, nth, file, detail)
    }

    /// What metadata says of sizes.
    pub fn claims(stored: &StoredMessage<'_>) -> Claims {
        Claims {
            size: stored.metadata.hex(Key::PlainSize),
            virtual_size: stored.metadata.hex(Key::VirtualSize),
            ..Claims::default()
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

fn without_uidvalidity(listed: Listed) -> Finding {
    match listed.uidvalidity {
        Some(_) => Finding::new(
            &INDEX_BROKEN,
            format!("there is no UIDVALIDITY; that of {LIST} is taken"),
        ),
        None => Finding::new(&INDEX_UIDVALIDITY, "it becomes 1"),
    }
}

/// True where the bytes are a GUID as servers make them, with the number of a process in its place.
///
/// Source: Dovecot 2.3, `src/lib/guid.c`.
fn is_of_a_server(guid: &[u8; 16]) -> bool {
    let process = u32::from_le_bytes([guid[8], guid[9], guid[10], guid[11]]);
    (1..=MOST_PROCESSES).contains(&process)
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

/// When a message came, for want of better: it was there when its file was written, and when it was saved.
fn older(mtime: Option<i64>, saved: Option<i64>) -> i64 {
    let dates = [mtime, saved].into_iter().flatten();
    dates.min().unwrap_or(0)
}
