//! Reads `dovecot.index.log`: its header, the frames of its records, and what they count.

use zerocopy::{FromZeros, IntoBytes};

use super::layout::{
    Append, AtomicInc, CLIENT_FLAGS, ExtIntro, FlagUpdate, LITTLE_ENDIAN, LOG_HEADER_LEAST,
    LogHeader, MODSEQ, ModseqUpdate, RecordHeader, decode_offset, kind,
};
use crate::bytes::{Cursor, Decode};

/// One log file.
#[derive(Debug)]
pub(super) struct Log<'a> {
    /// The file's name.
    pub name: String,
    /// What it says of itself.
    pub header: LogHeader,
    bytes: &'a [u8],
}

/// One record of a log.
#[derive(Debug, Clone)]
pub(super) struct Record<'a> {
    /// Where it starts in the file.
    pub at: usize,
    /// One of [`kind`], without flag bits.
    pub kind: u32,
    /// What the storage already did.
    pub external: bool,
    /// Its body; positions are those in the file.
    pub body: Cursor<'a>,
}

impl<'a> Log<'a> {
    /// Reads the header.
    pub fn read(name: String, bytes: &'a [u8]) -> Result<Self, Decode> {
        let mut cursor = Cursor::new(bytes);
        let start = cursor.take("version", 2)?;
        if start[0] != 1 {
            let why = format!("{} is not known, only 1 is", start[0]);
            return Err(Cursor::new(bytes).broken("major version", why));
        }
        if start[1] >= 2
            && bytes
                .get(32)
                .is_some_and(|flags| flags & LITTLE_ENDIAN == 0)
        {
            let why =
                "the file was written by a big-endian machine; only little-endian ones are read";
            return Err(Cursor::starting_at(bytes, 32).broken("compat flags", why));
        }
        let size = usize::from(cursor.u16("header size")?);
        if size < LOG_HEADER_LEAST {
            return Err(cursor.broken("header size", format!("{size} bytes are too few")));
        }
        let there = Cursor::new(bytes).take("header", size)?;
        let known = size.min(size_of::<LogHeader>());
        let mut header = LogHeader::new_zeroed();
        header.as_mut_bytes()[..known].copy_from_slice(&there[..known]);
        Ok(Self {
            name,
            header,
            bytes,
        })
    }

    /// Where the first record starts.
    pub fn start(&self) -> usize {
        self.header.hdr_size.get().into()
    }

    /// The number of this log.
    pub fn seq(&self) -> u32 {
        self.header.file_seq.get()
    }

    /// Bytes of the file.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The records from `at` on.
    pub fn records(&self, at: usize) -> Records<'a> {
        Records {
            bytes: self.bytes,
            at,
            torn: None,
        }
    }

    /// The mailbox's highest modseq at the end of this log, at least 1.
    pub fn highest_modseq(&self) -> u64 {
        let mut highest = self.header.initial_modseq.get();
        for record in self.records(self.start()) {
            highest = match record.kind {
                kind::EXT_INTRO if highest == 0 => u64::from(introduces_modseq(&record)),
                kind::MODSEQ_UPDATE => highest.max(modseq_of(&record)),
                _ if highest > 0 && self.counts(&record) => highest.saturating_add(1),
                _ => highest,
            };
        }
        highest.max(1)
    }

    fn counts(&self, record: &Record<'_>) -> bool {
        match record.kind {
            kind::APPEND | kind::KEYWORD_UPDATE | kind::KEYWORD_RESET | kind::ATTRIBUTE_UPDATE => {
                true
            }
            kind::EXPUNGE | kind::EXPUNGE_GUID => record.external,
            kind::FLAG_UPDATE => self.header.minor_version < 3 || seen_by_clients(record),
            _ => false,
        }
    }
}

fn seen_by_clients(record: &Record<'_>) -> bool {
    let seen = |update: &FlagUpdate| {
        (update.add | update.remove) & CLIENT_FLAGS != 0 || update.modseq_inc != 0
    };
    record.all::<FlagUpdate>().iter().any(seen)
}

fn modseq_of(record: &Record<'_>) -> u64 {
    let updates = record.all::<ModseqUpdate>().iter();
    let modseqs = updates.map(|new| u64::from(new.high.get()) << 32 | u64::from(new.low.get()));
    modseqs.max().unwrap_or(0)
}

fn introduces_modseq(record: &Record<'_>) -> bool {
    let mut body = record.body.clone();
    while let Some(Ok((_, name))) = next_intro(&mut body) {
        if name == MODSEQ.as_bytes() {
            return true;
        }
    }
    false
}

