//! An attachment as it stands in its message: as in its file, or in lines of base64.

use std::io::{self, Read};

use data_encoding::BASE64;

use crate::disk::File;

/// So many bytes of a file are encoded at a time; whole groups of three.
const PIECE: usize = 48 * 1024;

/// Lines of base64.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lines {
    /// Characters in a line: whole groups of four.
    chars: u64,
    /// They end in CRLF.
    crlf: bool,
}

impl Lines {
    /// `None` for lines that no server makes.
    pub fn new(chars: u64, crlf: bool) -> Option<Self> {
        let can_be = chars > 0 && chars.is_multiple_of(4);
        can_be.then_some(Self { chars, crlf })
    }

    /// What so many bytes come to; there is no line end behind the last line.
    pub fn encoded(self, bytes: u64) -> Option<u64> {
        let chars = bytes.div_ceil(3).checked_mul(4)?;
        let ends = chars.saturating_sub(1) / self.chars;
        chars.checked_add(ends.checked_mul(self.end().len() as u64)?)
    }

    fn end(self) -> &'static [u8] {
        if self.crlf { b"\r\n" } else { b"\n" }
    }
}

/// Reads an attachment as it stands in its message.
pub(super) struct Encoder {
    file: File,
    lines: Option<Lines>,
    /// Bytes of the file that were read.
    at: u64,
    /// Characters in the line that was begun.
    column: u64,
    /// What is ready to be handed out, from `ready_at` on.
    ready: Vec<u8>,
    ready_at: usize,
}

impl Encoder {
    pub fn new(file: File, lines: Option<Lines>) -> Self {
        Self {
            file,
            lines,
            at: 0,
            column: 0,
            ready: Vec::new(),
            ready_at: 0,
        }
    }

    /// Makes the next piece ready; nothing is, at the end.
    fn refill(&mut self) -> io::Result<()> {
        let mut bytes = vec![0; PIECE];
        let read = self.file.read_at(self.at, &mut bytes)?;
        bytes.truncate(read);
        self.at += read as u64;
        self.ready_at = 0;
        self.ready = match self.lines {
            None => bytes,
            Some(lines) => self.in_lines(lines, BASE64.encode(&bytes).as_bytes()),
        };
        Ok(())
    }

    fn in_lines(&mut self, lines: Lines, mut chars: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(chars.len() + chars.len() / 16);
        while !chars.is_empty() {
            if self.column == lines.chars {
                out.extend_from_slice(lines.end());
                self.column = 0;
            }
            let room = usize::try_from(lines.chars - self.column).unwrap_or(usize::MAX);
            let (line, rest) = chars.split_at(room.min(chars.len()));
            out.extend_from_slice(line);
            self.column += line.len() as u64;
            chars = rest;
        }
        out
    }
}

impl Read for Encoder {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.ready_at == self.ready.len() {
            self.refill()?;
        }
        let read = (&self.ready[self.ready_at..]).read(buffer)?;
        self.ready_at += read;
        Ok(read)
    }
}
