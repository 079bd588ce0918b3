//! Whose turn it is among messages that are stored side by side.
//!
//! ```text
//! 0 1 2 3 4 5 6      0 and 1 are through, 2 is at work: it is its turn
//! x x o . x . .      4 is through early; 3 may wait for its turn
//! ```
//! A destination that puts messages one behind the other needs them in the same order at every run. Who
//! waits, waits for messages that are at work on other threads and do not wait for it.

use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// The order of the messages of one mailbox.
#[derive(Debug, Default)]
pub struct Turns {
    through: Mutex<Through>,
    moved: Condvar,
}

#[derive(Debug, Default)]
struct Through {
    /// All below it are through.
    next: usize,
    /// Those above it that are.
    early: BTreeSet<usize>,
    /// How many wait: to wake nobody takes as long as to wake somebody.
    waiting: usize,
}

impl Turns {
    /// The turn of the `nth` message. Each is taken once, in ascending order, by who works on it.
    pub fn of(&self, nth: usize) -> Turn<'_> {
        Turn { turns: self, nth }
    }

    fn through(&self) -> MutexGuard<'_, Through> {
        self.through.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One message's place in the order; when it is dropped, the message is through.
#[derive(Debug)]
pub struct Turn<'a> {
    turns: &'a Turns,
    nth: usize,
}

impl Turn<'_> {
    /// Returns when every message before this one is through.
    pub fn wait(&self) {
        let mut through = self.turns.through();
        through.waiting += 1;
        while through.next < self.nth {
            let moved = self.turns.moved.wait(through);
            through = moved.unwrap_or_else(PoisonError::into_inner);
        }
        through.waiting -= 1;
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut through = self.turns.through();
        let Through {
            next,
            early,
            waiting,
        } = &mut *through;
        if *next == self.nth {
            *next += 1;
            while early.remove(next) {
                *next += 1;
            }
            if *waiting > 0 {
                self.turns.moved.notify_all();
            }
        } else {
            early.insert(self.nth);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn turns_come_in_order_whatever_the_threads_do() {
        let (turns, next) = (Turns::default(), AtomicUsize::new(0));
        let order = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    loop {
                        let nth = next.fetch_add(1, Ordering::Relaxed);
                        if nth >= 500 {
                            break;
                        }
                        let turn = turns.of(nth);
                        // Some never wait, and some give up.
                        if nth % 3 != 0 {
                            turn.wait();
                            order.lock().unwrap().push(nth);
                        }
                    }
                });
            }
        });
        let order = order.into_inner().unwrap();
        assert!(order.is_sorted());
        assert_eq!(order.len(), 333);
    }
}
