//! What the storage files hold, and new ones for those that are damaged.

use std::cell::RefCell;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;
use std::sync::Arc;

use bstr::BString;

use super::super::layout::{STORAGE, file_name};
use super::super::mailbox::MdboxMailbox;
use super::super::map::Place;
use super::super::read::Mdbox;
use super::super::scan::{self, Found};
use super::super::storage::{Storage, StorageFile, is_header_line};
use super::Repair;
use crate::digest::Measured;
use crate::disk::NewFile;
use crate::disk::plan::{About, Act};
use crate::error::{At, Error, Result};
use crate::format::dbox::record::{self, Head};
use crate::format::dbox::{
    Extent, Key, MESSAGE_HEADER, StoredMessage, file_header, guid_128, message_header,
    read_message_header,
};
use crate::model::Message;
use crate::report::catalogue::{DBOX_HEADER, MDBOX_DAMAGED, MDBOX_ORPHAN};
use crate::report::{Finding, counted};

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
    /// Files that cannot be read now: they stay as they are, and so does what the map says of them.
    pub unreadable: BTreeSet<u32>,
}

impl Scanned {
    /// Reads every file from end to end. One that cannot be read is an error where nothing else tells what is in it.
    pub(super) fn read(storage: &Storage) -> Result<Self> {
        let mut this = Self::default();
        let is_mapped = { storage.map.as_ref() }.is_some_and(|map| !map.is_in_doubt());
        for id in storage.files()? {
            match this.read_file(storage, id) {
                Err(Error::Io { .. }) if is_mapped => drop(this.unreadable.insert(id)),
                read => read?,
            }
        }
        Ok(this)
    }

    fn read_file(&mut self, storage: &Storage, id: u32) -> Result<()> {
        match storage.file(id)? {
            Some(file) => self.add(id, &file),
            None => Ok(()),
        }
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
    /// What is sound of a message: of which mailbox, which one, where it was; and all but its body.
    Anew(usize, usize, Place, Box<Message>),
    /// A message as it is, but for its GUID: where it was, its bytes there.
    Renamed(u64, u64, BString),
}

impl Piece {
    /// Where it was, and its bytes there; what is stored anew is of no use as it is.
    fn raw(&self) -> Option<(u64, u64)> {
        match self {
            Self::Raw(at, len) => Some((*at, *len)),
            Self::Anew(..) | Self::Renamed(..) => None,
        }
    }
}

/// The pieces of a new file, by the place that they had in the old one.
type Pieces = BTreeMap<u64, Piece>;

impl Repair<'_> {
    /// A new file in the place of each that is damaged.
    pub(super) fn write_storage(&mut self) -> Result<()> {
        let mut next = self.highest_file_id()?;
        for (id, pieces) in self.damaged_files()? {
            next += 1;
            self.write_file(id, next, pieces.into_values().collect())?;
        }
        self.map.highest_file_id = next;
        Ok(())
    }

    /// What is to be kept of each file that would be better for being written anew.
    fn damaged_files(&self) -> Result<BTreeMap<u32, Pieces>> {
        let mut files: BTreeMap<u32, Pieces> = BTreeMap::new();
        for (id, _, _) in &self.scanned.gaps {
            files.entry(*id).or_default();
        }
        for mailbox in &self.mailboxes {
            for entry in mailbox.entries.iter().filter(|entry| entry.wounded) {
                let Some(place) = entry.place else { continue };
                let message = Box::new(entry.message.clone());
                let piece = Piece::Anew(mailbox.nth, entry.at, place, message);
                let pieces = files.entry(place.file_id).or_default();
                pieces.insert(place.at, piece);
            }
        }
        for ((id, at), guid) in &self.renamed {
            if let Some(held) = self.scanned.held.get(&(*id, *at)) {
                let piece = Piece::Renamed(*at, held.len, guid.clone());
                files.entry(*id).or_default().insert(*at, piece);
            }
        }
        files.retain(|id, _| !self.scanned.unreadable.contains(id));
        for (id, pieces) in &mut files {
            for ((_, at), held) in self.scanned.held.range((*id, 0)..=(*id, u64::MAX)) {
                pieces.entry(*at).or_insert(Piece::Raw(*at, held.len));
            }
        }
        self.keep_the_unreadable(&mut files)?;
        files.retain(|id, pieces| self.gains(*id, pieces));
        Ok(files)
    }

    /// What cannot be read now, as where its attachments are not at hand, stays as it is.
    fn keep_the_unreadable(&self, files: &mut BTreeMap<u32, Pieces>) -> Result<()> {
        let entries = self.mailboxes.iter().flat_map(|mailbox| &mailbox.entries);
        let named = entries.filter_map(|entry| entry.place);
        for place in named.chain(self.perhaps_named()) {
            let Some(pieces) = files.get_mut(&place.file_id) else {
                continue;
            };
            let Some(file) = self.store.storage.file(place.file_id)? else {
                continue;
            };
            let there = file.len.saturating_sub(place.at);
            let len = if place.len == 0 {
                there
            } else {
                place.len.min(there)
            };
            if len > 0 {
                pieces.entry(place.at).or_insert(Piece::Raw(place.at, len));
            }
        }
        Ok(())
    }

