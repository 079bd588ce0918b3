//! Writes a whole `dovecot.index`, and a `dovecot.index.log` that is nothing but its header.

use std::convert::Infallible;
use std::io::{self, Write};

use zerocopy::little_endian::U32;
use zerocopy::{FromZeros, IntoBytes};

use super::index::Extension;
use super::layout::{
    BaseHeader, DELETED, ExtHeader, LITTLE_ENDIAN, LogHeader, RECORD_FIELDS_AT, SEEN,
};

/// Seconds of a day.
const DAY: u32 = 24 * 60 * 60;
/// A record's flag: it is newer than the name of its file. And what the header says of such.
const DIRTY: u8 = 0x80;
const HAVE_DIRTY: u32 = 2;
/// A record is a multiple of this.
const RECORD_ALIGN: usize = 4;

/// What an index says before its messages.
#[derive(Debug, Clone, Copy)]
pub struct Head {
    /// The clock.
    pub now: u32,
    /// Ties index, log and cache together: not zero, and none that was used here before.
    pub indexid: u32,
    /// Not zero.
    pub uid_validity: u32,
    /// Above every UID.
    pub next_uid: u32,
    /// This UID and later ones are recent; `next_uid` = none is.
    pub first_recent_uid: u32,
    /// The number of the log, at least 1.
    pub log_file_seq: u32,
    /// The mailbox's highest modseq, at least 1.
    pub initial_modseq: u64,
}

/// An extension of an index that is being written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExtId(usize);

/// What is to be in an index. Messages come in ascending UID order.
#[derive(Debug)]
pub struct IndexWriter {
    head: Head,
    is_map: bool,
    uids: Vec<u32>,
    flags: Vec<u8>,
    extensions: Vec<Extension>,
}

impl IndexWriter {
    /// Begins the index of a mailbox.
    pub fn new(head: Head) -> Self {
        Self {
            head,
            is_map: false,
            uids: Vec::new(),
            flags: Vec::new(),
            extensions: Vec::new(),
        }
    }

    /// Begins the map of an mdbox, which keeps no days.
    pub fn for_map(head: Head) -> Self {
        Self {
            is_map: true,
            ..Self::new(head)
        }
    }

    /// Adds an extension, before the first message; the order is that on disk.
    ///
    /// `record_align` is 1, 2, 4 or 8, or 0 where `record_size` is 0.
    pub fn extension(
        &mut self,
        name: &str,
        reset_id: u32,
        header: Vec<u8>,
        record_size: u16,
        record_align: u16,
    ) -> ExtId {
        debug_assert!(self.uids.is_empty(), "BUG: extensions come before messages");
        self.extensions.push(Extension {
            name: name.to_owned(),
            reset_id,
            header,
            record_size,
            record_align,
            column: vec![0; self.uids.len() * usize::from(record_size)],
        });
        ExtId(self.extensions.len() - 1)
    }

    /// Adds a message with zeroed fields; returns its position.
    pub fn push(&mut self, uid: u32, flags: u8) -> usize {
        debug_assert!(
            self.uids.last().is_none_or(|last| *last < uid),
            "BUG: UIDs ascend"
        );
        self.uids.push(uid);
        self.flags.push(flags);
        self.extensions.iter_mut().for_each(Extension::grow);
        self.uids.len() - 1
    }

    /// Puts bytes at the start of a message's field; what does not fit is left out.
    pub fn set(&mut self, nth: usize, ext: ExtId, bytes: &[u8]) {
        if let Some(extension) = self.extensions.get_mut(ext.0) {
            let field = extension.record_mut(nth);
            let size = bytes.len().min(field.len());
            field[..size].copy_from_slice(&bytes[..size]);
        }
    }

    /// Gives an extension other header data, of any size.
    pub fn set_header(&mut self, ext: ExtId, bytes: Vec<u8>) {
        if let Some(extension) = self.extensions.get_mut(ext.0) {
            extension.header = bytes;
        }
    }

