//! Reads `dovecot.index`: header, extensions, and the records turned into columns.

use zerocopy::little_endian::U32;
use zerocopy::{FromZeros, IntoBytes};

use super::index::{Extension, Part, Unread};
use super::keywords;
use super::layout::{
    BASE_HEADER_LEAST, BaseHeader, DELETED, ExtHeader, KEYWORDS, LITTLE_ENDIAN, RECORD_FIELDS_AT,
    RECORD_MOST, SEEN,
};
use super::refused;
use crate::bytes::{Cursor, Decode};
use crate::report::counted;

/// Extensions at most; Dovecot and its plugins know about twenty.
pub(super) const EXTENSIONS_MOST: usize = 256;

/// Fields of the file, as they are called where they are damaged.
const RECORDS: &str = "records";
const COUNTS: [&str; 2] = ["seen messages", "deleted messages"];

/// What could not be read there.
pub(super) fn unread(broken: &Decode) -> Unread {
    let part = match broken.field {
        RECORDS => Part::Records,
        field if COUNTS.contains(&field) => Part::Counts,
        _ => Part::Header,
    };
    let why = broken.to_string();
    Unread { why, part }
}

/// An index while it is read and replayed.
#[derive(Debug, Clone)]
pub(super) struct Map {
    /// What is not in columns.
    pub header: BaseHeader,
    /// One a message, ascending.
    pub uids: Vec<u32>,
    /// One a message.
    pub flags: Vec<u8>,
    /// In the order of their ids.
    pub extensions: Vec<Extension>,
    /// What could not be read of it.
    pub unread: Vec<Unread>,
    /// The log ends in a half record.
    pub is_torn: bool,
    /// So many records are left out, or are not there.
    pub left_out: usize,
    /// What a server takes for damage, and costs nothing here.
    pub refused: Vec<Decode>,
}

impl Map {
    /// The mailbox before its first message.
    pub fn empty(indexid: u32) -> Self {
        let mut header = BaseHeader::new_zeroed();
        header.indexid = indexid.into();
        header.next_uid = 1.into();
        header.first_recent_uid = 1.into();
        Self {
            header,
            uids: Vec::new(),
            flags: Vec::new(),
            extensions: Vec::new(),
            unread: Vec::new(),
            is_torn: false,
            left_out: 0,
            refused: Vec::new(),
        }
    }

    /// Which log goes on from it, and where.
    pub fn log_place(&self) -> (u32, usize) {
        let offset = self.header.log_file_head_offset.get() as usize;
        (self.header.log_file_seq.get(), offset)
    }

    /// Bytes of all extension fields of one message.
    pub fn width(&self) -> usize {
        let sizes = self.extensions.iter().map(|ext| ext.record_size);
        sizes.map(usize::from).sum()
    }
}

/// Reads a whole file. What is wrong but leaves something to use goes to `complain`.
pub(super) fn read(bytes: &[u8], complain: &mut dyn FnMut(Decode)) -> Result<Map, Decode> {
    let mut is_whole = true;
    let mut map = read_behind(read_header(bytes)?, bytes, &mut |broken| {
        is_whole = false;
        complain(broken);
    })?;
    if is_whole {
        compare_counts(&map, complain);
    }
    refused::judge(&mut map);
    Ok(map)
}

/// Reads what is behind the base header, by this one.
pub(super) fn read_behind(
    header: BaseHeader,
    bytes: &[u8],
    complain: &mut dyn FnMut(Decode),
) -> Result<Map, Decode> {
    let mut map = Map::empty(0);
    map.header = header;
    let fields = read_extensions(bytes, &mut map, complain);
    read_records(bytes, &mut map, &fields, complain)?;
    refused::call_right(&mut map);
    forget_nameless_keywords(&mut map, complain);
    straighten(&mut map, complain);
    Ok(map)
}

/// A keyword that a message has and nobody names: its name is damaged. A log must not give it another one.
fn forget_nameless_keywords(map: &mut Map, complain: &mut dyn FnMut(Decode)) {
    let mut all = map.extensions.iter_mut();
    let Some(extension) = all.find(|extension| extension.name == KEYWORDS) else {
        return;
    };
    let names = keywords::names_in(&extension.header).len();
    let messages = extension.keep_bits_below(names);
    if messages > 0 {
        complain(Decode {
            at: map.header.base_header_size.get().into(),
            field: "keyword names",
            why: format!(
                "keywords of {} have no name",
                counted(messages as u64, "message")
            ),
        });
    }
}