    /// What a mailbox that cannot be read may name.
    fn perhaps_named(&self) -> Vec<Place> {
        let map = self.store.storage.map.as_ref();
        let map = map.filter(|_| self.is_partly_hidden);
        let counted = map.into_iter().flat_map(|map| {
            let all = (0..map.len()).filter(|nth| map.refs(*nth) > 0);
            all.filter_map(|nth| map.place(nth))
        });
        counted.collect()
    }

    /// False where a new file would have the same damage: all that is damaged is kept as it is.
    fn gains(&self, id: u32, pieces: &Pieces) -> bool {
        let kept: Option<Vec<_>> = pieces.values().map(Piece::raw).collect();
        let Some(kept) = kept else { return true };
        let gaps = self.scanned.gaps.iter().filter(|gap| gap.0 == id);
        { gaps }.any(|(_, from, to)| {
            let held = kept.iter().fold(*from, |held, (at, len)| {
                if *at <= held {
                    held.max(at + len)
                } else {
                    held
                }
            });
            held < *to
        })
    }

    fn highest_file_id(&self) -> Result<u32> {
        let told = self.store.storage.map.as_ref();
        let told = told.map_or(0, super::super::map::Map::highest_file_id);
        let there = self.store.storage.files()?;
        Ok(there.last().copied().unwrap_or(0).max(told))
    }

    /// False for a storage file that lies in the alternative storage only.
    pub(super) fn has_file(&self, name: &str) -> Result<bool> {
        Ok(match self.root.dir_if_there(STORAGE)? {
            Some(storage) => storage.stat_if_there(name)?.is_some(),
            None => false,
        })
    }

    fn write_file(&mut self, id: u32, new: u32, pieces: Vec<Piece>) -> Result<()> {
        let path = |id: u32| vec![STORAGE.into(), file_name(id).into()];
        let name = file_name(id);
        if !self.has_file(&name)? {
            return Err(self.is_in_alt(&name));
        }
        let codes = self.mended_by_a_new_file(id, &pieces);
        if !pieces.is_empty() {
            let about = About {
                codes: codes.clone(),
                ..About::of(does_for_a_new_file(&name, &codes, &pieces))
            };
            let (store, moved, now) = (
                Rc::clone(&self.store),
                Rc::clone(&self.moved),
                self.options.now,
            );
            let fill = move |file: &mut NewFile| {
                let line = file_header(now);
                file.append(&line)?;
                let mut filling = Filling {
                    store: &store,
                    mailboxes: BTreeMap::new(),
                    out: file,
                    end: line.len() as u64,
                };
                filling.fill((id, new), &pieces, &moved)
            };
            self.plan
                .push(path(new), Act::Replace(Box::new(fill)), about);
        }
        let gaps = self.scanned.gaps.iter().filter(|gap| gap.0 == id);
        let gaps = gaps.map(|gap| match gap {
            line if is_header_line(line) => "its header line is damaged".into(),
            (_, from, to) => format!("bytes {from} to {to} hold no whole message"),
        });
        let about = About {
            codes,
            ..About::of(gaps.collect::<Vec<_>>().join("; "))
        };
        self.plan.push(path(id), Act::Remove, about);
        Ok(())
    }

    fn mended_by_a_new_file(&self, id: u32, pieces: &[Piece]) -> Vec<&'static str> {
        let is_anew = |piece: &Piece| matches!(piece, Piece::Anew(..));
        let gaps = self.scanned.gaps.iter().filter(|gap| gap.0 == id);
        let (lines, gaps): (Vec<_>, Vec<_>) = gaps.partition(|gap| is_header_line(gap));
        let is_damaged = !gaps.is_empty() || pieces.iter().any(is_anew);
        let has_no_line = !lines.is_empty() || gaps.iter().any(|(_, from, _)| *from == 0);
        let codes = [
            (is_damaged, MDBOX_DAMAGED.code),
            (has_no_line, DBOX_HEADER.code),
            (renamed(pieces) > 0, MDBOX_ORPHAN.code),
        ];
        let codes = codes.into_iter().filter(|(is_mended, _)| *is_mended);
        codes.map(|(_, code)| code).collect()
    }

    /// Nothing outside of the account is written to.
    fn is_in_alt(&self, name: &str) -> Error {
        let root = self.root.path().display();
        Error::Usage {
            what: format!("{name} in the alternative storage (ALT=) is damaged"),
            help: format!("move it to {root}/{STORAGE}, and run repair again"),
        }
    }
}

fn renamed(pieces: &[Piece]) -> u64 {
    let renamed = pieces.iter();
    renamed
        .filter(|piece| matches!(piece, Piece::Renamed(..)))
        .count() as u64
}

