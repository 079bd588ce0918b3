//! What is known of a body after one pass over it: sizes, checksums and what a reader should know.
//!
//! ```text
//! bytes of the body --> CRC-32 of the bytes as they are
//!                   \-> BLAKE3 of the bytes with CRLF read as LF   the content's identity
//!                    \> size, virtual size, NULs, lone CRs, longest line, 8-bit header
//! ```
//! A lone CR or NUL stays what it is, so a CRLF spool and an LF store of the same mail have the same
//! content digest, and nothing else has.

pub mod merkle;

use std::io::{self, BufRead};

use memchr::{memchr, memchr_iter, memrchr};

/// The identity of a content.
pub type Digest = [u8; 32];

/// The longest line that mail may have, without its end (RFC 5322, 2.1.1).
pub const LONGEST_LINE: u64 = 998;

/// No disk loses less at once.
const BLOCK: u64 = 512;

/// A digest as text.
pub fn hex(digest: &Digest) -> String {
    data_encoding::HEXLOWER.encode(digest)
}

/// The first half of a digest: enough to tell apart what one run holds in memory.
pub fn short(bytes: &[u8]) -> [u8; 16] {
    let whole = blake3::hash(bytes);
    let half = whole.as_bytes().first_chunk();
    *half.expect("BUG: a digest has 32 bytes")
}

/// What one pass over a body tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// BLAKE3 of the content, CRLF read as LF.
    pub content: Digest,
    /// CRC-32 of the bytes as they are.
    pub crc32: u32,
    /// Bytes.
    pub size: u64,
    /// Bytes when every LF is a CRLF.
    pub virtual_size: u64,
    /// What a reader should know.
    pub traits: Traits,
}

/// What a reader should know of a body; none of it keeps the message from being carried.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traits {
    /// NUL bytes.
    pub nuls: u64,
    /// Where the first NUL is.
    pub first_nul: u64,
    /// The longest row of them: where it is, and how many.
    pub nul_row: (u64, u64),
    /// CRs without an LF behind them.
    pub bare_crs: u64,
    /// CRLF line ends.
    pub crlfs: u64,
    /// LF line ends without a CR.
    pub bare_lfs: u64,
    /// Bytes of the longest line, without its end, where that is more than [`LONGEST_LINE`]; or 0.
    pub longest_line: u64,
    /// The header has bytes above 127.
    pub eight_bit_header: bool,
    /// The first line is not a header line.
    pub no_header: bool,
    /// It ends within a line.
    pub ends_in_line: bool,
}

impl Traits {
    /// All bytes are NUL, and there is at least one.
    pub fn only_nuls(&self, size: u64) -> bool {
        size > 0 && self.nuls == size
    }

    /// Where a block was never written, or was lost, and of how many bytes: all of a message of this size, or
    /// as much as no mail program puts into one.
    pub fn zeroed(&self, size: u64) -> Option<(u64, u64)> {
        let is_block = self.nul_row.1 >= BLOCK || self.only_nuls(size);
        is_block.then_some(self.nul_row)
    }
}

/// Takes a body's bytes in pieces.
#[derive(Debug, Clone)]
pub struct Measure {
    content: blake3::Hasher,
    crc32: crc32fast::Hasher,
    size: u64,
    /// LFs, whatever is before them.
    lfs: u64,
    /// Bytes since the last of them.
    line: u64,
    /// A CR was the last byte: whether it is a lone one shows with the next.
    pending_cr: bool,
    in_header: bool,
    first: bool,
    /// The last row of NULs: where it began, and how many.
    nul_row: (u64, u64),
    traits: Traits,
}

impl Default for Measure {
    fn default() -> Self {
        Self {
            content: blake3::Hasher::new(),
            crc32: crc32fast::Hasher::new(),
            size: 0,
            lfs: 0,
            line: 0,
            pending_cr: false,
            in_header: true,
            first: true,
            nul_row: (0, 0),
            traits: Traits::default(),
        }
    }
}

