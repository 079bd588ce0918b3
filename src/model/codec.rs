//! How a message can be compressed as a whole.

/// How a message is compressed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord, Hash)]
pub enum Codec {
    /// gzip.
    Gz,
    /// bzip2.
    Bz2,
    /// Zstandard.
    Zstd,
    /// xz.
    Xz,
    /// LZ4 blocks in Dovecot's framing.
    Lz4,
}

impl Codec {
    /// As it is called in reports, and in Dovecot's settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gz => "gz",
            Self::Bz2 => "bz2",
            Self::Zstd => "zstd",
            Self::Xz => "xz",
            Self::Lz4 => "lz4",
        }
    }
}
