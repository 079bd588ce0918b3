//! The storage of an account, open for reading: its files, its map, and a second way to a message.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bstr::BString;

use super::layout::{STORAGE, file_name, id_of};
use super::map::{Map, Place};
use super::scan::{self, Found as Scanned};
use crate::disk::{Dir, File, Kind};
use crate::error::Result;
use crate::format::dbox::{MESSAGE_HEADER, METADATA_MAGIC};
use crate::report::Finding;
use crate::report::catalogue as rules;
use crate::store::Found;

/// Characters of a GUID: no message has less metadata.
const ID_LEN: usize = 32;
/// So many files are held open.
const OPEN_FILES: usize = 128;

/// The storage of an account.
#[derive(Debug)]
pub(super) struct Storage {
    /// `storage/`, and the one of the alternative storage.
    dirs: Vec<Dir>,
    /// `None` where it cannot be read.
    pub map: Option<Map>,
    open: Mutex<HashMap<u32, Arc<StorageFile>>>,
    scanned: OnceLock<Scan>,
}

/// One storage file.
#[derive(Debug)]
pub(super) struct StorageFile {
    pub file: Arc<File>,
    /// Bytes of a message header in it.
    pub header: usize,
    /// Bytes of the file.
    pub len: u64,
    /// What is wrong with its header line.
    pub damage: Option<String>,
}

/// What the storage files hold, whatever the map says.
#[derive(Debug, Default)]
pub(super) struct Scan {
    by_guid: HashMap<[u8; 16], Place>,
    by_place: HashMap<(u32, u64), (Place, [u8; 16])>,
    /// By the mailbox that they were first saved to, in the order of the files.
    by_mailbox: BTreeMap<BString, Vec<(Place, [u8; 16])>>,
    /// Bytes that are no message.
    gaps: Vec<(u32, u64, u64)>,
    /// Messages without a GUID, to which only the map leads.
    nameless: Vec<Place>,
    /// Files that could not be read to their end, and why.
    unreadable: Vec<(u32, String)>,
}

impl Scan {
    /// Where the message with this GUID is.
    pub(super) fn find(&self, guid: &[u8; 16]) -> Option<Place> {
        self.by_guid.get(guid).copied()
    }

    /// Messages whose GUIDs no file up to this one has.
    pub(super) fn only_above(&self, file_id: u32) -> impl Iterator<Item = Place> + '_ {
        let mut places: Vec<_> = self.by_guid.values().copied().collect();
        places.retain(|place| place.file_id > file_id);
        places.sort_unstable_by_key(|place| (place.file_id, place.at));
        places.into_iter()
    }

    /// The message that begins at file and offset, if one does.
    pub(super) fn message_at(&self, at: (u32, u64)) -> Option<(Place, [u8; 16])> {
        self.by_place.get(&at).copied()
    }

    /// The messages that were first saved to this mailbox.
    pub(super) fn first_saved_to(&self, storage_name: &[u8]) -> &[(Place, [u8; 16])] {
        self.by_mailbox.get(storage_name).map_or(&[], Vec::as_slice)
    }

    fn enter(&mut self, file_id: u32, message: scan::Message) {
        let place = Place {
            file_id,
            at: message.at,
            len: message.len,
        };
        let Some(guid) = message.guid else {
            self.nameless.push(place);
            return;
        };
        self.by_guid.entry(guid).or_insert(place);
        self.by_place.insert((file_id, place.at), (place, guid));
        let name = message.first_mailbox.unwrap_or_else(|| "INBOX".into());
        self.by_mailbox.entry(name).or_default().push((place, guid));
    }
}

/// True for bytes at the beginning of a file that no message is small enough for.
pub(super) fn is_header_line((_, from, to): &(u32, u64, u64)) -> bool {
    let least = MESSAGE_HEADER + METADATA_MAGIC.len() + ID_LEN;
    *from == 0 && *to < least as u64
}

impl Storage {
    /// Opens the storage in `dirs`: the first that is there, then the alternative one. `map_dir` holds
    /// the map.
    pub(super) fn open(dirs: Vec<Dir>, map_dir: Option<&Dir>, found: Found<'_>) -> Result<Self> {
        let mut told = |mut finding: Finding| {
            let inner = finding.place.path.take().unwrap_or_default();
            found(finding.path(format!("{STORAGE}/{inner}")));
        };
        let map = match map_dir {
            Some(dir) => Map::read(dir, &mut told)?,
            None => None,
        };
        let mut this = Self {
            dirs,
            map,
            open: Mutex::default(),
            scanned: OnceLock::new(),
        };
        let has_files = !this.files()?.is_empty();
        this.map = this.map.filter(|map| !(map.is_blank() && has_files));
        if this.map.is_none() && has_files {
            let detail = "messages are found by their GUIDs";
            found(Finding::new(&rules::MDBOX_MAP_MISSING, detail).path(STORAGE));
        }
        Ok(this)
    }

