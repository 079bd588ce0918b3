//! `dovecot-uidvalidity`: the last UIDVALIDITY that was given out, so that none is given twice.
//!
//! Source: Dovecot 2.3, `src/lib-storage/mailbox-uidvalidity.c`.

use bstr::ByteSlice;

use crate::disk::Dir;
use crate::error::Result;
use crate::format::writing::Writing;

const NAME: &str = "dovecot-uidvalidity";

fn digits(text: &[u8]) -> Option<u32> {
    let text = text.to_str().ok().filter(|text| text.len() == 8)?;
    u32::from_str_radix(text, 16).ok()
}

/// The highest value that either of the two files tells.
pub fn read(control: &Dir) -> Option<u32> {
    let content = control.read_if_there(NAME, 64).ok().flatten();
    let told = content.and_then(|bytes| digits(&bytes));
    let mut named = None;
    let listed = control.each_entry(|name, _| {
        let suffix = name.strip_prefix(NAME.as_bytes());
        let value = suffix.and_then(|rest| digits(rest.strip_prefix(b".")?));
        named = named.max(value);
    });
    listed.ok().and(told.max(named)).or(told)
}

/// The two files that say `last`: the one that says it by its content, with that, and the one that does by
/// its name.
pub fn files(last: u32) -> ((&'static str, Vec<u8>), String) {
    let text = format!("{last:08x}");
    let named = format!("{NAME}.{text}");
    ((NAME, text.into_bytes()), named)
}

/// True for the name of a file that says a value by its name.
pub fn is_named(name: &[u8]) -> bool {
    let suffix = name.strip_prefix(NAME.as_bytes());
    suffix.is_some_and(|suffix| suffix.starts_with(b"."))
}

/// Writes both files for `last`.
pub fn write(control: &Dir, last: u32, writing: &Writing) -> Result<()> {
    let ((name, content), named) = files(last);
    writing.write(control, name, &content)?;
    writing.create(control, named)?.set_mode(0o444)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::CreateOptions;
    use std::sync::Arc;

    #[test]
    fn the_pair_is_written_as_dovecot_writes_it_and_the_highest_value_is_read() {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open(temp.path(), Arc::new(crate::disk::Real)).unwrap();
        assert_eq!(read(&dir), None);
        let options = CreateOptions {
            now: 1,
            owner: None,
            mode: 0o700,
            form: crate::store::Form::default(),
        };
        write(&dir, 0x5f5e_1000, &Writing::new(&options)).unwrap();
        let text = std::fs::read(temp.path().join("dovecot-uidvalidity")).unwrap();
        assert_eq!(text, b"5f5e1000");
        assert!(temp.path().join("dovecot-uidvalidity.5f5e1000").exists());
        dir.write("dovecot-uidvalidity.5f5e1001", b"").unwrap();
        assert_eq!(read(&dir), Some(0x5f5e_1001));
    }
}
