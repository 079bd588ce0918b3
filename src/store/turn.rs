//! Whose turn it is among messages that are stored side by side.
//!
//! ```text
//! 0 1 2 3 4 5 6      0 and 1 are through, 2 is at work: it is its turn
//! x x o . x . .      4 is through early; 3 may wait for its turn
//! ```
//! A destination that puts messages one behind the other needs them in the same order at every run. Who
//! waits, waits for messages that are at work on other threads and do not wait for it.

use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// The order of the messages of one mailbox.
#[derive(Debug, Default, Clone)]
pub struct Turns(Arc<Order>);

#[derive(Debug, Default)]
struct Order {
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
    pub fn of(&self, nth: usize) -> Turn {
        Turn {
            turns: self.clone(),
            nth,
        }
    }

    fn through(&self) -> MutexGuard<'_, Through> {
        let through = self.0.through.lock();
        through.unwrap_or_else(PoisonError::into_inner)
    }
}

/// One message's place in the order; when it is dropped, the message is through.
#[derive(Debug)]
pub struct Turn {
    turns: Turns,
    nth: usize,
}

impl Turn {
    /// Its place.
    pub fn nth(&self) -> usize {
        self.nth
    }

    /// Returns when every message before this one is through.
    pub fn wait(&self) {
        if let Some(before) = self.nth.checked_sub(1) {
            self.wait_for_a_move(before);
        }
    }

    /// Whose turn it is now.
    pub fn now(&self) -> usize {
        self.turns.through().next
    }

    /// Returns when it is no longer the turn of `seen`.
    pub fn wait_for_a_move(&self, seen: usize) {
        let mut through = self.turns.through();
        through.waiting += 1;
        while through.next <= seen {
            let moved = self.turns.0.moved.wait(through);
            through = moved.unwrap_or_else(PoisonError::into_inner);
        }
        through.waiting -= 1;
    }
}

impl Drop for Turn {
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
                self.turns.0.moved.notify_all();
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
