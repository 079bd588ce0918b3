//! LZ4 as Dovecot frames it: not the `.lz4` format of the command line tool.
//!
//! ```text
//! "Dovecot-LZ4" 0d 2a 9b c5   max(4)          head, 19 bytes; `max`: plain bytes in a chunk, 65536
//! length(4)  LZ4 block of `length` bytes      chunk, repeated until the file ends
//! ```
//!
//! The numbers are big endian. There is no checksum and no trailer.
//! Source: Dovecot 2.3.19, `src/lib-compression/iostream-lz4.h`, `istream-lz4.c`.

use super::stream::{Engine, Step, Then};

/// What a file begins with.
pub(super) const MAGIC: &[u8] = b"Dovecot-LZ4\x0d\x2a\x9b\xc5";

/// The largest chunk that is believed; Dovecot writes 64 KiB.
const LARGEST_CHUNK: usize = 16 << 20;

/// A byte of a block stands for less than this many plain bytes.
const MOST_PER_BYTE: usize = 256;

enum Part {
    Head,
    Length,
    Block,
}

/// Takes a file apart.
pub(super) struct Lz4 {
    part: Part,
    /// The bytes of this part, as far as they have come; never more than came.
    held: Vec<u8>,
    /// So many bytes make the part whole.
    need: usize,
    /// Plain bytes in a chunk at most.
    max: usize,
    /// A decoded chunk, delivered as far as `at`.
    plain: Vec<u8>,
    at: usize,
    /// What is wrong after `plain`.
    broken: Option<String>,
}

impl Lz4 {
    pub(super) fn new() -> Self {
        Self {
            part: Part::Head,
            held: Vec::new(),
            need: MAGIC.len() + 4,
            max: 0,
            plain: Vec::new(),
            at: 0,
            broken: None,
        }
    }

    fn deliver(&mut self, output: &mut [u8]) -> usize {
        let left = &self.plain[self.at..];
        let amount = left.len().min(output.len());
        output[..amount].copy_from_slice(&left[..amount]);
        self.at += amount;
        amount
    }

    /// Takes what belongs to this part, and reads the part once it is whole.
    fn collect(&mut self, input: &[u8]) -> usize {
        let take = self.need.saturating_sub(self.held.len()).min(input.len());
        self.held.extend_from_slice(&input[..take]);
        if self.held.len() == self.need {
            match self.part {
                Part::Head => self.head(),
                Part::Length => self.length(),
                Part::Block => self.block(),
            }
            self.held.clear();
        }
        take
    }

    fn head(&mut self) {
        self.max = big_endian(&self.held[MAGIC.len()..]);
        if !self.held.starts_with(MAGIC) {
            self.broken = Some("the header is damaged".into());
        } else if self.max == 0 || self.max > LARGEST_CHUNK {
            self.broken = Some(format!("chunks of {} bytes are not believed", self.max));
        }
        (self.part, self.need) = (Part::Length, 4);
    }

    fn length(&mut self) {
        let length = big_endian(&self.held);
        let most = lz4_flex::block::get_maximum_output_size(self.max);
        if length == 0 || length > most {
            self.broken = Some(format!("a chunk of {length} bytes is not believed"));
        }
        (self.part, self.need) = (Part::Block, length);
    }

    fn block(&mut self) {
        let most = self.max.min(self.held.len().saturating_mul(MOST_PER_BYTE));
        let mut plain = std::mem::take(&mut self.plain);
        plain.resize(most, 0);
        if let Ok(length) = lz4_flex::block::decompress_into(&self.held, &mut plain) {
            plain.truncate(length);
        } else {
            plain = whole_sequences(&self.held, self.max);
            self.broken = Some("a chunk is damaged".into());
        }
        (self.plain, self.at) = (plain, 0);
        (self.part, self.need) = (Part::Length, 4);
    }

    /// The file is at its end.
    fn finish(&mut self, output: &mut [u8]) -> Step {
        match self.part {
            Part::Length if self.held.is_empty() => step(0, 0, Then::End),
            Part::Block => {
                (self.plain, self.at) = (whole_sequences(&self.held, self.max), 0);
                self.broken = Some("the stream ends early".into());
                let written = self.deliver(output);
                step(0, written, Then::Go)
            }
            Part::Head | Part::Length => step(0, 0, Then::Go),
        }
    }
}

