//! The SHA-256 of every file of a store, as `sha256sum -c` reads it: for people without this program.
//!
//! ```text
//! 9f86d081...0f00a08  u1/Maildir/cur/1577900060.M1P100.host:2,S
//! \60303ae2...6cc7b0a  u1/Maildir/cur/a\\b        a name with a line end or backslash is escaped
//! ```

use std::io::{Read, Write};

use bstr::BString;
use sha2::{Digest, Sha256};

use super::workers::Workers;
use crate::disk::{Dir, Kind};
use crate::error::{At, Result};

/// So many files are named before they are read.
const BATCH: usize = 512;
/// Deeper trees are not made by any server.
const DEEPEST: usize = 64;
/// Files are read in pieces of this size.
const PIECE: usize = 256 * 1024;

/// Adds every regular file below `root`, under `prefix`; no link is followed. What cannot be read is left
/// out, and returned.
pub fn list(
    root: &Dir,
    prefix: &[u8],
    out: &mut impl Write,
    workers: &Workers,
) -> Result<Vec<BString>> {
    let mut unread = Vec::new();
    let mut open = vec![(root.again()?, BString::from(prefix), 0)];
    while let Some((dir, path, depth)) = open.pop() {
        let mut names = Vec::new();
        let mut done = Ok(());
        let mut folders = Vec::new();
        dir.each_entry(|name, kind| match kind {
            Kind::Dir if depth < DEEPEST => folders.push(BString::from(name)),
            Kind::File if done.is_ok() => {
                names.push(BString::from(name));
                if names.len() == BATCH {
                    done = batch(&dir, &path, &mut names, out, workers, &mut unread);
                }
            }
            _ => {}
        })?;
        done?;
        batch(&dir, &path, &mut names, out, workers, &mut unread)?;
        folders.sort();
        for name in folders.into_iter().rev() {
            let inside = joined(&path, &name);
            match dir.dir(&name) {
                Ok(folder) => open.push((folder, inside, depth + 1)),
                Err(_) => unread.push(inside),
            }
        }
    }
    Ok(unread)
}

fn joined(path: &BString, name: &BString) -> BString {
    let mut joined = path.clone();
    if !joined.is_empty() {
        joined.push(b'/');
    }
    joined.extend_from_slice(name);
    joined
}

fn batch(
    dir: &Dir,
    path: &BString,
    names: &mut Vec<BString>,
    out: &mut impl Write,
    workers: &Workers,
    unread: &mut Vec<BString>,
) -> Result<()> {
    let digests = workers.batch(0..names.len(), |nth| digest(dir, &names[nth]).ok())?;
    let mut text = Vec::new();
    for (name, digest) in names.drain(..).zip(digests) {
        let file = joined(path, &name);
        match digest {
            Some(digest) => line(&digest, &file, &mut text),
            None => unread.push(file),
        }
    }
    out.write_all(&text).at("write", "the list".as_ref())
}

fn digest(dir: &Dir, name: &BString) -> Result<String> {
    let mut file = dir.file(name)?;
    let mut hasher = Sha256::new();
    let mut piece = vec![0; PIECE];
    loop {
        let read = file.read(&mut piece).at("read", &dir.path_of(name))?;
        if read == 0 {
            return Ok(data_encoding::HEXLOWER.encode(&hasher.finalize()));
        }
        hasher.update(&piece[..read]);
    }
}

fn line(digest: &str, name: &BString, out: &mut Vec<u8>) {
    if name.iter().any(|byte| b"\\\n\r".contains(byte)) {
        out.push(b'\\');
    }
    out.extend_from_slice(digest.as_bytes());
    out.extend_from_slice(b"  ");
    for byte in name.iter() {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            other => out.push(*other),
        }
    }
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::Real;
    use std::sync::Arc;

    #[test]
    fn a_name_that_would_break_the_line_is_escaped_as_sha256sum_does() {
        let temp = tempfile::tempdir().unwrap();
        std::fs::create_dir(temp.path().join("cur")).unwrap();
        std::fs::write(temp.path().join("cur/a\\b\n"), "x").unwrap();
        std::fs::write(temp.path().join("plain"), "").unwrap();
        let dir = Dir::open(temp.path(), Arc::new(Real)).unwrap();
        let mut out = Vec::new();
        let unread = list(&dir, b"u1", &mut out, &Workers::new(1).unwrap()).unwrap();
        assert!(unread.is_empty());
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let x = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881";
        let wanted = format!("{empty}  u1/plain\n\\{x}  u1/cur/a\\\\b\\n\n");
        assert_eq!(String::from_utf8(out).unwrap(), wanted);
    }
}
