//! The index of a new mailbox: what all formats have in it.

use bstr::BString;
use zerocopy::little_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::files::{CACHE, INDEX, LOG};
use super::{
    CacheWriter, ExtId, FixedField, Generation, Head, Index, IndexWriter, keywords_header,
};
use crate::disk::Dir;
use crate::error::Result;
use crate::format::writing::Writing;
use crate::model::{Mailbox, Message};

/// Some message may have a `P` key.
pub const HAVE_POP3_UIDLS: u8 = 1;
/// Some message may have an `O` key.
const HAVE_POP3_ORDERS: u8 = 2;

/// The cache field that holds saved dates.
pub const DATE_SAVE: &str = "date.save";
/// That of received dates.
pub const DATE_RECEIVED: &str = "date.received";
/// A look that never ages: without it the server forgets the field after two idle months.
const ALWAYS_FRESH: u32 = 0xffff_fffe;

/// Header data of the index extensions `dbox-hdr` and `mdbox-hdr`: 24 bytes.
///
/// Source: Dovecot 2.3, `sdbox-storage.h`, `struct sdbox_index_header`; `mdbox-storage.h`,
/// `struct mdbox_index_header`.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct MailboxHeader {
    /// +0: sdbox: how often the mailbox was rebuilt; mdbox: the UIDVALIDITY of the map.
    pub first_word: U32,
    /// +4: the mailbox's identity.
    pub mailbox_guid: [u8; 16],
    /// +20: 1 = some message may have a POP3 UIDL, 2 = some may have a POP3 order.
    pub flags: u8,
    /// +21: zero.
    pub unused: [u8; 3],
}
const _: () = assert!(size_of::<MailboxHeader>() == 24);

/// The index of a mailbox that is being written.
pub struct MailboxIndex {
    index: IndexWriter,
    header: Option<Header>,
    keywords: Option<(ExtId, usize)>,
    cache: Option<(ExtId, CacheWriter)>,
    /// The cache has received dates too.
    has_received: bool,
    last_pop3_uid: u32,
}

/// What only the index of a dbox mailbox has.
struct Header {
    place: ExtId,
    is: MailboxHeader,
    last_uidl: ExtId,
}

/// What one format has in its index and the others have not.
#[derive(Debug, Clone, Copy, Default)]
pub struct Own<'a> {
    /// The name of the extension that holds the mailbox's header: a Maildir has none.
    pub header: Option<&'static str>,
    /// The first word of that header.
    pub first_word: u32,
    /// Extensions with a field in each record: name, bytes, alignment.
    pub fields: &'a [(&'static str, u16, u16)],
    /// Saved dates are kept in the cache.
    pub saved_in_cache: bool,
    /// Received dates are kept with them.
    pub received_in_cache: bool,
}

impl MailboxIndex {
    /// Begins an index; the places of the format's own fields come with it.
    pub fn new(mailbox: &Mailbox, now: u32, own: &Own<'_>) -> (Self, Vec<ExtId>) {
        Self::of(mailbox, now, Generation::first(now), own)
    }

    /// The same, in the place of another one.
    pub fn of(
        mailbox: &Mailbox,
        now: u32,
        generation: Generation,
        own: &Own<'_>,
    ) -> (Self, Vec<ExtId>) {
        let Generation {
            indexid,
            log_file_seq,
        } = generation;
        let mut index = IndexWriter::new(Head {
            now,
            indexid,
            uid_validity: mailbox.uidvalidity.get(),
            next_uid: mailbox.uidnext,
            first_recent_uid: mailbox.first_recent.min(mailbox.uidnext).max(1),
            log_file_seq,
            initial_modseq: mailbox.highest_modseq.max(1),
        });
        let is = MailboxHeader {
            first_word: own.first_word.into(),
            mailbox_guid: mailbox.guid.bytes(),
            flags: 0,
            unused: [0; 3],
        };
        let place = own
            .header
            .map(|name| index.extension(name, 0, is.as_bytes().to_vec(), 0, 0));
        let fields = own.fields.iter();
        let fields = fields
            .map(|(name, size, align)| index.extension(name, 0, Vec::new(), *size, *align))
            .collect();
        let header = place.map(|place| Header {
            place,
            is,
            last_uidl: index.extension("hdr-pop3-uidl", 0, vec![0; 4], 0, 0),
        });
        let keywords = (!mailbox.keywords.is_empty()).then(|| keywords(&mut index, mailbox));
        let cache = own.saved_in_cache.then(|| {
            let field = |name| FixedField {
                name,
                last_used: ALWAYS_FRESH,
            };
            let dates = [field(DATE_SAVE), field(DATE_RECEIVED)];
            let dates = &dates[..=usize::from(own.received_in_cache)];
            let place = index.extension("cache", indexid, Vec::new(), 4, 4);
            (place, CacheWriter::new(indexid, indexid, dates))
        });
        let this = Self {
            index,
            header,
            keywords,
            cache,
            has_received: own.received_in_cache,
            last_pop3_uid: 0,
        };
        (this, fields)
    }