/// The next of several introductions in one body; what is shorter than one is padding.
pub(super) fn next_intro<'a>(
    body: &mut Cursor<'a>,
) -> Option<Result<(&'a ExtIntro, &'a [u8]), Decode>> {
    if body.rest().len() < size_of::<ExtIntro>() {
        return None;
    }
    Some(intro(body))
}

fn intro<'a>(body: &mut Cursor<'a>) -> Result<(&'a ExtIntro, &'a [u8]), Decode> {
    let intro: &ExtIntro = body.record("extension intro")?;
    let name = padded(body, "extension name", intro.name_size.get().into())?;
    Ok((intro, name))
}

/// `size` bytes, and what fills them up to a multiple of 4.
pub(super) fn padded<'a>(
    body: &mut Cursor<'a>,
    field: &'static str,
    size: usize,
) -> Result<&'a [u8], Decode> {
    let bytes = body.take(field, size)?;
    let padding = size.next_multiple_of(4) - size;
    body.skip(field, padding.min(body.rest().len()))?;
    Ok(bytes)
}

/// What bodies are arrays of.
pub(super) trait Entry:
    zerocopy::FromBytes + zerocopy::KnownLayout + zerocopy::Immutable + zerocopy::Unaligned
{
    /// For messages.
    const FIELD: &'static str;
}

macro_rules! entries {
    ($($layout:ty: $field:literal,)*) => {
        $(impl Entry for $layout { const FIELD: &'static str = $field; })*
    };
}
entries! {
    Append: "append",
    AtomicInc: "extension increment",
    FlagUpdate: "flag update",
    ModseqUpdate: "modseq update",
    super::layout::ExpungeGuid: "expunge",
    super::layout::UidRange: "uid ranges",
}

impl<'a> Record<'a> {
    /// The body as an array; an entry that is not whole is left out.
    pub fn all<T: Entry>(&self) -> &'a [T] {
        rest_of(&mut self.body.clone()).0
    }
}

/// What is left as an array, and how many bytes are too many for it.
pub(super) fn rest_of<'a, T: Entry>(body: &mut Cursor<'a>) -> (&'a [T], usize) {
    let (count, over) = (
        body.rest().len() / size_of::<T>(),
        body.rest().len() % size_of::<T>(),
    );
    let entries = body.records(T::FIELD, count as u64);
    (entries.unwrap_or_default(), over)
}

/// The records of a log, up to its end or to the first that is not wholly there.
#[derive(Debug)]
pub(super) struct Records<'a> {
    bytes: &'a [u8],
    at: usize,
    torn: Option<Decode>,
}

impl<'a> Records<'a> {
    /// Where the next record would start.
    pub fn at(&self) -> usize {
        self.at
    }

    /// Why the records ended before the file did.
    pub fn torn(self) -> Option<Decode> {
        self.torn
    }

    fn read(&self) -> Result<(usize, Record<'a>), Decode> {
        let mut cursor = Cursor::starting_at(self.bytes, self.at);
        let header: &RecordHeader = cursor.record("record header")?;
        let size = decode_offset(header.size).unwrap_or(0) as usize;
        if size < size_of::<RecordHeader>() {
            let why = "not completely written";
            return Err(Cursor::starting_at(self.bytes, self.at).broken("record size", why));
        }
        cursor.take("record", size - size_of::<RecordHeader>())?;
        let end = self.at + size;
        let body = Cursor::starting_at(&self.bytes[..end], self.at + size_of::<RecordHeader>());
        let record = Record {
            at: self.at,
            kind: header.kind.get() & kind::MASK,
            external: header.kind.get() & kind::EXTERNAL != 0,
            body,
        };
        self.is_whole(&record)?;
        Ok((end, record))
    }

    /// A transaction counts as a whole or not at all.
    fn is_whole(&self, record: &Record<'a>) -> Result<(), Decode> {
        if record.kind != kind::BOUNDARY {
            return Ok(());
        }
        let size = record.body.clone().u32("transaction size")? as usize;
        Cursor::starting_at(self.bytes, record.at).skip("transaction", size)
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        if self.at >= self.bytes.len() || self.torn.is_some() {
            return None;
        }
        match self.read() {
            Ok((end, record)) => {
                self.at = end;
                Some(record)
            }
            Err(torn) => {
                self.torn = Some(torn);
                None
            }
        }
    }
}
