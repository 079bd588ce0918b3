//! The codecs whose libraries read a whole stream: bz2, zstd and xz.
//!
//! They are driven by hand and not through their readers, which lose what was decoded in the same call
//! as an error.

use std::io;

use liblzma::stream::{Action, Status as XzStatus, Stream};
use zstd::stream::raw::{DParameter, Decoder as ZstdDecoder, Operation};

use super::stream::{Engine, Step, Then};
use super::{Codec, gz, lz4};

/// A zstd stream may look back 2^27 bytes, as far as the command line tool goes unasked.
const ZSTD_WINDOW_LOG: u32 = 27;

/// What an xz stream may need to be decoded; `xz -9` needs 65 MiB.
const XZ_MEMORY: u64 = 128 << 20;

/// An engine at the beginning of a stream. An error is about memory, not about the stream.
pub(super) fn start(codec: Codec) -> io::Result<Box<dyn Engine>> {
    Ok(match codec {
        Codec::Gz => Box::new(gz::Gz::new()),
        Codec::Lz4 => Box::new(lz4::Lz4::new()),
        Codec::Bz2 => Box::new(Bz2(bzip2::Decompress::new(false))),
        Codec::Xz => Box::new(Xz(Stream::new_stream_decoder(XZ_MEMORY, 0)?)),
        Codec::Zstd => {
            let mut decoder = ZstdDecoder::new()?;
            decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG))?;
            Box::new(Zstd { decoder, wants: 1 })
        }
    })
}

/// How far a counter of a library went.
pub(super) fn advance(before: u64, now: u64) -> usize {
    usize::try_from(now.saturating_sub(before)).unwrap_or(usize::MAX)
}

struct Bz2(bzip2::Decompress);

impl Engine for Bz2 {
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Step {
        let (read, written) = (self.0.total_in(), self.0.total_out());
        let done = self.0.decompress(input, output);
        Step {
            read: advance(read, self.0.total_in()),
            written: advance(written, self.0.total_out()),
            then: match done {
                Ok(bzip2::Status::StreamEnd) => Then::End,
                Ok(_) => Then::Go,
                Err(error) => Then::Broken(error.to_string()),
            },
        }
    }
}

struct Xz(Stream);

impl Engine for Xz {
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Step {
        let (read, written) = (self.0.total_in(), self.0.total_out());
        let done = self.0.process(input, output, Action::Run);
        Step {
            read: advance(read, self.0.total_in()),
            written: advance(written, self.0.total_out()),
            then: match done {
                Ok(XzStatus::StreamEnd) => Then::End,
                Ok(_) => Then::Go,
                Err(error) => Then::Broken(error.to_string()),
            },
        }
    }
}

struct Zstd {
    decoder: ZstdDecoder<'static>,
    /// What the library would like to see next: the rest of a block and the header of the one after.
    wants: usize,
}

/// The header of a block.
const ZSTD_BLOCK_HEADER: usize = 3;

impl Engine for Zstd {
    /// Hands over one block at a time, without the header of the next: if that one is damaged, the
    /// library forgets to say what it has written before.
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Step {
        let most = self.wants.saturating_sub(ZSTD_BLOCK_HEADER).max(1);
        let input = &input[..input.len().min(most)];
        match self.decoder.run_on_buffers(input, output) {
            Ok(done) => {
                self.wants = done.remaining;
                Step {
                    read: done.bytes_read,
                    written: done.bytes_written,
                    then: if done.remaining == 0 {
                        Then::End
                    } else {
                        Then::Go
                    },
                }
            }
            Err(error) => Step {
                read: input.len(),
                written: 0,
                then: Then::Broken(error.to_string()),
            },
        }
    }
}
