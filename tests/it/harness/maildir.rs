//! Maildirs as the field has them, built file by file.
//!
//! ```text
//! <temp>/Maildir     the source: `Maildir::new().message("INBOX", NAME, BODY).uidlist(...)`
//!        sdbox       the destination
//!        home        HOME of the runs
//! ```

use std::ffi::OsStr;
use std::fs::{self, File, FileTimes, Permissions};
use std::os::unix::fs::{PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use mailtally::format::dovecot_index::{
    CacheWriter, FixedField, Head, IndexWriter, keywords_header,
};
use tempfile::TempDir;

use super::run::{NOBODY, Ran, Run, is_root};
use super::store::Store;

/// Keys of a location in either layout.
pub const LAYOUTS: [&str; 2] = ["", ":LAYOUT=fs"];
/// UIDVALIDITY of every uidlist here.
pub const VALIDITY: u32 = 1_700_000_000;

/// Those of an account with one mailbox beside its INBOX, what is below a directory before it.
const DIRECTORIES: [&str; 8] = [
    "cur",
    "new",
    "tmp",
    ".Sent/cur",
    ".Sent/new",
    ".Sent/tmp",
    ".Sent",
    "",
];

/// A message with this subject: 48 bytes for a subject of eight.
pub fn mail(subject: &str) -> Vec<u8> {
    format!("From: a@b.example\nSubject: {subject}\n\nbody\n").into_bytes()
}

/// The `nth` message's base name.
pub fn name(nth: usize) -> String {
    format!("170000000{nth}.M1P1.host")
}

/// A temporary folder; in memory where the machine has such a place, as every run waits for the disk.
pub fn scratch() -> TempDir {
    let memory = Path::new("/dev/shm");
    let temp = tempfile::Builder::new()
        .prefix("mailtally-it-")
        .tempdir_in(memory)
        .or_else(|_| tempfile::tempdir())
        .unwrap();
    // For runs as another user.
    fs::set_permissions(temp.path(), Permissions::from_mode(0o755)).unwrap();
    temp
}

/// A Maildir and the places around it.
pub struct Maildir {
    temp: TempDir,
}

impl Maildir {
    /// An account with nothing but its INBOX.
    pub fn new() -> Self {
        let temp = scratch();
        fs::create_dir(temp.path().join("home")).unwrap();
        let this = Self { temp };
        fs::create_dir(this.source()).unwrap();
        fs::set_permissions(this.source(), Permissions::from_mode(0o700)).unwrap();
        this.folder("INBOX")
    }

    /// M of the table of cases: five messages in the INBOX and one in Sent, in uidlists.
    pub fn five_and_one() -> Self {
        let rows: Vec<_> = (1..=5).map(|nth| (nth, name(nth as usize))).collect();
        let mut this = Self::new().uidlist("INBOX", 6, &rows);
        for nth in 1..=5 {
            this = this.message(
                "INBOX",
                &format!("{}:2,S", name(nth)),
                mail(&format!("number {nth}")),
            );
        }
        this.folder("Sent")
            .uidlist("Sent", 2, &[(1, name(9))])
            .message("Sent", &format!("{}:2,S", name(9)), mail("sent one"))
    }

    /// All of it.
    pub fn temp(&self) -> &Path {
        self.temp.path()
    }

    /// The source.
    pub fn source(&self) -> PathBuf {
        self.temp().join("Maildir")
    }

    /// The destination.
    pub fn destination(&self) -> PathBuf {
        self.temp().join("sdbox")
    }

    /// A path of the source.
    pub fn at(&self, path: impl AsRef<OsStr>) -> PathBuf {
        self.source().join(path.as_ref())
    }

    /// A path of a mailbox, Maildir++.
    pub fn in_folder(&self, folder: &str, path: impl AsRef<OsStr>) -> PathBuf {
        match folder {
            "INBOX" => self.at(path),
            folder => self.at(format!(".{folder}")).join(path.as_ref()),
        }
    }

    /// A folder with `cur`, `new` and `tmp`; its name as on disk, without the dot.
    pub fn folder(self, folder: &str) -> Self {
        for place in ["cur", "new", "tmp"] {
            fs::create_dir_all(self.in_folder(folder, place)).unwrap();
        }
        self
    }

    /// A directory of any name.
    pub fn dir(self, path: impl AsRef<OsStr>) -> Self {
        fs::create_dir_all(self.at(path)).unwrap();
        self
    }

    /// A file of any name; directories on the way are made.
    pub fn put(self, path: impl AsRef<OsStr>, bytes: impl AsRef<[u8]>) -> Self {
        let path = self.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        dated_by_its_name(&path);
        self
    }

    /// A message in `cur/`, received when its name was made.
    pub fn message(self, folder: &str, name: &str, body: impl AsRef<[u8]>) -> Self {
        let path = self.in_folder(folder, "cur").join(name);
        fs::write(&path, body).unwrap();
        dated_by_its_name(&path);
        self
    }

    /// A message in `new/`.
    pub fn new_message(self, folder: &str, name: &str, body: impl AsRef<[u8]>) -> Self {
        let path = self.in_folder(folder, "new").join(name);
        fs::write(&path, body).unwrap();
        dated_by_its_name(&path);
        self
    }

    /// A `dovecot-uidlist` of version 3 with these base names.
    pub fn uidlist(self, folder: &str, next: u32, rows: &[(u32, String)]) -> Self {
        let mut text = format!("3 V{VALIDITY} N{next} G{:032x}\n", guid_of(folder));
        for (uid, name) in rows {
            text = format!("{text}{uid} :{name}\n");
        }
        self.side(folder, "dovecot-uidlist", text)
    }

    /// A file beside a mailbox's messages.
    pub fn side(self, folder: &str, name: &str, content: impl AsRef<[u8]>) -> Self {
        fs::write(self.in_folder(folder, name), content).unwrap();
        self
    }

    /// `dovecot.index` and its log, as [`Indexed`] says.
    pub fn index(self, folder: &str, index: &Indexed<'_>) -> Self {
        let (index, log, cache) = index.files();
        self.side(folder, "dovecot.index", index)
            .side(folder, "dovecot.index.log", log)
            .side(folder, "dovecot.index.cache", cache)
    }

    /// A symbolic link that says `target`.
    pub fn link(self, path: &str, target: impl AsRef<Path>) -> Self {
        symlink(target, self.at(path)).unwrap();
        self
    }

    /// Permission bits.
    pub fn mode(self, path: &str, mode: u32) -> Self {
        fs::set_permissions(self.at(path), Permissions::from_mode(mode)).unwrap();
        self
    }

    /// Directories of an account with a mailbox `Sent` that may be read and not written to, also by root.
    pub fn read_only(self) -> Self {
        let account = { DIRECTORIES.iter() }.fold(self, |it, dir| it.mode(dir, 0o500));
        account.of_whom_modes_hold_for()
    }

    /// Given to who [`Run::unprivileged`] is.
    pub fn of_whom_modes_hold_for(self) -> Self {
        if is_root() {
            self.owned_by(NOBODY)
        } else {
            self
        }
    }

    /// So that it can be removed.
    pub fn writable_again(self) {
        let top_down = DIRECTORIES.iter().rev();
        top_down.fold(self, |it, dir| it.mode(dir, 0o700));
    }

    /// A file time.
    pub fn time(self, path: &str, time: SystemTime) -> Self {
        let file = File::options().append(true).open(self.at(path)).unwrap();
        file.set_times(FileTimes::new().set_modified(time)).unwrap();
        self
    }

    /// Removes a file.
    pub fn without(self, path: &str) -> Self {
        fs::remove_file(self.at(path)).unwrap();
        self
    }

    /// Gives all of it, and the place around it, to a user.
    pub fn owned_by(self, uid: u32) -> Self {
        give(self.temp(), uid);
        self
    }

    /// The location of the source.
    pub fn location(&self) -> String {
        format!("maildir:{}", self.source().display())
    }

    /// The location of the destination.
    pub fn target(&self) -> String {
        format!("sdbox:{}", self.destination().display())
    }

    /// `mailtally convert --json` of this source, with more arguments.
    pub fn convert_with(&self, more: &[&str]) -> Run {
        self.convert_to(&self.target()).args(more)
    }

    /// `mailtally convert --json` of this source to a location.
    pub fn convert_to(&self, target: &str) -> Run {
        Run::new(self.temp()).args(["convert", "--json", &self.location(), target])
    }

    /// `mailtally convert --json`.
    pub fn convert(&self) -> Ran {
        self.convert_with(&[]).done()
    }

    /// `mailtally inspect --json`.
    pub fn inspect(&self) -> Ran {
        Run::new(self.temp())
            .args(["inspect", "--json", &self.location()])
            .done()
    }

    /// What a conversion left.
    pub fn store(&self) -> Store {
        Store::sdbox(&self.destination())
    }

    /// Converts, and reads what is there then. Nothing may differ, whatever was found.
    pub fn converted(&self) -> (Ran, Store) {
        let ran = self.convert();
        assert!(ran.records_of("difference").is_empty(), "{ran}");
        assert!(matches!(ran.code, 0 | 1), "{ran}");
        (ran, self.store())
    }
}

fn guid_of(folder: &str) -> u32 {
    crc32fast::hash(folder.as_bytes()).max(1)
}

fn dated_by_its_name(path: &Path) {
    let name = path.file_name().unwrap().as_encoded_bytes();
    let digits: Vec<u8> = name
        .iter()
        .copied()
        .take_while(u8::is_ascii_digit)
        .collect();
    let seconds = String::from_utf8(digits).unwrap().parse::<u64>();
    if let Ok(seconds @ 1_000_000_000..2_000_000_000) = seconds {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let file = File::options().append(true).open(path).unwrap();
        file.set_times(FileTimes::new().set_modified(time)).unwrap();
    }
}

fn give(path: &Path, uid: u32) {
    lchown(path, Some(uid), Some(uid)).unwrap();
    if path.is_dir() && !path.is_symlink() {
        for entry in fs::read_dir(path).unwrap() {
            give(&entry.unwrap().path(), uid);
        }
    }
}

/// What an index says.
pub struct Indexed<'a> {
    pub uidvalidity: u32,
    pub next: u32,
    pub keywords: &'a [&'a str],
    /// UID, flags as bits on disk, keywords by place.
    pub messages: &'a [(u32, u8, &'a [usize])],
    /// Dates in the cache, one a message.
    pub cached: &'a [u32],
    /// Which dates these are.
    pub field: &'static str,
    pub first_recent: u32,
    pub indexid: u32,
}

