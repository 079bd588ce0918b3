//! Damaged stores are sound again: found, repaired, clean; and a server opens them without a word.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::harness::dovecot::Dovecot;
use crate::harness::maildir::scratch;
use crate::harness::run::{Ran, Run};
use crate::harness::tree::{copy, differences, tree};
use crate::harness::unpacked;

mod altered; // bytes that a conversion proved are others
mod before; // what a server must not open yet
mod bits; // of an index, a log or a map, flipped
mod blocks; // of an index or a log, zeroed
mod catalogue; // every finding: mended, or said to be left
mod converted; // a mailbox of a converted account is not there any more
mod copies; // a message that is stored twice
mod dates; // file times that are those of a copy
mod doubles; // two files of one base name
mod emptied; // a Maildir folder without its files
mod gone; // a whole mailbox is not there any more
mod hidden; // a mailbox that cannot be read
mod indexes; // of a Maildir, and the server's list of mailboxes
mod letters; // of keywords, and who names them
mod maildir; // what stands in names and lists
mod mdbox; // many messages a file, and a map
mod older; // a backup that was laid over a store
mod outvoted; // one of three that tell the UIDVALIDITY is wrong
mod outvoted_dbox; // the same in a dbox that a conversion made
mod places; // accounts that lie in several places, and where what is replaced is kept
mod recalled; // no index is left, and what a conversion wrote is
mod refused; // what a server would not take, or take for something else
mod resync; // the same damage, mended by a server
mod salvaged; // flags from a log alone, and from the records behind a damaged header
pub mod samples; // a store for each finding that is mended
mod saved; // dates that only a cache has
mod sdbox; // one file a message, and an index that is data
mod steps; // cut anywhere, finished by the next run; taken back
mod torn; // bytes within a message are gone
mod uidlists; // bytes of a list of UIDs are gone
mod unmounted; // the storage of an mdbox is out of sight

/// A store that a server made, in a folder of its own.
pub struct Damaged {
    temp: TempDir,
    format: &'static str,
}

impl Damaged {
    /// The sample of this format.
    pub fn sample(format: &'static str) -> Self {
        let sample = unpacked(&format!("dovecot-2.3.19/{format}.tar.gz"));
        let folder = if format == "maildir" {
            "Maildir"
        } else {
            format
        };
        Self::new(format, |store| copy(&sample.path().join(folder), store))
    }

    /// A store of this format that `make` puts into the place that it is told.
    pub fn new(format: &'static str, make: impl FnOnce(&Path)) -> Self {
        let temp = scratch();
        fs::create_dir(temp.path().join("home")).unwrap();
        make(&temp.path().join("store"));
        Self { temp, format }
    }

    /// What a server has made of one.
    pub fn left_by(dovecot: &Dovecot, format: &'static str) -> Self {
        Self::new(format, |store| copy(&dovecot.mail(), store))
    }

    /// The same store, named as one of another format.
    pub fn called(self, format: &'static str) -> Self {
        Self { format, ..self }
    }

    /// Its format.
    pub fn format(&self) -> &'static str {
        self.format
    }

    /// Where the store and a home are.
    pub fn temp(&self) -> &Path {
        self.temp.path()
    }

    /// Where the store is.
    pub fn store(&self) -> PathBuf {
        self.temp.path().join("store")
    }

    /// A file of it.
    pub fn at(&self, path: impl AsRef<Path>) -> PathBuf {
        self.store().join(path)
    }

    /// A file of a dbox mailbox.
    pub fn mails(&self, mailbox: &str, file: &str) -> PathBuf {
        self.at(format!("mailboxes/{mailbox}/dbox-Mails/{file}"))
    }

    /// Removes files and folders.
    pub fn without(self, paths: &[PathBuf]) -> Self {
        for path in paths {
            if path.is_dir() {
                fs::remove_dir_all(path).unwrap();
            } else {
                fs::remove_file(path).unwrap();
            }
        }
        self
    }

    /// Removes the index of the INBOX of a dbox.
    pub fn without_index(self) -> Self {
        let names = ["dovecot.index", "dovecot.index.log", "dovecot.index.cache"];
        let files = names.map(|name| self.mails("INBOX", name)).into_iter();
        let files: Vec<_> = files.filter(|path| path.exists()).collect();
        self.without(&files)
    }

    /// Changes the bytes of a file.
    pub fn changed(self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) -> Self {
        let mut bytes = fs::read(path).unwrap();
        change(&mut bytes);
        // A server's copies are hard links: the others are to stay as they are.
        let time = fs::metadata(path).unwrap().modified().unwrap();
        fs::remove_file(path).unwrap();
        fs::write(path, bytes).unwrap();
        let file = fs::File::options().append(true).open(path).unwrap();
        file.set_modified(time).unwrap();
        self
    }

    /// `mailtally COMMAND --json` on the store, with more arguments.
    pub fn run(&self, command: &str, more: &[&str]) -> Ran {
        let location = format!("{}:{}", self.format, self.store().display());
        let args = [command, "--json", &location];
        Run::new(self.temp.path()).args(args).args(more).done()
    }

    /// Inspects it.
    pub fn inspect(&self) -> Ran {
        self.run("inspect", &[])
    }

    /// Repairs it; no server is there.
    pub fn repair(&self) -> Ran {
        self.run("repair", &["--offline"])
    }

    /// A repair finds nothing to do.
    pub fn is_not_touched(&self) {
        let before = tree(&self.store());
        let ran = self.repair().exits(0);
        assert!(ran.records_of("step").is_empty(), "{ran}");
        assert_eq!(differences(&before, &tree(&self.store())), [""; 0]);
    }
}

/// What a repair mended, by code, sorted.
pub fn mended(ran: &Ran) -> Vec<String> {
    let steps = ran.records_of("step");
    let codes = steps
        .iter()
        .flat_map(|step| step["codes"].as_array().unwrap());
    let mut codes: Vec<_> = codes
        .map(|code| code.as_str().unwrap().to_owned())
        .collect();
    codes.sort();
    codes.dedup();
    codes
}

/// What a repair could not bring back.
pub fn lost(ran: &Ran) -> Vec<String> {
    let steps = ran.records_of("step");
    let lost = steps
        .iter()
        .flat_map(|step| step["lost"].as_array().unwrap());
    lost.map(|lost| lost.as_str().unwrap().to_owned()).collect()
}
