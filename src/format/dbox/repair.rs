//! What both formats look at before they repair: each message, and what a new index mends.

use std::sync::Arc;

use bstr::BString;

use super::mailbox::{GUID, INSTEAD};
use super::{Extent, Key, RECALLED_FROM, Recall, StoredMessage, Wound};
use crate::digest::{Digest, Measured};
use crate::disk::File;
use crate::error::Error;
use crate::format::dovecot_index::LOG;
use crate::model::{Flags, Message, Uid};
use crate::report::catalogue as rules;
use crate::report::{Finding, Rule};
use crate::store::{MailboxSource, Opened, StoreError, Stored};

/// A message that no index knows: what its metadata says.
#[derive(Debug)]
pub struct FoundMessage {
    guid: BString,
    received: i64,
    saved: i64,
    pop3_uidl: Option<BString>,
    pop3_order: Option<u32>,
}

impl FoundMessage {
    /// It gets another GUID.
    pub fn rename(&mut self, guid: BString) {
        self.guid = guid;
    }

    /// As a message with this UID, without flags.
    pub fn message(&self, uid: Uid) -> Message {
        Message {
            uid,
            flags: Flags::NONE,
            keywords: Vec::new(),
            received: self.received,
            saved: Some(self.saved),
            guid: self.guid.clone(),
            pop3_uidl: self.pop3_uidl.clone(),
            pop3_order: self.pop3_order,
            sealed: None,
        }
    }
}

/// The message at `extent`, if it holds up.
pub fn found_message(file: Arc<File>, extent: Extent, saved: i64) -> Option<FoundMessage> {
    let mut scratch = Vec::new();
    let stored = StoredMessage::read(file, extent, &mut scratch).ok()?;
    let metadata = &stored.metadata;
    Some(FoundMessage {
        guid: metadata.get(Key::Guid)?.into(),
        received: i64::try_from(metadata.hex(Key::Received)?).ok()?,
        saved,
        pop3_uidl: metadata.get(Key::Pop3Uidl).map(BString::from),
        pop3_order: metadata.decimal(Key::Pop3Order),
    })
}

/// What a message is found to be.
#[derive(Debug)]
pub enum Looked {
    /// Sound; or with something about it that no repair changes.
    Sound(Box<Message>),
    /// Not whole, or with wrong metadata: what is sound of it can be stored anew.
    Wounded(Box<Hurt>),
    /// Nothing of it is left.
    Gone(Box<Finding>),
    /// It cannot be read now; that is not to say that it is gone.
    Unreadable(Box<Finding>),
}

/// A message of which something is damaged, and what is left of it.
#[derive(Debug)]
pub struct Hurt {
    /// As it can be stored anew.
    pub message: Message,
    /// What is wrong with it.
    pub findings: Vec<Finding>,
    bytes_lost: Option<String>,
    /// What its metadata told, and nothing does any more.
    unknown: Vec<&'static str>,
    content: Digest,
    recalled: Vec<&'static str>,
}

impl Hurt {
    fn new(message: Message, findings: Vec<Finding>, stored: &Stored) -> Self {
        let wound = stored.damage.as_ref().and_then(Wound::of);
        Self {
            bytes_lost: bytes_lost(message.uid, &findings),
            unknown: wound.map(|wound| wound.unknown.clone()).unwrap_or_default(),
            content: stored.facts.content,
            recalled: Vec::new(),
            message,
            findings,
        }
    }

    /// Takes what the metadata no longer tells from what a conversion wrote of the messages of this mailbox.
    pub fn recall(&mut self, known: &[Recall]) {
        let Some(known) = Recall::find(known, self.message.uid) else {
            return;
        };
        let has_guid = !self.unknown.contains(&GUID) && known.is(&self.message.guid);
        if !has_guid && !known.is_of_content(&self.content) {
            return;
        }
        for what in std::mem::take(&mut self.unknown) {
            if known.complete(&mut self.message, what) {
                self.recalled.push(what);
            }
        }
    }