impl Measure {
    /// The next bytes of the body.
    pub fn update(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if std::mem::take(&mut self.first) {
            self.traits.no_header = !starts_like_a_header(bytes);
        }
        self.crc32.update(bytes);
        self.count_nuls(bytes);
        if self.in_header {
            self.look_at_header(bytes);
        }
        self.lfs += memchr_iter(b'\n', bytes).count() as u64;
        self.look_for_long_lines(bytes);
        self.hash_normalised(bytes);
        self.size += bytes.len() as u64;
    }

    fn count_nuls(&mut self, bytes: &[u8]) {
        for at in memchr_iter(0, bytes) {
            self.nul_at(self.size + at as u64);
        }
    }

    fn nul_at(&mut self, at: u64) {
        let traits = &mut self.traits;
        if traits.nuls == 0 {
            traits.first_nul = at;
        }
        traits.nuls += 1;
        let (from, len) = self.nul_row;
        self.nul_row = if from + len == at {
            (from, len + 1)
        } else {
            (at, 1)
        };
        if self.nul_row.1 > traits.nul_row.1 {
            traits.nul_row = self.nul_row;
        }
    }

    /// The header ends at the first empty line; the search looks at most at one piece more.
    fn look_at_header(&mut self, bytes: &[u8]) {
        let end = header_end(bytes);
        let header = &bytes[..end.unwrap_or(bytes.len())];
        self.traits.eight_bit_header |= !header.is_ascii();
        self.in_header = end.is_none();
    }

    /// Looks back from as far as a line may reach: what ends before there is not too long.
    fn look_for_long_lines(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        loop {
            let allowed = self.traits.longest_line.max(LONGEST_LINE);
            let reach = usize::try_from((allowed + 1).saturating_sub(self.line));
            let reach = reach.unwrap_or(usize::MAX).min(rest.len());
            let end = match memrchr(b'\n', &rest[..reach]) {
                None => memchr(b'\n', &rest[reach..]).map(|end| reach + end),
                near => near,
            };
            let Some(end) = end else { break };
            if end >= reach {
                self.long_line(bytes.len() - rest.len() + end, end, bytes);
            }
            self.line = 0;
            rest = &rest[end + 1..];
        }
        self.line += rest.len() as u64;
    }

    /// A line with `len` bytes in this piece ends before the LF at `at`.
    fn long_line(&mut self, at: usize, len: usize, bytes: &[u8]) {
        let cr_before = match at.checked_sub(1) {
            Some(before) => bytes[before] == b'\r',
            None => self.pending_cr,
        };
        let text = self.line + len as u64 - u64::from(cr_before);
        self.traits.longest_line = self.traits.longest_line.max(text);
    }

    fn hash_normalised(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        if self.pending_cr {
            self.pending_cr = false;
            self.cr_before(rest[0]);
        }
        while let Some(cr) = memchr(b'\r', rest) {
            self.content.update(&rest[..cr]);
            rest = &rest[cr + 1..];
            match rest.first() {
                None => self.pending_cr = true,
                Some(next) => self.cr_before(*next),
            }
        }
        self.content.update(rest);
    }

    fn cr_before(&mut self, next: u8) {
        if next == b'\n' {
            self.traits.crlfs += 1;
        } else {
            self.lone_cr();
        }
    }

    fn lone_cr(&mut self) {
        self.content.update(b"\r");
        self.traits.bare_crs += 1;
    }

    /// The body has ended.
    pub fn finish(mut self) -> Facts {
        if self.pending_cr {
            self.lone_cr();
        }
        self.traits.ends_in_line = self.line > 0;
        self.traits.bare_lfs = self.lfs - self.traits.crlfs;
        let longest = self.traits.longest_line.max(self.line);
        self.traits.longest_line = if longest > LONGEST_LINE { longest } else { 0 };
        Facts {
            content: *self.content.finalize().as_bytes(),
            crc32: self.crc32.finalize(),
            size: self.size,
            virtual_size: self.size + self.traits.bare_lfs,
            traits: self.traits,
        }
    }
}

