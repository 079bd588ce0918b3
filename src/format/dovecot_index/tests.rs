//! Golden files both ways, real stores, damage, and round trips.

mod damage;
mod damaged;
mod golden;
mod holes;
mod replay;
mod round_trip;
mod salvage;
mod samples;
mod vectors;

use std::path::Path;
use std::sync::Arc;

use super::index::Index;
use super::layout::encode_offset;
use super::load::Files;
use super::{Head, IndexWriter};
use crate::disk::{Dir, Real};
use crate::report::Finding;

/// An index from bytes, and the codes of what was found.
fn assemble(index: Option<&[u8]>, logs: [Option<&[u8]>; 2]) -> (Option<Index>, Vec<String>) {
    let mut files = Files::named("dovecot.index");
    files.index.bytes = index.map(<[u8]>::to_vec);
    files.index.seen = index.is_some();
    files.log_2.bytes = logs[0].map(<[u8]>::to_vec);
    files.log.bytes = logs[1].map(<[u8]>::to_vec);
    let mut found = Vec::new();
    let index = files.assemble(&mut |finding: Finding| found.push(finding.rule.code.to_owned()));
    (index, found)
}

fn open(path: &Path) -> Dir {
    Dir::open(path, Arc::new(Real)).expect("a directory of the test")
}

/// Index 7, written with this log: messages with UIDs from 1 on, and these flags.
fn index_in_log(log_file_seq: u32, flags: &[u8]) -> Vec<u8> {
    let next = u32::try_from(flags.len()).expect("small") + 1;
    let mut index = IndexWriter::new(Head {
        now: 7,
        indexid: 7,
        uid_validity: 9,
        next_uid: next,
        first_recent_uid: next,
        log_file_seq,
        initial_modseq: 1,
    });
    for (uid, flags) in (1..).zip(flags) {
        index.push(uid, *flags);
    }
    index.index_bytes()
}

/// A log with a header and the records given.
fn log(indexid: u32, seq: u32, previous: (u32, u32), records: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = vec![1, 3, 40, 0];
    for number in [indexid, seq, previous.0, previous.1, 0, 1, 0, 1, 0] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    bytes.extend(records.concat());
    bytes
}

/// A log record: kind, and numbers for its body.
fn record(kind: u32, body: &[u32]) -> Vec<u8> {
    let body: Vec<u8> = body
        .iter()
        .flat_map(|number| number.to_le_bytes())
        .collect();
    record_of(kind, &body)
}

fn record_of(kind: u32, body: &[u8]) -> Vec<u8> {
    let body_size = body.len().next_multiple_of(4);
    let size = u32::try_from(body_size + 8).expect("small");
    let mut bytes = encode_offset(size).to_vec();
    bytes.extend_from_slice(&kind.to_le_bytes());
    bytes.extend_from_slice(body);
    bytes.resize(body_size + 8, 0);
    bytes
}