    /// What a step says of it, and what it is made of now.
    pub fn stored_anew(&self) -> String {
        let details = self.findings.iter().map(|finding| &finding.detail[..]);
        let mut does = details.collect::<Vec<_>>().join("; ");
        let is_recalled = |what: &str| self.recalled.contains(&what);
        for (_, instead) in INSTEAD.iter().filter(|(what, _)| is_recalled(what)) {
            does = does.replace(instead, "");
        }
        if !self.recalled.is_empty() {
            let recalled = self.recalled.join(", ");
            does = format!("{does}; {recalled} from {RECALLED_FROM}");
        }
        format!("uid {} is stored anew: {does}", self.message.uid)
    }

    /// What is lost of it: of its bytes, and of what its metadata told.
    pub fn lost(&self) -> Vec<String> {
        let unknown = (!self.unknown.is_empty())
            .then(|| format!("uid {}: {}", self.message.uid, self.unknown.join(", ")));
        self.bytes_lost.iter().cloned().chain(unknown).collect()
    }
}

/// Reads a message to its end.
pub fn look(mailbox: &dyn MailboxSource, nth: usize, scratch: &mut Vec<u8>) -> Looked {
    look_at(mailbox, nth, mailbox.open(nth, scratch))
}

/// The same, for one that was opened.
pub fn look_at(
    mailbox: &dyn MailboxSource,
    nth: usize,
    opened: Result<Opened<'_>, Box<Finding>>,
) -> Looked {
    let opened = match opened {
        Ok(opened) => opened,
        Err(finding) => return lost(finding),
    };
    let (message, claims) = (opened.message, opened.claims);
    match Measured::new(opened.body).store_nowhere() {
        Ok(stored) => {
            let mut findings = Vec::new();
            let damage = stored.damage.as_ref();
            mailbox.tell(
                nth,
                (&message, claims),
                damage,
                &stored.facts,
                &mut |finding| {
                    findings.push(finding);
                },
            );
            let mut hurt = Hurt::new(message, findings, &stored);
            let is_broken = stored.damage.is_some();
            hurt.findings
                .retain(|finding| is_broken || is_mended(finding.rule));
            if hurt.findings.is_empty() {
                Looked::Sound(Box::new(hurt.message))
            } else {
                Looked::Wounded(Box::new(hurt))
            }
        }
        Err(StoreError::Source { error, read }) => {
            lost(Box::new(mailbox.broken(nth, &error, read)))
        }
        Err(_) => unreachable!("BUG: nothing was stored"),
    }
}

/// Damage before and behind the bytes of a message costs none of them.
fn bytes_lost(uid: Uid, findings: &[Finding]) -> Option<String> {
    let around = [
        &rules::DBOX_METADATA,
        &rules::DBOX_HEADER,
        &rules::DBOX_SIZE,
    ];
    let what = { findings.iter() }.find(|finding| !around.contains(&finding.rule))?;
    Some(format!("uid {uid}: some of its bytes: {}", what.detail))
}

/// What a message that is stored anew no longer has.
fn is_mended(rule: &'static Rule) -> bool {
    rule == &rules::DBOX_SIZE
}

fn lost(finding: Box<Finding>) -> Looked {
    let later = [
        &rules::DBOX_UNREADABLE,
        &rules::DBOX_EXTERNAL_ATTACHMENT,
        &rules::DBOX_ENCRYPTED,
    ];
    if later.contains(&finding.rule) {
        Looked::Unreadable(finding)
    } else {
        Looked::Gone(finding)
    }
}

/// What can be read of a mailbox; `None` where the system refuses: that it does is said by whoever looks again.
pub fn if_readable<T>(read: Result<T, Error>) -> Result<Option<T>, Error> {
    match read {
        Err(Error::Io { .. }) => Ok(None),
        read => read.map(Some),
    }
}

/// What is lost with what a finding of a mailbox names.
pub fn lost_with(finding: &Finding) -> String {
    let Finding { place, detail, .. } = finding;
    let (Some(path), true) = (&place.path, finding.rule == &rules::INDEX_LOST) else {
        return detail.clone();
    };
    let file = path.rsplit('/').next().unwrap_or_default();
    let what = if file.starts_with(LOG) {
        "what a client changed last (flags, keywords, expunged messages) may be as it was before"
    } else {
        "flags and keywords of some messages may be missing"
    };
    let mailbox = place.mailbox.as_deref().unwrap_or_default();
    format!("{mailbox}: {what}, as a part of {file} cannot be read ({detail})")
}
