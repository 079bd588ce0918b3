//! Base names with the right sizes, and names apart from one another.

use bstr::BString;

use super::super::filename::size;
use crate::report::catalogue::{MAILDIR_SIZE_MISMATCH, MAILDIR_VSIZE_MISMATCH};

/// The name with these sizes, where it tells any. Only the first field of a kind counts.
pub(super) fn with_sizes(base: &[u8], plain: u64, virtual_size: u64) -> BString {
    let mut name = base.to_vec();
    for (key, real) in [(b'S', plain), (b'W', virtual_size)] {
        let marker = [b',', key, b'='];
        let told = memchr::memmem::find(&name, &marker).map(|at| at + marker.len());
        if let Some(at) = told.filter(|_| size(&name, key) != Some(real)) {
            let rest = memchr::memchr(b',', &name[at..]).map_or(name.len(), |end| at + end);
            name = [&name[..at], real.to_string().as_bytes(), &name[rest..]].concat();
        }
    }
    name.into()
}

/// The codes of what a name says wrong.
pub(super) fn wrong(base: &[u8], plain: u64, virtual_size: u64) -> Vec<&'static str> {
    let wrong = |key, real| size(base, key).is_none_or(|told| told != real);
    let told = |key: u8| memchr::memmem::find(base, &[b',', key, b'=']).is_some();
    let mut codes = Vec::new();
    if told(b'S') && wrong(b'S', plain) {
        codes.push(MAILDIR_SIZE_MISMATCH.code);
    }
    if told(b'W') && wrong(b'W', virtual_size) {
        codes.push(MAILDIR_VSIZE_MISMATCH.code);
    }
    codes
}

/// A name that no other message has: the UID is in it.
pub(super) fn apart(base: &[u8], uid: u32) -> BString {
    let fields = memchr::memchr(b',', base).unwrap_or(base.len());
    let mark = format!(".U{uid}");
    [&base[..fields], mark.as_bytes(), &base[fields..]]
        .concat()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_put_right_where_they_stand() {
        for (name, right) in [
            ("1.M1.host", "1.M1.host"),
            ("1.M1.host,S=5,W=6", "1.M1.host,S=25,W=30"),
            ("1.M1.host,W=6,X=1,S=5", "1.M1.host,W=30,X=1,S=25"),
            ("1.M1.host,S=25,W=30", "1.M1.host,S=25,W=30"),
            ("1.M1.host,S=x", "1.M1.host,S=25"),
        ] {
            assert_eq!(with_sizes(name.as_bytes(), 25, 30), right);
        }
        let codes = ["maildir.size-mismatch", "maildir.vsize-mismatch"];
        assert_eq!(wrong(b"1,S=5,W=6", 25, 30), codes);
        assert_eq!(wrong(b"1,S=25,W=6", 25, 30), codes[1..]);
    }

    #[test]
    fn names_apart_keep_their_fields() {
        assert_eq!(apart(b"1.M1.host,S=5", 7), "1.M1.host.U7,S=5");
        assert_eq!(apart(b"1.M1.host", 7), "1.M1.host.U7");
    }
}
