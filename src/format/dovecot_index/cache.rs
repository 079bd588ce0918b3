//! Reads `dovecot.index.cache`: values of messages that Dovecot keeps so as not to parse again.
//!
//! ```text
//! index: `cache` column --> record --prev_offset--> older record --> ... --> 0
//!                             |                        |
//!                             fields                   fields     the first value found counts
//! ```

use std::borrow::Cow;

use zerocopy::IntoBytes;
use zerocopy::little_endian::U32;

use super::index::Index;
use super::layout::{
    CACHE, CACHE_MOST, CACHE_RECORD_MOST, CacheHeader, CacheRecord, FieldHeader, decode_offset,
};
use crate::Result;
use crate::bytes::{Cursor, Decode};
use crate::disk::{Dir, File, Kind};
use crate::error::At;
use crate::report::catalogue::INDEX_CACHE;
use crate::report::{Finding, counted};

/// Up to this size the file is read once, above it piece by piece.
pub(super) const WHOLE_MOST: u64 = 16 << 20;
/// Bytes read at first for a record; most are shorter.
const PIECE: usize = 1024;
/// Bytes of names, types and sizes at most.
const FIELD_HEADER_MOST: usize = 1 << 20;
/// Field headers and records of one message that are followed at most.
const HOPS_MOST: usize = 1024;
/// The size of a field that says its length in each record.
const VARIABLE: u32 = u32::MAX;

/// The cache file of an index.
#[derive(Debug)]
pub struct Cache {
    content: Content,
    fields: Vec<Field>,
}

#[derive(Debug)]
enum Content {
    Whole(Vec<u8>),
    Pieces(File),
}

/// A field: its number is its place in the list.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Field {
    name: String,
    size: u32,
    kind: u8,
    /// A server keeps it.
    is_kept: bool,
}

/// The kind of fields of the same size in each record; and of such that hold bits.
const FIXED: u8 = 0;
const BITS: u8 = 3;
const HEADER: u8 = 4;
/// Whether a field is to be kept: no, for now, or yes; and whether the configuration says so.
const YES: u8 = 2;
const FORCED: u8 = 0x80;
/// Fields of these names have these sizes, to any server.
const SIZES: [(&str, u32); 7] = [
    ("flags", 4),
    ("date.sent", 8),
    ("date.received", 4),
    ("date.save", 4),
    ("size.virtual", 8),
    ("size.physical", 8),
    ("pop3.order", 4),
];

impl Field {
    /// False for what a server would call corrupted.
    fn is_possible(&self) -> bool {
        let is_fixed = [FIXED, BITS].contains(&self.kind);
        let known = SIZES.iter().find(|(name, _)| *name == self.name);
        let fits = known.is_none_or(|(_, size)| is_fixed && self.size == *size);
        let has_size = self.size != VARIABLE;
        !self.name.is_empty() && self.kind <= HEADER && is_fixed == has_size && fits
    }
}

impl Cache {
    /// Opens the cache if it belongs to `index`; if not, that is a finding and `None`.
    ///
    /// `None` without a finding where there is no such file, or the index does not use one.
    pub fn open(
        dir: &Dir,
        name: &str,
        index: &Index,
        found: &mut dyn FnMut(Finding),
    ) -> Result<Option<Self>> {
        let Some(stat) = dir.stat_if_there(name)? else {
            return Ok(None);
        };
        let Some(extension) = index.extension(CACHE) else {
            return Ok(None);
        };
        let mut tell = |why: String| found(Finding::new(&INDEX_CACHE, why).path(name));
        if stat.kind != Kind::File || stat.size >= CACHE_MOST {
            tell("not a file that a cache can be".into());
            return Ok(None);
        }
        let content = Content::open(dir, name, stat.size)?;
        match read_fields(&content, index.indexid, extension.reset_id) {
            Ok(fields) => Ok(Some(Self { content, fields })),
            Err(broken) => {
                tell(broken.to_string());
                Ok(None)
            }
        }
    }

