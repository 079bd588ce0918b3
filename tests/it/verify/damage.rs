//! Damage to the files of a true copy: each is named at its message, on its side, and never passed over.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mailtally::disk::{Action, Disk, Real, Step};
use mailtally::ops::verify::Level;
use mailtally::report::Status;

use super::planted::{Dice, Planted, Said, Told, compared, store, store_on};
use crate::harness::FORMATS;
use crate::harness::maildir::{Maildir, scratch};
use crate::harness::run::Run;

/// Where on disk the body of a message is.
struct Lies {
    file: PathBuf,
    at: usize,
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(files(&path));
        } else {
            all.push(path);
        }
    }
    all
}

/// Finds a message by its subject; the place is in its first line.
fn find(root: &Path, nth: usize) -> Lies {
    let mark = format!("Subject: number {nth}\n\nline 0 of {nth}: ");
    let found = files(root).into_iter().find_map(|file| {
        let bytes = fs::read(&file).unwrap();
        let at = bstr::ByteSlice::find(&bytes[..], mark.as_bytes())?;
        let at = at + mark.len();
        Some(Lies { file, at })
    });
    found.unwrap_or_else(|| panic!("no message {nth}"))
}

/// What is done to the bytes of a file, at a body.
type Damage = (&'static str, fn(&mut Vec<u8>, usize));

const DAMAGE: &[Damage] = &[
    ("a byte is flipped", |bytes, at| bytes[at + 40] ^= 4),
    ("a block is zeroed", |bytes, at| {
        bytes[at + 20..at + 84].fill(0);
    }),
    ("the file is cut", |bytes, at| bytes.truncate(at + 60)),
];

/// Every code that was said, and every place.
fn told(said: &Said) -> (BTreeSet<String>, BTreeSet<(String, u32)>) {
    let mut all: Vec<Told> = said.differences.lock().unwrap().clone();
    all.extend(said.findings.lock().unwrap().iter().cloned());
    // What is said of a storage file is said of no message.
    let of_messages = all.iter().filter(|(code, ..)| code != "mdbox.damaged");
    let places = of_messages.map(|(_, mailbox, uid)| (mailbox.clone(), *uid));
    let places = places.collect();
    (all.into_iter().map(|(code, ..)| code).collect(), places)
}

/// The message that lies last in its file: what is cut off behind it is nobody's.
fn last(root: &Path, file: &Path) -> usize {
    let mut all = (0..32).map(|nth| (find(root, nth), nth));
    let mut last = (0, 0);
    for (lies, nth) in all.by_ref().filter(|(lies, _)| lies.file == file) {
        last = last.max((lies.at, nth));
    }
    last.1
}

#[test]
fn every_command_counts_the_messages_that_can_be_read() {
    let account = Maildir::five_and_one();
    account.convert().exits(0);
    let mails = account.destination().join("mailboxes/INBOX/dbox-Mails");
    fs::remove_file(mails.join("u.3")).unwrap();
    let beside = |name: &str| account.temp().join(name).display().to_string();
    let (location, tally) = (account.target(), beside("a.tally"));
    let counts = [
        &["inspect", "--json", &location][..],
        &["manifest", "--json", &location, "-o", &tally],
        &["verify", "--json", &location, &tally],
        &[
            "convert",
            "--json",
            &location,
            &format!("mdbox:{}", beside("mdbox")),
        ],
    ]
    .map(|args| {
        let ran = Run::new(account.temp()).args(args).done().exits(1);
        let inbox = ran.mailbox("INBOX")["messages"].clone();
        (ran.summary()["messages"].clone(), inbox)
    });
    assert!(counts.iter().all(|it| *it == counts[0]), "{counts:?}");
}

#[test]
fn damaged_files_are_named_at_their_message() {
    let mut table = String::new();
    for (name, damage) in DAMAGE {
        let mut row = format!("| {name} |");
        for format in FORMATS {
            let mut codes = BTreeSet::new();
            for seed in 0..5 {
                codes.extend(damaged(format, seed, *damage));
            }
            let codes: Vec<_> = codes.iter().map(|code| format!("`{code}`")).collect();
            write!(row, " {} |", codes.join(", ")).unwrap();
        }
        table.push_str(&row);
        table.push('\n');
    }
    let mut row = "| a file cannot be read |".to_owned();
    for format in FORMATS {
        write!(row, " `{}` |", unreadable(format)).unwrap();
    }
    table.push_str(&row);
    table.push('\n');
    println!("{table}");
    let readme = include_str!("../../../README.md");
    assert!(
        readme.contains(&table),
        "the README has another table:\n{table}"
    );
}

/// Damages one message of a copy, on either side, and returns what was said of it.
fn damaged(format: &str, seed: u64, damage: fn(&mut Vec<u8>, usize)) -> BTreeSet<String> {
    let temp = scratch();
    let [one, other] = ["one", "other"].map(|name| temp.path().join(name));
    let planted = Planted::sound(seed);
    planted.write(format, &one);
    planted.write(format, &other);
    let nth = Dice::new(seed).below(32);
    let nth = match format {
        "mdbox" => last(&other, &find(&other, nth).file),
        _ => nth,
    };
    let lies = find(&other, nth);
    let mut bytes = fs::read(&lies.file).unwrap();
    let stat = fs::metadata(&lies.file).unwrap();
    damage(&mut bytes, lies.at);
    fs::write(&lies.file, &bytes).unwrap();
    let file = fs::File::options().append(true).open(&lies.file).unwrap();
    file.set_modified(stat.modified().unwrap()).unwrap();
    let folder = &planted.boxes[nth / 8];
    let uid = folder.messages[nth % 8].0.uid.get();
    let place = BTreeSet::from([(folder.mailbox.name.to_string(), uid)]);
    let mut all = BTreeSet::new();
    for sides in [[&one, &other], [&other, &one]] {
        let [source, destination] = sides.map(|path| store(format, path));
        let (line, said) = compared(source, destination, Level::Full);
        let (codes, places) = told(&said);
        assert_eq!(places, place, "{format}: {codes:?}");
        assert_eq!(line.status, Status::Attention, "{format}: {codes:?}");
        all.extend(codes);
    }
    all
}

/// A disk on which one file cannot be opened.
#[derive(Debug)]
struct Forbidden(Vec<u8>);

impl Disk for Forbidden {
    fn before(&self, step: &Step<'_>) -> io::Result<()> {
        if step.action == Action::Open && step.name == self.0 {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        Real.before(step)
    }
}

fn unreadable(format: &str) -> String {
    let temp = scratch();
    let [one, other] = ["one", "other"].map(|name| temp.path().join(name));
    let planted = Planted::sound(1);
    planted.write(format, &one);
    planted.write(format, &other);
    let lies = find(&other, 12);
    let name = lies.file.file_name().unwrap().as_bytes().to_vec();
    // An sdbox has a file of this name in every mailbox, an mdbox one for all.
    let disk = Arc::new(Forbidden(name));
    let (line, said) = compared(
        store(format, &one),
        store_on(format, &other, disk),
        Level::Full,
    );
    assert_eq!(line.status, Status::Attention);
    assert_eq!(*said.differences.lock().unwrap(), [], "{format}");
    let (codes, places) = told(&said);
    let folder = &planted.boxes[1];
    let uid = folder.messages[4].0.uid.get();
    assert!(places.contains(&(folder.mailbox.name.to_string(), uid)));
    let codes: Vec<_> = codes.into_iter().collect();
    let [code] = &codes[..] else {
        panic!("{format}: {codes:?}")
    };
    code.clone()
}

#[test]
fn messages_of_nothing_but_nuls_are_read_and_compared() {
    for format in FORMATS {
        let temp = scratch();
        let [one, other] = ["one", "other"].map(|name| temp.path().join(name));
        let mut planted = Planted::sound(1);
        for (path, len) in [(&one, 600), (&other, 700)] {
            planted.boxes[2].messages[4].1 = vec![0; len];
            planted.write(format, path);
        }
        let (line, said) = compared(store(format, &one), store(format, &other), Level::Full);
        let wanted = [("message.content".to_owned(), "INBOX".to_owned(), 9)];
        assert_eq!(*said.differences.lock().unwrap(), wanted, "{format}");
        let (codes, _) = told(&said);
        assert_eq!(codes.len(), 2, "{format}: {codes:?}");
        assert_ne!(Some(&line.digest.source), line.digest.destination.as_ref());
    }
}
