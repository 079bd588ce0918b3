//! A stored message as a message: what its metadata tells, and what is derived where they do not.

use bstr::BString;
use data_encoding::HEXLOWER;

use super::super::attachments::Attachments;
use super::super::guid::indexed_guid;
use super::super::wound::Wounded;
use super::super::{Key, StoredMessage};
use super::{
    About, DATE_OF_FILE, DATE_OF_HEADER, DboxMailbox, GUID, GUID_DERIVED, MOST_PROCESSES,
    POP3_UIDL, RECEIVED,
};
use crate::error::Result;
use crate::format::dovecot_index::{CACHE, Cache, DATE_RECEIVED, HAVE_POP3_UIDLS};
use crate::format::{Elsewhere, compress, names, received};
use crate::model::Message;
use crate::report::Finding;
use crate::report::catalogue::DBOX_EXTERNAL_ATTACHMENT;
use crate::store::Opened;

impl DboxMailbox {
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
    pub(super) fn derived_guid(&self, nth: usize, known: &[u8]) -> BString {
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
}

/// True where the bytes are a GUID as servers make them, with the number of a process in its place.
///
/// Source: Dovecot 2.3, `src/lib/guid.c`.
fn is_of_a_server(guid: &[u8; 16]) -> bool {
    let process = u32::from_le_bytes([guid[8], guid[9], guid[10], guid[11]]);
    (1..=MOST_PROCESSES).contains(&process)
}

/// When a message came, for want of better: it was there when its file was written, and when it was saved.
fn older(mtime: Option<i64>, saved: Option<i64>) -> i64 {
    let dates = [mtime, saved].into_iter().flatten();
    dates.min().unwrap_or(0)
}