fn read_header(bytes: &[u8]) -> Result<BaseHeader, Decode> {
    let mut cursor = Cursor::new(bytes);
    let version = cursor.take("version", 2)?;
    if version[0] != 7 {
        let why = format!("{} is not known, only 7 is", version[0]);
        return Err(Cursor::new(bytes).broken("major version", why));
    }
    let compat = Cursor::starting_at(bytes, 12).take("compat flags", 1)?[0];
    if compat & LITTLE_ENDIAN == 0 {
        let why = "the file was written by a big-endian machine; only little-endian ones are read";
        return Err(Cursor::starting_at(bytes, 12).broken("compat flags", why));
    }
    let size = usize::from(cursor.u16("base header size")?);
    if size < BASE_HEADER_LEAST {
        let why = format!("{size} bytes are too few");
        return Err(cursor.broken("base header size", why));
    }
    let mut header = BaseHeader::new_zeroed();
    let known = size.min(size_of::<BaseHeader>());
    let there = Cursor::new(bytes).take("base header", known)?;
    header.as_mut_bytes()[..known].copy_from_slice(there);
    if size > header.header_size.get() as usize {
        let why = format!("{size} bytes are more than the whole header has");
        return Err(Cursor::starting_at(bytes, 2).broken("base header size", why));
    }
    Ok(header)
}

/// Where in a record the field of each extension is; `None` = nowhere that could be read.
type Fields = Vec<Option<usize>>;

fn read_extensions(bytes: &[u8], map: &mut Map, complain: &mut dyn FnMut(Decode)) -> Fields {
    let header_size = (map.header.header_size.get() as usize).min(bytes.len());
    let start = usize::from(map.header.base_header_size.get()).next_multiple_of(8);
    let mut cursor = Cursor::starting_at(&bytes[..header_size], start);
    let mut fields = Vec::new();
    while !cursor.is_empty() {
        match read_extension(&mut cursor, map, &fields, complain) {
            Ok(field) => fields.push(field),
            Err(broken) => {
                complain(broken);
                break;
            }
        }
    }
    fields
}

fn read_extension(
    cursor: &mut Cursor<'_>,
    map: &mut Map,
    before: &Fields,
    complain: &mut dyn FnMut(Decode),
) -> Result<Option<usize>, Decode> {
    if map.extensions.len() >= EXTENSIONS_MOST {
        return Err(cursor.broken("extension header", "too many extensions"));
    }
    let mut extension = Extension::default();
    let header: &ExtHeader = cursor.record("extension header")?;
    let name = cursor.take("extension name", header.name_size.get().into())?;
    extension.name = extension_name(name)
        .ok_or_else(|| cursor.broken("extension name", "is not printable ASCII"))?;
    cursor.align("extension name", 8)?;
    let data = cursor.take("extension data", header.hdr_size.get() as usize)?;
    extension.header = data.to_vec();
    // The last padding may be missing, as only the server's own reader would miss it.
    if cursor.align("extension data", 8).is_err() {
        let rest = cursor.rest().len();
        cursor.skip("extension data", rest)?;
    }
    extension.reset_id = header.reset_id.get();
    extension.record_align = header.record_align.get();
    if extension.name == KEYWORDS
        && let Some(fault) = keywords::fault_in(&extension.header)
    {
        complain(cursor.broken(fault.field, fault.why));
    }
    if extension.name == KEYWORDS && data.last().is_some_and(|last| *last != 0) {
        let why = "do not end with a NUL";
        map.refused.push(cursor.broken("keyword names", why));
    }
    if map.extensions.iter().any(|ext| ext.name == extension.name) {
        complain(cursor.broken("extension name", "stands there twice"));
    }
    if let Some(why) = refused::name(name) {
        map.refused.push(cursor.broken("extension name", why));
    }
    if let Some(why) = refused::extension(header, map.header.record_size.get()) {
        map.refused.push(cursor.broken("extension field", why));
    }
    let field = field_of(header, map, before)
        .map_err(|why| complain(cursor.broken("extension field", why)));
    if field.is_ok() {
        extension.record_size = header.record_size.get();
    }
    map.extensions.push(extension);
    Ok(field.ok())
}

/// A name as in the file, if it can be one.
pub(super) fn extension_name(name: &[u8]) -> Option<String> {
    let printable = name.iter().all(|byte| (0x20..0x7f).contains(byte));
    (printable && (1..=255).contains(&name.len())).then(|| String::from_utf8_lossy(name).into())
}

