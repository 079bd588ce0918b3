//! A read position that never panics and knows where it is.

use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

/// What is wrong with a file, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("byte {at}: {field}: {why}")]
pub struct Decode {
    /// Offset from the start of the file.
    pub at: u64,
    /// The field that was being read.
    pub field: &'static str,
    /// What does not fit.
    pub why: String,
}

/// Reads forward through bytes that may be anything.
#[derive(Debug, Clone)]
pub struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// Starts at the first byte.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Starts at `at`, or at the end where the bytes are shorter.
    pub fn starting_at(bytes: &'a [u8], at: usize) -> Self {
        let at = at.min(bytes.len());
        Self { bytes, at }
    }

    /// Offset of the next byte.
    pub fn at(&self) -> usize {
        self.at
    }

    /// What has not been read yet.
    pub fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    /// True at the end.
    pub fn is_empty(&self) -> bool {
        self.at >= self.bytes.len()
    }

    /// An error at this position.
    pub fn broken(&self, field: &'static str, why: impl Into<String>) -> Decode {
        Decode {
            at: self.at as u64,
            field,
            why: why.into(),
        }
    }

    fn needs(&self, field: &'static str, len: u64) -> Decode {
        let left = self.rest().len();
        self.broken(field, format!("needs {len} bytes, {left} left"))
    }

    /// The next `len` bytes.
    pub fn take(&mut self, field: &'static str, len: usize) -> Result<&'a [u8], Decode> {
        let taken = self
            .rest()
            .get(..len)
            .ok_or_else(|| self.needs(field, len as u64))?;
        self.at += len;
        Ok(taken)
    }

    /// Steps over `len` bytes.
    pub fn skip(&mut self, field: &'static str, len: usize) -> Result<(), Decode> {
        self.take(field, len).map(|_| ())
    }

    /// Steps to the next multiple of `align`, counted from the first byte.
    pub fn align(&mut self, field: &'static str, align: usize) -> Result<(), Decode> {
        self.skip(field, self.at.next_multiple_of(align) - self.at)
    }

    /// One record of a fixed layout.
    pub fn record<T>(&mut self, field: &'static str) -> Result<&'a T, Decode>
    where
        T: FromBytes + KnownLayout + Immutable + Unaligned,
    {
        let bytes = self.take(field, size_of::<T>())?;
        T::ref_from_bytes(bytes).map_err(|_| self.broken(field, "does not fit its layout"))
    }

    /// `count` records of a fixed layout; the count is a claim, nothing is allocated for it.
    pub fn records<T>(&mut self, field: &'static str, count: u64) -> Result<&'a [T], Decode>
    where
        T: FromBytes + KnownLayout + Immutable + Unaligned,
    {
        let len = count.saturating_mul(size_of::<T>() as u64);
        let fits = usize::try_from(len)
            .ok()
            .filter(|len| *len <= self.rest().len());
        let bytes = self.take(field, fits.ok_or_else(|| self.needs(field, len))?)?;
        <[T]>::ref_from_bytes(bytes).map_err(|_| self.broken(field, "does not fit its layout"))
    }

    /// A little-endian number of two bytes.
    pub fn u16(&mut self, field: &'static str) -> Result<u16, Decode> {
        let bytes = self.take(field, 2)?;
        Ok(u16::from_le_bytes([bytes[0], bytes[1]]))
    }

    /// A little-endian number of four bytes.
    pub fn u32(&mut self, field: &'static str) -> Result<u32, Decode> {
        let bytes = self.take(field, 4)?;
        Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    /// The bytes up to the next line feed, which is stepped over; at the end without one, the rest.
    pub fn line(&mut self) -> Option<&'a [u8]> {
        if self.is_empty() {
            return None;
        }
        let rest = self.rest();
        let (line, step) = match memchr::memchr(b'\n', rest) {
            Some(end) => (&rest[..end], end + 1),
            None => (rest, rest.len()),
        };
        self.at += step;
        Some(line)
    }
}

/// True where a flipped bit makes one of the other.
pub fn are_one_bit_apart(one: &[u8], other: &[u8]) -> bool {
    let bits = one.iter().zip(other).map(|(a, b)| (a ^ b).count_ones());
    one.len() == other.len() && bits.sum::<u32>() == 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerocopy::little_endian::U32;

    #[test]
    fn a_count_in_a_file_is_a_claim_and_not_an_allocation() {
        let mut cursor = Cursor::new(&[0; 144]);
        cursor.skip("head", 120).unwrap();
        let error = cursor.records::<U32>("map records", u64::MAX).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("byte 120: map records: needs {} bytes, 24 left", u64::MAX)
        );
    }

    #[test]
    fn the_last_line_may_lack_its_line_feed() {
        let mut cursor = Cursor::new(b"a\n\nb");
        assert_eq!(cursor.line(), Some(&b"a"[..]));
        assert_eq!(cursor.line(), Some(&b""[..]));
        assert_eq!(cursor.line(), Some(&b"b"[..]));
        assert_eq!(cursor.line(), None);
    }

    #[test]
    fn records_are_read_in_place() {
        let bytes = [1, 0, 0, 0, 2, 0, 0, 0, 9];
        let mut cursor = Cursor::new(&bytes);
        let records: &[U32] = cursor.records("numbers", 2).unwrap();
        assert_eq!(records.iter().map(|n| n.get()).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(cursor.rest(), [9]);
        assert!(cursor.u16("more").is_err());
    }
}
