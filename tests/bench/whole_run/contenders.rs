//! What runs against what.

use std::fs;
use std::path::Path;
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
    /// `mailtally convert`, with its proof
    Ours,
    /// `cp -a` of the source
    Cp,
    /// `doveadm backup` as it comes
    Doveadm,
    /// The same, told not to sync
    Nosync,
}

impl Contender {
    pub const ALL: [Self; 4] = [Self::Ours, Self::Cp, Self::Doveadm, Self::Nosync];

    /// The rows that it gives.
    pub fn rows(self) -> &'static [&'static str] {
        match self {
            Self::Ours => &["`mailtally convert`, proven and synced"],
            Self::Cp => &["`cp -a`", "`cp -a`, then `sync -f`"],
            Self::Doveadm => &["`doveadm backup`, two at once"],
            Self::Nosync => &["the same with `mail_fsync=never`"],
        }
    }

    /// Runs it once.
    pub fn run(self, store: &Store, out: &Path) -> Result<Vec<Run>> {
        let clock = Instant::now();
        let mut runs = Vec::new();
        let mut lap = |nth: usize| {
            let (what, seconds) = (self.rows()[nth], clock.elapsed().as_secs_f64());
            runs.push(Run { what, seconds });
        };
        match self {
            Self::Ours => {
                run(&mut convert(store, out))?;
                lap(0);
            }
            Self::Cp => {
                run(as_owner("cp").arg("-a").arg(store.source()).arg(out))?;
                lap(0);
                run(Command::new("sync").arg("-f").arg(out))?;
                lap(1);
            }
            Self::Doveadm => {
                doveadm(store, out, &[])?;
                lap(0);
            }
            Self::Nosync => {
                doveadm(store, out, &["-o", "mail_fsync=never"])?;
                lap(0);
            }
        }
        Ok(runs)
    }
}

/// Our own program on all of a store.
fn convert(store: &Store, out: &Path) -> Command {
    let mut command = as_owner(env!("CARGO_BIN_EXE_mailtally"));
    let source = store.source();
    command
        .arg("convert")
        .args(["--quiet", "--progress", "never"]);
    command.arg(format!("maildir:{}/%u", source.display()));
    command.arg(format!("sdbox:{}/%u", out.display()));
    command
}

/// Users one after the other, two at once.
fn doveadm(store: &Store, out: &Path, settings: &[&str]) -> Result<()> {
    let dovecot = Dovecot::new(store)?;
    let users = Mutex::new(store.users().into_iter());
    let work = || -> Result<()> {
        loop {
            let user = users.lock().expect("BUG: no thread panics").next();
            let Some(user) = user else { return Ok(()) };
            let to = format!("sdbox:{}", out.join(user).display());
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
    pub messages: usize,
    pub largest: u64,
    /// Bytes in memory.
    pub resident: u64,
}

/// Runs ours and watches its memory. The kernel keeps the peak for us, for as long as the process is there.
pub fn peak(store: &Store, lock: &Lock) -> Result<Peak> {
    let out = store.fresh()?;
    let resident = lock.around(|| watch(convert(store, &out).stdout(Stdio::null()).spawn()?))?;
    store.check(Contender::Ours, &out)?;
    Ok(Peak {
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