fn header_end(bytes: &[u8]) -> Option<usize> {
    let lf = memchr::memmem::find(bytes, b"\n\n");
    let crlf = memchr::memmem::find(&bytes[..lf.unwrap_or(bytes.len())], b"\n\r\n");
    crlf.or(lf)
}

/// `Name:` or the `From ` line of an mbox.
fn starts_like_a_header(bytes: &[u8]) -> bool {
    let name = bytes
        .iter()
        .take_while(|byte| byte.is_ascii_graphic() && **byte != b':')
        .count();
    name > 0 && bytes[name..].trim_ascii_start().first() == Some(&b':')
        || bytes.starts_with(b"From ")
}

/// A body that measures itself while it is read.
pub struct Measured<'a> {
    inner: Box<dyn BufRead + 'a>,
    measure: Measure,
}

impl<'a> Measured<'a> {
    /// Measures what is read from `inner`.
    pub fn new(inner: Box<dyn BufRead + 'a>) -> Self {
        Self {
            inner,
            measure: Measure::default(),
        }
    }

    /// Hands the next piece to `take`; false at the end.
    pub fn piece(&mut self, take: impl FnOnce(&[u8])) -> io::Result<bool> {
        let bytes = self.inner.fill_buf()?;
        let len = bytes.len();
        self.measure.update(bytes);
        take(bytes);
        self.inner.consume(len);
        Ok(len > 0)
    }

    /// Bytes that were read so far.
    pub fn size(&self) -> u64 {
        self.measure.size
    }

    /// What the pass has told; call it at the end.
    pub fn facts(&mut self) -> Facts {
        std::mem::take(&mut self.measure).finish()
    }

    /// Reads to the end and tells.
    pub fn drain(self) -> io::Result<Facts> {
        let Pass { facts, broken } = self.pass();
        broken.map_or(Ok(facts), Err)
    }

    /// Reads as far as it goes.
    pub fn pass(mut self) -> Pass {
        let broken = loop {
            match self.piece(|_| ()) {
                Ok(true) => {}
                Ok(false) => break None,
                Err(error) => break Some(error),
            }
        };
        Pass {
            facts: self.facts(),
            broken,
        }
    }

    /// Reads two bodies that should be the same, side by side: as long as they are, every byte of both is
    /// read and compared, and measured once.
    pub fn pass_both(mut one: Self, mut other: Self) -> [Pass; 2] {
        let errors = loop {
            match (one.inner.fill_buf(), other.inner.fill_buf()) {
                (Ok([]), Ok([])) => {
                    let facts = one.facts();
                    let pass = || Pass {
                        facts,
                        broken: None,
                    };
                    return [pass(), pass()];
                }
                (Ok(bytes), Ok(others)) => {
                    let len = bytes.len().min(others.len());
                    if len == 0 || bytes[..len] != others[..len] {
                        break [None, None];
                    }
                    one.measure.update(&bytes[..len]);
                    one.inner.consume(len);
                    other.inner.consume(len);
                }
                // What broke off need not say so twice.
                (bytes, others) => break [bytes.err(), others.err()],
            }
        };
        other.measure = one.measure.clone();
        let mut bodies = [one, other].into_iter();
        errors.map(|error| {
            let mut body = bodies.next().expect("BUG: there are two");
            match error {
                None => body.pass(),
                broken => Pass {
                    facts: body.facts(),
                    broken,
                },
            }
        })
    }
}

/// How far a body could be read.
#[derive(Debug)]
pub struct Pass {
    /// What it told up to there.
    pub facts: Facts,
    /// Why it broke off, if it did.
    pub broken: Option<io::Error>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(bytes: &[u8]) -> Facts {
        let mut measure = Measure::default();
        measure.update(bytes);
        measure.finish()
    }

