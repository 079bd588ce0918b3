//! Adds a change to a log, as a server does: the index itself stays, and reads the change from there.

use zerocopy::IntoBytes;

use super::files::{INDEX, LOG};
use super::layout::{ExtIntro, RecordHeader, VSIZE_HEADER, encode_offset, kind};
use super::load::{FILE_MOST, load};
use super::log::Log;
use super::write::{number, number_u16};
use crate::disk::Dir;
use crate::error::Result;
use crate::store::BelievedUsage;

/// Bytes of the header's data: u64 bytes, u32 highest UID, u32 messages.
const USAGE_SIZE: usize = 16;

/// Makes the index in `dir` say what its messages add up to. A crash leaves the old log or the new one.
///
/// False where a change would not be read: no log that belongs to an index, or one that ends in damage.
pub fn correct_usage(dir: &Dir, usage: &BelievedUsage) -> Result<bool> {
    let mut sound = true;
    let index = load(dir, INDEX, &mut |_| sound = false)?;
    let Some(index) = index.filter(|_| sound) else {
        return Ok(false);
    };
    let Some(mut bytes) = dir.read_if_there(LOG, FILE_MOST)? else {
        return Ok(false);
    };
    let reset_id = index.extension(VSIZE_HEADER).map_or(0, |ext| ext.reset_id);
    if !ends_well(&bytes) {
        return Ok(false);
    }
    bytes.extend(record(kind::EXT_INTRO, &introduction(reset_id)));
    bytes.extend(record(kind::EXT_HEADER_UPDATE, &update(usage)));
    dir.replace(LOG, &bytes)?;
    Ok(true)
}

fn ends_well(log: &[u8]) -> bool {
    let Ok(log) = Log::read(LOG.into(), log) else {
        return false;
    };
    let mut records = log.records(log.start());
    while records.next().is_some() {}
    records.at() == log.len() && records.holes().count == 0
}

fn record(kind: u32, body: &[u8]) -> Vec<u8> {
    let header = RecordHeader {
        size: encode_offset(number(size_of::<RecordHeader>() + body.len()).get()),
        kind: kind.into(),
    };
    [header.as_bytes(), body].concat()
}

fn introduction(reset_id: u32) -> Vec<u8> {
    let intro = ExtIntro {
        ext_id: u32::MAX.into(),
        reset_id: reset_id.into(),
        hdr_size: number(USAGE_SIZE),
        record_size: 0.into(),
        record_align: 0.into(),
        flags: 0.into(),
        name_size: number_u16(VSIZE_HEADER.len()).into(),
    };
    padded([intro.as_bytes(), VSIZE_HEADER.as_bytes()].concat())
}

fn update(usage: &BelievedUsage) -> Vec<u8> {
    let mut body = Vec::new();
    body.extend(0_u16.to_le_bytes());
    body.extend(number_u16(USAGE_SIZE).to_le_bytes());
    body.extend(usage.virtual_bytes.to_le_bytes());
    body.extend(usage.highest_uid.to_le_bytes());
    body.extend(usage.messages.to_le_bytes());
    padded(body)
}

fn padded(mut body: Vec<u8>) -> Vec<u8> {
    body.resize(body.len().next_multiple_of(4), 0);
    body
}
