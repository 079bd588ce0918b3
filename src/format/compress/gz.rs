//! One member of a gzip file.
//!
//! ```text
//! 1f 8b 08 flags mtime(4) xfl os | extra: length(2) bytes | name 00 | comment 00 | crc(2) |  head
//! deflate stream                                                                             body
//! CRC-32(4) size(4)                                                                          trailer
//! ```
//!
//! The fields between the bars are there if their flag is set; they are skipped. The numbers are little
//! endian. Source: RFC 1952, section 2.3.

use flate2::{Decompress, FlushDecompress, Status};

use super::engines::advance;
use super::stream::{Engine, Step, Then};

const FLAG_HEAD_CRC: u8 = 0x02;
const FLAG_EXTRA: u8 = 0x04;
const FLAG_NAME: u8 = 0x08;
const FLAG_COMMENT: u8 = 0x10;
const FLAGS_UNKNOWN: u8 = 0xe0;

/// Where in the member the next byte belongs, in file order.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Fixed,
    ExtraLength,
    Extra { left: usize },
    Name,
    Comment,
    HeadCrc,
    Body,
    Trailer,
}

/// The fields that are there if their flag is set, in file order.
const FIELDS: [(u8, Part); 4] = [
    (FLAG_EXTRA, Part::ExtraLength),
    (FLAG_NAME, Part::Name),
    (FLAG_COMMENT, Part::Comment),
    (FLAG_HEAD_CRC, Part::HeadCrc),
];

/// Takes one member apart.
pub(super) struct Gz {
    part: Part,
    /// Of the fields that are still to come.
    flags: u8,
    /// The bytes of a short field, until it is whole.
    held: Vec<u8>,
    inflate: Decompress,
    crc: crc32fast::Hasher,
    size: u32,
}

impl Gz {
    pub(super) fn new() -> Self {
        Self {
            part: Part::Fixed,
            flags: 0,
            held: Vec::new(),
            inflate: Decompress::new(false),
            crc: crc32fast::Hasher::new(),
            size: 0,
        }
    }

    /// Collects a field of `N` bytes; tells how much was taken, and the field once it is whole.
    fn hold<const N: usize>(&mut self, input: &[u8]) -> (usize, Option<[u8; N]>) {
        let take = (N - self.held.len().min(N)).min(input.len());
        self.held.extend_from_slice(&input[..take]);
        let whole = self.held.as_slice().try_into().ok();
        if whole.is_some() {
            self.held.clear();
        }
        (take, whole)
    }

    fn fixed(&mut self, input: &[u8]) -> Step {
        let right = self.held.iter().chain(input).zip([0x1f, 0x8b, 8]);
        if right.into_iter().any(|(is, must)| *is != must) {
            return broken("this is not the beginning of a member");
        }
        let (read, field) = self.hold::<10>(input);
        if let Some([_, _, _, flags, ..]) = field {
            if flags & FLAGS_UNKNOWN != 0 {
                return broken("the header has unknown flags");
            }
            self.flags = flags;
            self.next_field();
        }
        go(read)
    }

    /// Goes to the next field of the head that is there, or past the head.
    fn next_field(&mut self) {
        let next = FIELDS.into_iter().find(|(flag, _)| self.flags & flag != 0);
        let (flag, part) = next.unwrap_or((0, Part::Body));
        self.flags &= !flag;
        self.part = part;
    }

    fn extra_length(&mut self, input: &[u8]) -> Step {
        let (read, field) = self.hold(input);
        match field.map(u16::from_le_bytes) {
            None => {}
            Some(0) => self.next_field(),
            Some(left) => self.part = Part::Extra { left: left.into() },
        }
        go(read)
    }

    fn extra(&mut self, left: usize, input: &[u8]) -> Step {
        let read = left.min(input.len());
        self.part = Part::Extra { left: left - read };
        if left == read {
            self.next_field();
        }
        go(read)
    }

    /// A name or a comment: as far as its NUL.
    fn text(&mut self, input: &[u8]) -> Step {
        let Some(nul) = memchr::memchr(0, input) else {
            return go(input.len());
        };
        self.next_field();
        go(nul + 1)
    }

    fn head_crc(&mut self, input: &[u8]) -> Step {
        // It proves names and dates that nobody reads; the trailer proves the message.
        let (read, field) = self.hold::<2>(input);
        if field.is_some() {
            self.next_field();
        }
        go(read)
    }

    fn body(&mut self, input: &[u8], output: &mut [u8]) -> Step {
        let (read, written) = (self.inflate.total_in(), self.inflate.total_out());
        let done = self
            .inflate
            .decompress(input, output, FlushDecompress::None);
        let read = advance(read, self.inflate.total_in());
        let written = advance(written, self.inflate.total_out());
        let plain = &output[..written.min(output.len())];
        self.crc.update(plain);
        // The trailer's size counts modulo 2^32.
        self.size = self.size.wrapping_add(u32::try_from(written).unwrap_or(0));
        let then = match done {
            Ok(Status::StreamEnd) => {
                self.part = Part::Trailer;
                Then::Go
            }
            Ok(_) => Then::Go,
            Err(error) => Then::Broken(error.to_string()),
        };
        Step {
            read,
            written,
            then,
        }
    }

    fn trailer(&mut self, input: &[u8]) -> Step {
        let (read, field) = self.hold::<8>(input);
        let Some([a, b, c, d, size @ ..]) = field else {
            return go(read);
        };
        if u32::from_le_bytes([a, b, c, d]) != self.crc.clone().finalize() {
            return broken("the checksum does not match");
        }
        if u32::from_le_bytes(size) != self.size {
            return broken("the size does not match");
        }
        Step {
            read,
            written: 0,
            then: Then::End,
        }
    }
}

fn go(read: usize) -> Step {
    Step {
        read,
        written: 0,
        then: Then::Go,
    }
}

fn broken(why: &str) -> Step {
    Step {
        read: 0,
        written: 0,
        then: Then::Broken(why.into()),
    }
}

impl Engine for Gz {
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Step {
        match self.part {
            Part::Fixed => self.fixed(input),
            Part::ExtraLength => self.extra_length(input),
            Part::Extra { left } => self.extra(left, input),
            Part::Name | Part::Comment => self.text(input),
            Part::HeadCrc => self.head_crc(input),
            Part::Body => self.body(input, output),
            Part::Trailer => self.trailer(input),
        }
    }
}
