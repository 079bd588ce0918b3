//! Makes the stores, once: Maildir++ accounts with flags, keywords and dates over years, indexed by Dovecot.

use std::fs::{self, File, FileTimes, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use mailtally::disk::{Dir, Real};
use mailtally::format::{self, OpenOptions};

use super::contenders::{Contender, convert};
use super::dovecot::{self, Dovecot};
use super::mail::{Mail, Numbers};
use super::measure::run;

/// How a store is made.
pub struct Recipe {
    /// Its folder.
    pub name: &'static str,
    /// Users, and how many messages they have.
    accounts: &'static [(&'static str, usize)],
    /// Mailboxes, and how many of a hundred messages lie in them.
    mailboxes: &'static [(&'static str, usize)],
    mail: fn(user: &str, &mut Numbers) -> Mail,
}

/// Sizes and attachments as in life.
pub const SIZES: Recipe = Recipe {
    name: "sizes",
    accounts: &[
        ("u01", 3800),
        ("u02", 1400),
        ("u03", 8200),
        ("u04", 2900),
        ("u05", 5200),
        ("u06", 1900),
        ("u07", 6400),
        ("u08", 4400),
        ("u09", 2500),
        ("u10", 3300),
    ],
    mailboxes: &[
        ("", 30),
        (".Sent", 18),
        (".Archive.2019", 12),
        (".Archive.2020", 10),
        (".Archive.2021", 8),
        (".Projects.Chairs", 6),
        (".Projects.Tables", 5),
        (".Trash", 4),
        (".Entw&APw-rfe", 2),
        (".Lists.rust", 3),
        (".Lists.mail", 1),
        (".Spam", 1),
    ],
    mail: |_, numbers| Mail::usual(numbers),
};

/// A mailbox that is larger than others, and a message that is.
pub const MAILBOX: Recipe = Recipe {
    name: "mailbox",
    accounts: &[("large", 1), ("many", 200_000)],
    mailboxes: &[("", 100)],
    mail: |user, numbers| match user {
        "large" => Mail {
            text: 1000,
            attachments: vec![LARGEST / 77 * 57],
        },
        _ => Mail::small(numbers),
    },
};

const LARGEST: usize = 64 << 20;
/// Changes with what a recipe makes, so that older stores are made again.
const EDITION: &str = "2";
/// Keywords by letter, as Dovecot's file for them says it.
const KEYWORDS: &str = "0 $Forwarded\n1 $Label1\n2 work\n";

/// A store that is there.
pub struct Store {
    /// Holds `src` and `out`.
    pub folder: PathBuf,
    pub recipe: &'static Recipe,
    /// Messages.
    pub messages: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes of the largest.
    pub largest: u64,
}

impl Store {
    /// The store of this recipe below `work`; made if it is not there.
    pub fn ready(work: &Path, recipe: &'static Recipe) -> Result<Self> {
        let mut store = Self {
            folder: work.join(recipe.name),
            recipe,
            messages: 0,
            bytes: 0,
            largest: 0,
        };
        let done = store.folder.join("edition");
        if fs::read_to_string(&done).ok().as_deref() != Some(EDITION) {
            eprintln!("making the store {}", recipe.name);
            store.make()?;
            fs::write(done, EDITION)?;
        }
        store.make_others()?;
        store.count(&store.source())?;
        Ok(store)
    }

    /// Below it there is a Maildir for each user.
    pub fn source(&self) -> PathBuf {
        self.folder.join("src")
    }

