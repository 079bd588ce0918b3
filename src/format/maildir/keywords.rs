//! Which keyword a letter stands for: `dovecot-keywords`, `.customflags`, `courierimapkeywords/`.
//!
//! ```text
//! 0 $Forwarded          dovecot-keywords: index 0-25 for the letters a-z, and the name
//! 1 Junk
//!
//! Junk                  courierimapkeywords/:list: names, an empty line,
//!                       then the base name of a message and its keywords' places
//! 1577900060.M1.host:0 1
//! ```

use std::collections::HashMap;

use bstr::{BString, ByteSlice};

use super::filename::{LETTERS, base, number};
use crate::disk::{Dir, Kind};
use crate::format::side_files::MOST;

/// Dovecot's own file.
pub(super) const DOVECOT: &str = "dovecot-keywords";
const OLD_DOVECOT: &str = ".customflags";
/// The folder of Courier's files.
pub const COURIER: &str = "courierimapkeywords";

/// What the files of a mailbox say about keywords.
#[derive(Debug, Default)]
pub struct Named {
    /// Dovecot's own file is there.
    pub has_list: bool,
    /// The keyword of each letter, from `a` on.
    pub letters: Vec<Option<BString>>,
    /// Courier's: keywords by base name.
    pub by_base: HashMap<BString, Vec<BString>>,
    /// Lines that could not be read.
    pub broken: u64,
    /// Names that another letter already has but for its case.
    pub doubled: Vec<BString>,
}

/// Reads what there is: Dovecot's own file first, then its forebear's, then Courier's.
pub fn read(control: &Dir, mailbox: &Dir) -> crate::Result<Named> {
    for name in [DOVECOT, OLD_DOVECOT] {
        if let Some(bytes) = control.read_if_there(name, MOST)? {
            let has_list = name == DOVECOT;
            return Ok(Named {
                has_list,
                ..lines(&bytes)
            });
        }
    }
    courier(mailbox)
}

fn lines(bytes: &[u8]) -> Named {
    let mut named = Named::default();
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        // A line without an end is cut, and Dovecot does not read it.
        let Some(line) = line.strip_suffix(b"\n") else {
            named.broken += 1;
            continue;
        };
        if line.is_empty() {
            continue;
        }
        // A line without a space is the first one of `.customflags`.
        let Some((index, name)) = line.split_once_str(" ") else {
            named.broken += 1;
            continue;
        };
        let index = number(index).filter(|index| *index < u64::from(LETTERS));
        match index.and_then(|index| usize::try_from(index).ok()) {
            Some(index) if is_keyword(name) => named.put(index, name),
            _ => named.broken += 1,
        }
    }
    named
}

/// Dovecot's file for these keywords; there are letters for the first 26.
pub(super) fn write(names: &[BString]) -> Vec<u8> {
    let mut text = Vec::new();
    for (index, name) in (0..LETTERS).zip(names) {
        text.extend(format!("{index} ").bytes());
        text.extend_from_slice(name);
        text.push(b'\n');
    }
    text
}

fn is_keyword(name: &[u8]) -> bool {
    !name.is_empty()
        && !name
            .iter()
            .any(|byte| byte.is_ascii_control() || *byte == b' ')
}

impl Named {
    fn put(&mut self, index: usize, name: &[u8]) {
        let held = self.letters.iter().flatten();
        if held.into_iter().any(|held| held.eq_ignore_ascii_case(name)) {
            self.doubled.push(name.into());
        }
        if self.letters.len() <= index {
            self.letters.resize(index + 1, None);
        }
        self.letters[index] = Some(name.into());
    }
}

fn courier(mailbox: &Dir) -> crate::Result<Named> {
    let mut named = Named::default();
    let Some(folder) = mailbox.dir_if_there(COURIER)? else {
        return Ok(named);
    };
    if let Some(bytes) = folder.read_if_there(":list", MOST)? {
        courier_list(&bytes, &mut named);
    }
    let mut entries = folder.entries()?;
    entries.retain(|entry| entry.kind == Kind::File && entry.name != ":list");
    // What was merged first, then the changes that were not, in their order.
    entries.sort_by_cached_key(|entry| (pending(&entry.name).0, entry.name.clone()));
    for entry in &entries {
        let (_, name) = pending(&entry.name);
        match folder.read_if_there(&entry.name, MOST) {
            Ok(bytes) => {
                let bytes = bytes.unwrap_or_default();
                let words = bytes.lines().filter(|line| is_keyword(line));
                let words = words.map(BString::from).collect();
                named.by_base.insert(base(name).into(), words);
            }
            Err(_) => named.broken += 1,
        }
    }
    Ok(named)
}

