//! What survives damage: `doveadm force-resync` and `mailtally repair`, side by side.
//!
//! ```text
//! cargo bench --bench salvage        prints the table that is in README.md; needs Dovecot 2.3, as root or not
//! ```
//! A store of 2,000 messages in two mailboxes is damaged in seeded ways, three times each. One copy goes to
//! `doveadm force-resync`, the other to `mailtally repair`; then every message is read. What counts as kept
//! has all its bytes; then its flags and keywords, its UID under the old UIDVALIDITY, and UIDVALIDITY.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use mailtally::digest::{Digest, Measured};
use mailtally::disk::{Dir, Real};
use mailtally::format::{OpenOptions, room};

const MESSAGES: usize = 2000;
const SEEDS: u64 = 3;
const NOBODY: u32 = 65534;

/// A way to damage a store.
type Damage = (&'static str, fn(&Path, &mut Random) -> Result<()>);

const DAMAGES: &[Damage] = &[
    ("64 bytes zeroed in a storage file", |store, random| {
        zero(store, random, 64)
    }),
    ("4 KiB zeroed", |store, random| zero(store, random, 4096)),
    ("64 KiB zeroed", |store, random| zero(store, random, 65536)),
    ("64 bytes zeroed over a message header", |store, random| {
        over(store, random, b"\x01\x02N ")
    }),
    (
        "64 bytes zeroed over a message's metadata",
        |store, random| over(store, random, b"\n\x01\x03\n"),
    ),
    ("the last 1,000 bytes of a storage file cut", cut),
    ("a storage file lost", lose_file),
    ("the map lost", |store, _| {
        lose(&store.join("storage"), "dovecot.map.index")
    }),
    ("garbage in the map's header", garbage),
    ("the INBOX log torn in the middle", torn_log),
    ("dovecot.index of the INBOX lost", |store, _| {
        Ok(fs::remove_file(inbox(store).join("dovecot.index"))?)
    }),
    ("index and log of the INBOX lost", |store, _| {
        lose(&inbox(store), "dovecot.index")
    }),
];

/// A small generator: the same damage at every run.
struct Random(u64);

impl Random {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most.max(1)
    }
}

fn inbox(store: &Path) -> PathBuf {
    store.join("mailboxes/INBOX/dbox-Mails")
}

/// One of the storage files.
fn storage_file(store: &Path, random: &mut Random) -> Result<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(store.join("storage"))? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("m.") {
            files.push(entry.path());
        }
    }
    files.sort();
    let nth = usize::try_from(random.below(files.len() as u64))?;
    files.get(nth).cloned().context("a storage file")
}

fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
    let mut bytes = fs::read(path)?;
    change(&mut bytes);
    Ok(fs::write(path, bytes)?)
}

fn zero(store: &Path, random: &mut Random, len: usize) -> Result<()> {
    let path = storage_file(store, random)?;
    let size = usize::try_from(fs::metadata(&path)?.len())?;
    let at = usize::try_from(random.below((size - len) as u64))?;
    change(&path, |bytes| bytes[at..at + len].fill(0))
}

/// Zeroes over one of the places that begin so.
fn over(store: &Path, random: &mut Random, what: &[u8]) -> Result<()> {
    let path = storage_file(store, random)?;
    change(&path, |bytes| {
        let windows = bytes.windows(what.len()).enumerate();
        let places: Vec<_> = windows
            .filter(|(_, window)| *window == what)
            .map(|(at, _)| at)
            .collect();
        let nth = usize::try_from(random.below(places.len() as u64)).unwrap_or(0);
        let end = bytes.len().min(places[nth] + 64);
        bytes[places[nth]..end].fill(0);
    })
}

fn cut(store: &Path, random: &mut Random) -> Result<()> {
    change(&storage_file(store, random)?, |bytes| {
        bytes.truncate(bytes.len() - 1000);
    })
}

fn lose_file(store: &Path, random: &mut Random) -> Result<()> {
    Ok(fs::remove_file(storage_file(store, random)?)?)
}

/// Removes every file that begins so.
fn lose(dir: &Path, name: &str) -> Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(name) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn garbage(store: &Path, _: &mut Random) -> Result<()> {
    change(&store.join("storage/dovecot.map.index"), |bytes| {
        bytes[..64].fill(0xa5);
    })
}