    /// Adds a message; returns its position.
    pub fn push(&mut self, message: &Message) -> usize {
        self.push_with(message, 0)
    }

    /// The same, with flags that only the format itself knows.
    pub fn push_with(&mut self, message: &Message, own_flags: u8) -> usize {
        let uid = message.uid.get();
        let flags = message.flags.bits() | own_flags;
        let nth = self.index.push(uid, flags);
        if let Some((ext, bytes)) = self.keywords
            && !message.keywords.is_empty()
        {
            let mut bits = vec![0; bytes];
            for keyword in &message.keywords {
                if let Some(byte) = bits.get_mut(*keyword as usize / 8) {
                    *byte |= 1 << (keyword % 8);
                }
            }
            self.index.set(nth, ext, &bits);
        }
        if let (Some(saved), Some((ext, cache))) = (message.saved, &mut self.cache) {
            let dates = [seconds(saved), seconds(message.received)];
            let offset = cache.push(&dates[..=usize::from(self.has_received)]);
            self.index.set(nth, *ext, &offset.to_le_bytes());
        }
        let Some(Header { is, .. }) = &mut self.header else {
            return nth;
        };
        if message.pop3_uidl.is_some() {
            is.flags |= HAVE_POP3_UIDLS;
            self.last_pop3_uid = uid;
        }
        if message.pop3_order.is_some() {
            is.flags |= HAVE_POP3_ORDERS;
        }
        nth
    }

    /// Puts bytes into a field of a message.
    pub fn set(&mut self, nth: usize, ext: ExtId, bytes: &[u8]) {
        self.index.set(nth, ext, bytes);
    }

    /// Writes index, log and cache into the mailbox's directory; `first_word` as it is known now.
    pub fn finish(mut self, dir: &Dir, first_word: u32, writing: &Writing) -> Result<()> {
        self.complete(first_word);
        if let Some((_, cache)) = self.cache {
            writing.write(dir, CACHE, &cache.into_bytes())?;
        }
        writing.write(dir, LOG, &self.index.log_bytes())?;
        let index = &self.index;
        writing.fill(dir, INDEX, |out| index.write_index(out))
    }

    /// Cache, log and index: their names and contents.
    pub fn files(mut self, first_word: u32) -> Vec<(&'static str, Vec<u8>)> {
        self.complete(first_word);
        let cache = self.cache.map(|(_, cache)| (CACHE, cache.into_bytes()));
        let mut files: Vec<_> = cache.into_iter().collect();
        files.push((LOG, self.index.log_bytes()));
        files.push((INDEX, self.index.index_bytes()));
        files
    }

    /// What is known only after the last message.
    fn complete(&mut self, first_word: u32) {
        let Some(Header {
            place,
            is,
            last_uidl,
        }) = &mut self.header
        else {
            return;
        };
        is.first_word = first_word.into();
        self.index.set_header(*place, is.as_bytes().to_vec());
        let last = self.last_pop3_uid.to_le_bytes().to_vec();
        self.index.set_header(*last_uidl, last);
    }
}

fn keywords(index: &mut IndexWriter, mailbox: &Mailbox) -> (ExtId, usize) {
    let names: &[BString] = &mailbox.keywords;
    let bytes = names.len().div_ceil(8);
    let width = u16::try_from(bytes).expect("BUG: keywords are at most MOST_KEYWORDS");
    let header = keywords_header(names);
    (index.extension("keywords", 0, header, width, 1), bytes)
}

/// The mailbox's own header, in the extension of that name. Servers before 2.2 wrote 20 bytes: without the flags.
pub fn header_of(index: &Index, name: &str) -> Option<MailboxHeader> {
    let bytes = &index.extension(name)?.header;
    let mut whole = [0; size_of::<MailboxHeader>()];
    let there = bytes.len().min(whole.len());
    whole[..there].copy_from_slice(&bytes[..there]);
    MailboxHeader::read_from_bytes(&whole)
        .ok()
        .filter(|_| there >= 20)
}

/// A date in the 32 bits that Dovecot has for it.
pub fn seconds(time: i64) -> u32 {
    u32::try_from(time.max(0)).unwrap_or(u32::MAX)
}
