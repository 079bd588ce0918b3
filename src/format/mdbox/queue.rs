//! Messages that are ready before their turn: who works on the one before puts them into the storage too.
//!
//! ```text
//! thread 1   ... 4 ..................... 4 in place, then 5 and 6, which wait for it
//! thread 2   5 ready  6 ready  7 ......                7 is at work; its turn comes
//! ```
//! So nobody waits for a large message, and the storage is filled in the same order at every run.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::pool::Pool;
use crate::error::{Error, Result};
use crate::store::Turn;

/// More bytes do not wait: then their threads do.
const MOST_BYTES: usize = 8 << 20;

/// A message that is ready.
pub(super) struct Ready {
    pub turn: Turn,
    /// Its record.
    pub bytes: Vec<u8>,
    /// What it has in common with those that it shares a stored one with.
    pub identity: [u8; 16],
    pub uid: u32,
}

/// The messages of one mailbox that are ready before their turn.
#[derive(Default)]
pub(super) struct Queue(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    ready: BTreeMap<usize, Ready>,
    bytes: usize,
    /// The map UIDs of those that are in place, until they are entered in the mailbox.
    placed: HashMap<u32, u32>,
    /// Why one of them could not be put into its place by who did not bring it.
    failed: Option<Error>,
}

impl Queue {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a message into the storage, now or when its turn comes.
    pub(super) fn put(&self, ready: Ready, pool: &Pool) -> Result<()> {
        match self.leave(ready) {
            None => Ok(()),
            Some(ready) => {
                self.until_turn(&ready.turn, pool);
                self.place(ready, pool)?;
                self.go_on(pool);
                Ok(())
            }
        }
    }

    /// Leaves it to who works on the one before; gives it back where it is its turn, or nothing more fits.
    fn leave(&self, ready: Ready) -> Option<Ready> {
        let mut waiting = self.waiting();
        if ready.turn.now() == ready.turn.nth() || waiting.bytes + ready.bytes.len() > MOST_BYTES {
            return Some(ready);
        }
        waiting.bytes += ready.bytes.len();
        waiting.ready.insert(ready.turn.nth(), ready);
        None
    }

    /// Returns when it is this one's turn, and puts others into the storage while it waits.
    pub(super) fn until_turn(&self, turn: &Turn, pool: &Pool) {
        loop {
            let now = turn.now();
            if now == turn.nth() {
                return;
            }
            self.go_on(pool);
            turn.wait_for_a_move(now);
        }
    }

    /// Puts those into the storage whose turn it is. Who brought them was told that all is well, so a
    /// failure is said when they are entered in the mailbox.
    pub(super) fn go_on(&self, pool: &Pool) {
        while let Some(ready) = self.next() {
            if let Err(error) = self.place(ready, pool) {
                self.waiting().failed.get_or_insert(error);
            }
        }
    }

    /// The first of those failures; asked once.
    pub(super) fn failed(&self) -> Result<()> {
        self.waiting().failed.take().map_or(Ok(()), Err)
    }

    fn next(&self) -> Option<Ready> {
        let mut waiting = self.waiting();
        let first = waiting.ready.first_entry()?;
        if first.get().turn.now() != *first.key() {
            return None;
        }
        let ready = first.remove();
        waiting.bytes -= ready.bytes.len();
        Some(ready)
    }

    fn place(&self, ready: Ready, pool: &Pool) -> Result<()> {
        let Ready {
            turn,
            bytes,
            identity,
            uid,
        } = ready;
        let put = pool.put(&identity, bytes, |map_uid| {
            self.placed(uid, map_uid);
            drop(turn);
        });
        put.map_err(|error| error.into_error(pool.path()))
    }

    /// A message is in place.
    pub(super) fn placed(&self, uid: u32, map_uid: u32) {
        self.waiting().placed.insert(uid, map_uid);
    }

    /// The map UID of a message that is in place; asked once.
    pub(super) fn map_uid(&self, uid: u32) -> Option<u32> {
        self.waiting().placed.remove(&uid)
    }
}
