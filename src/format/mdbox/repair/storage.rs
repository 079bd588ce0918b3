//! What the storage files hold, and new ones for those that are damaged.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::sync::Arc;

use bstr::BString;

use super::super::layout::{STORAGE, file_name};
use super::super::mailbox::MdboxMailbox;
use super::super::map::Place;
use super::super::read::Mdbox;
use super::super::scan::{self, Found};
use super::super::storage::{Storage, StorageFile};
use super::Repair;
use crate::digest::Measured;
use crate::disk::NewFile;
use crate::disk::plan::{About, Act};
use crate::error::{At, Error, Result};
use crate::format::dbox::record::{self, Head};
use crate::format::dbox::{Extent, Key, StoredMessage, guid_128};
use crate::report::catalogue::MDBOX_DAMAGED;
use crate::report::counted;
use crate::store::StoreError;

/// Where messages are now, by file and place before.
pub(super) type Moved = Rc<RefCell<HashMap<(u32, u64), Place>>>;

/// A message that holds up.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub len: u64,
    pub guid: Option<[u8; 16]>,
}

/// What the storage files hold.
#[derive(Debug, Default)]
pub(super) struct Scanned {
    /// By file and place.
    pub held: BTreeMap<(u32, u64), Held>,
    /// Bytes that are no message that holds up: file, from, to.
    pub gaps: Vec<(u32, u64, u64)>,
    /// What is sound of a message in a gap, by its GUID.
    pub in_gaps: HashMap<[u8; 16], Place>,
}

impl Scanned {
    /// Reads every file from end to end.
    pub(super) fn read(storage: &Storage) -> Result<Self> {
        let mut this = Self::default();
        for id in storage.files()? {
            if let Some(file) = storage.file(id)? {
                this.add(id, &file)?;
            }
        }
        Ok(this)
    }

    fn add(&mut self, id: u32, file: &StorageFile) -> Result<()> {
        let mut gaps = Vec::new();
        let read = scan::scan(&file.file, file.len, &mut |found| match found {
            Found::Gap(from, to) => gaps.push((id, from, to)),
            Found::Message(message) => {
                let held = Held {
                    len: message.len,
                    guid: message.guid,
                };
                self.held.insert((id, message.at), held);
            }
        });
        read.at("read", &file.file.path())?;
        for (_, from, to) in &gaps {
            self.salvage(id, file, *from, *to);
        }
        self.gaps.extend(gaps);
        Ok(())
    }

    /// A damaged message whose GUID can still be read.
    fn salvage(&mut self, id: u32, file: &StorageFile, from: u64, to: u64) {
        let extent = Extent {
            at: Some(from),
            header: file.header,
            end: to,
        };
        let mut scratch = Vec::new();
        let stored = StoredMessage::open(Arc::clone(&file.file), extent, &mut scratch);
        let Ok(stored) = stored else { return };
        if let Some(guid) = stored.metadata.get(Key::Guid) {
            let place = Place {
                file_id: id,
                at: from,
                len: to - from,
            };
            self.in_gaps.insert(guid_128(guid), place);
        }
    }

    /// The bytes of the message there, if it holds up.
    pub(super) fn len(&self, place: Place) -> Option<u64> {
        self.held
            .get(&(place.file_id, place.at))
            .map(|held| held.len)
    }
}

/// What goes into a new file.
enum Piece {
    /// Bytes as they are: from where, how many.
    Raw(u64, u64),
    /// What is sound of a message: of which mailbox, which one, where it was.
    Anew(usize, usize, Place),
}