    /// The numbers of the files, ascending; what is none of them is not named.
    pub(super) fn files(&self) -> Result<Vec<u32>> {
        let mut ids = Vec::new();
        for dir in &self.dirs {
            dir.each_entry(|name, kind| {
                ids.extend(id_of(name).filter(|_| kind == Kind::File));
            })?;
        }
        ids.sort_unstable();
        ids.dedup();
        Ok(ids)
    }

    /// A storage file; `None` where it is not there.
    pub(super) fn file(&self, id: u32) -> Result<Option<Arc<StorageFile>>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = open.get(&id) {
            return Ok(Some(Arc::clone(file)));
        }
        let Some(file) = self.open_file(id)? else {
            return Ok(None);
        };
        if open.len() >= OPEN_FILES {
            open.clear();
        }
        let file = Arc::new(file);
        open.insert(id, Arc::clone(&file));
        Ok(Some(file))
    }

    fn open_file(&self, id: u32) -> Result<Option<StorageFile>> {
        for dir in &self.dirs {
            let file = match dir.file(file_name(id)) {
                Ok(file) => file,
                Err(error) if error.is_not_found() => continue,
                Err(error) => return Err(error),
            };
            let len = file.stat()?.size;
            let line = scan::header_line(&file).ok();
            return Ok(Some(StorageFile {
                header: { line.as_ref() }.map_or(MESSAGE_HEADER, |line| line.message_header),
                damage: line.and_then(|line| line.damage),
                file: Arc::new(file),
                len,
            }));
        }
        Ok(None)
    }

    /// What the files hold, read from end to end: at the first question only.
    pub(super) fn scan(&self) -> &Scan {
        self.scanned.get_or_init(|| {
            let mut scan = Scan::default();
            let ids = self.files().unwrap_or_else(|error| {
                scan.unreadable.push((0, error.chain()));
                Vec::new()
            });
            for id in ids {
                if let Err(why) = self.scan_file(id, &mut scan) {
                    scan.unreadable.push((id, why));
                }
            }
            scan
        })
    }

    fn scan_file(&self, id: u32, scan: &mut Scan) -> Result<(), String> {
        let Some(file) = self.file(id).map_err(|error| error.chain())? else {
            return Ok(());
        };
        let done = scan::scan(&file.file, file.len, &mut |found| match found {
            Scanned::Message(message) => scan.enter(id, message),
            Scanned::Gap(from, to) => scan.gaps.push((id, from, to)),
        });
        done.map_err(|error| error.to_string())
    }

    /// Says in which files the header line is damaged: no server reads a message of these.
    fn tell_header_lines(&self, found: Found<'_>) {
        // What cannot be opened now is told where a message of it is wanted.
        for id in self.files().unwrap_or_default() {
            let file = self.file(id).ok().flatten();
            if let Some(damage) = file.as_ref().and_then(|file| file.damage.as_deref()) {
                let path = format!("{STORAGE}/{}", file_name(id));
                found(Finding::new(&rules::DBOX_HEADER, damage).path(path));
            }
        }
    }

    /// Says what of the files is no message, or led to none, if they were read from end to end.
    pub(super) fn tell_damage(&self, found: Found<'_>) {
        self.tell_header_lines(found);
        let Some(scan) = self.scanned.get() else {
            return;
        };
        let mut tell = |rule, id: u32, detail: String| {
            let path = match id {
                0 => STORAGE.to_owned(),
                id => format!("{STORAGE}/{}", file_name(id)),
            };
            found(Finding::new(rule, detail).path(path));
        };
        for (id, why) in &scan.unreadable {
            tell(&rules::DBOX_UNREADABLE, *id, why.clone());
        }
        for (id, from, to) in scan.gaps.iter().filter(|gap| !is_header_line(gap)) {
            let detail = format!("bytes {from} to {to} hold no whole message");
            tell(&rules::MDBOX_DAMAGED, *id, detail);
        }
        for (id, at) in self.nameless(scan) {
            let detail = format!("byte {at}: the message has no GUID (G), and no map leads to it");
            tell(&rules::DBOX_METADATA, id, detail);
        }
    }

    /// Messages to which neither a GUID nor the map leads.
    fn nameless(&self, scan: &Scan) -> Vec<(u32, u64)> {
        let map = self.map.iter();
        let mapped: HashSet<_> = map
            .flat_map(|map| (0..map.len()).filter_map(|nth| map.place(nth)))
            .map(|place| (place.file_id, place.at))
            .collect();
        let all = scan.nameless.iter().map(|place| (place.file_id, place.at));
        all.filter(|place| !mapped.contains(place)).collect()
    }
}