    /// Says of how many messages what it has cannot be read: a server that meets that complains.
    pub fn tell_broken(&self, name: &str, index: &Index, found: &mut dyn FnMut(Finding)) {
        let is_broken = |nth: &usize| {
            let newest = index.cache_offset(*nth);
            newest != 0 && self.gathered(newest, &[]).is_none()
        };
        let broken = (0..index.uids.len()).filter(is_broken).count() as u64;
        if broken > 0 {
            let messages = counted(broken, "message");
            let why = format!("what it has of {messages} cannot be read");
            found(Finding::new(&INDEX_CACHE, why).path(name));
        }
    }

    /// True where it knows no field: it has nothing of any message then.
    pub fn is_blank(&self) -> bool {
        self.fields.is_empty()
    }

    /// True where a server keeps this field of messages.
    pub fn keeps(&self, field: &str) -> bool {
        let known = self.fields.iter().find(|known| known.name == field);
        known.is_some_and(|known| known.is_kept)
    }

    /// True when some messages may have this field.
    pub fn has(&self, field: &str) -> bool {
        self.fields.iter().any(|known| known.name == field)
    }

    /// The nth message's value of a field of four bytes, such as `date.save`.
    ///
    /// `None` where the message has none, or where what leads to it cannot be read.
    pub fn u32_of(&self, index: &Index, nth: usize, field: &str) -> Option<u32> {
        self.fixed(index, nth, field).map(u32::from_le_bytes)
    }

    /// The nth message's value of a field of eight bytes, such as `size.virtual`.
    ///
    /// `None` where the message has none, or where what leads to it cannot be read.
    pub fn u64_of(&self, index: &Index, nth: usize, field: &str) -> Option<u64> {
        self.fixed(index, nth, field).map(u64::from_le_bytes)
    }

    /// Where in the file the nth message's value of a field of four bytes stands.
    pub fn place_of_u32(&self, index: &Index, nth: usize, field: &str) -> Option<u64> {
        let (at, _) = self.placed::<4>(index, nth, field)?;
        Some(at)
    }

    fn fixed<const N: usize>(&self, index: &Index, nth: usize, field: &str) -> Option<[u8; N]> {
        let (_, value) = self.placed(index, nth, field)?;
        Some(value)
    }

    fn placed<const N: usize>(
        &self,
        index: &Index,
        nth: usize,
        field: &str,
    ) -> Option<(u64, [u8; N])> {
        let fits =
            |known: &Field| known.name == field && known.kind == FIXED && known.size as usize == N;
        let number = self.fields.iter().position(fits)?;
        let mut at = index.cache_offset(nth);
        for _ in 0..HOPS_MOST {
            let record = self.content.record(at)?;
            let mut cursor = Cursor::new(&record);
            let header: &CacheRecord = cursor.record("cache record").ok()?;
            if let Some(value) = self.find(&mut cursor, number) {
                let within = (cursor.at() - value.len()) as u64;
                return Some((u64::from(at) + within, value.try_into().ok()?));
            }
            let previous = header.prev_offset.get();
            if previous == 0 || previous >= at {
                return None;
            }
            at = previous;
        }
        None
    }

    /// Makes `bytes`, which are those of the file, tell nothing but these fields of the nth message. True where
    /// more was told; `None` where that cannot be taken back: a record has at least one field.
    pub fn keep_only(
        &self,
        index: &Index,
        nth: usize,
        fields: &[&str],
        bytes: &mut [u8],
    ) -> Option<bool> {
        let newest = index.cache_offset(nth);
        if newest == 0 {
            return Some(false);
        }
        let room = self.content.record(newest)?.len();
        let kept = self.gathered(newest, fields)?;
        let size = size_of::<CacheRecord>() + kept.len();
        if kept.is_empty() || size > room {
            return None;
        }
        let header = CacheRecord {
            prev_offset: 0.into(),
            size: u32::try_from(size).ok()?.into(),
        };
        let place = bytes.get_mut(newest as usize..)?.get_mut(..size)?;
        place.copy_from_slice(&[header.as_bytes(), &kept].concat());
        Some(true)
    }

