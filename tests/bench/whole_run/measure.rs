//! Running, and what many runs add up to.

use std::fs::File;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use rustix::fs::{FlockOperation, flock};

use super::contenders::Contender;

/// Runs a command to its end; it must succeed. What it says is shown only if it does not.
pub fn run(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{command:?}: {}\n{said}",
        output.status
    );
    Ok(())
}

/// Keeps others that take the same lock away while something is measured.
pub struct Lock(Option<File>);

impl Lock {
    pub fn new(path: Option<&Path>) -> Result<Self> {
        Ok(Self(path.map(File::create).transpose()?))
    }

    /// Does `work` under the lock.
    pub fn around<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        if let Some(file) = &self.0 {
            flock(file, FlockOperation::LockExclusive)?;
        }
        let done = work();
        if let Some(file) = &self.0 {
            flock(file, FlockOperation::Unlock)?;
        }
        done
    }
}

/// One time taken.
pub struct Run {
    pub what: &'static str,
    pub seconds: f64,
}

/// All times of one row.
pub struct Series {
    pub what: &'static str,
    seconds: Vec<f64>,
}

impl Series {
    /// An empty one for each row.
    pub fn of_all(contenders: &[Contender]) -> Vec<Self> {
        let rows = contenders.iter().flat_map(|contender| contender.rows());
        rows.map(|what| Self {
            what,
            seconds: Vec::new(),
        })
        .collect()
    }

    /// Puts a run where it belongs.
    pub fn add(all: &mut [Self], run: &Run) {
        for series in all.iter_mut().filter(|series| series.what == run.what) {
            series.seconds.push(run.seconds);
            series.seconds.sort_by(f64::total_cmp);
        }
    }

    pub fn len(&self) -> usize {
        self.seconds.len()
    }

    pub fn median(&self) -> f64 {
        let (low, high) = (self.len().saturating_sub(1) / 2, self.len() / 2);
        let at = |nth: usize| self.seconds.get(nth).copied().unwrap_or(f64::NAN);
        f64::midpoint(at(low), at(high))
    }

    pub fn fastest(&self) -> f64 {
        self.seconds.first().copied().unwrap_or(f64::NAN)
    }

    pub fn slowest(&self) -> f64 {
        self.seconds.last().copied().unwrap_or(f64::NAN)
    }
}
