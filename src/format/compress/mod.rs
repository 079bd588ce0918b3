//! Messages that lie compressed as a whole: the coat, and how it is taken off.
//!
//! ```text
//! message file                                  decoder()
//! +-------+---------------------------+          .--> plain bytes, 64 KiB at a time
//! | magic | one or more whole streams | --read-->+--> InvalidData  the stream is damaged, or ends early
//! +-------+---------------------------+          '--> other kinds  the file cannot be read
//!
//! gz    1f 8b                        bz2   "BZh" '1'..'9'        zstd  28 b5 2f fd
//! xz    fd "7zXZ" 00                 lz4   "Dovecot-LZ4" 0d 2a 9b c5   (Dovecot's own framing: `lz4`)
//! ```
//!
//! Whatever can be decoded before the damage is delivered before the error. Streams may follow each
//! other (what `cat a.gz b.gz` makes), and NULs after the last one are padding. Memory is bounded,
//! whatever a stream claims.
//!
//! A stream that is cut is noticed, but for one case: lz4 has no trailer, so a file that ends between
//! two chunks looks whole. The size that the store has for the message tells.
//!
//! Sources: RFC 1952; Dovecot 2.3.19 and 2.4, `src/lib-compression/istream-*.c`, `iostream-lz4.h`.
//! Not supported: `deflate` (it has no magic), `.lzma`; `mail_crypt` is recognised, not read.

mod engines;
mod gz;
mod lz4;
mod pack;
mod stream;

use std::io::BufRead;

pub use pack::Packer;

pub use crate::model::Codec;

impl Codec {
    /// So many first bytes tell every codec.
    pub const MAGIC_LEN: usize = lz4::MAGIC.len();

    /// The codec that these first bytes belong to. A mail may begin so by chance: if nothing can be
    /// decoded, it is plain.
    pub fn of(first_bytes: &[u8]) -> Option<Self> {
        match first_bytes {
            [0x1f, 0x8b, ..] => Some(Self::Gz),
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => Some(Self::Bz2),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Self::Zstd),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some(Self::Xz),
            _ if first_bytes.starts_with(lz4::MAGIC) => Some(Self::Lz4),
            _ => None,
        }
    }

    /// True where no mail that is not compressed begins so: all magics but bzip2's have bytes that
    /// no text has, and that one is followed by the mark of a block or of the end.
    pub fn is_sure_of(self, first_bytes: &[u8]) -> bool {
        let marks = [b"\x31\x41\x59\x26\x53\x59", b"\x17\x72\x45\x38\x50\x90"];
        let after = first_bytes.get(4..).unwrap_or_default();
        self != Self::Bz2 || marks.iter().any(|mark| after.starts_with(*mark))
    }
}

/// Takes the coat off. `inner` begins at the first byte of the message file.
///
/// An error of kind `InvalidData` says that the stream is damaged; any other kind is `inner`'s own.
pub fn decoder<'a>(codec: Codec, inner: Box<dyn BufRead + 'a>) -> Box<dyn BufRead + 'a> {
    Box::new(stream::Decoder::new(codec, inner))
}

/// True for a message that Dovecot's `mail_crypt` plugin has encrypted: it cannot be read here.
pub fn is_encrypted(first_bytes: &[u8]) -> bool {
    first_bytes.starts_with(b"CRYPTED\x03\x07")
}

#[cfg(test)]
mod tests;
