//! The file of Dovecot's `quota = dict:User quota::file:PATH`: a key, its value, each on a line.
//!
//! ```text
//! priv/quota/storage
//! 23533
//! priv/quota/messages
//! 19
//! ```
//! The limits are in the server's configuration.
//!
//! Source: Dovecot 2.3, `src/lib-dict/dict-file.c`, `src/plugins/quota/quota-dict.c`; looked at where it
//! writes the file.

use bstr::ByteSlice;

const STORAGE: &[u8] = b"priv/quota/storage";
const MESSAGES: &[u8] = b"priv/quota/messages";

/// Bytes and messages; `None` where one of them is not there, or is no number.
pub fn read(file: &[u8]) -> Option<(i64, i64)> {
    let value = |key| {
        let (_, value) = pairs(file).find(|pair| pair.0 == key)?;
        value.trim().to_str().ok()?.parse().ok()
    };
    Some((value(STORAGE)?, value(MESSAGES)?))
}

/// The file with these values; whatever other keys are in it stay.
pub fn corrected(file: &[u8], bytes: u64, messages: u64) -> Vec<u8> {
    let (bytes, messages) = (bytes.to_string(), messages.to_string());
    let ours = [(STORAGE, &bytes), (MESSAGES, &messages)];
    let mut new = Vec::new();
    let others = keys(file).filter(|(key, _)| ours.iter().all(|(our, _)| our != key));
    let ours = ours.iter().map(|(key, value)| (*key, value.as_bytes()));
    for (key, value) in ours.chain(others) {
        for line in [key, value] {
            new.extend_from_slice(line);
            new.push(b'\n');
        }
    }
    new
}

fn pairs(file: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut lines = file.lines();
    std::iter::from_fn(move || Some((lines.next()?, lines.next().unwrap_or_default())))
}

/// The pairs again, whatever lines that are no keys stand between them.
fn keys(file: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut lines = file.lines();
    std::iter::from_fn(move || {
        let key = lines.by_ref().find(|line| is_key(line))?;
        Some((key, lines.next().unwrap_or_default()))
    })
}

/// A dict has no others.
fn is_key(line: &[u8]) -> bool {
    line.starts_with(b"priv/") || line.starts_with(b"shared/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_values_are_read_or_none() {
        let file = b"priv/quota/storage\n23533\npriv/quota/messages\n19\n";
        assert_eq!(read(file), Some((23533, 19)));
        assert_eq!(
            read(b"priv/quota/storage\n-5\nx\ny\npriv/quota/messages\n0"),
            Some((-5, 0))
        );
        assert_eq!(read(b"priv/quota/storage\n23533\n"), None);
        assert_eq!(
            read(b"priv/quota/storage\nmany\npriv/quota/messages\n1\n"),
            None
        );
        assert_eq!(read(b""), None);
    }

    #[test]
    fn what_is_corrected_is_read_back_and_the_rest_stays() {
        let file = b"priv/x\n1\npriv/quota/storage\n-1\n";
        let new = corrected(file, 5_000_000_000, 7);
        assert_eq!(read(&new), Some((5_000_000_000, 7)));
        assert!(new.ends_with(b"priv/x\n1\n"), "{}", new.as_bstr());
        assert_eq!(corrected(&new, 5_000_000_000, 7), new);
    }

    #[test]
    fn lines_that_are_no_keys_go_when_it_is_corrected() {
        let file = b"x\npriv/quota/storage\n5\n\0\0y\nshared/z\n1\npriv/quota/messages\n2\nmore\n";
        let new = corrected(file, 7, 3);
        let wanted = "priv/quota/storage\n7\npriv/quota/messages\n3\nshared/z\n1\n";
        assert_eq!(new.as_bstr(), wanted);
    }
}
