//! Puts a coat on: the other way round of [`decoder`](super::decoder).

use std::io::{self, Write};
use std::mem;

use super::{Codec, lz4};

/// zstd's own default, and gzip's: what a server would use.
const ZSTD_LEVEL: i32 = 3;
const XZ_LEVEL: u32 = 6;

/// Compresses one message, piece by piece.
pub struct Packer(Engine);

enum Engine {
    Gz(flate2::write::GzEncoder<Vec<u8>>),
    Bz2(bzip2::write::BzEncoder<Vec<u8>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
    Xz(liblzma::write::XzEncoder<Vec<u8>>),
    Lz4(lz4::Encoder),
}

impl Packer {
    /// Begins a stream. An error is about memory.
    pub fn new(codec: Codec) -> io::Result<Self> {
        let out = Vec::new();
        Ok(Self(match codec {
            Codec::Gz => Engine::Gz(flate2::write::GzEncoder::new(
                out,
                flate2::Compression::default(),
            )),
            Codec::Bz2 => Engine::Bz2(bzip2::write::BzEncoder::new(
                out,
                bzip2::Compression::default(),
            )),
            Codec::Zstd => Engine::Zstd(zstd::stream::write::Encoder::new(out, ZSTD_LEVEL)?),
            Codec::Xz => Engine::Xz(liblzma::write::XzEncoder::new(out, XZ_LEVEL)),
            Codec::Lz4 => Engine::Lz4(lz4::Encoder::new()),
        }))
    }

    /// The next plain bytes; what is ready goes to the end of `out`.
    pub fn push(&mut self, plain: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        match &mut self.0 {
            Engine::Gz(gz) => gz.write_all(plain)?,
            Engine::Bz2(bz2) => bz2.write_all(plain)?,
            Engine::Zstd(zstd) => zstd.write_all(plain)?,
            Engine::Xz(xz) => xz.write_all(plain)?,
            Engine::Lz4(lz4) => lz4.push(plain),
        }
        out.append(&mut self.ready());
        Ok(())
    }

    /// The plain bytes have ended; the rest of the stream goes to the end of `out`.
    pub fn finish(self, out: &mut Vec<u8>) -> io::Result<()> {
        out.append(&mut match self.0 {
            Engine::Gz(gz) => gz.finish()?,
            Engine::Bz2(bz2) => bz2.finish()?,
            Engine::Zstd(zstd) => zstd.finish()?,
            Engine::Xz(xz) => xz.finish()?,
            Engine::Lz4(lz4) => lz4.finish(),
        });
        Ok(())
    }

    fn ready(&mut self) -> Vec<u8> {
        mem::take(match &mut self.0 {
            Engine::Gz(gz) => gz.get_mut(),
            Engine::Bz2(bz2) => bz2.get_mut(),
            Engine::Zstd(zstd) => zstd.get_mut(),
            Engine::Xz(xz) => xz.get_mut(),
            Engine::Lz4(lz4) => lz4.ready(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::decoder;
    use super::*;
    use proptest::prelude::*;
    use std::io::Read;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn what_is_packed_is_unpacked(
            seed in any::<u64>(), size in 0usize..200_000, cut in 1usize..100_000,
        ) {
            let mut plain = vec![0; size];
            blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut plain);
            for byte in &mut plain {
                *byte &= 15;
            }
            for codec in [Codec::Gz, Codec::Bz2, Codec::Zstd, Codec::Xz, Codec::Lz4] {
                let (mut packer, mut packed) = (Packer::new(codec).unwrap(), Vec::new());
                for piece in plain.chunks(cut) {
                    packer.push(piece, &mut packed).unwrap();
                }
                packer.finish(&mut packed).unwrap();
                prop_assert_eq!(Codec::of(&packed), Some(codec));
                let mut unpacked = Vec::new();
                decoder(codec, Box::new(&packed[..])).read_to_end(&mut unpacked).unwrap();
                prop_assert!(unpacked == plain, "{}", codec.name());
            }
        }
    }
}
