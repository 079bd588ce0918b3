//! Writes a tally line by line; memory does not grow with the store.

use std::io::{self, Write};
use std::path::PathBuf;

use serde::Serialize;

use super::lines::text;
use crate::error::{At, Result};

/// Fast, and half of what hex digests take.
const LEVEL: i32 = 1;
/// Compressed bytes are written in pieces of this size.
const PIECE: usize = 256 * 1024;

/// A tally that is being written.
pub struct Writer<W: Write> {
    out: zstd::Encoder<'static, io::BufWriter<W>>,
    path: PathBuf,
}

impl<W: Write> Writer<W> {
    /// Begins a stream; `path` is for messages.
    pub fn new(out: W, path: PathBuf) -> Result<Self> {
        let buffered = io::BufWriter::with_capacity(PIECE, out);
        let begun = zstd::Encoder::new(buffered, LEVEL).and_then(|mut out| {
            out.include_checksum(true)?;
            Ok(out)
        });
        let out = begun.at("write", &path)?;
        Ok(Self { out, path })
    }

    /// One line.
    pub fn line(&mut self, line: &impl Serialize) -> Result<()> {
        self.text(&text(line))
    }

    /// One line, or several, that [`text`] has made.
    pub fn text(&mut self, lines: &[u8]) -> Result<()> {
        let written = self.out.write_all(lines);
        written.at("write", &self.path)
    }

    /// Completes the stream.
    pub fn finish(self) -> Result<W> {
        let flushed = self.out.finish().and_then(|buffered| {
            buffered
                .into_inner()
                .map_err(io::IntoInnerError::into_error)
        });
        flushed.at("write", &self.path)
    }
}