impl Engine for Lz4 {
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Step {
        let written = self.deliver(output);
        if written > 0 {
            return step(0, written, Then::Go);
        }
        match &self.broken {
            Some(why) => step(0, 0, Then::Broken(why.clone())),
            None if input.is_empty() => self.finish(output),
            None => {
                let read = self.collect(input);
                step(read, self.deliver(output), Then::Go)
            }
        }
    }
}

fn step(read: usize, written: usize, then: Then) -> Step {
    Step {
        read,
        written,
        then,
    }
}

/// Four bytes as a number; one that fits nowhere is too large for every limit.
fn big_endian(bytes: &[u8]) -> usize {
    let number = bytes.try_into().map_or(u32::MAX, u32::from_be_bytes);
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// What a damaged or cut block holds before the damage; `most` bytes at most.
fn whole_sequences(block: &[u8], most: usize) -> Vec<u8> {
    let (mut rest, mut plain) = (block, Vec::new());
    while plain.len() < most && sequence(&mut rest, &mut plain, most).is_some() {}
    plain
}

/// One sequence: literals, then a copy of what was already there. `None` at the damage.
///
/// Source: lz4, `doc/lz4_Block_format.md`.
fn sequence(rest: &mut &[u8], plain: &mut Vec<u8>, most: usize) -> Option<()> {
    let token = usize::from(*rest.split_off_first()?);
    let literals = run(token >> 4, rest)?;
    let there = literals.min(rest.len()).min(most - plain.len());
    plain.extend_from_slice(rest.split_off(..there)?);
    if there < literals {
        return None;
    }
    let back = usize::from(u16::from_le_bytes(rest.split_off(..2)?.try_into().ok()?));
    let from = plain.len().checked_sub(back).filter(|_| back > 0)?;
    let length = run(token & 15, rest)?.saturating_add(4);
    for at in from..from + length.min(most - plain.len()) {
        // The copy may reach into itself: byte by byte.
        plain.push(*plain.get(at)?);
    }
    Some(())
}

/// A length: four bits, and as many bytes more as they are full.
fn run(bits: usize, rest: &mut &[u8]) -> Option<usize> {
    let mut length = bits;
    if bits == 15 {
        loop {
            let more = *rest.split_off_first()?;
            length = length.saturating_add(usize::from(more));
            if more < u8::MAX {
                break;
            }
        }
    }
    Some(length)
}

/// Plain bytes in a chunk, as Dovecot writes them.
const CHUNK: usize = 64 * 1024;

/// Writes a file.
pub(super) struct Encoder {
    /// Plain bytes of the chunk that is not full yet.
    plain: Vec<u8>,
    ready: Vec<u8>,
}

impl Encoder {
    pub(super) fn new() -> Self {
        let mut ready = MAGIC.to_vec();
        ready.extend_from_slice(&[0, 1, 0, 0]); // CHUNK
        Self {
            plain: Vec::with_capacity(CHUNK),
            ready,
        }
    }

    pub(super) fn push(&mut self, mut plain: &[u8]) {
        while !plain.is_empty() {
            let (now, later) = plain.split_at(plain.len().min(CHUNK - self.plain.len()));
            self.plain.extend_from_slice(now);
            plain = later;
            if self.plain.len() == CHUNK {
                self.chunk();
            }
        }
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        if !self.plain.is_empty() {
            self.chunk();
        }
        self.ready
    }

    /// What can be taken of the file so far.
    pub(super) fn ready(&mut self) -> &mut Vec<u8> {
        &mut self.ready
    }

    fn chunk(&mut self) {
        let block = lz4_flex::block::compress(&self.plain);
        let len = u32::try_from(block.len()).expect("BUG: a chunk of 64 KiB stays small");
        self.ready.extend_from_slice(&len.to_be_bytes());
        self.ready.extend_from_slice(&block);
        self.plain.clear();
    }
}