    #[test]
    fn a_crlf_spool_and_an_lf_store_have_the_same_content() {
        let (lf, crlf) = (of(b"A: b\n\nx\n"), of(b"A: b\r\n\r\nx\r\n"));
        assert_eq!(lf.content, crlf.content);
        assert_eq!((lf.size, lf.virtual_size), (8, 11));
        assert_eq!((crlf.size, crlf.virtual_size), (11, 11));
        assert_ne!(lf.crc32, crlf.crc32);
        assert_eq!(lf.content, *blake3::hash(b"A: b\n\nx\n").as_bytes());
    }

    #[test]
    fn a_lone_cr_or_nul_stays_what_it_is() {
        let odd = of(b"A: b\n\nx\ry\0\n\r");
        assert_eq!(odd.content, *blake3::hash(b"A: b\n\nx\ry\0\n\r").as_bytes());
        assert_eq!((odd.traits.bare_crs, odd.traits.nuls), (2, 1));
        assert_eq!(odd.traits.first_nul, 9);
        assert_eq!(odd.traits.zeroed(odd.size), None);
    }

    #[test]
    fn a_row_of_nuls_is_a_block_from_512_on_or_where_it_is_all() {
        let text = |nuls: usize| [b"A: b\n\n\0x", &*vec![0; nuls], b"y\0\n"].concat();
        assert_eq!(of(&text(511)).traits.zeroed(521), None);
        for cut in [0, 7, 8, 300, 519, 520, 521] {
            let (bytes, mut measure) = (text(512), Measure::default());
            measure.update(&bytes[..cut]);
            measure.update(&bytes[cut..]);
            let facts = measure.finish();
            assert_eq!(facts.traits.zeroed(facts.size), Some((8, 512)), "{cut}");
            assert_eq!((facts.traits.nuls, facts.traits.first_nul), (514, 6));
        }
        assert_eq!(of(&[0; 20]).traits.zeroed(20), Some((0, 20)));
    }

    #[test]
    fn what_a_reader_should_know_is_told() {
        assert!(of(b"just text\n").traits.no_header);
        assert!(!of(b"Subject: x\n\n\xff").traits.no_header);
        assert!(!of(b"Subject: x\n\n\xff").traits.eight_bit_header);
        assert!(of(b"Subject: \xff\n\nx").traits.eight_bit_header);
        assert!(of(&[0; 4096]).traits.only_nuls(4096));
    }

    #[test]
    fn a_line_is_long_beyond_998_bytes_without_its_end() {
        let line =
            |len: usize, end: &str| [b"a\r\nb\n", &*vec![b'x'; len], end.as_bytes()].concat();
        for end in ["\n", "\r\n", ""] {
            assert_eq!(of(&line(998, end)).traits.longest_line, 0, "{end:?}");
            assert_eq!(of(&line(999, end)).traits.longest_line, 999, "{end:?}");
        }
        let ends = of(&line(999, "\r\n")).traits;
        assert_eq!((ends.crlfs, ends.bare_lfs), (2, 1));
    }

