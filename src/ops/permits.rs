//! How many accounts are worked on at once; one that only waits for the device is none of them. (A semaphore.)
//!
//! ```text
//! a  ######....       # at work     . waits until it is on the device
//! b  ########....
//! c        ########....             began when a had nothing to do but wait
//! ```

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Permits to work: on accounts, or on messages.
#[derive(Debug)]
pub(super) struct Permits {
    /// Below zero while one that was lent is in use again.
    free: Mutex<isize>,
    freed: Condvar,
    waiting: AtomicUsize,
}

impl Permits {
    /// So many.
    pub(super) fn new(most: usize) -> Self {
        Self {
            free: Mutex::new(most.try_into().unwrap_or(isize::MAX)),
            freed: Condvar::new(),
            waiting: AtomicUsize::new(0),
        }
    }

    fn free(&self) -> MutexGuard<'_, isize> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a permit, and keeps it until what is returned is dropped.
    pub(super) fn take(&self) -> Permit<'_> {
        let mut free = self.free();
        while *free <= 0 {
            self.waiting.fetch_add(1, Ordering::Relaxed);
            let freed = self.freed.wait(free);
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            free = freed.unwrap_or_else(PoisonError::into_inner);
        }
        *free -= 1;
        Permit(self)
    }

    /// A permit, if one is free.
    pub(super) fn take_if_free(&self) -> Option<Permit<'_>> {
        let mut free = self.free();
        (*free > 0).then(|| {
            *free -= 1;
            Permit(self)
        })
    }

    /// True while somebody waits for a permit.
    pub(super) fn wanted(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// Gives a permit that was taken to others until what is returned is dropped. Then it is taken again at
    /// once, by one too many if need be: what is left to do is little.
    pub(super) fn lend(&self) -> Lent<'_> {
        self.give_back();
        Lent(self)
    }

    fn give_back(&self) {
        *self.free() += 1;
        self.freed.notify_one();
    }
}

/// A permit that is taken.
pub(super) struct Permit<'a>(&'a Permits);

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.0.give_back();
    }
}

/// A permit that others may have.
pub(super) struct Lent<'a>(&'a Permits);

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        *self.0.free() -= 1;
    }
}