/// Where the field is, checked; fields together are never more than the record.
fn field_of(header: &ExtHeader, map: &Map, before: &Fields) -> Result<usize, &'static str> {
    let record = map.header.record_size.get() as usize;
    let at = usize::from(header.record_offset.get());
    let size = usize::from(header.record_size.get());
    if size == 0 {
        return Ok(0);
    }
    if at < RECORD_FIELDS_AT || at + size > record || record >= RECORD_MOST {
        return Err("is not inside the record");
    }
    let overlaps = |(other, there): (&Option<usize>, &Extension)| {
        let end = |from: usize| from + usize::from(there.record_size);
        other.is_some_and(|from| at < end(from) && from < at + size)
    };
    if { before.iter().zip(&map.extensions) }.any(overlaps) || map.width() + size > record {
        return Err("overlaps another one");
    }
    Ok(at)
}

fn read_records(
    bytes: &[u8],
    map: &mut Map,
    fields: &Fields,
    complain: &mut dyn FnMut(Decode),
) -> Result<(), Decode> {
    let size = map.header.record_size.get() as usize;
    let mut cursor = Cursor::new(bytes);
    cursor.skip("header", map.header.header_size.get() as usize)?;
    if !(RECORD_FIELDS_AT..RECORD_MOST).contains(&size) {
        return Err(cursor.broken("record size", format!("cannot be {size}")));
    }
    let claimed = map.header.messages_count.get() as usize;
    let count = claimed.min(cursor.rest().len() / size);
    if count < claimed {
        map.left_out += claimed - count;
        let why = format!("{claimed} told, {count} here");
        complain(cursor.broken(RECORDS, why));
    }
    let records = cursor.take("records", count * size)?;
    let over = cursor.rest().len() / size;
    if over > 0 {
        map.left_out += over;
        let why = format!("{claimed} told, {over} more left out");
        complain(cursor.broken(RECORDS, why));
    }
    let left_out = fill_columns(records.chunks_exact(size), map, fields);
    if left_out > 0 {
        map.left_out += left_out;
        let why = format!("UIDs of {left_out} do not ascend or are above next_uid: left out");
        complain(cursor.broken(RECORDS, why));
    }
    Ok(())
}

/// Servers keep these counts exact: where they are not, flags of some message are damaged.
fn compare_counts(map: &Map, complain: &mut dyn FnMut(Decode)) {
    let header = &map.header;
    for (bit, told, at, field) in [
        (SEEN, header.seen_messages_count, 40, COUNTS[0]),
        (DELETED, header.deleted_messages_count, 44, COUNTS[1]),
    ] {
        let real = map.flags.iter().filter(|flags| **flags & bit != 0).count();
        if told.get() as usize != real {
            let why = format!("{told} told, {real} here");
            complain(Decode { at, field, why });
        }
    }
}

/// How many records are left out.
fn fill_columns<'a>(
    records: impl ExactSizeIterator<Item = &'a [u8]> + Clone,
    map: &mut Map,
    fields: &Fields,
) -> usize {
    let (count, mut last, mut left_out) = (records.len(), 0, 0);
    let below = believed_next_uid(records.clone(), map.header.next_uid.get());
    map.uids.reserve_exact(count);
    map.flags.reserve_exact(count);
    for extension in &mut map.extensions {
        let size = count * usize::from(extension.record_size);
        extension.column.reserve_exact(size);
    }
    for record in records {
        let uid = uid_of(record);
        if uid <= last || uid >= below {
            left_out += 1;
            continue;
        }
        last = uid;
        map.uids.push(uid);
        map.flags.push(record[4]);
        for (extension, field) in map.extensions.iter_mut().zip(fields) {
            let at = field.unwrap_or(0);
            let field = &record[at..at + usize::from(extension.record_size)];
            extension.column.extend_from_slice(field);
        }
    }
    left_out
}

fn uid_of(record: &[u8]) -> u32 {
    u32::from_le_bytes([record[0], record[1], record[2], record[3]])
}

/// UIDs from here on are garbage: the header says so, and most records agree with it.
fn believed_next_uid<'a>(records: impl ExactSizeIterator<Item = &'a [u8]>, next_uid: u32) -> u32 {
    let count = records.len();
    let agreeing = records.filter(|record| uid_of(record) < next_uid).count();
    if agreeing * 2 >= count && next_uid > 1 {
        next_uid
    } else {
        u32::MAX
    }
}

/// Header numbers that contradict the records are put right.
fn straighten(map: &mut Map, complain: &mut dyn FnMut(Decode)) {
    let above = map.uids.last().map_or(1, |uid| uid.saturating_add(1));
    if map.header.next_uid.get() < above {
        complain(Decode {
            at: 28,
            field: "next_uid",
            why: format!("{} is not above every UID", map.header.next_uid),
        });
        map.header.next_uid = U32::new(above);
    }
}
