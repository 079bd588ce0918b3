//! Which index, log and cache are of one making.

use zerocopy::FromBytes;

use super::layout::BaseHeader;
use super::log::Log;
use crate::disk::Dir;

/// What ties the files of an index together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Generation {
    /// In index, log and cache.
    pub indexid: u32,
    /// The number of the log.
    pub log_file_seq: u32,
}

impl Generation {
    /// Of a new index, where none was.
    pub fn first(now: u32) -> Self {
        Self {
            indexid: now,
            log_file_seq: 2,
        }
    }

    /// One that none of the files at hand has, so that no server takes an old file for one of it. Where there is
    /// no directory, there is none.
    pub fn after(dir: Option<&Dir>, base: &str, now: u32) -> Self {
        let Some(dir) = dir else {
            return Self::first(now);
        };
        let (mut ids, mut seqs) = (vec![], vec![1]);
        for suffix in ["", ".backup"] {
            let bytes = first_bytes(dir, &format!("{base}{suffix}")).unwrap_or_default();
            if let Ok((header, _)) = BaseHeader::read_from_prefix(&bytes) {
                ids.push(header.indexid.get());
                seqs.push(header.log_file_seq.get());
            }
        }
        for suffix in [".log", ".log.2"] {
            let name = format!("{base}{suffix}");
            let bytes = first_bytes(dir, &name).unwrap_or_default();
            if let Ok(log) = Log::read(name, &bytes) {
                ids.push(log.header.indexid.get());
                seqs.push(log.seq());
            }
        }
        let mut this = Self::first(now);
        while ids.contains(&this.indexid) {
            this.indexid = this.indexid.wrapping_add(1).max(1);
        }
        // A damaged header may say anything.
        let sane = seqs.into_iter().filter(|seq| *seq < u32::MAX / 2);
        this.log_file_seq = sane.max().unwrap_or(1) + 1;
        this
    }
}

fn first_bytes(dir: &Dir, name: &str) -> Option<Vec<u8>> {
    let mut bytes = vec![0; size_of::<BaseHeader>()];
    let read = dir.file(name).ok()?.read_at(0, &mut bytes).ok()?;
    bytes.truncate(read);
    Some(bytes)
}
