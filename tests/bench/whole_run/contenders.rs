//! What runs against what.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;

use super::dovecot::{Dovecot, as_owner};
use super::measure::{Lock, Run, run};
use super::store::Store;

/// How many of a program that has no threads run at once.
const AT_ONCE: usize = 2;

/// One way to get the mail from here to there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Contender {
    /// `mailtally convert` of the Maildirs to sdbox, with its proof
    Sdbox,
    /// `cp -a` of the Maildirs
    Cp,
    /// `doveadm backup` to sdbox as it comes
    DoveadmSdbox,
    /// The same, told not to sync
    Nosync,
    /// `mailtally convert` of the Maildirs to mdbox, with its proof
    Mdbox,
    /// `doveadm backup` to mdbox as it comes
    DoveadmMdbox,
    /// `mailtally convert` of the mdbox to Maildirs, with its proof
    Back,
    /// `cp -a` of those Maildirs
    CpBack,
    /// `mailtally verify` of the Maildirs and a copy of them
    Verify,
    /// `rsync -acn --delete` of the same pair
    Rsync,
    /// `mailtally verify` of the Maildirs and the mdbox
    VerifyMdbox,
    /// `mailtally manifest` of the Maildirs
    Manifest,
    /// `b3sum` over all files of the Maildirs
    B3sum,
}

/// What is measured side by side: each is a table, and the first of each is ours.
pub const GROUPS: [(&str, &[Contender]); 6] = [
    (
        "Maildir to sdbox",
        &[
            Contender::Sdbox,
            Contender::Cp,
            Contender::DoveadmSdbox,
            Contender::Nosync,
        ],
    ),
    (
        "Maildir to mdbox",
        &[Contender::Mdbox, Contender::Cp, Contender::DoveadmMdbox],
    ),
    ("mdbox to Maildir", &[Contender::Back, Contender::CpBack]),
    ("verify, Maildirs", &[Contender::Verify, Contender::Rsync]),
    (
        "verify, Maildir and mdbox",
        &[Contender::VerifyMdbox, Contender::Rsync],
    ),
    ("manifest", &[Contender::Manifest, Contender::B3sum]),
];

impl Contender {
    /// All of them, in the order of a round.
    pub const ALL: [Self; 13] = [
        Self::Sdbox,
        Self::Mdbox,
        Self::Cp,
        Self::DoveadmSdbox,
        Self::Nosync,
        Self::DoveadmMdbox,
        Self::Back,
        Self::CpBack,
        Self::Verify,
        Self::Rsync,
        Self::VerifyMdbox,
        Self::Manifest,
        Self::B3sum,
    ];

    /// The rows that it gives.
    pub fn rows(self) -> &'static [&'static str] {
        match self {
            Self::Sdbox => &["`mailtally convert` to sdbox, proven and synced"],
            Self::Mdbox => &["`mailtally convert` to mdbox, proven and synced"],
            Self::Back => &["`mailtally convert` of the mdbox to Maildir, proven and synced"],
            Self::Cp => &["`cp -a`", "`cp -a`, then `sync -f`"],
            Self::CpBack => &[
                "`cp -a` of that Maildir",
                "`cp -a` of that Maildir, then `sync -f`",
            ],
            Self::DoveadmSdbox => &["`doveadm backup` to sdbox, two at once"],
            Self::Nosync => &["the same with `mail_fsync=never`"],
            Self::DoveadmMdbox => &["`doveadm backup` to mdbox, two at once"],
            Self::Verify => &["`mailtally verify` of a Maildir and its copy"],
            Self::Rsync => &["`rsync -acn --delete` of a Maildir and its copy"],
            Self::VerifyMdbox => &["`mailtally verify` of a Maildir and its mdbox"],
            Self::Manifest => &["`mailtally manifest`"],
            Self::B3sum => &["`b3sum` over all files"],
        }
    }

    /// What it reads.
    pub fn source(self, store: &Store) -> PathBuf {
        match self {
            Self::Back => store.mdbox(),
            Self::CpBack => store.back(),
            _ => store.source(),
        }
    }

    /// Reads all that it reads once before.
    pub fn warm(self, store: &Store) -> Result<()> {
        match self {
            Self::Verify | Self::Rsync => store.warm(&store.copy())?,
            Self::VerifyMdbox => store.warm(&store.mdbox())?,
            _ => {}
        }
        store.warm(&self.source(store))
    }

    /// The format that it makes; empty: it only looks.
    pub fn makes(self) -> &'static str {
        match self {
            Self::Sdbox | Self::DoveadmSdbox | Self::Nosync => "sdbox",
            Self::Mdbox | Self::DoveadmMdbox => "mdbox",
            Self::Cp | Self::Back | Self::CpBack => "maildir",
            _ => "",
        }
    }

    /// Runs it once.
    pub fn run(self, store: &Store, out: &Path) -> Result<Vec<Run>> {
        let (source, to) = (self.source(store), self.makes());
        let clock = Instant::now();
        let mut runs = Vec::new();
        let mut lap = |nth: usize| {
            let (what, seconds) = (self.rows()[nth], clock.elapsed().as_secs_f64());
            runs.push(Run { what, seconds });
        };
        match self {
            Self::Sdbox | Self::Mdbox => run(&mut convert("maildir", &source, to, out))?,
            Self::Back => run(&mut convert("mdbox", &source, to, out))?,
            Self::Cp | Self::CpBack => run(as_owner("cp").arg("-a").arg(source).arg(out))?,
            Self::DoveadmSdbox | Self::DoveadmMdbox => doveadm(store, to, out, &[])?,
            Self::Nosync => doveadm(store, to, out, &["-o", "mail_fsync=never"])?,
            Self::Verify => run(&mut verify(&source, "maildir", &store.copy()))?,
            Self::VerifyMdbox => run(&mut verify(&source, "mdbox", &store.mdbox()))?,
            Self::Rsync => run(&mut rsync(&source, &store.copy()))?,
            Self::Manifest => run(&mut manifest(&source, out))?,
            Self::B3sum => run(&mut b3sum(&source, out))?,
        }
        lap(0);
        if self.rows().len() > 1 {
            run(Command::new("sync").arg("-f").arg(out))?;
            lap(1);
        }
        Ok(runs)
    }
}

