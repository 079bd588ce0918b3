//! A message's coat: told by its first bytes, whatever the name says.
//!
//! ```text
//! first bytes          first block decodes?
//! no magic                                    None   as it is
//! a magic      ----->  yes                    Of     decompressed
//!                      no, text could be so   None   as it is
//!                      no                     Torn   as it is, and said to be damaged
//! ```

use std::io::{self, BufRead, BufReader, Read};

use crate::disk::File;
use crate::format::compress::{self, Codec};

/// What follows the first read is read in pieces of this size.
const PIECE: usize = 128 * 1024;

/// What a message lies in.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Coat {
    /// Nothing, or it only looks so.
    None,
    /// It is compressed.
    Of(Codec),
    /// It is compressed, and nothing can be decompressed.
    Torn(String),
}

/// Tries the coat that the first bytes show: a mail can begin so by chance.
pub(super) fn coat(head: &[u8], rest: Option<&File>) -> Coat {
    let Some(codec) = Codec::of(head) else {
        return Coat::None;
    };
    let stored: Box<dyn BufRead> = match rest {
        None => Box::new(head),
        Some(file) => {
            let at = head.len() as u64;
            Box::new(head.chain(BufReader::with_capacity(PIECE, Behind { file, at })))
        }
    };
    match compress::decoder(codec, stored).fill_buf() {
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            if codec.is_sure_of(head) {
                Coat::Torn(error.to_string())
            } else {
                Coat::None
            }
        }
        _ => Coat::Of(codec),
    }
}

/// A second look at what follows the first read; the file's own position stays.
struct Behind<'a> {
    file: &'a File,
    at: u64,
}

impl Read for Behind<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(self.at, buffer)?;
        self.at += read as u64;
        Ok(read)
    }
}

/// The bytes as they are stored: those that were read, and the rest.
pub(super) fn stored<'a>(head: &'a [u8], rest: Option<File>) -> Box<dyn BufRead + 'a> {
    match rest {
        None => Box::new(head),
        Some(file) => Box::new(head.chain(BufReader::with_capacity(PIECE, file))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{Dir, Real};
    use std::io::Write;
    use std::sync::Arc;

    fn bz2(plain: &[u8]) -> Vec<u8> {
        let mut out = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
        out.write_all(plain).unwrap();
        out.finish().unwrap()
    }

    #[test]
    fn a_block_that_ends_behind_the_first_read_is_tried_to_its_end() {
        let mut random = vec![0; 400_000];
        blake3::Hasher::new().finalize_xof().fill(&mut random);
        let packed = bz2(&random);
        let temp = tempfile::tempdir().unwrap();
        std::fs::write(temp.path().join("m"), &packed).unwrap();
        let dir = Dir::open(temp.path(), Arc::new(Real)).unwrap();
        let mut file = dir.file("m").unwrap();
        let mut head = vec![0; 1000];
        file.fill(&mut head).unwrap();
        assert_eq!(coat(&head, Some(&file)), Coat::Of(Codec::Bz2));
        // The trial has not moved the file.
        let mut whole = Vec::new();
        stored(&head, Some(file)).read_to_end(&mut whole).unwrap();
        assert_eq!(whole, packed);
    }

    #[test]
    fn only_what_no_text_begins_with_is_said_to_be_torn() {
        assert_eq!(coat(b"Subject: x\n", None), Coat::None);
        assert_eq!(coat(b"BZh1, the format\n", None), Coat::None);
        assert_eq!(coat(&bz2(b"x"), None), Coat::Of(Codec::Bz2));
        assert!(matches!(coat(&bz2(b"x")[..12], None), Coat::Torn(_)));
        assert!(matches!(coat(b"\x1f\x8b\x08", None), Coat::Torn(_)));
    }
}
