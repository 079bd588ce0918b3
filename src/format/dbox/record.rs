//! One message on its way into a dbox file: header, body in its coat, metadata.

use std::io;

use bstr::BString;

use super::{Key, MESSAGE_HEADER, Metadata, message_header};
use crate::digest::{Facts, Measured};
use crate::disk::NewFile;
use crate::error::Result;
use crate::format::compress::Codec;
use crate::format::dovecot_index::seconds;
use crate::format::pour::pour;
use crate::model::Message;
use crate::store::StoreError;

/// A record that was written.
#[derive(Debug)]
pub struct Record {
    /// What the pass over the body told.
    pub facts: Facts,
    /// The stored form at the source was damaged from here on.
    pub damage: Option<io::Error>,
    /// Bytes of the whole record.
    pub len: u64,
    /// The header, where it left the buffer before the size of the body was known: it is still to be
    /// written over the one that did.
    pub header: Option<[u8; MESSAGE_HEADER]>,
}

/// What of a record is known before its body.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    /// All but the body.
    pub message: &'a Message,
    /// The coat that the body gets.
    pub coat: Option<Codec>,
    /// The storage name of the mailbox, where the format keeps that.
    pub first_mailbox: Option<&'a [u8]>,
}

/// Appends a record to `buffer`; whenever that holds a piece, `full` may take it.
pub fn write(
    head: Head<'_>,
    body: &mut Measured<'_>,
    buffer: &mut Vec<u8>,
    full: &mut dyn FnMut(&mut Vec<u8>) -> Result<()>,
) -> Result<Record, StoreError> {
    let begin = buffer.len();
    buffer.extend(message_header(0));
    let mut taken = 0;
    let damage = pour(body, head.coat, buffer, &mut |buffer| {
        let before = buffer.len();
        full(buffer)?;
        taken += (before - buffer.len()) as u64;
        Ok(())
    })?;
    let before_body = (begin + MESSAGE_HEADER) as u64;
    let header = message_header(taken + buffer.len() as u64 - before_body);
    let facts = body.facts();
    metadata(head, &facts).write(buffer);
    if taken == 0 {
        buffer[begin..][..MESSAGE_HEADER].copy_from_slice(&header);
    }
    Ok(Record {
        facts,
        damage,
        len: taken + (buffer.len() - begin) as u64,
        header: (taken > 0).then_some(header),
    })
}

/// Appends to a file what `buffer` holds, and a record behind it, which then begins at `at`.
pub fn write_to(
    file: &mut NewFile,
    at: u64,
    head: Head<'_>,
    body: &mut Measured<'_>,
    buffer: &mut Vec<u8>,
) -> Result<Record, StoreError> {
    let record = write(head, body, buffer, &mut |buffer| {
        file.append(buffer)?;
        buffer.clear();
        Ok(())
    })?;
    file.append(buffer)?;
    if let Some(header) = &record.header {
        file.write_all_at(header, at)?;
    }
    Ok(record)
}

/// The metadata in the order in which Dovecot writes it.
fn metadata(head: Head<'_>, facts: &Facts) -> Metadata {
    let message = head.message;
    let mut lines = Metadata::default();
    let (plain, virtual_size) = match message.sealed {
        Some((plain, sealed)) => (Some(plain), sealed),
        None => (head.coat.map(|_| facts.size), Some(facts.virtual_size)),
    };
    if let Some(plain) = plain {
        lines.push(Key::PlainSize, format!("{plain:x}"));
    }
    let received = seconds(message.received);
    lines.push(Key::Received, format!("{received:x}"));
    if let Some(size) = virtual_size {
        lines.push(Key::VirtualSize, format!("{size:x}"));
    }
    if let Some(uidl) = &message.pop3_uidl {
        lines.push(Key::Pop3Uidl, one_line(uidl));
    }
    if let Some(order) = message.pop3_order {
        lines.push(Key::Pop3Order, order.to_string());
    }
    lines.push(Key::Guid, one_line(&message.guid));
    if let Some(name) = head.first_mailbox {
        lines.push(Key::FirstMailbox, name);
    }
    lines
}

/// A metadata value ends at the line end: it cannot hold one.
fn one_line(value: &BString) -> BString {
    let kept = value.iter().filter(|byte| !matches!(byte, b'\r' | b'\n'));
    kept.copied().collect::<Vec<_>>().into()
}
