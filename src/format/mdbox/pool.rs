//! The storage files that are being written, and their map.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use zerocopy::IntoBytes;

use super::layout::{
    MAP, MAP_LOG, MAP_PLACE, MAP_REF, MOST_REFS, MapHeader, MapRecord, RefRecord, file_name,
};
use crate::disk::{Dir, NewFile};
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

/// A file that is being filled.
#[derive(Clone)]
struct Filling {
    id: u32,
    file: Arc<NewFile>,
    end: u64,
}

/// So many buffers are kept to be used again, if they are not larger than this.
const SPARES: usize = 16;
const LARGEST_SPARE: usize = 512 * 1024;

/// A file system lets one thread at a time write to a file, so there are two; it does not depend on the
/// number of threads, so that every run makes the same files.
const FILES_AT_ONCE: usize = 2;
/// The second file is begun when the first is larger.
const ALONE: u64 = 1 << 20;

/// A place for one message.
pub(super) struct Place {
    file: Arc<NewFile>,
    at: u64,
}

impl Place {
    pub(super) fn write(&self, bytes: &[u8]) -> Result<()> {
        self.file.write_all_at(bytes, self.at)
    }
}

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
        match spares.iter().position(|spare| spare.capacity() >= room) {
            Some(nth) => spares.swap_remove(nth),
            None => Vec::with_capacity(room),
        }
    }

    /// Keeps a buffer for the next message.
    pub(super) fn give_back(&self, mut buffer: Vec<u8>) {
        if buffer.capacity() > LARGEST_SPARE {
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

    /// The map UID of a message, and the place for its `len` bytes if it is not stored yet.
    pub(super) fn place(
        &self,
        identity: &[u8; 16],
        len: u64,
    ) -> Result<(u32, Option<Place>), StoreError> {
        let mut state = self.state();
        if let Some(map_uid) = state.share(identity) {
            return Ok((map_uid, None));
        }
        let (lane, filling) = self.room(&mut state, len)?;
        let map_uid = state.enter(identity, &filling, len)?;
        let (file, at) = (Arc::clone(&filling.file), filling.end);
        state.fill(lane, filling, len);
        Ok((map_uid, Some(Place { file, at })))
    }

    /// The file that the next `len` bytes go to the end of.
    fn room(&self, state: &mut State, len: u64) -> Result<(usize, Filling)> {
        let lane = state.lane();
        if let Some(filling) = &state.filling[lane] {
            let empty = filling.end == state.header.len() as u64;
            if empty || filling.end.saturating_add(len) <= self.rotate_size {
                return Ok((lane, filling.clone()));
            }
        }
        if let Some(full) = &state.filling[lane] {
            full.file.write_early();
        }
        state.highest_file_id += 1;
        let id = state.highest_file_id;
        let mut file = self.writing.create(&self.dir, file_name(id))?;
        file.append(&state.header)?;
        let filling = Filling {
            id,
            file: Arc::new(file),
            end: state.header.len() as u64,
        };
        state.filling[lane] = Some(filling.clone());
        Ok((lane, filling))
    }

    /// Begins a message that is written piece by piece; nobody else writes until it is done.
    pub(super) fn begin_large(&self, hint: Option<u64>) -> Result<Large<'_>> {
        let mut state = self.state();
        let (lane, filling) = self.room(&mut state, hint.unwrap_or(0))?;
        Ok(Large {
            end: filling.end,
            state,
            lane,
            filling,
        })
    }

    /// Completes the map.
    pub(super) fn finish(&self) -> Result<()> {
        let mut state = self.state();
        let state = &mut *state;
        state.known = HashMap::new();
        // What was begun and forgotten may have left a file without a message.
        for filling in state.filling.iter().flatten() {
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

    /// The file of a lane has so many bytes more.
    fn fill(&mut self, lane: usize, filling: Filling, len: u64) {
        let end = filling.end + len;
        self.filling[lane] = Some(Filling { end, ..filling });
    }

    /// A stored message of `len` bytes at the end of a file gets its map UID.
    fn enter(
        &mut self,
        identity: &[u8; 16],
        filling: &Filling,
        len: u64,
    ) -> Result<u32, StoreError> {
        let number = |number: u64| u32::try_from(number).map_err(|_| too_large());
        let map_uid = number(self.counts.len() as u64 + 1)?;
        let record = MapRecord {
            file_id: filling.id.into(),
            offset: number(filling.end)?.into(),
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
    /// Its file, as it was before.
    filling: Filling,
    end: u64,
}

impl Large<'_> {
    /// Writes what is in the buffer, and empties it.
    pub(super) fn append(&mut self, buffer: &mut Vec<u8>) -> Result<()> {
        self.filling.file.write_all_at(buffer, self.end)?;
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
            self.filling.file.write_all_at(header, self.filling.end)?;
        }
        match self.state.enter(identity, &self.filling, record.len) {
            Ok(map_uid) => {
                self.state.fill(self.lane, self.filling, record.len);
                Ok(map_uid)
            }
            Err(error) => {
                self.forget()?;
                Err(error)
            }
        }
    }

    /// Nothing of it stays.
    pub(super) fn forget(self) -> Result<()> {
        self.filling.file.cut(self.filling.end)
    }
}