    pub fn users(&self) -> Vec<&'static str> {
        self.recipe.accounts.iter().map(|(user, _)| *user).collect()
    }

    fn make(&self) -> Result<()> {
        if self.folder.exists() {
            fs::remove_dir_all(&self.folder)?;
        }
        fs::create_dir_all(self.source())?;
        fs::set_permissions(&self.folder, Permissions::from_mode(0o755))?;
        for (user, count) in self.recipe.accounts {
            self.make_account(user, *count)?;
        }
        let dovecot = Dovecot::new(self)?;
        dovecot::give_to_owner(&self.folder)?;
        for user in self.users() {
            run(&mut dovecot.doveadm(user, &["index", "*"]))?;
        }
        run(&mut Command::new("sync"))
    }

    fn make_account(&self, user: &str, count: usize) -> Result<()> {
        let root = self.source().join(user);
        let seed = user
            .bytes()
            .fold(2026, |seed, byte| seed * 31 + u64::from(byte));
        let mut numbers = Numbers(seed);
        let mut subscriptions = String::new();
        for (mailbox, share) in self.recipe.mailboxes {
            let dir = root.join(mailbox);
            for name in ["cur", "new", "tmp"] {
                fs::create_dir_all(dir.join(name))?;
            }
            fs::write(dir.join("dovecot-keywords"), KEYWORDS)?;
            if let Some(name) = mailbox.strip_prefix('.') {
                fs::write(dir.join("maildirfolder"), "")?;
                subscriptions.extend([name, "\n"]);
            }
            for nth in 0..(count * share).div_ceil(100) {
                let mail = (self.recipe.mail)(user, &mut numbers);
                deliver(&dir, nth, &mail, &mut numbers)?;
            }
        }
        Ok(fs::write(root.join("subscriptions"), subscriptions)?)
    }

    fn count(&mut self, dir: &Path) -> Result<()> {
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                self.count(&entry.path())?;
            } else if entry.file_name().to_string_lossy().contains(",S=") {
                let size = entry.metadata()?.len();
                self.messages += 1;
                self.bytes += size;
                self.largest = self.largest.max(size);
            }
        }
        Ok(())
    }

    fn outs(&self) -> PathBuf {
        self.folder.join("out")
    }

    /// An empty folder for what a run makes; the device has nothing else to do then.
    ///
    /// What runs before have made stays where it is: ext4 gives no inode away that was freed in the
    /// last minutes, but looks at each of them for every new file, and that takes longer than the run.
    pub fn fresh(&self) -> Result<PathBuf> {
        fs::create_dir_all(self.outs())?;
        let out = (0_u32..).map(|nth| self.outs().join(nth.to_string()));
        // What a run that was killed has left may have any of these names.
        let out = { out }.find(|out| !out.exists()).expect("a free number");
        fs::create_dir(&out)?;
        dovecot::give_to_owner(&out)?;
        run(&mut Command::new("sync"))?;
        Ok(out)
    }

    /// Removes what all runs have made.
    pub fn clean(&self) -> Result<()> {
        Ok(fs::remove_dir_all(self.outs())?)
    }

    /// The same mail as mdbox; made by us.
    pub fn mdbox(&self) -> PathBuf {
        self.folder.join("mdbox")
    }

    /// The same mail once more as Maildirs, made of the mdbox.
    pub fn back(&self) -> PathBuf {
        self.folder.join("back")
    }

    /// A copy of the source.
    pub fn copy(&self) -> PathBuf {
        self.folder.join("copy")
    }

    /// Makes the others where they are not there. What is there may be of another version of ours:
    /// it is the same mail.
    fn make_others(&self) -> Result<()> {
        for (from, source, to, out) in [
            ("maildir", self.source(), "mdbox", self.mdbox()),
            ("mdbox", self.mdbox(), "maildir", self.back()),
        ] {
            if !out.exists() {
                fs::create_dir(&out)?;
                dovecot::give_to_owner(&out)?;
                run(&mut convert(from, &source, to, &out))?;
            }
        }
        if !self.copy().exists() {
            let (from, to) = (self.source(), self.copy());
            run(dovecot::as_owner("cp").arg("-a").arg(from).arg(to))?;
        }
        Ok(())
    }

    /// Reads all of a source once, and has the memory that a run will fill already in use before: a
    /// virtual machine gets its memory from the host at the first touch, and that is slow.
    pub fn warm(&self, source: &Path) -> Result<()> {
        let mut tar = Command::new("sh");
        tar.args(["-c", "tar -cf - . | cat >/dev/null"]);
        run(tar.current_dir(source))?;
        let filled = self.folder.join("filled");
        io::copy(
            &mut io::repeat(0).take(2 * self.bytes),
            &mut File::create(&filled)?,
        )?;
        Ok(fs::remove_file(filled)?)
    }

    /// Looks whether a run has carried everything.
    pub fn check(&self, contender: Contender, out: &Path) -> Result<()> {
        let messages = match contender.makes() {
            "" => return Ok(()),
            "maildir" => {
                let mut made = Self {
                    messages: 0,
                    bytes: 0,
                    largest: 0,
                    folder: self.folder.clone(),
                    recipe: self.recipe,
                };
                made.count(out)?;
                made.messages
            }
            format => count_dbox(format, out)?,
        };
        ensure!(
            messages == self.messages,
            "{messages} of {} messages are there",
            self.messages
        );
        Ok(())
    }
}

/// Messages in the accounts below `out`, as their indexes have them.
fn count_dbox(format: &str, out: &Path) -> Result<usize> {
    let mut messages = 0;
    for account in fs::read_dir(out)? {
        let dir = Dir::open(&account?.path(), Arc::new(Real))?;
        let room = format::room(format).context("a format")?;
        let source = (room.open)(dir, &OpenOptions::default(), &mut |_| ())?;
        for nth in 0..source.mailboxes().len() {
            messages += source.mailbox(nth, &mut |_| ())?.len();
        }
    }
    Ok(messages)
}

/// Puts a message into `cur/`, as a delivery over fifteen years would have left it.
fn deliver(dir: &Path, nth: usize, mail: &Mail, numbers: &mut Numbers) -> Result<()> {
    let bytes = mail.bytes(nth, numbers);
    let lines = memchr::memchr_iter(b'\n', &bytes).count();
    let arrived = 1_300_000_000 + nth as u64 * 2311 + numbers.below(2000) as u64;
    let name = format!(
        "{arrived}.M{}P{}.mail,S={},W={}:2,{}",
        numbers.below(1_000_000),
        numbers.below(30_000),
        bytes.len(),
        bytes.len() + lines,
        flags(numbers)
    );
    let path = dir.join("cur").join(name);
    let mut file = File::create_new(&path).context("a message")?;
    file.write_all(&bytes)?;
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(arrived);
    Ok(file.set_times(FileTimes::new().set_modified(time).set_accessed(time))?)
}

fn flags(numbers: &mut Numbers) -> String {
    let chances = [
        ('D', 1),
        ('F', 4),
        ('R', 18),
        ('S', 88),
        ('T', 1),
        ('a', 3),
        ('b', 4),
        ('c', 6),
    ];
    let set = chances
        .iter()
        .filter(|(_, chance)| numbers.percent(*chance));
    set.map(|(flag, _)| *flag).collect()
}