/// Our own program on all accounts below `source`.
pub fn convert(from: &str, source: &Path, to: &str, out: &Path) -> Command {
    let mut command = as_owner(env!("CARGO_BIN_EXE_mailtally"));
    command
        .arg("convert")
        .args(["--quiet", "--progress", "never"]);
    command.arg(format!("{from}:{}/%u", source.display()));
    command.arg(format!("{to}:{}/%u", out.display()));
    command
}

/// Are the Maildirs below `source` the same mail as the accounts below `other`?
fn verify(source: &Path, format: &str, other: &Path) -> Command {
    let mut command = as_owner(env!("CARGO_BIN_EXE_mailtally"));
    command.args(["verify", "--quiet", "--progress", "never"]);
    command.arg(format!("maildir:{}/%u", source.display()));
    command.arg(format!("{format}:{}/%u", other.display()));
    command
}

fn manifest(source: &Path, out: &Path) -> Command {
    let mut command = as_owner(env!("CARGO_BIN_EXE_mailtally"));
    command.args(["manifest", "--quiet", "--progress", "never"]);
    command.arg(format!("maildir:{}/%u", source.display()));
    command.arg("-o").arg(out.join("store.tally"));
    command
}

/// Reads every byte of both, and changes nothing.
fn rsync(source: &Path, other: &Path) -> Command {
    let mut command = as_owner("rsync");
    let inside = |path: &Path| format!("{}/", path.display());
    command.args(["-acn", "--delete", &inside(source), &inside(other)]);
    command
}

/// As many threads as ours has.
fn b3sum(source: &Path, out: &Path) -> Command {
    let mut command = as_owner("sh");
    let script = format!("find . -type f -print0 | xargs -0 b3sum --num-threads {AT_ONCE} >\"$0\"");
    command.args(["-c", &script]).arg(out.join("sums"));
    command.current_dir(source);
    command
}

/// Users one after the other, two at once.
fn doveadm(store: &Store, format: &str, out: &Path, settings: &[&str]) -> Result<()> {
    let dovecot = Dovecot::new(store)?;
    let users = Mutex::new(store.users().into_iter());
    let work = || -> Result<()> {
        loop {
            let user = users.lock().expect("BUG: no thread panics").next();
            let Some(user) = user else { return Ok(()) };
            let to = format!("{format}:{}", out.join(user).display());
            let args = [settings, &["backup", &to]].concat();
            run(&mut dovecot.doveadm(user, &args))?;
        }
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        let ends = threads
            .into_iter()
            .map(|thread| thread.join().expect("BUG: it panics"));
        ends.collect()
    })
}

/// What our process held at most.
pub struct Peak {
    pub what: &'static str,
    pub messages: usize,
    pub largest: u64,
    /// Bytes in memory.
    pub resident: u64,
}

/// Runs ours and watches its memory. The kernel keeps the peak for us, for as long as the process is there.
pub fn peak(store: &Store, contender: Contender, lock: &Lock) -> Result<Peak> {
    let out = store.fresh()?;
    let (from, what) = match contender {
        Contender::Back => ("mdbox", "mdbox to Maildir"),
        Contender::Mdbox => ("maildir", "Maildir to mdbox"),
        _ => ("maildir", "Maildir to sdbox"),
    };
    let source = contender.source(store);
    let mut command = convert(from, &source, contender.makes(), &out);
    let resident = lock.around(|| watch(command.stdout(Stdio::null()).spawn()?))?;
    store.check(contender, &out)?;
    Ok(Peak {
        what,
        messages: store.messages,
        largest: store.largest,
        resident,
    })
}

fn watch(mut child: Child) -> Result<u64> {
    let status = format!("/proc/{}/status", child.id());
    let mut most = 0;
    loop {
        if let Some(end) = child.try_wait()? {
            ensure!(end.success(), "convert: {end}");
            return Ok(most);
        }
        most = most.max(high_water(Path::new(&status)).unwrap_or(0));
        thread::sleep(Duration::from_millis(5));
    }
}

fn high_water(status: &Path) -> Result<u64> {
    let text = fs::read_to_string(status)?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.context("no VmHWM")?.parse::<u64>()? * 1024)
}