/// `.N.name` is a change that was not merged yet, `name` a merged one.
fn pending(file: &[u8]) -> (Option<u64>, &[u8]) {
    let Some(rest) = file.strip_prefix(b".") else {
        return (None, file);
    };
    let parts = rest.split_once_str(".");
    parts.map_or((Some(0), rest), |(nth, name)| {
        (Some(number(nth).unwrap_or(0)), name)
    })
}

fn courier_list(bytes: &[u8], named: &mut Named) {
    let mut lines = bytes.lines();
    let keywords: Vec<&[u8]> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
    for line in lines {
        let Some((name, places)) = line.rsplit_once_str(":") else {
            named.broken += 1;
            continue;
        };
        let places = places.split(|byte| *byte == b' ').filter_map(number);
        let keywords = places.filter_map(|place| {
            let name = keywords.get(usize::try_from(place).ok()?)?;
            is_keyword(name).then(|| BString::from(*name))
        });
        named.by_base.insert(base(name).into(), keywords.collect());
    }
}

/// The keywords of a mailbox as messages name them: by place, each once whatever its case.
#[derive(Debug, Default)]
pub struct Table {
    /// The names, as first met.
    pub names: Vec<BString>,
    places: HashMap<Vec<u8>, u32>,
}

impl Table {
    /// The place of a keyword that was met before.
    pub fn find(&self, name: &[u8]) -> Option<u32> {
        self.places.get(&name.to_ascii_lowercase()).copied()
    }

    /// The place of a keyword; a new one gets the next place.
    pub fn place(&mut self, name: &[u8]) -> u32 {
        let next = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        *self
            .places
            .entry(name.to_ascii_lowercase())
            .or_insert_with(|| {
                self.names.push(name.into());
                next
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn letters_are_named_and_bad_lines_skipped() {
        let named = lines(b"0 $Forwarded\n2 Junk\nnonsense\n26 Late\n3 junk\n4 \n");
        assert_eq!(named.letters[0].as_deref(), Some(&b"$Forwarded".to_vec()));
        assert_eq!(named.letters[1], None);
        assert_eq!(named.broken, 3);
        assert_eq!(named.doubled, ["junk"]);
    }

    #[test]
    fn a_line_without_an_end_is_none() {
        let named = lines(b"0 Work\n1 $Forw");
        assert_eq!(named.letters, [Some("Work".into())]);
        assert_eq!(named.broken, 1);
    }

    #[test]
    fn what_is_written_is_read_back() {
        let names = [BString::from("$Forwarded"), BString::from("Junk")];
        assert_eq!(write(&names), b"0 $Forwarded\n1 Junk\n");
        let read = lines(&write(&names));
        assert_eq!(read.letters, names.map(Some));
        assert_eq!((read.broken, read.doubled), (0, Vec::new()));
    }

    #[test]
    fn couriers_list_and_its_single_files_are_read() {
        let temp = tempfile::tempdir().unwrap();
        let folder = temp.path().join(COURIER);
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(
            folder.join(":list"),
            "Junk\nWork\n\n1.a.host:0 1 9\n2.b.host:1\n",
        )
        .unwrap();
        std::fs::write(folder.join(".5.2.b.host"), "Late\n").unwrap();
        let dir = Dir::open(temp.path(), Arc::new(crate::disk::Real)).unwrap();
        let named = read(&dir, &dir).unwrap();
        assert_eq!(named.by_base[&BString::from("1.a.host")], ["Junk", "Work"]);
        assert_eq!(named.by_base[&BString::from("2.b.host")], ["Late"]);
    }

    #[test]
    fn a_keyword_has_one_place_whatever_its_case() {
        let mut table = Table::default();
        assert_eq!(table.place(b"$Label1"), 0);
        assert_eq!(table.place(b"Work"), 1);
        assert_eq!(table.place(b"$LABEL1"), 0);
        assert_eq!(table.names, ["$Label1", "Work"]);
    }
}