fn torn_log(store: &Path, random: &mut Random) -> Result<()> {
    let at = 64 + usize::try_from(random.below(400))?;
    change(&inbox(store).join("dovecot.index.log"), |bytes| {
        bytes.truncate(at);
    })
}

fn run(command: &mut Command) -> Result<Vec<u8>> {
    let output = command.output()?;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(
        output.status.success(),
        "{command:?}: {}\n{stderr}",
        output.status
    );
    Ok(output.stdout)
}

fn own(path: &Path) -> Result<()> {
    if rustix::process::geteuid().is_root() {
        let owner = format!("{NOBODY}:{NOBODY}");
        run(Command::new("chown").arg("-hR").arg(owner).arg(path))?;
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    if to.exists() {
        fs::remove_dir_all(to)?;
    }
    run(Command::new("cp").arg("-a").arg(from).arg(to)).map(drop)
}

/// Dovecot over one store.
fn doveadm(work: &Path, store: &Path, args: &[&str]) -> Result<Command> {
    let config = work.join("dovecot.conf");
    let (store, dir) = (store.display(), work.join("run"));
    fs::create_dir_all(&dir)?;
    let dir = dir.display();
    fs::write(
        &config,
        format!(
            "mail_location = mdbox:{store}\nbase_dir = {dir}\nstate_dir = {dir}\nlog_path = /dev/stderr\n\
             ssl = no\nstats_writer_socket_path =\nnamespace inbox {{\n  inbox = yes\n  separator = /\n}}\n"
        ),
    )?;
    let mut command = Command::new("doveadm");
    if rustix::process::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
        .env("USER", "tester")
        .env("HOME", work.join("run"))
        .current_dir("/");
    command.arg("-c").arg(config).args(args);
    Ok(command)
}

/// One message: mailbox, UID, flags and keywords.
type Row = (String, u32, Vec<String>);

/// What a store holds.
struct Told {
    /// By content: messages that are whole.
    messages: HashMap<Digest, Row>,
    /// UIDVALIDITY by mailbox.
    validity: BTreeMap<String, u32>,
}

/// Read by the library: every message to its end, as a server's cache would tell of what is not there.
fn told(store: &Path) -> Result<Told> {
    let mut told = Told {
        messages: HashMap::new(),
        validity: BTreeMap::new(),
    };
    let root = Dir::open(store, Arc::new(Real))?;
    let room = room("mdbox").context("a known format")?;
    let source = (room.open)(root, &OpenOptions::default(), &mut |_| ())?;
    for (nth, name) in source.mailboxes().iter().enumerate() {
        let mailbox = source.mailbox(nth, &mut |_| ())?;
        let about = mailbox.mailbox();
        if !about.selectable {
            continue;
        }
        told.validity
            .insert(name.to_string(), about.uidvalidity.get());
        let mut scratch = Vec::new();
        for at in 0..mailbox.len() {
            let Ok(opened) = mailbox.open(at, &mut scratch) else {
                continue;
            };
            let message = opened.message;
            let Ok(stored) = Measured::new(opened.body).store_nowhere() else {
                continue;
            };
            let mut flags: Vec<_> = message.flags.names().map(str::to_owned).collect();
            let names = message.keywords.iter();
            flags.extend(
                names.filter_map(|place| Some(about.keywords.get(*place as usize)?.to_string())),
            );
            flags.sort();
            let row = (name.to_string(), message.uid.get(), flags);
            told.messages.insert(stored.facts.content, row);
        }
    }
    Ok(told)
}

/// Messages, flags, UIDs that are as before, and mailboxes with their UIDVALIDITY.
#[derive(Default, Clone, Copy)]
struct Kept([usize; 4]);

fn compare(before: &Told, after: &Told) -> Kept {
    let mut kept = Kept::default();
    for (id, was) in &before.messages {
        let is = after.messages.get(id);
        if let Some(is) = is {
            kept.0[0] += 1;
            kept.0[1] += usize::from(is.2 == was.2);
            let same = is.1 == was.1 && after.validity.get(&is.0) == before.validity.get(&was.0);
            kept.0[2] += usize::from(same && is.0 == was.0);
        }
    }
    let same = before
        .validity
        .iter()
        .filter(|(name, value)| after.validity.get(*name) == Some(value));
    kept.0[3] = same.count();
    kept
}

/// A Maildir of messages of all sizes, with flags.
fn maildir(root: &Path) -> Result<()> {
    let mut random = Random(7);
    for place in ["cur", "new", "tmp"] {
        fs::create_dir_all(root.join(place))?;
        fs::create_dir_all(root.join(".Archive").join(place))?;
    }
    for nth in 0..MESSAGES {
        let lines = usize::try_from(1 + random.below(60))?;
        let text = format!("line of message {nth}, and some more words to fill it\n").repeat(lines);
        let mail = format!(
            "From: a@b.example\nMessage-ID: <{nth}@b.example>\nSubject: number {nth}\n\n{text}"
        );
        let flags = ["", "S", "RS", "FS", "DT"][nth % 5];
        let folder = if nth % 4 == 0 {
            root.join(".Archive")
        } else {
            root.to_owned()
        };
        let name = format!("{}.M{nth}P1.host:2,{flags}", 1_600_000_000 + nth);
        fs::write(folder.join("cur").join(name), mail)?;
    }
    Ok(())
}

fn store(work: &Path, ours: &Path) -> Result<PathBuf> {
    let (source, store) = (work.join("Maildir"), work.join("sound"));
    maildir(&source)?;
    let (from, to) = (
        format!("maildir:{}", source.display()),
        format!("mdbox:{}", store.display()),
    );
    run(Command::new(ours).args(["convert", "--rotate-size", "500k", &from, &to]))?;
    fs::remove_file(store.join("mailtally.state"))?;
    own(work)?;
    // Flags that only the log has, and a list of mailboxes.
    let flags = [
        "flags",
        "add",
        "\\Flagged $Later",
        "mailbox",
        "INBOX",
        "1:700",
    ];
    run(&mut doveadm(work, &store, &flags)?)?;
    run(&mut doveadm(
        work,
        &store,
        &["mailbox", "status", "all", "*"],
    )?)?;
    Ok(store)
}

fn main() -> Result<()> {
    let ours = PathBuf::from(env!("CARGO_BIN_EXE_mailtally"));
    let temp = tempfile::tempdir()?;
    let work = temp.path();
    run(Command::new("chmod").arg("755").arg(work))?;
    let sound = store(work, &ours)?;
    let before = told(&sound)?;
    ensure!(
        before.messages.len() == MESSAGES,
        "{} messages",
        before.messages.len()
    );
    let of = usize::try_from(SEEDS)?;
    println!(
        "| {MESSAGES} messages, {of} times each | force-resync: messages | flags | UIDs | UIDVALIDITY | repair: messages | flags | UIDs | UIDVALIDITY |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|---:|");
    for (name, damage) in DAMAGES {
        let mut sums = [Kept::default(); 2];
        for seed in 0..SEEDS {
            for (nth, sum) in sums.iter_mut().enumerate() {
                let damaged = work.join("damaged");
                copy(&sound, &damaged)?;
                damage(&damaged, &mut Random(seed + 1))?;
                own(&damaged)?;
                if nth == 0 {
                    // It says what it cannot do, and goes on.
                    doveadm(work, &damaged, &["force-resync", "*"])?.output()?;
                } else {
                    let location = format!("mdbox:{}", damaged.display());
                    let output = Command::new(&ours)
                        .args(["repair", "--offline", "-q", &location])
                        .output()?;
                    ensure!(output.status.code() <= Some(1), "{name}: {output:?}");
                    own(&damaged)?;
                }
                let kept = compare(&before, &told(&damaged)?);
                sum.0
                    .iter_mut()
                    .zip(kept.0)
                    .for_each(|(sum, kept)| *sum += kept);
            }
        }
        let shown = |kept: &Kept| {
            let [messages, flags, uids, validity] = kept.0;
            format!("{messages} | {flags} | {uids} | {validity}")
        };
        println!("| {name} | {} | {} |", shown(&sums[0]), shown(&sums[1]));
    }
    let (all, mailboxes) = (MESSAGES * of, before.validity.len() * of);
    println!(
        "| all there was | {all} | {all} | {all} | {mailboxes} | {all} | {all} | {all} | {mailboxes} |"
    );
    Ok(())
}
