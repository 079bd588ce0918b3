//! Messages that are ready before their turn, and a disk that fails meanwhile.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{ROOM, numbered};
use crate::digest::Measured;
use crate::disk::{Action, Dir, Disk, Step};
use crate::format::golden::golden_mailbox;
use crate::model::Message;
use crate::store::{CreateOptions, Form, Incoming, StoreError, Stored, Turn, Turns};

/// A disk that is full once: when the first storage file is to be made, or written to.
#[derive(Debug)]
struct FullOnce(Action, AtomicBool);

impl Disk for FullOnce {
    fn before(&self, step: &Step<'_>) -> io::Result<()> {
        let hit = step.action == self.0 && step.name == b"m.1";
        if hit && !self.1.swap(true, Ordering::Relaxed) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }
}

fn incoming<'a>(message: &'a Message, body: &'a [u8], turn: Turn) -> Incoming<'a> {
    Incoming {
        message,
        body: Measured::new(Box::new(body)),
        coat: None,
        hint: None,
        turn,
    }
}

#[test]
fn a_message_that_another_one_cannot_put_into_place_ends_the_run_before_it_is_entered() {
    for action in [Action::Create, Action::Write] {
        let temp = tempfile::tempdir().unwrap();
        let disk = Arc::new(FullOnce(action, AtomicBool::new(false)));
        let options = CreateOptions {
            now: 1_700_000_000,
            owner: None,
            mode: 0o700,
            form: Form::default(),
        };
        let dir = Dir::open(temp.path(), disk).unwrap();
        let account = (ROOM.create.unwrap())(dir, &options).unwrap();
        let mut writer = account.mailbox(&golden_mailbox()).unwrap();
        let (turns, large) = (Turns::default(), vec![b'x'; 5_000_000]);
        let (small, other) = (numbered(1), numbered(2));
        // Nothing comes of the first, which holds the second up; the third needs its place at once.
        let first = turns.of(0);
        let second = writer.store(incoming(&small, b"x", turns.of(1))).unwrap();
        drop(first);
        let third: Result<Stored, StoreError> = writer.store(incoming(&other, &large, turns.of(2)));
        third.unwrap_or_else(|error| panic!("{action:?}: not its own failure: {error:?}"));
        let error = writer.commit(&small, &second).unwrap_err();
        assert_eq!(
            error.io_kind(),
            Some(io::ErrorKind::StorageFull),
            "{action:?}"
        );
    }
}