    /// Hands out its bytes a few at a time, and then an error, once.
    struct Drip<'a>(&'a [u8], usize, bool);

    impl io::Read for Drip<'_> {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            unreachable!("only its buffer is read")
        }
    }

    impl BufRead for Drip<'_> {
        fn fill_buf(&mut self) -> io::Result<&[u8]> {
            if self.0.is_empty() && std::mem::take(&mut self.2) {
                return Err(io::Error::other("torn"));
            }
            Ok(&self.0[..self.1.min(self.0.len())])
        }

        fn consume(&mut self, len: usize) {
            self.0 = &self.0[len..];
        }
    }

    fn both(one: Drip<'_>, other: Drip<'_>) -> [Pass; 2] {
        Measured::pass_both(Measured::new(Box::new(one)), Measured::new(Box::new(other)))
    }

    #[test]
    fn a_body_that_breaks_off_beside_another_says_so_and_the_other_is_whole() {
        let text = b"A: b\n\nthe text\n";
        let [one, other] = both(Drip(&text[..9], 4, true), Drip(text, 100, false));
        assert_eq!(one.broken.unwrap().to_string(), "torn");
        assert_eq!((one.facts, other.facts), (of(&text[..9]), of(text)));
        let [one, other] = both(Drip(text, 3, true), Drip(text, 7, true));
        assert!(one.broken.is_some() && other.broken.is_some());
        assert_eq!([one.facts, other.facts], [of(text); 2]);
    }

    proptest! {
        #[test]
        fn bodies_side_by_side_are_what_each_is_alone(
            bytes in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(0), any::<u8>()], 0..200),
            others in proptest::collection::vec(any::<u8>(), 0..20),
            part in 0usize..200,
            sizes in (1usize..50, 1usize..50),
        ) {
            let other = [&bytes[..part.min(bytes.len())], &others].concat();
            let same = |one: &[u8], other: &[u8]| {
                let passes = both(Drip(one, sizes.0, false), Drip(other, sizes.1, false));
                for (pass, bytes) in passes.into_iter().zip([one, other]) {
                    let (facts, alone) = (pass.facts, of(bytes));
                    prop_assert!(pass.broken.is_none());
                    prop_assert_eq!((facts.content, facts.crc32), (alone.content, alone.crc32));
                    prop_assert_eq!((facts.size, facts.virtual_size), (alone.size, alone.virtual_size));
                    prop_assert_eq!(facts.traits.bare_crs, alone.traits.bare_crs);
                    prop_assert_eq!(facts.traits.nuls, alone.traits.nuls);
                }
                Ok(())
            };
            same(&bytes, &other)?;
            same(&bytes, &bytes)?;
        }

        #[test]
        fn the_pieces_do_not_matter(
            bytes in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(0), any::<u8>()], 0..200),
            cut in 0usize..200,
        ) {
            let cut = cut.min(bytes.len());
            let mut measure = Measure::default();
            measure.update(&bytes[..cut]);
            measure.update(&bytes[cut..]);
            let (whole, pieces) = (of(&bytes), measure.finish());
            prop_assert_eq!(whole.content, pieces.content);
            prop_assert_eq!(whole.virtual_size, pieces.virtual_size);
            prop_assert_eq!(whole.traits.bare_crs, pieces.traits.bare_crs);
            prop_assert_eq!(whole.traits.longest_line, pieces.traits.longest_line);
            let plain = String::from_utf8_lossy(&bytes).len();
            prop_assert!(plain >= bytes.len() || bytes.is_empty());
        }

        #[test]
        fn the_longest_line_is_found_wherever_it_is(
            lines in proptest::collection::vec((prop_oneof![0..100usize, 990..1010usize, 1500..2500usize], any::<bool>()), 1..6),
            cut in 0usize..5000,
        ) {
            let line = |(len, cr): &(usize, bool)| "x".repeat(*len) + if *cr { "\r\n" } else { "\n" };
            let bytes: String = lines.iter().map(line).collect();
            let (one, other) = bytes.as_bytes().split_at(cut.min(bytes.len()));
            let mut measure = Measure::default();
            measure.update(one);
            measure.update(other);
            let traits = measure.finish().traits;
            let longest = lines.iter().map(|(len, _)| *len as u64).max().unwrap_or(0);
            prop_assert_eq!(traits.longest_line, if longest > LONGEST_LINE { longest } else { 0 });
            let crlfs = lines.iter().filter(|(_, cr)| *cr).count();
            prop_assert_eq!((traits.crlfs, traits.bare_lfs), (crlfs as u64, (lines.len() - crlfs) as u64));
        }
    }
}
