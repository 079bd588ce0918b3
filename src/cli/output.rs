//! A file that is whole or not there: written beside its place, and renamed into it.

use std::io::{self, Read, Stdout, Write, stdout};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mailtally::disk::{Dir, Kind, NewFile, Real};
use mailtally::{Error, Result};

/// What a zstd stream begins with.
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// A file that is being written, or standard output. Dropped before it is published it was never there.
pub struct NewOutput(Option<Inner>);

enum Inner {
    Stdout(Stdout),
    File {
        dir: Dir,
        name: Vec<u8>,
        temporary: Vec<u8>,
        file: NewFile,
        path: PathBuf,
    },
}

impl NewOutput {
    /// Begins the file; `-` is standard output.
    pub fn create(path: &Path) -> Result<Self> {
        if path == Path::new("-") {
            return Ok(Self(Some(Inner::Stdout(stdout()))));
        }
        let refuse = |why: &str| Error::Occupied {
            path: path.to_owned(),
            why: why.into(),
            help: "name another file with -o".into(),
        };
        let name = path
            .file_name()
            .ok_or_else(|| refuse("not a file's name"))?;
        let name = name.as_encoded_bytes().to_vec();
        let above = path.parent().filter(|above| !above.as_os_str().is_empty());
        let dir = match Dir::open(above.unwrap_or(Path::new(".")), Arc::new(Real)) {
            Err(error) if error.is_not_found() => {
                return Err(refuse("its directory is not there"));
            }
            opened => opened?,
        };
        match dir.stat_if_there(&name)? {
            Some(stat) if stat.kind != Kind::File => {
                return Err(refuse("it is there, and no file"));
            }
            Some(_) if !is_ours(&dir, &name)? => {
                return Err(refuse("a file that mailtally has not written is there"));
            }
            _ => {}
        }
        let temporary = [b".", &name[..], b".mailtally-new"].concat();
        if dir.stat_if_there(&temporary)?.is_some() {
            dir.remove_file(&temporary)?;
        }
        let file = dir.create(&temporary)?;
        Ok(Self(Some(Inner::File {
            dir,
            name,
            temporary,
            file,
            path: path.to_owned(),
        })))
    }

    /// Where it will be, for messages.
    pub fn path(&self) -> &Path {
        match &self.0 {
            Some(Inner::File { path, .. }) => path,
            _ => Path::new("standard output"),
        }
    }

    /// Puts it in its place: content before name, both on the device.
    pub fn publish(mut self) -> Result<()> {
        if let Some(Inner::File {
            dir,
            name,
            temporary,
            file,
            ..
        }) = &self.0
        {
            file.sync()?;
            dir.rename_over(temporary, dir, name)?;
            dir.sync()?;
        }
        self.0 = None;
        Ok(())
    }
}

/// An earlier tally or list of digests, or nothing yet.
fn is_ours(dir: &Dir, name: &[u8]) -> Result<bool> {
    let mut head = Vec::new();
    let file = dir.file(name)?;
    let read = file.take(64).read_to_end(&mut head);
    let is_digest = |head: &[u8]| head.len() == 64 && head.iter().all(u8::is_ascii_hexdigit);
    Ok(read.is_ok() && (head.is_empty() || head.starts_with(&ZSTD) || is_digest(&head)))
}

impl Drop for NewOutput {
    fn drop(&mut self) {
        if let Some(Inner::File { dir, temporary, .. }) = &self.0 {
            // What is left of it is removed by the next run.
            let _ = dir.remove_file(temporary);
        }
    }
}

impl Write for NewOutput {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Some(Inner::Stdout(out)) => out.write(buffer),
            Some(Inner::File { file, .. }) => file.write(buffer),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.0 {
            Some(Inner::Stdout(out)) => out.flush(),
            _ => Ok(()),
        }
    }
}
