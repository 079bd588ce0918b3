//! The storage files that are being written, and their map.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use zerocopy::IntoBytes;

use super::filling::{Due, Filling};
use super::layout::{
    MAP, MAP_LOG, MAP_PLACE, MAP_REF, MOST_REFS, MapHeader, MapRecord, RefRecord, file_name,
};
use crate::disk::Dir;
use crate::error::Result;
use crate::format::dbox::file_header;
use crate::format::dbox::record::Record;
use crate::format::dovecot_index::{ExtId, Head, IndexWriter};
use crate::format::writing::Writing;
use crate::store::StoreError;

/// What all messages of an account are put into.
pub(super) struct Pool {
    dir: Dir,
    writing: Writing,
    rotate_size: u64,
    state: Mutex<State>,
    /// Buffers to be used again.
    spares: Mutex<Vec<Vec<u8>>>,
}

struct State {
    map: IndexWriter,
    place: ExtId,
    refs: ExtId,
    /// How many messages share the stored one of each map UID.
    counts: Vec<u16>,
    /// Map UIDs by what their messages have in common.
    known: HashMap<[u8; 16], u32>,
    /// The files that are being filled.
    filling: [Option<Filling>; FILES_AT_ONCE],
    /// Messages take turns in them.
    next: usize,
    highest_file_id: u32,
    header: Vec<u8>,
}

/// So many buffers are kept to be used again, if they are not larger than this.
const SPARES: usize = 16;
const LARGEST_SPARE: usize = 512 * 1024;

/// A file system lets one thread at a time write to a file, so there are two; it does not depend on the
/// number of threads, so that every run makes the same files.
const FILES_AT_ONCE: usize = 2;
/// The second file is begun when the first is larger.
const ALONE: u64 = 1 << 20;

impl Pool {
    pub(super) fn new(dir: Dir, writing: Writing, rotate_size: u64) -> Self {
        let now = writing.now();
        let mut map = IndexWriter::for_map(Head {
            now,
            indexid: now,
            uid_validity: now,
            next_uid: 1,
            first_recent_uid: 1,
            log_file_seq: 2,
            initial_modseq: 1,
        });
        let place = map.extension(MAP_PLACE, 0, vec![0; size_of::<MapHeader>()], 12, 4);
        let refs = map.extension(MAP_REF, 0, Vec::new(), 2, 2);
        let state = Mutex::new(State {
            map,
            place,
            refs,
            counts: Vec::new(),
            known: HashMap::new(),
            filling: [const { None }; FILES_AT_ONCE],
            next: 0,
            highest_file_id: 0,
            header: file_header(now),
        });
        Self {
            dir,
            writing,
            rotate_size,
            state,
            spares: Mutex::default(),
        }
    }

    fn spares(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.spares.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An empty buffer with room for so many bytes: one that grows is copied each time.
    pub(super) fn buffer(&self, room: usize) -> Vec<u8> {
        let mut spares = self.spares();
        let fitting = spares.iter().enumerate();
        let fitting = fitting.filter(|(_, spare)| spare.capacity() >= room);
        // The smallest: the large ones are for what is large.
        match fitting.min_by_key(|(_, spare)| spare.capacity()) {
            Some((nth, _)) => spares.swap_remove(nth),
            None => Vec::with_capacity(room),
        }
    }

    /// Keeps a buffer for the next message.
    pub(super) fn give_back(&self, mut buffer: Vec<u8>) {
        if !(1..=LARGEST_SPARE).contains(&buffer.capacity()) {
            return;
        }
        buffer.clear();
        let mut spares = self.spares();
        if spares.len() < SPARES {
            spares.push(buffer);
        }
    }

    /// What ties the mailboxes to the map.
    pub(super) fn uid_validity(&self) -> u32 {
        self.writing.now()
    }

    /// Where the storage files are, for messages.
    pub(super) fn path(&self) -> &Path {
        self.dir.path()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a message into the storage, if it is not there yet; when `entered` was told its map UID, the next
    /// one may come.
    pub(super) fn put(
        &self,
        identity: &[u8; 16],
        message: Vec<u8>,
        entered: impl FnOnce(u32),
    ) -> Result<(), StoreError> {
        let (map_uid, due) = self.place(identity, &message)?;
        entered(map_uid);
        if let Some(due) = due {
            self.give_back(due.write(&message)?);
        }
        self.give_back(message);
        Ok(())
    }

    fn place(&self, identity: &[u8; 16], message: &[u8]) -> Result<(u32, Option<Due>), StoreError> {
        let mut state = self.state();
        if let Some(map_uid) = state.share(identity) {
            return Ok((map_uid, None));
        }
        let len = message.len() as u64;
        let lane = self.room(&mut state, len)?;
        let map_uid = state.enter(identity, lane, len)?;
        let due = state.filling(lane).take(message, |room| self.buffer(room));
        Ok((map_uid, due))
    }

    /// The file that the next `len` bytes go to the end of.
    fn room(&self, state: &mut State, len: u64) -> Result<usize> {
        let lane = state.lane();
        let header = state.header.len() as u64;
        if let Some(filling) = &mut state.filling[lane] {
            let empty = filling.end == header;
            if empty || filling.end.saturating_add(len) <= self.rotate_size {
                return Ok(lane);
            }
            filling.write_gathered()?;
            filling.file.write_early();
        }
        state.highest_file_id += 1;
        let id = state.highest_file_id;
        let file = self.writing.create(&self.dir, file_name(id))?;
        state.filling[lane] = Some(Filling::begin(id, file, &state.header)?);
        Ok(lane)
    }

    /// Begins a message that is written piece by piece; nobody else writes until it is done.
    pub(super) fn begin_large(&self, hint: Option<u64>) -> Result<Large<'_>> {
        let mut state = self.state();
        let lane = self.room(&mut state, hint.unwrap_or(0))?;
        let filling = state.filling(lane);
        filling.write_gathered()?;
        Ok(Large {
            end: filling.end,
            state,
            lane,
        })
    }

    /// Completes the map.
    pub(super) fn finish(&self) -> Result<()> {
        let mut state = self.state();
        let state = &mut *state;
        state.known = HashMap::new();
        // What was begun and forgotten may have left a file without a message.
        for filling in state.filling.iter_mut().flatten() {
            filling.write_gathered()?;
            if filling.end == state.header.len() as u64 {
                self.dir.remove_file(file_name(filling.id))?;
            }
            filling.file.write_early();
        }
        for (nth, count) in state.counts.iter().enumerate() {
            state
                .map
                .set(nth, state.refs, RefRecord::new(*count).as_bytes());
        }
        let header = MapHeader {
            highest_file_id: state.highest_file_id.into(),
            rebuild_count: 0.into(),
        };
        state
            .map
            .set_header(state.place, header.as_bytes().to_vec());
        let next = u32::try_from(state.counts.len()).map_or(u32::MAX, |count| count + 1);
        state.map.set_next_uid(next);
        self.writing
            .write(&self.dir, MAP_LOG, &state.map.log_bytes())?;
        let map = &state.map;
        self.writing
            .fill(&self.dir, MAP, |out| map.write_index(out))
    }
}

impl State {
    /// One message more for a stored one, if there is one like it.
    fn share(&mut self, identity: &[u8; 16]) -> Option<u32> {
        let Entry::Occupied(known) = self.known.entry(*identity) else {
            return None;
        };
        let map_uid = *known.get();
        let count = self.counts.get_mut(map_uid as usize - 1)?;
        if *count < MOST_REFS {
            *count += 1;
            return Some(map_uid);
        }
        known.remove();
        None
    }

