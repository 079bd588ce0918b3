//! The storage files that are being written, and their map.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
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
}

struct State {
    map: IndexWriter,
    place: ExtId,
    refs: ExtId,
    /// How many messages share the stored one of each map UID.
    counts: Vec<u16>,
    /// Map UIDs by what their messages have in common.
    known: HashMap<[u8; 16], u32>,
    /// The file that is being filled, and where it ends.
    file: Option<(Arc<NewFile>, u64)>,
    file_id: u32,
    header: Vec<u8>,
}

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
            file: None,
            file_id: 0,
            header: file_header(now),
        });
        Self {
            dir,
            writing,
            rotate_size,
            state,
        }
    }

    /// What ties the mailboxes to the map.
    pub(super) fn uid_validity(&self) -> u32 {
        self.writing.now()
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
        let (file, at) = self.room(&mut state, len)?;
        state.file = Some((Arc::clone(&file), at + len));
        let map_uid = state.enter(identity, at, len)?;
        Ok((map_uid, Some(Place { file, at })))
    }

    /// The file that the next `len` bytes go into, and where.
    fn room(&self, state: &mut State, len: u64) -> Result<(Arc<NewFile>, u64)> {
        if let Some((file, end)) = &state.file {
            let empty = *end == state.header.len() as u64;
            if empty || end.saturating_add(len) <= self.rotate_size {
                return Ok((Arc::clone(file), *end));
            }
        }
        state.file_id += 1;
        let mut file = self.writing.create(&self.dir, file_name(state.file_id))?;
        file.append(&state.header)?;
        let (file, end) = (Arc::new(file), state.header.len() as u64);
        state.file = Some((Arc::clone(&file), end));
        Ok((file, end))
    }

    /// Begins a message that is written piece by piece; nobody else writes until it is done.
    pub(super) fn begin_large(&self, hint: Option<u64>) -> Result<Large<'_>> {
        let mut state = self.state();
        let (file, at) = self.room(&mut state, hint.unwrap_or(0))?;
        Ok(Large {
            state,
            file,
            at,
            end: at,
        })
    }

    /// Completes the map.
    pub(super) fn finish(&self) -> Result<()> {
        let mut state = self.state();
        let state = &mut *state;
        // What was begun and forgotten may have left a file without a message.
        if matches!(&state.file, Some((_, end)) if *end == state.header.len() as u64) {
            state.file = None;
            self.dir.remove_file(file_name(state.file_id))?;
            state.file_id -= 1;
        }
        for (nth, count) in state.counts.iter().enumerate() {
            state
                .map
                .set(nth, state.refs, RefRecord::new(*count).as_bytes());
        }
        let header = MapHeader {
            highest_file_id: state.file_id.into(),
            rebuild_count: 0.into(),
        };
        state
            .map
            .set_header(state.place, header.as_bytes().to_vec());
        let next = u32::try_from(state.counts.len()).map_or(u32::MAX, |count| count + 1);
        state.map.set_next_uid(next);
        self.writing
            .write(&self.dir, MAP_LOG, &state.map.log_bytes())?;
        self.writing.write(&self.dir, MAP, &state.map.index_bytes())
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

    /// A stored message gets its map UID.
    fn enter(&mut self, identity: &[u8; 16], at: u64, len: u64) -> Result<u32, StoreError> {
        let number = |number: u64| u32::try_from(number).map_err(|_| too_large());
        let map_uid = number(self.counts.len() as u64 + 1)?;
        let record = MapRecord {
            file_id: self.file_id.into(),
            offset: number(at)?.into(),
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
    file: Arc<NewFile>,
    at: u64,
    end: u64,
}

impl Large<'_> {
    /// Writes what is in the buffer, and empties it.
    pub(super) fn append(&mut self, buffer: &mut Vec<u8>) -> Result<()> {
        self.file.write_all_at(buffer, self.end)?;
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
            self.file.cut(self.at)?;
            return Ok(map_uid);
        }
        if let Some(header) = &record.header {
            self.file.write_all_at(header, self.at)?;
        }
        let map_uid = match self.state.enter(identity, self.at, record.len) {
            Ok(map_uid) => map_uid,
            Err(error) => {
                self.file.cut(self.at)?;
                return Err(error);
            }
        };
        self.state.file = Some((Arc::clone(&self.file), self.end));
        Ok(map_uid)
    }

    /// The source broke off: nothing of it stays.
    pub(super) fn forget(self) -> Result<()> {
        self.file.cut(self.at)
    }
}
