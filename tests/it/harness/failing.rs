//! A disk that fails where a test wants it to.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mailtally::disk::{Disk, Step};

/// A disk on which steps that change something fail.
#[derive(Debug)]
pub struct Failing {
    done: AtomicUsize,
    from: usize,
    /// All from there on, as when the power is cut; else only the one.
    for_good: bool,
    with: i32,
}

impl Failing {
    /// Steps fail from there on, or only the one.
    pub fn disk(from: usize, for_good: bool, with: i32) -> Arc<dyn Disk> {
        Arc::new(Self {
            done: AtomicUsize::new(0),
            from,
            for_good,
            with,
        })
    }
}

impl Disk for Failing {
    fn before(&self, step: &Step<'_>) -> io::Result<()> {
        if !step.action.changes() {
            return Ok(());
        }
        let nth = self.done.fetch_add(1, Ordering::Relaxed);
        if nth == self.from || (self.for_good && nth > self.from) {
            Err(io::Error::from_raw_os_error(self.with))
        } else {
            Ok(())
        }
    }
}

/// The device is gone.
pub const EIO: i32 = 5;
/// It is full.
pub const ENOSPC: i32 = 28;