    /// The file whose turn it is.
    fn lane(&mut self) -> usize {
        let alone = |first: &Filling| first.id == 1 && first.end <= ALONE;
        if self.filling[0].as_ref().is_none_or(alone) {
            return 0;
        }
        self.next = (self.next + 1) % FILES_AT_ONCE;
        self.next
    }

    /// The file of a lane that was given room.
    fn filling(&mut self, lane: usize) -> &mut Filling {
        let filling = self.filling[lane].as_mut();
        filling.expect("BUG: a lane with room has a file")
    }

    /// A stored message of `len` bytes at the end of a file gets its map UID.
    fn enter(&mut self, identity: &[u8; 16], lane: usize, len: u64) -> Result<u32, StoreError> {
        let filling = self.filling(lane);
        let (id, end) = (filling.id, filling.end);
        let number = |number: u64| u32::try_from(number).map_err(|_| too_large());
        let map_uid = number(self.counts.len() as u64 + 1)?;
        let record = MapRecord {
            file_id: id.into(),
            offset: number(end)?.into(),
            size: number(len)?.into(),
        };
        let nth = self.map.push(map_uid, 0);
        self.map.set(nth, self.place, record.as_bytes());
        self.counts.push(1);
        self.known.insert(*identity, map_uid);
        Ok(map_uid)
    }
}

/// Sizes and places in an mdbox have 32 bits.
fn too_large() -> StoreError {
    StoreError::Refused("it is larger than the 4 GiB that an mdbox can hold".into())
}

/// A message that is written piece by piece.
pub(super) struct Large<'a> {
    state: MutexGuard<'a, State>,
    lane: usize,
    /// Where it ends so far; its file is said to end where it begins.
    end: u64,
}

impl Large<'_> {
    /// Writes what is in the buffer, and empties it.
    pub(super) fn append(&mut self, buffer: &mut Vec<u8>) -> Result<()> {
        let file = &self.state.filling(self.lane).file;
        file.write_all_at(buffer, self.end)?;
        self.end += buffer.len() as u64;
        buffer.clear();
        Ok(())
    }

    /// The message is whole: it gets its map UID, or shares that of one like it.
    pub(super) fn finish(
        mut self,
        identity: &[u8; 16],
        record: &Record,
    ) -> Result<u32, StoreError> {
        if let Some(map_uid) = self.state.share(identity) {
            self.forget()?;
            return Ok(map_uid);
        }
        if let Some(header) = &record.header {
            let filling = self.state.filling(self.lane);
            filling.file.write_all_at(header, filling.end)?;
        }
        match self.state.enter(identity, self.lane, record.len) {
            Ok(map_uid) => {
                self.state.filling(self.lane).end += record.len;
                Ok(map_uid)
            }
            Err(error) => {
                self.forget()?;
                Err(error)
            }
        }
    }

    /// Nothing of it stays.
    pub(super) fn forget(mut self) -> Result<()> {
        let filling = self.state.filling(self.lane);
        filling.file.cut(filling.end)
    }
}
