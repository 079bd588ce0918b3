//! Reads `dovecot.index.log`: its header, the frames of its records, and what they count.

use zerocopy::{FromZeros, IntoBytes};

use super::layout::{
    Append, AtomicInc, CLIENT_FLAGS, ExtIntro, FlagUpdate, LITTLE_ENDIAN, LOG_HEADER_LEAST,
    LogHeader, MODSEQ, ModseqUpdate, RecordHeader, UidRange, decode_offset, kind,
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
            holes: Holes::default(),
        }
    }

    /// True where a record begins or ends there.
    pub fn has_edge(&self, at: usize) -> bool {
        let mut records = self.records(self.start());
        while records.at() < at && records.next().is_some() {}
        records.at() == at
    }

    /// The mailbox's highest modseq at the end of this log, at least 1. It is not lower for what cannot be
    /// read: no client must miss a change.
    pub fn highest_modseq(&self) -> u64 {
        let mut highest = self.header.initial_modseq.get();
        let mut records = self.records(self.start());
        for record in records.by_ref() {
            highest = match record.kind {
                kind::EXT_INTRO if highest == 0 => u64::from(introduces_modseq(&record)),
                kind::MODSEQ_UPDATE => highest.max(modseq_of(&record)),
                _ if highest > 0 && self.counts(&record) => highest.saturating_add(1),
                _ => highest,
            };
        }
        let most = (records.holes().bytes / SHORTEST_CHANGE) as u64;
        highest.max(1).saturating_add(most)
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
    UidRange: "uid ranges",
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

/// Bytes of a log that are no records.
#[derive(Debug)]
pub(super) struct Hole {
    /// Where they begin.
    pub from: usize,
    /// Where the next record begins, or the end of the file.
    pub to: usize,
    /// What was expected there.
    pub why: Decode,
    /// A record that was being written when the server stopped: it never counted.
    pub is_half_record: bool,
}

/// All of them. A hostile log can have any number, so only the first is kept.
#[derive(Debug, Default)]
pub(super) struct Holes {
    /// The first.
    pub first: Option<Hole>,
    /// How many there are.
    pub count: usize,
    /// Bytes that counted once.
    bytes: usize,
}

impl Holes {
    fn add(&mut self, hole: Hole) {
        self.count += 1;
        if !hole.is_half_record {
            self.bytes += hole.to - hole.from;
        }
        self.first.get_or_insert(hole);
    }
}

/// Records that follow each other; so many are no accident.
const CHAIN: usize = 3;
/// Several records that count together.
const TRANSACTION: &str = "transaction";
/// A record with one change that counts for modseqs.
const SHORTEST_CHANGE: usize = size_of::<RecordHeader>() + size_of::<UidRange>();

/// The records of a log, up to its end. Behind damage it goes on with the next that hold up.
#[derive(Debug)]
pub(super) struct Records<'a> {
    bytes: &'a [u8],
    at: usize,
    holes: Holes,
}

impl<'a> Records<'a> {
    /// Where the next record would start.
    pub fn at(&self) -> usize {
        self.at
    }

    /// How often something was passed over so far.
    pub fn holes_so_far(&self) -> usize {
        self.holes.count
    }

    /// What was passed over.
    pub fn holes(self) -> Holes {
        self.holes
    }

    fn read(&self, at: usize) -> Result<(usize, Record<'a>), Decode> {
        let mut cursor = Cursor::starting_at(self.bytes, at);
        let header: &RecordHeader = cursor.record("record header")?;
        let size = decode_offset(header.size).unwrap_or(0) as usize;
        if size < size_of::<RecordHeader>() {
            let why = "not completely written";
            return Err(Cursor::starting_at(self.bytes, at).broken("record size", why));
        }
        if header.kind.get() & kind::MASK == 0 {
            return Err(Cursor::starting_at(self.bytes, at).broken("record kind", "is none"));
        }
        cursor.take("record", size - size_of::<RecordHeader>())?;
        let end = at + size;
        let body = Cursor::starting_at(&self.bytes[..end], at + size_of::<RecordHeader>());
        let record = Record {
            at,
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
        let mut body = record.body.clone();
        let size = body.u32("transaction size")? as usize;
        if !body.is_empty() {
            return Err(body.broken("transaction size", "has bytes behind it"));
        }
        Cursor::starting_at(self.bytes, record.at).skip(TRANSACTION, size)
    }

    /// Passes over what is no record.
    fn pass_over(&mut self, why: Decode) {
        let from = self.at;
        let next = match why.field {
            // Its parts are records, and are not to be applied.
            TRANSACTION => None,
            _ => self.next_that_holds_up(from),
        };
        self.at = next.unwrap_or(self.bytes.len());
        self.holes.add(Hole {
            from,
            to: self.at,
            is_half_record: next.is_none() && self.is_half_record(from, &why),
            why,
        });
    }

    /// A server writes the size last, and a file may end before the record does.
    fn is_half_record(&self, at: usize, why: &Decode) -> bool {
        let mut cursor = Cursor::starting_at(self.bytes, at);
        let Ok(header) = cursor.record::<RecordHeader>("record header") else {
            return self.bytes[at..].iter().any(|byte| *byte != 0);
        };
        let is_sized = header.size == [0; 4] || decode_offset(header.size).is_some();
        let is_known = kind::is_known(header.kind.get() & kind::MASK);
        why.field == TRANSACTION || (is_known && is_sized)
    }

    fn next_that_holds_up(&self, from: usize) -> Option<usize> {
        let places = (from + 1).next_multiple_of(4)..self.bytes.len();
        { places.step_by(4) }.find(|at| self.holds_up(*at))
    }

    /// True where a record begins, others behind it up to the end or as many as are no accident.
    fn holds_up(&self, at: usize) -> bool {
        let size = self.bytes.get(at..).and_then(<[u8]>::first_chunk);
        if size.is_none_or(|size| decode_offset(*size).is_none()) {
            return false; // most places are none, and a reason for each would take its time
        }
        let mut at = at;
        for _ in 0..CHAIN {
            match self.read(at) {
                Ok((end, record)) if kind::is_known(record.kind) => at = end,
                _ => return false,
            }
            if at == self.bytes.len() {
                return true;
            }
        }
        true
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        while self.at < self.bytes.len() {
            match self.read(self.at) {
                Ok((end, record)) => {
                    self.at = end;
                    return Some(record);
                }
                Err(why) => self.pass_over(why),
            }
        }
        None
    }
}