    /// These fields of all records of a message, the newest value of each.
    fn gathered(&self, newest: u32, fields: &[&str]) -> Option<Vec<u8>> {
        let (mut at, mut kept, mut seen) = (newest, Vec::new(), Vec::new());
        for _ in 0..HOPS_MOST {
            let record = self.content.record(at)?;
            let mut cursor = Cursor::new(&record);
            let header: &CacheRecord = cursor.record("cache record").ok()?;
            while !cursor.is_empty() {
                let from = cursor.at();
                let (number, _) = self.field(&mut cursor)?;
                cursor.align("field", 4).ok()?;
                if fields.contains(&self.fields[number].name.as_str()) && !seen.contains(&number) {
                    seen.push(number);
                    kept.extend_from_slice(&record[from..cursor.at()]);
                }
            }
            let previous = header.prev_offset.get();
            match previous {
                0 => return Some(kept),
                // An older record stands before a newer one.
                previous if previous >= at => return None,
                previous => at = previous,
            }
        }
        None
    }

    /// The value of field `number` in what is left of a record.
    fn find<'r>(&self, cursor: &mut Cursor<'r>, number: usize) -> Option<&'r [u8]> {
        while !cursor.is_empty() {
            let (this, value) = self.field(cursor)?;
            if this == number {
                return Some(value);
            }
            cursor.align("field", 4).ok()?;
        }
        None
    }

    /// The next field of a record: its number and its value, without what pads it.
    fn field<'r>(&self, cursor: &mut Cursor<'r>) -> Option<(usize, &'r [u8])> {
        let number = cursor.u32("field number").ok()? as usize;
        let size = match self.fields.get(number)?.size {
            VARIABLE => cursor.u32("field length").ok()?,
            fixed => fixed,
        };
        let value = cursor.take("field", size as usize).ok()?;
        Some((number, value))
    }
}

impl Content {
    fn open(dir: &Dir, name: &str, size: u64) -> Result<Self> {
        let file = dir.file(name)?;
        if size > WHOLE_MOST {
            return Ok(Self::Pieces(file));
        }
        let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
        let read = file.read_at(0, &mut bytes).at("read", &file.path())?;
        bytes.truncate(read);
        Ok(Self::Whole(bytes))
    }

    /// `size` bytes from `at`, or fewer where the file ends.
    fn piece(&self, at: u32, size: usize) -> Option<Cow<'_, [u8]>> {
        match self {
            Self::Whole(bytes) => {
                let rest = bytes.get(at as usize..)?;
                Some(rest[..size.min(rest.len())].into())
            }
            Self::Pieces(file) => {
                let mut bytes = vec![0; size];
                let read = file.read_at(at.into(), &mut bytes).ok()?;
                bytes.truncate(read);
                Some(bytes.into())
            }
        }
    }

    /// The whole record at `at`.
    fn record(&self, at: u32) -> Option<Cow<'_, [u8]>> {
        if (at as usize) < size_of::<CacheHeader>() || !at.is_multiple_of(4) {
            return None;
        }
        let piece = self.piece(at, PIECE)?;
        let header: &CacheRecord = Cursor::new(&piece).record("cache record").ok()?;
        let size = header.size.get() as usize;
        if size > CACHE_RECORD_MOST {
            return None;
        }
        let whole = match piece {
            piece if size > PIECE => {
                drop(piece);
                self.piece(at, size)?
            }
            piece => piece,
        };
        cut(whole, size)
    }
}