impl Default for Indexed<'_> {
    fn default() -> Self {
        Self {
            uidvalidity: VALIDITY,
            next: 6,
            keywords: &[],
            messages: &[],
            cached: &[],
            field: "date.save",
            first_recent: 1,
            indexid: 77,
        }
    }
}

impl Indexed<'_> {
    /// Index, log and cache.
    pub fn files(&self) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
        let mut index = IndexWriter::new(Head {
            now: 1_700_000_000,
            indexid: self.indexid,
            uid_validity: self.uidvalidity,
            next_uid: self.next,
            first_recent_uid: self.first_recent,
            log_file_seq: 2,
            initial_modseq: 5,
        });
        let names: Vec<_> = self.keywords.iter().map(|name| (*name).into()).collect();
        let bytes = names.len().div_ceil(8).max(1);
        let width = u16::try_from(bytes).unwrap();
        let keywords = (!names.is_empty())
            .then(|| index.extension("keywords", 0, keywords_header(&names), width, 1));
        let cached = index.extension("cache", 9, Vec::new(), 4, 4);
        let field = FixedField {
            name: self.field,
            last_used: 0xffff_fffe,
        };
        let mut cache = CacheWriter::new(self.indexid, 9, &[field]);
        for (at, (uid, flags, places)) in self.messages.iter().enumerate() {
            let nth = index.push(*uid, *flags);
            let mut bits = vec![0; bytes];
            for place in *places {
                bits[place / 8] |= 1 << (place % 8);
            }
            if let Some(keywords) = keywords {
                index.set(nth, keywords, &bits);
            }
            if let Some(date) = self.cached.get(at) {
                let offset = cache.push(&[*date]);
                index.set(nth, cached, &offset.to_le_bytes());
            }
        }
        (index.index_bytes(), index.log_bytes(), cache.into_bytes())
    }
}