fn does_for_a_new_file(name: &str, codes: &[&str], pieces: &[Piece]) -> String {
    let messages = counted(pieces.len() as u64, "message");
    let damage = [MDBOX_DAMAGED.code, DBOX_HEADER.code];
    let damage = if damage.iter().any(|code| codes.contains(code)) {
        ", without its damage"
    } else {
        ""
    };
    let renamed = match renamed(pieces) {
        0 => String::new(),
        1 => "; a message gets a new GUID, as another one has the same".into(),
        count => format!("; {count} messages get new GUIDs, as others have the same"),
    };
    format!("{messages} of {name}{damage}{renamed}")
}

/// A new storage file on its way.
struct Filling<'a> {
    store: &'a Mdbox,
    /// Those of which a message is stored anew.
    mailboxes: BTreeMap<usize, MdboxMailbox<'a>>,
    out: &'a mut NewFile,
    end: u64,
}

impl Filling<'_> {
    /// Writes the messages, and notes where they are.
    fn fill(&mut self, (id, new): (u32, u32), pieces: &[Piece], moved: &Moved) -> Result<()> {
        let old = self.store.storage.file(id)?.ok_or_else(|| gone(id))?;
        for piece in pieces {
            let (at, len) = match piece {
                Piece::Raw(at, len) => (*at, copy(&old, *at, *len, self.out)?),
                Piece::Renamed(at, len, guid) => (*at, rename(&old, *at, *len, guid, self.out)?),
                Piece::Anew(nth, at, place, message) => {
                    (place.at, self.anew(*nth, *at, *place, message)?)
                }
            };
            let place = Place {
                file_id: new,
                at: self.end,
                len,
            };
            moved.borrow_mut().insert((id, at), place);
            self.end += len;
        }
        Ok(())
    }

    /// Writes what is sound of a message; returns the bytes of its record.
    fn anew(&mut self, nth: usize, at: usize, place: Place, message: &Message) -> Result<u64> {
        let lost = |finding: Box<Finding>| Error::Bug(finding.detail);
        let store = self.store;
        let mailbox = match self.mailboxes.entry(nth) {
            Entry::Occupied(open) => open.into_mut(),
            Entry::Vacant(place_for_it) => {
                let mails = store.tree.mails(nth, &mut |_| ())?;
                let mails = mails.ok_or_else(|| gone(place.file_id))?;
                place_for_it.insert(MdboxMailbox::open(store, nth, &mails, &mut |_| ())?)
            }
        };
        let mut scratch = Vec::new();
        let stored = mailbox.salvage_at(at, place, &mut scratch);
        let stored = stored.map_err(lost)?;
        let first_mailbox = stored.metadata.get(Key::FirstMailbox).map(BString::from);
        let first_mailbox = first_mailbox.unwrap_or_else(|| store.storage_name(nth));
        let opened = mailbox.opened(at, place, stored).map_err(lost)?;
        let head = Head {
            message,
            coat: opened.coat.filter(|_| opened.message.sealed.is_none()),
            first_mailbox: Some(&first_mailbox),
        };
        let (mut body, mut buffer) = (Measured::new(opened.body), Vec::new());
        let record = record::write_to(self.out, self.end, head, &mut body, &mut buffer);
        let file = self.out.path();
        Ok(record.map_err(|error| error.into_error(&file))?.len)
    }
}

fn gone(id: u32) -> Error {
    Error::Bug(format!("m.{id} was there a moment ago"))
}

/// Copies a message under another GUID; returns the bytes of its record.
fn rename(from: &StorageFile, at: u64, len: u64, guid: &BString, out: &mut NewFile) -> Result<u64> {
    let extent = Extent {
        at: Some(at),
        header: from.header,
        end: at + len,
    };
    let mut scratch = Vec::new();
    let stored = StoredMessage::read(Arc::clone(&from.file), extent, &mut scratch);
    let stored = stored.map_err(|_| Error::Bug("a message was sound a moment ago".into()))?;
    let written = copy(from, at, from.header as u64 + stored.size, out)?;
    let (mut metadata, mut block) = (stored.metadata, Vec::new());
    metadata.set(Key::Guid, guid.clone());
    metadata.write(&mut block);
    out.append(&block)?;
    Ok(written + block.len() as u64)
}

/// Copies a message; returns the bytes of its record. Its header is as long as they are in our files.
fn copy(from: &StorageFile, at: u64, len: u64, out: &mut NewFile) -> Result<u64> {
    let (mut at, mut end, mut written) = (at, at + len, 0);
    if from.header != MESSAGE_HEADER {
        let mut header = vec![0; from.header];
        let read = from.file.read_at(at, &mut header);
        let read = read.at("read", &from.file.path())?;
        if let Ok(size) = read_message_header(&header[..read]) {
            out.append(&message_header(size))?;
            at += read as u64;
            written = MESSAGE_HEADER as u64;
        }
    }
    end = end.max(at);
    written += end - at;
    let mut buffer = vec![0; 256 * 1024];
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
    Ok(written)
}
