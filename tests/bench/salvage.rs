//! What survives damage: `doveadm force-resync` and `mailtally repair`, side by side.
//!
//! ```text
//! cargo bench --bench salvage        prints the table that is in README.md; needs Dovecot 2.3, as root or not
//! ```
//! An mdbox and an sdbox of 2,000 messages in two mailboxes are damaged in seeded ways, three times each. One
//! copy goes to `doveadm force-resync`, the other to `mailtally repair`; then every message is read. What
//! counts as kept has all its bytes; then its flags and keywords, its UID under the old UIDVALIDITY, and
//! UIDVALIDITY.

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
/// What a conversion remembers.
const STATE: &str = "mailtally.state";
/// No program looks at files of such a name.
const DAY_BEFORE: &str = "dovecot-day-before.";

/// A way to damage a store.
type Damage = (&'static str, fn(&Path, &mut Random) -> Result<()>);

const OF_MDBOX: &[Damage] = &[
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
    ("4 KiB zeroed in the map", |store, random| {
        zero_in(&store.join("storage/dovecot.map.index"), random, 4096)
    }),
    ("garbage in the map's header", garbage),
    ("the map of the day before", |store, _| {
        older(&store.join("storage"), "dovecot.map.index")
    }),
];

const OF_SDBOX: &[Damage] = &[
    ("64 bytes zeroed in a message", |store, random| {
        let path = message_file(store, random)?;
        let size = usize::try_from(fs::metadata(&path)?.len())?;
        let at = usize::try_from(random.below((size - 64) as u64))?;
        change(&path, |bytes| bytes[at..at + 64].fill(0))
    }),
    ("the last 40 bytes of a message cut", |store, random| {
        change(&message_file(store, random)?, |bytes| {
            bytes.truncate(bytes.len() - 40);
        })
    }),
];

const OF_BOTH: &[Damage] = &[
    ("the INBOX log torn in the middle", torn_log),
    ("512 bytes zeroed in the INBOX log", |store, random| {
        zero_in(&inbox(store).join("dovecot.index.log"), random, 512)
    }),
    ("64 bytes zeroed in the INBOX index", |store, random| {
        zero_in(&inbox(store).join("dovecot.index"), random, 64)
    }),
    ("4 KiB zeroed in the INBOX index", |store, random| {
        zero_in(&inbox(store).join("dovecot.index"), random, 4096)
    }),
    ("garbage in the header of the INBOX index", |store, _| {
        change(&inbox(store).join("dovecot.index"), |bytes| {
            bytes[..64].fill(0xa5);
        })
    }),
    ("the INBOX index and log of the day before", |store, _| {
        older(&inbox(store), "dovecot.index")
    }),
    ("dovecot.index of the INBOX lost", |store, _| {
        Ok(fs::remove_file(inbox(store).join("dovecot.index"))?)
    }),
    ("index and log of the INBOX lost", |store, _| {
        lose(&inbox(store), "dovecot.index")
    }),
    ("index and log of another mailbox lost", |store, _| {
        lose(&mails(store, "Archive"), "dovecot.index")
    }),
    ("all indexes lost", |store, _| {
        lose(&inbox(store), "dovecot.index")?;
        lose(&mails(store, "Archive"), "dovecot.index")?;
        lose(store, "dovecot.list.index")
    }),
    (
        "the same, with mailtally.state of the day before",
        |store, _| {
            lose(&inbox(store), "dovecot.index")?;
            lose(&mails(store, "Archive"), "dovecot.index")?;
            lose(store, "dovecot.list.index")?;
            older(store, STATE)
        },
    ),
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

fn mails(store: &Path, mailbox: &str) -> PathBuf {
    store.join("mailboxes").join(mailbox).join("dbox-Mails")
}

fn inbox(store: &Path) -> PathBuf {
    mails(store, "INBOX")
}

/// The files of a directory that begin so.
fn files(dir: &Path, begin: &str) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(begin) {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}

fn one_of(files: &[PathBuf], random: &mut Random) -> Result<PathBuf> {
    let nth = usize::try_from(random.below(files.len() as u64))?;
    files.get(nth).cloned().context("a file")
}

/// One of the storage files of an mdbox.
fn storage_file(store: &Path, random: &mut Random) -> Result<PathBuf> {
    one_of(&files(&store.join("storage"), "m.")?, random)
}

/// One of the message files of an sdbox.
fn message_file(store: &Path, random: &mut Random) -> Result<PathBuf> {
    one_of(&files(&inbox(store), "u.")?, random)
}

fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
    let mut bytes = fs::read(path)?;
    change(&mut bytes);
    Ok(fs::write(path, bytes)?)
}

fn zero(store: &Path, random: &mut Random, len: usize) -> Result<()> {
    zero_in(&storage_file(store, random)?, random, len)
}

fn zero_in(path: &Path, random: &mut Random, len: usize) -> Result<()> {
    let size = usize::try_from(fs::metadata(path)?.len())?;
    let at = usize::try_from(random.below(size.saturating_sub(len).max(1) as u64))?;
    change(path, |bytes| {
        let to = bytes.len().min(at + len);
        bytes[at..to].fill(0);
    })
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
fn lose(dir: &Path, begin: &str) -> Result<()> {
    let lost = files(dir, begin)?.into_iter();
    lost.map(fs::remove_file).try_for_each(|done| Ok(done?))
}

/// Every file that begins so is again as it was the day before.
fn older(dir: &Path, begin: &str) -> Result<()> {
    lose(dir, begin)?;
    for file in files(dir, DAY_BEFORE)? {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let name = name.trim_start_matches(DAY_BEFORE);
        if name.starts_with(begin) {
            fs::copy(&file, dir.join(name))?;
        }
    }
    Ok(())
}

/// Keeps every file that begins so for the next day.
fn keep(dir: &Path, begin: &str) -> Result<()> {
    for file in files(dir, begin)? {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        fs::copy(&file, dir.join(format!("{DAY_BEFORE}{name}")))?;
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
fn doveadm(work: &Path, format: &str, store: &Path, args: &[&str]) -> Result<Command> {
    let config = work.join("dovecot.conf");
    let (store, dir) = (store.display(), work.join("run"));
    fs::create_dir_all(&dir)?;
    let dir = dir.display();
    fs::write(
        &config,
        format!(
            "mail_location = {format}:{store}\nbase_dir = {dir}\nstate_dir = {dir}\nlog_path = /dev/stderr\n\
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
fn told(format: &str, store: &Path) -> Result<Told> {
    let mut told = Told {
        messages: HashMap::new(),
        validity: BTreeMap::new(),
    };
    let root = Dir::open(store, Arc::new(Real))?;
    let room = room(format).context("a known format")?;
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

/// A store as two days have left it.
fn store(work: &Path, ours: &Path, format: &str) -> Result<PathBuf> {
    let (source, store) = (work.join("Maildir"), work.join(format));
    let (from, to) = (
        format!("maildir:{}", source.display()),
        format!("{format}:{}", store.display()),
    );
    run(Command::new(ours).args(["convert", "--rotate-size", "500k", &from, &to]))?;
    keep(&store, STATE)?;
    lose(&store, STATE)?;
    own(work)?;
    let dovecot = |args: &[&str]| run(&mut doveadm(work, format, &store, args)?).map(drop);
    keep(&inbox(&store), "dovecot.index")?;
    if format == "mdbox" {
        keep(&store.join("storage"), "dovecot.map.index")?;
    }
    // Flags that only the log has, messages of the second day, and a list of mailboxes.
    dovecot(&[
        "flags",
        "add",
        "\\Flagged $Later",
        "mailbox",
        "INBOX",
        "1:700",
    ])?;
    dovecot(&["move", "Archive", "mailbox", "INBOX", "701:720"])?;
    dovecot(&["mailbox", "status", "all", "*"])?;
    Ok(store)
}

/// What is left after a server's own repair, and after ours.
fn survivors(
    work: &Path,
    ours: &Path,
    format: &str,
    sound: &Path,
    (name, damage): &Damage,
) -> Result<[Kept; 2]> {
    let before = told(format, sound)?;
    let mut sums = [Kept::default(); 2];
    for seed in 0..SEEDS {
        for (nth, sum) in sums.iter_mut().enumerate() {
            let damaged = work.join("damaged");
            copy(sound, &damaged)?;
            damage(&damaged, &mut Random(seed + 1))?;
            own(&damaged)?;
            if nth == 0 {
                // It says what it cannot do, and goes on.
                doveadm(work, format, &damaged, &["force-resync", "*"])?.output()?;
            } else {
                let location = format!("{format}:{}", damaged.display());
                let output = Command::new(ours)
                    .args(["repair", "--offline", "--recover-orphans", "-q", &location])
                    .output()?;
                ensure!(output.status.code() <= Some(1), "{name}: {output:?}");
                own(&damaged)?;
            }
            let kept = compare(&before, &told(format, &damaged)?);
            let sums = sum.0.iter_mut().zip(kept.0);
            sums.for_each(|(sum, kept)| *sum += kept);
        }
    }
    Ok(sums)
}

fn main() -> Result<()> {
    let ours = PathBuf::from(env!("CARGO_BIN_EXE_mailtally"));
    let temp = tempfile::tempdir()?;
    let work = temp.path();
    run(Command::new("chmod").arg("755").arg(work))?;
    maildir(&work.join("Maildir"))?;
    let of = usize::try_from(SEEDS)?;
    for (format, own) in [("mdbox", OF_MDBOX), ("sdbox", OF_SDBOX)] {
        let sound = store(work, &ours, format)?;
        let before = told(format, &sound)?;
        let messages = before.messages.len();
        ensure!(messages == MESSAGES, "{messages} messages");
        println!(
            "| {format}: {MESSAGES} messages, {of} times each | force-resync: messages | flags | UIDs | UIDVALIDITY | repair: messages | flags | UIDs | UIDVALIDITY |"
        );
        println!("|---|---:|---:|---:|---:|---:|---:|---:|---:|");
        for damage in own.iter().chain(OF_BOTH) {
            let [theirs, ours] = survivors(work, &ours, format, &sound, damage)?;
            println!("| {} | {} | {} |", damage.0, shown(theirs), shown(ours));
        }
        let all = MESSAGES * of;
        let all = Kept([all, all, all, before.validity.len() * of]);
        println!("| all there was | {} | {} |\n", shown(all), shown(all));
    }
    Ok(())
}

fn shown(Kept([messages, flags, uids, validity]): Kept) -> String {
    format!("{messages} | {flags} | {uids} | {validity}")
}
