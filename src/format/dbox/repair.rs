//! What both formats look at before they repair: each message, and what a new index mends.

use std::sync::Arc;

use bstr::BString;

use super::{Extent, Key, StoredMessage};
use crate::digest::Measured;
use crate::disk::File;
use crate::error::Error;
use crate::model::{Flags, Message, Uid};
use crate::report::catalogue as rules;
use crate::report::{Finding, Rule};
use crate::store::{MailboxSource, Opened, StoreError};

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
    /// Not whole, or with wrong metadata: what is sound of it can be stored anew. What is lost of it then.
    Wounded(Box<Message>, Vec<Finding>, Option<String>),
    /// Nothing of it is left.
    Gone(Box<Finding>),
    /// It cannot be read now; that is not to say that it is gone.
    Unreadable(Box<Finding>),
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
            let lost = lost_of(message.uid, &findings);
            findings.retain(|finding| stored.damage.is_some() || is_mended(finding.rule));
            if findings.is_empty() {
                Looked::Sound(Box::new(message))
            } else {
                Looked::Wounded(Box::new(message), findings, lost)
            }
        }
        Err(StoreError::Source { error, read }) => {
            lost(Box::new(mailbox.broken(nth, &error, read)))
        }
        Err(_) => unreachable!("BUG: nothing was stored"),
    }
}

/// What a step says of a message that was damaged, and what it is made of now.
pub fn stored_anew(uid: Uid, findings: &[Finding]) -> String {
    let details: Vec<_> = findings.iter().map(|finding| &finding.detail[..]).collect();
    format!("uid {uid} is stored anew: {}", details.join("; "))
}

/// What of a message is lost: damage before and behind its bytes costs none of them.
fn lost_of(uid: Uid, findings: &[Finding]) -> Option<String> {
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
    match (&finding.place.path, finding.rule == &rules::INDEX_LOST) {
        (Some(path), true) => {
            let file = path.rsplit('/').next().unwrap_or_default();
            format!("what {file} said: {}", finding.detail)
        }
        _ => finding.detail.clone(),
    }
}

/// True for a finding of a mailbox that it no longer has when its index is written anew.
pub fn mended_by_a_new_index(rule: &'static Rule) -> bool {
    let mended = [
        &rules::INDEX_BROKEN,
        &rules::INDEX_CACHE,
        &rules::INDEX_INDEXID,
        &rules::INDEX_LOG,
        &rules::INDEX_LOG_GAP,
        &rules::INDEX_LOG_LOST,
        &rules::INDEX_LOST,
        &rules::INDEX_MISSING,
        &rules::INDEX_UIDVALIDITY,
        &rules::DBOX_RECOVERED,
        &rules::DBOX_GUID,
    ];
    mended.contains(&rule)
}