    /// What is above every UID, where that is known only at the end.
    pub fn set_next_uid(&mut self, next_uid: u32) {
        self.head.next_uid = next_uid;
    }

    /// Messages so far.
    pub fn len(&self) -> usize {
        self.uids.len()
    }

    /// True without messages.
    pub fn is_empty(&self) -> bool {
        self.uids.is_empty()
    }

    /// The whole `dovecot.index`.
    pub fn index_bytes(&self) -> Vec<u8> {
        let layout = self.layout();
        let extensions = self.extension_headers(&layout);
        let header_size = size_of::<BaseHeader>() + extensions.len();
        let size = header_size + layout.record_size * self.uids.len();
        let mut bytes = Vec::with_capacity(size);
        let Ok(()) = self.each_part(&layout, &extensions, |part| {
            bytes.extend_from_slice(part);
            Ok::<(), Infallible>(())
        });
        bytes
    }

    /// The same into `out`, record by record: for an index that is not to be in memory twice.
    pub fn write_index(&self, out: &mut dyn Write) -> io::Result<()> {
        let layout = self.layout();
        let extensions = self.extension_headers(&layout);
        self.each_part(&layout, &extensions, |part| out.write_all(part))
    }

    /// The whole `dovecot.index.log`: a header, as all is in the index.
    pub fn log_bytes(&self) -> Vec<u8> {
        let mut log = LogHeader::new_zeroed();
        log.major_version = 1;
        log.minor_version = 3;
        log.hdr_size = number_u16(size_of::<LogHeader>()).into();
        log.indexid = self.head.indexid.into();
        log.file_seq = self.head.log_file_seq.into();
        // Not zero: that would say that the mailbox starts empty here, and the index be dropped.
        log.prev_file_seq = 1.into();
        log.prev_file_offset = number(size_of::<LogHeader>());
        log.create_stamp = self.head.now.into();
        log.initial_modseq = self.head.initial_modseq.max(1).into();
        log.compat_flags = LITTLE_ENDIAN;
        log.as_bytes().to_vec()
    }

    fn each_part<E>(
        &self,
        layout: &Layout,
        extensions: &[u8],
        mut put: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let header = self.base_header(layout, size_of::<BaseHeader>() + extensions.len());
        put(header.as_bytes())?;
        put(extensions)?;
        let mut record = vec![0; layout.record_size];
        for (nth, (uid, flags)) in self.uids.iter().zip(&self.flags).enumerate() {
            record[..4].copy_from_slice(&uid.to_le_bytes());
            record[4] = *flags;
            for (extension, at) in self.extensions.iter().zip(&layout.fields) {
                let field = extension.record(nth);
                record[*at..at + field.len()].copy_from_slice(field);
            }
            put(&record)?;
        }
        Ok(())
    }

    fn base_header(&self, layout: &Layout, header_size: usize) -> BaseHeader {
        let head = &self.head;
        let mut header = BaseHeader::new_zeroed();
        header.major_version = 7;
        header.minor_version = 3;
        header.base_header_size = number_u16(size_of::<BaseHeader>()).into();
        header.header_size = number(header_size);
        header.record_size = number(layout.record_size);
        header.compat_flags = LITTLE_ENDIAN;
        if self.with(DIRTY).next().is_some() {
            header.flags = HAVE_DIRTY.into();
        }
        header.indexid = head.indexid.into();
        header.uid_validity = head.uid_validity.into();
        header.next_uid = head.next_uid.into();
        header.messages_count = number(self.uids.len());
        header.seen_messages_count = number(self.with(SEEN).count());
        header.deleted_messages_count = number(self.with(DELETED).count());
        header.first_recent_uid = head.first_recent_uid.into();
        let first_unseen = self.without(SEEN).next().unwrap_or(head.next_uid);
        header.first_unseen_uid_lowwater = first_unseen.into();
        let first_deleted = self.with(DELETED).next().unwrap_or(head.next_uid);
        header.first_deleted_uid_lowwater = first_deleted.into();
        header.log_file_seq = head.log_file_seq.into();
        header.log_file_tail_offset = number(size_of::<LogHeader>());
        header.log_file_head_offset = number(size_of::<LogHeader>());
        header.log2_rotate_time = u32::MAX.into();
        if !self.is_map {
            header.last_temp_file_scan = head.now.into();
            header.day_stamp = (head.now - head.now % DAY).into();
            header.day_first_uid[0] = self.uids.first().copied().unwrap_or(0).into();
        }
        header
    }

