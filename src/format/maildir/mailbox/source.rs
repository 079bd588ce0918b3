//! The messages of a Maildir mailbox, as every format gives its own.

use std::io;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use bstr::BString;

use super::super::coat::{Coat, coat, stored};
use super::{MaildirMailbox, wrong_size};
use crate::digest::Facts;
use crate::disk::Dir;
use crate::error::Result;
use crate::format::compress::{self};
use crate::model::{Flags, Mailbox, Message, Uid};
use crate::report::catalogue as rules;
use crate::report::{Finding, counted};
use crate::store::{Access, BelievedUsage, Claims, Found, MadeUp, MailboxSource, Opened, Peek};

/// A message up to this size takes one read.
const SMALL: usize = 128 * 1024;

impl MailboxSource for MaildirMailbox<'_> {
    fn was_expunged(&self, uid: u32) -> bool {
        let index = self.index.as_ref();
        index.is_some_and(|index| index.was_expunged(uid))
    }

    fn mailbox(&self) -> &Mailbox {
        &self.mailbox
    }

    fn len(&self) -> usize {
        self.listing.len()
    }

    fn uid(&self, nth: usize) -> Uid {
        Uid::new(self.listing.slot(nth).uid).expect("BUG: every listed message has a UID")
    }

    fn marks(&self, nth: usize) -> (Flags, Vec<u32>) {
        let at_index = self.in_index(nth);
        self.flags_and_keywords(nth, self.listing.name(nth), at_index)
    }

    fn open<'a>(
        &'a self,
        nth: usize,
        scratch: &'a mut Vec<u8>,
    ) -> Result<Opened<'a>, Box<Finding>> {
        let (mut file, name) = self.open_file(nth)?;
        let stat = file
            .stat()
            .map_err(|error| self.finding(&rules::MAILDIR_UNREADABLE, nth, error.chain()))?;
        let room = usize::try_from(stat.size).map_or(SMALL, |size| size.clamp(1, SMALL));
        if scratch.len() < room {
            scratch.resize(room, 0);
        }
        let head = &mut scratch[..room];
        let read = file
            .fill(head)
            .map_err(|error| self.finding(&rules::MAILDIR_UNREADABLE, nth, error.to_string()))?;
        let head = &head[..read];
        let mut message = self.message(nth, &name, &stat);
        let mut claims = self.claims(nth);
        if compress::is_encrypted(head) {
            message.sealed = Some((claims.size.unwrap_or(stat.size), claims.virtual_size));
        }
        let whole = read as u64 == stat.size;
        let (body, codec) = match coat(head, (!whole).then_some(&file)) {
            Coat::None => {
                // What a server remembers of a coated message may be the size of its coat.
                claims.remembered = self.cached(nth).sizes;
                (stored(head, (!whole).then_some(file)), None)
            }
            Coat::Of(codec) => {
                let body = stored(head, (!whole).then_some(file));
                (compress::decoder(codec, body), Some(codec))
            }
            Coat::Torn(why) => {
                self.torn().insert(nth, why);
                (stored(head, (!whole).then_some(file)), None)
            }
        };
        self.note(nth, &message, &stat, codec);
        Ok(Opened {
            message,
            claims,
            // A link's target belongs to nobody's copy.
            access: (self.listing.slot(nth).link == 0).then(|| Access::from(stat)),
            coat: codec,
            body,
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
        let mut tell = |rule, detail: String| found(*self.finding(rule, nth, detail));
        let sealed = message.sealed.map(|(plain, _)| plain);
        let size = sealed.unwrap_or(facts.size);
        self.read.0.fetch_add(1, Ordering::Relaxed);
        self.read.1.fetch_add(size, Ordering::Relaxed);
        if message.sealed.is_some() {
            tell(
                &rules::MAILDIR_ENCRYPTED,
                format!("{} bytes of ciphertext", facts.size),
            );
            return;
        }
        if let Some(why) = self.torn().remove(&nth) {
            let detail = format!("{why}; carried as it is, {}", counted(facts.size, "byte"));
            tell(&rules::MAILDIR_DAMAGED, detail);
            return;
        }
        let (size, virtual_size) = claims.remembered;
        if let Some(detail) = wrong_size(claims.size, size, facts.size) {
            tell(&rules::MAILDIR_SIZE_MISMATCH, detail);
        }
        if let Some(detail) = wrong_size(claims.virtual_size, virtual_size, facts.virtual_size) {
            tell(&rules::MAILDIR_VSIZE_MISMATCH, detail);
        }
        if facts.size == 0 {
            tell(&rules::MAILDIR_EMPTY, "no bytes".into());
        }
        if let Some((from, nuls)) = facts.traits.zeroed(facts.size) {
            let detail = format!("{} from byte {from} on", counted(nuls, "NUL"));
            tell(&rules::MAILDIR_NUL_BLOCK, detail);
        }
    }

    fn broken(&self, nth: usize, error: &io::Error, recovered: u64) -> Finding {
        if error.kind() == io::ErrorKind::InvalidData {
            let detail = format!("{error}; {} recovered", counted(recovered, "byte"));
            return *self.finding(&rules::MAILDIR_DAMAGED, nth, detail);
        }
        let detail = format!("{error}, after {}", counted(recovered, "byte"));
        *self.finding(&rules::MAILDIR_UNREADABLE, nth, detail)
    }

    fn conclude(&self, found: Found<'_>) {
        let notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        let mut tell = |rule, detail: String| found(self.at_mailbox(rule, detail));
        notes.tell(&mut tell);
        for (rule, count) in [
            (&rules::MAILDIR_NO_INFO, self.listing.without_info),
            (&rules::MAILDIR_FOREIGN_INFO, self.listing.foreign_info),
            (&rules::MAILDIR_EXTRA_FIELDS, self.listing.more_fields),
        ] {
            if count > 0 {
                tell(rule, counted(count, "name"));
            }
        }
        let messages = self.read.0.load(Ordering::Relaxed);
        let bytes = self.read.1.load(Ordering::Relaxed);
        let all_read = messages == self.listing.len() as u64;
        self.store
            .conclude(all_read.then_some((messages, bytes)), found);
    }

    fn peek(&self, nth: usize, scratch: &mut Vec<u8>) -> Result<Peek, Box<Finding>> {
        self.look_at(nth, scratch)
    }

    fn known_guid(&self, nth: usize) -> Option<BString> {
        Some(self.guid(nth))
    }

    fn made_up(&self) -> MadeUp {
        self.made_up
    }

    fn dir_access(&self) -> Option<Access> {
        self.access
    }

    fn believed_usage(&self) -> Option<BelievedUsage> {
        self.index.as_ref()?.believed_usage()
    }

    fn index_place(&self) -> Result<Option<Dir>> {
        let dir = self.store.folder(self.folder)?;
        self.store.index_dir(self.folder, &dir)
    }
}
