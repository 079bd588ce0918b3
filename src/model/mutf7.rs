//! Modified UTF-7 (RFC 3501, 5.1.3): how mailbox names lie on disk.
//!
//! Printable ASCII stands for itself but for `&`, which is `&-`; all else is UTF-16 in base64 with
//! `,` for `/`, between `&` and `-`. Decoding is strict: what would not be written the same way
//! again is not a name in this encoding, and the caller says so instead of guessing.

use std::sync::LazyLock;

use data_encoding::{Encoding, Specification};

static BASE64: LazyLock<Encoding> = LazyLock::new(|| {
    let mut spec = Specification::new();
    spec.symbols
        .push_str("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,");
    spec.encoding().expect("BUG: 64 symbols are an alphabet")
});

fn stands_for_itself(c: char) -> bool {
    (' '..='~').contains(&c) && c != '&'
}

/// The name on disk of a text.
pub fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(&next) = chars.peek() {
        if stands_for_itself(next) {
            out.push(next);
            chars.next();
        } else if next == '&' {
            out.push_str("&-");
            chars.next();
        } else {
            let mut units = Vec::new();
            while let Some(c) = chars.next_if(|c| !stands_for_itself(*c) && *c != '&') {
                let mut pair = [0; 2];
                for unit in c.encode_utf16(&mut pair) {
                    units.extend(unit.to_be_bytes());
                }
            }
            out.push('&');
            BASE64.encode_append(&units, &mut out);
            out.push('-');
        }
    }
    out
}

/// The text of a name on disk, if it is one that [`encode`] would write.
pub fn decode(name: &[u8]) -> Option<String> {
    let name = std::str::from_utf8(name).ok()?;
    let mut out = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(next) = rest.chars().next() {
        if stands_for_itself(next) {
            out.push(next);
            rest = &rest[next.len_utf8()..];
        } else if next == '&' {
            let (shifted, after) = rest[1..].split_once('-')?;
            if shifted.is_empty() {
                out.push('&');
            } else {
                out.push_str(&decode_shifted(shifted)?);
            }
            rest = after;
        } else {
            return None;
        }
    }
    // One text has one name: a second spelling would be a second mailbox of the same name.
    (encode(&out) == name).then_some(out)
}

fn decode_shifted(shifted: &str) -> Option<String> {
    let bytes = BASE64.decode(shifted.as_bytes()).ok()?;
    let (pairs, odd) = bytes.as_chunks::<2>();
    if !odd.is_empty() {
        return None;
    }
    let units = pairs.iter().map(|pair| u16::from_be_bytes(*pair));
    char::decode_utf16(units).collect::<Result<_, _>>().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_from_the_standard_and_from_real_servers() {
        for (text, name) in [
            ("INBOX", "INBOX"),
            ("A&B", "A&-B"),
            ("Entwürfe", "Entw&APw-rfe"),
            ("台北", "&U,BTFw-"),
            ("Qä", "Q&AOQ-"),
            ("😀", "&2D3eAA-"),
        ] {
            assert_eq!(encode(text), name);
            assert_eq!(decode(name.as_bytes()).as_deref(), Some(text));
        }
    }

    #[test]
    fn a_second_spelling_of_a_name_is_not_a_name() {
        for name in [
            "bad&name",
            "&",
            "&AOQ",
            "&AOQ=-",
            "&AGE-",
            "&AOQ-&APw-",
            "Entwürfe",
            "&2D0-",
            "a\u{7f}",
        ] {
            assert_eq!(decode(name.as_bytes()), None, "{name}");
        }
        assert_eq!(decode(b"\xff"), None);
    }

    proptest! {
        #[test]
        fn every_text_comes_back(text in any::<String>()) {
            prop_assert_eq!(decode(encode(&text).as_bytes()), Some(text));
        }

        #[test]
        fn any_bytes_are_refused_or_come_back(name in proptest::collection::vec(any::<u8>(), 0..40)) {
            if let Some(text) = decode(&name) {
                prop_assert_eq!(encode(&text).into_bytes(), name);
            }
        }
    }
}