fn cut(bytes: Cow<'_, [u8]>, size: usize) -> Option<Cow<'_, [u8]>> {
    match bytes {
        Cow::Borrowed(bytes) => bytes.get(..size).map(Cow::Borrowed),
        Cow::Owned(mut bytes) => (bytes.len() >= size).then(|| {
            bytes.truncate(size);
            Cow::Owned(bytes)
        }),
    }
}

fn broken(at: u32, field: &'static str, why: impl Into<String>) -> Decode {
    Decode {
        at: at.into(),
        field,
        why: why.into(),
    }
}

fn read_fields(content: &Content, indexid: u32, file_seq: u32) -> Result<Vec<Field>, Decode> {
    let bytes = content.piece(0, size_of::<CacheHeader>());
    let bytes = bytes.unwrap_or_default();
    let header: &CacheHeader = Cursor::new(&bytes).record("cache header")?;
    check_header(header, indexid, file_seq)?;
    let Some(at) = newest_field_header(content, header)? else {
        return Ok(Vec::new());
    };
    let start = content.piece(at, size_of::<FieldHeader>());
    let start = start.unwrap_or_default();
    let start: &FieldHeader = Cursor::new(&start).record("field header")?;
    let size = start.size.get() as usize;
    if size > FIELD_HEADER_MOST {
        return Err(broken(
            at,
            "field header",
            format!("{size} bytes are too many"),
        ));
    }
    let all = content.piece(at, size).unwrap_or_default();
    parse_fields(&all).map_err(|error| Decode {
        at: error.at + u64::from(at),
        ..error
    })
}

fn check_header(header: &CacheHeader, indexid: u32, file_seq: u32) -> Result<(), Decode> {
    if header.major_version != 1 {
        let why = format!("{} is not known, only 1 is", header.major_version);
        return Err(broken(0, "major version", why));
    }
    if header.sizeof_uoff_t != 8 {
        let why = format!(
            "made for {} bytes a size, only 8 are read",
            header.sizeof_uoff_t
        );
        return Err(broken(1, "sizeof_uoff_t", why));
    }
    if header.indexid.get() != indexid {
        let why = format!("{}, that of the index is {indexid}", header.indexid);
        return Err(broken(4, "indexid", why));
    }
    if header.file_seq.get() != file_seq || file_seq == 0 {
        let why = format!("{}, the index is for {file_seq}", header.file_seq);
        return Err(broken(8, "file_seq", why));
    }
    Ok(())
}

/// Where the last field header is, which alone counts; `None` where there is none.
fn newest_field_header(content: &Content, header: &CacheHeader) -> Result<Option<u32>, Decode> {
    let mut at = decode_offset(header.field_header_offset).unwrap_or(0);
    if at == 0 {
        return Ok(None);
    }
    for _ in 0..HOPS_MOST {
        let bytes = content.piece(at, size_of::<FieldHeader>());
        let bytes = bytes.unwrap_or_default();
        let fields: &FieldHeader = Cursor::new(&bytes)
            .record("field header")
            .map_err(|error| broken(at, error.field, error.why))?;
        match decode_offset(fields.next_offset).unwrap_or(0) {
            0 => return Ok(Some(at)),
            next => at = next,
        }
    }
    Err(broken(at, "field header", "is one of a chain without end"))
}

fn parse_fields(bytes: &[u8]) -> Result<Vec<Field>, Decode> {
    let mut cursor = Cursor::new(bytes);
    let header: &FieldHeader = cursor.record("field header")?;
    let count = header.fields_count.get();
    let _last_used: &[U32] = cursor.records("field use", count.into())?;
    let sizes: &[U32] = cursor.records("field sizes", count.into())?;
    let kinds = cursor.take("field types", count as usize)?;
    let decisions = cursor.take("field decisions", count as usize)?;
    let mut fields: Vec<Field> = Vec::with_capacity(kinds.len());
    for ((size, kind), decision) in sizes.iter().zip(kinds).zip(decisions) {
        let rest = cursor.rest();
        let end = memchr::memchr(0, rest)
            .ok_or_else(|| cursor.broken("field names", "fewer than fields"))?;
        let field = Field {
            name: String::from_utf8_lossy(&rest[..end]).into(),
            size: size.get(),
            kind: *kind,
            is_kept: decision & !FORCED != 0,
        };
        let is_twice = fields.iter().any(|known| known.name == field.name);
        if is_twice || decision & !FORCED > YES || !field.is_possible() {
            let why = format!("{:?} is none that a server would have", field.name);
            return Err(cursor.broken("field", why));
        }
        fields.push(field);
        cursor.skip("field names", end + 1)?;
    }
    Ok(fields)
}
