//! Writes a `dovecot.index.cache` of fields that are four bytes each.

use zerocopy::little_endian::U32;
use zerocopy::{FromZeros, IntoBytes};

use super::layout::{CACHE_MOST, CacheHeader, CacheRecord, FieldHeader, encode_offset};
use super::write::number;

/// The decision that keeps a field: yes.
const KEEP: u8 = 2;

/// A field of four bytes.
#[derive(Debug, Clone, Copy)]
pub struct FixedField {
    /// As Dovecot knows it, such as `date.save`.
    pub name: &'static str,
    /// When it was last asked for. Dovecot forgets fields that nobody asks for in two months;
    /// `0xffff_fffe` keeps one for good.
    pub last_used: u32,
}

/// A cache that is being written, one record a message.
#[derive(Debug)]
pub struct CacheWriter {
    fields: u32,
    records: u32,
    bytes: Vec<u8>,
}

impl CacheWriter {
    /// Begins a cache. `file_seq`, not zero, is the `reset_id` of the index's extension `cache`.
    pub fn new(indexid: u32, file_seq: u32, fields: &[FixedField]) -> Self {
        let mut header = CacheHeader::new_zeroed();
        header.major_version = 1;
        header.sizeof_uoff_t = 8;
        header.minor_version = 1;
        header.indexid = indexid.into();
        header.file_seq = file_seq.into();
        header.field_header_offset = encode_offset(number(size_of::<CacheHeader>()).get());
        let mut bytes = header.as_bytes().to_vec();
        bytes.extend_from_slice(&field_header(fields));
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        Self {
            fields: number(fields.len()).get(),
            records: 0,
            bytes,
        }
    }

    /// Adds a message, one value a field; returns what its index field `cache` is to be.
    ///
    /// That is 0, for "nothing in the cache", once the file is as large as a cache can be.
    pub fn push(&mut self, values: &[u32]) -> u32 {
        debug_assert!(
            values.len() == self.fields as usize,
            "BUG: one value a field"
        );
        let size = size_of::<CacheRecord>() + 8 * values.len();
        let at = self.bytes.len();
        if (at + size) as u64 >= CACHE_MOST {
            return 0;
        }
        let record = CacheRecord {
            prev_offset: 0.into(),
            size: number(size),
        };
        self.bytes.extend_from_slice(record.as_bytes());
        for (field, value) in (0..self.fields).zip(values) {
            self.bytes.extend_from_slice(&field.to_le_bytes());
            self.bytes.extend_from_slice(&value.to_le_bytes());
        }
        self.records += 1;
        number(at).get()
    }

    /// The whole file.
    pub fn into_bytes(mut self) -> Vec<u8> {
        let size = number(self.bytes.len());
        // Record count at +16, used size at +20.
        self.bytes[16..20].copy_from_slice(&self.records.to_le_bytes());
        self.bytes[20..24].copy_from_slice(size.as_bytes());
        self.bytes
    }
}

fn field_header(fields: &[FixedField]) -> Vec<u8> {
    let mut bytes = FieldHeader::new_zeroed().as_bytes().to_vec();
    let count = fields.len();
    for field in fields {
        bytes.extend_from_slice(&field.last_used.to_le_bytes());
    }
    for _ in fields {
        bytes.extend_from_slice(&4_u32.to_le_bytes());
    }
    // Types, all zero for fixed, then decisions.
    bytes.resize(bytes.len() + count, 0);
    bytes.resize(bytes.len() + count, KEEP);
    for field in fields {
        bytes.extend_from_slice(field.name.as_bytes());
        bytes.push(0);
    }
    let header = FieldHeader {
        next_offset: [0; 4],
        size: U32::new(number(bytes.len()).get()),
        fields_count: number(count),
    };
    bytes[..size_of::<FieldHeader>()].copy_from_slice(header.as_bytes());
    bytes
}