    /// UIDs of the messages that have a flag.
    fn with(&self, flag: u8) -> impl Iterator<Item = u32> {
        let all = self.uids.iter().zip(&self.flags);
        all.filter(move |(_, flags)| **flags & flag != 0)
            .map(|(uid, _)| *uid)
    }

    /// UIDs of the messages that do not have a flag.
    fn without(&self, flag: u8) -> impl Iterator<Item = u32> {
        let all = self.uids.iter().zip(&self.flags);
        all.filter(move |(_, flags)| **flags & flag == 0)
            .map(|(uid, _)| *uid)
    }

    fn extension_headers(&self, layout: &Layout) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (extension, at) in self.extensions.iter().zip(&layout.fields) {
            let has_field = extension.record_size > 0;
            let header = ExtHeader {
                hdr_size: number(extension.header.len()),
                reset_id: extension.reset_id.into(),
                record_offset: if has_field { number_u16(*at) } else { 0 }.into(),
                record_size: extension.record_size.into(),
                record_align: extension.record_align.into(),
                name_size: number_u16(extension.name.len()).into(),
            };
            bytes.extend_from_slice(header.as_bytes());
            bytes.extend_from_slice(extension.name.as_bytes());
            bytes.resize(bytes.len().next_multiple_of(8), 0);
            bytes.extend_from_slice(&extension.header);
            bytes.resize(bytes.len().next_multiple_of(8), 0);
        }
        bytes
    }

    fn layout(&self) -> Layout {
        let sizes = self.extensions.iter().map(|ext| {
            let align = usize::from(ext.record_align.max(1));
            (usize::from(ext.record_size), align)
        });
        Layout::of(&sizes.collect::<Vec<_>>())
    }
}

/// Where the fields of a record are.
#[derive(Debug)]
struct Layout {
    fields: Vec<usize>,
    record_size: usize,
}

impl Layout {
    /// Places fields of (size, align) as Dovecot does: at each offset the one with the largest align
    /// that fits there; where none does, space is left.
    fn of(sizes: &[(usize, usize)]) -> Self {
        let mut fields = vec![0; sizes.len()];
        let mut left: Vec<usize> = (0..sizes.len()).filter(|nth| sizes[*nth].0 > 0).collect();
        // A stable order: of the same align, the first declared comes first.
        left.sort_by_key(|nth| std::cmp::Reverse(sizes[*nth].1));
        let largest = left.first().map_or(1, |nth| sizes[*nth].1);
        let mut offset = RECORD_FIELDS_AT;
        while let Some(smallest) = left.last().map(|nth| sizes[*nth].1) {
            let fits = left
                .iter()
                .position(|nth| offset.is_multiple_of(sizes[*nth].1));
            match fits {
                Some(place) => {
                    let nth = left.remove(place);
                    fields[nth] = offset;
                    offset += sizes[nth].0;
                }
                None => offset = offset.next_multiple_of(smallest),
            }
        }
        Self {
            fields,
            record_size: offset.next_multiple_of(largest.max(RECORD_ALIGN)),
        }
    }
}

/// Sizes and counts of an index are far below what these hold.
pub(super) fn number(number: usize) -> U32 {
    u32::try_from(number).unwrap_or(u32::MAX).into()
}

pub(super) fn number_u16(number: usize) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}