impl Repair<'_> {
    /// A new file in the place of each that is damaged.
    pub(super) fn write_storage(&mut self) -> Result<()> {
        let mut anew: BTreeMap<u32, BTreeMap<u64, Piece>> = BTreeMap::new();
        for (id, _, _) in &self.scanned.gaps {
            anew.entry(*id).or_default();
        }
        for mailbox in &self.mailboxes {
            for entry in mailbox.entries.iter().filter(|entry| entry.wounded) {
                let Some(place) = entry.place else { continue };
                let piece = Piece::Anew(mailbox.nth, entry.at, place);
                anew.entry(place.file_id)
                    .or_default()
                    .insert(place.at, piece);
            }
        }
        let mut next = self.highest_file_id()?;
        for (id, mut pieces) in anew {
            next += 1;
            for ((_, at), held) in self.scanned.held.range((id, 0)..=(id, u64::MAX)) {
                pieces.entry(*at).or_insert(Piece::Raw(*at, held.len));
            }
            self.write_file(id, next, pieces.into_values().collect())?;
        }
        self.map.highest_file_id = next;
        Ok(())
    }

    fn highest_file_id(&self) -> Result<u32> {
        let told = self.store.storage.map.as_ref();
        let told = told.map_or(0, super::super::map::Map::highest_file_id);
        let there = self.store.storage.files()?;
        Ok(there.last().copied().unwrap_or(0).max(told))
    }

    fn write_file(&mut self, id: u32, new: u32, pieces: Vec<Piece>) -> Result<()> {
        let path = |id: u32| vec![STORAGE.into(), file_name(id).into()];
        let name = file_name(id);
        if !pieces.is_empty() {
            let messages = counted(pieces.len() as u64, "message");
            let about = About {
                codes: vec![MDBOX_DAMAGED.code],
                ..About::of(format!("{messages} of {name}, without its damage"))
            };
            let (store, moved, now) = (
                Rc::clone(&self.store),
                Rc::clone(&self.moved),
                self.options.now,
            );
            let fill =
                move |file: &mut NewFile| fill(&store, &moved, now, (id, new), &pieces, file);
            self.plan
                .push(path(new), Act::Replace(Box::new(fill)), about);
        }
        let root = self.root.dir(STORAGE)?;
        if root.stat_if_there(&name)?.is_some() {
            let gaps = self.scanned.gaps.iter().filter(|gap| gap.0 == id);
            let gaps =
                gaps.map(|(_, from, to)| format!("bytes {from} to {to} hold no whole message"));
            let about = About {
                codes: vec![MDBOX_DAMAGED.code],
                ..About::of(gaps.collect::<Vec<_>>().join("; "))
            };
            self.plan.push(path(id), Act::Remove, about);
        }
        Ok(())
    }
}

/// Writes a file, and notes where its messages are.
fn fill(
    store: &Mdbox,
    moved: &Moved,
    now: u32,
    (id, new): (u32, u32),
    pieces: &[Piece],
    out: &mut NewFile,
) -> Result<()> {
    let old = store.storage.file(id)?.ok_or_else(|| gone(id))?;
    let line = format!("2 M{:x} C{now:x}\n", old.header);
    out.append(line.as_bytes())?;
    let mut end = line.len() as u64;
    for piece in pieces {
        let (at, len) = match piece {
            Piece::Raw(at, len) => {
                copy(&old, *at, *len, out)?;
                (*at, *len)
            }
            Piece::Anew(nth, message, place) => {
                let len = anew(store, (*nth, *message), *place, end, out)?;
                (place.at, len)
            }
        };
        let place = Place {
            file_id: new,
            at: end,
            len,
        };
        moved.borrow_mut().insert((id, at), place);
        end += len;
    }
    Ok(())
}

fn gone(id: u32) -> Error {
    Error::Bug(format!("m.{id} was there a moment ago"))
}

fn copy(from: &StorageFile, at: u64, len: u64, out: &mut NewFile) -> Result<()> {
    let mut buffer = vec![0; 256 * 1024];
    let (mut at, end) = (at, at + len);
    while at < end {
        let most = usize::try_from(end - at).map_or(buffer.len(), |left| left.min(buffer.len()));
        let read = from.file.read_at(at, &mut buffer[..most]);
        let read = read.at("read", &from.file.path())?;
        if read == 0 {
            return Err(Error::Bug("a storage file became shorter".into()));
        }
        out.append(&buffer[..read])?;
        at += read as u64;
    }
    Ok(())
}

/// Writes what is sound of a message; returns the bytes of its record.
fn anew(
    store: &Mdbox,
    (nth, message): (usize, usize),
    place: Place,
    end: u64,
    out: &mut NewFile,
) -> Result<u64> {
    let lost = |finding: Box<crate::report::Finding>| Error::Bug(finding.detail);
    let mails = store
        .tree
        .mails(nth, &mut |_| ())?
        .ok_or_else(|| gone(place.file_id))?;
    let mailbox = MdboxMailbox::open(store, nth, &mails, &mut |_| ())?;
    let mut scratch = Vec::new();
    let stored = mailbox
        .salvage_at(message, place, &mut scratch)
        .map_err(lost)?;
    let first_mailbox = stored.metadata.get(Key::FirstMailbox).map(BString::from);
    let first_mailbox = first_mailbox.unwrap_or_else(|| store.storage_name(nth));
    let opened = mailbox.opened(message, place, stored).map_err(lost)?;
    let head = Head {
        message: &opened.message,
        coat: opened.coat.filter(|_| opened.message.sealed.is_none()),
        first_mailbox: Some(&first_mailbox),
    };
    let (mut body, mut buffer) = (Measured::new(opened.body), Vec::new());
    let record = record::write(head, &mut body, &mut buffer, &mut |buffer| {
        out.append(buffer)?;
        buffer.clear();
        Ok(())
    });
    let record = record.map_err(|error| match error {
        StoreError::Destination(error) => error,
        StoreError::Source { error, .. } => Error::Bug(error.to_string()),
        StoreError::Refused(why) => Error::Bug(why),
    })?;
    out.append(&buffer)?;
    if let Some(header) = &record.header {
        out.write_all_at(header, end)?;
    }
    Ok(record.len)
}
