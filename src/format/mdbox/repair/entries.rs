//! A mailbox as it is found, and what is known of each of its messages.

use bstr::BString;

use super::super::map::Place;
use super::recalled::Unread;
use crate::model::{Message, Uid};

/// A mailbox as it was read.
#[derive(Debug)]
pub(super) struct Mailbox {
    pub nth: usize,
    pub entries: Vec<Entry>,
    /// The map that it was written for.
    pub map: u32,
    /// It has no index.
    pub made: bool,
    /// Whether its index names all that it has.
    pub named: Named,
    pub codes: Vec<&'static str>,
    pub lost: Vec<String>,
    /// What is said of messages that are written without their damage.
    pub stored_anew: Vec<String>,
    /// It needs a new index.
    pub changed: bool,
    /// Its keywords: those of the index, and those that a conversion wrote.
    pub keywords: Vec<BString>,
    /// What its index no longer tells.
    pub unread: Unread,
    /// Messages of which nothing was found, in words.
    pub gone: Vec<(Uid, String)>,
}

/// Whether an index names all messages of its mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    All,
    PerhapsNotAll,
    /// Not all, and the others may be those of a mailbox that cannot be read: it stays as it is.
    Waits,
}

/// A record of an index; there may be none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Record {
    Sound,
    /// A part of it is gone.
    Damaged,
}

/// What a conversion wrote of a message that an index names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrote {
    Nothing,
    Known,
    /// Flags or keywords are taken from there.
    Taken,
}

/// A message of it.
#[derive(Debug)]
pub(super) struct Entry {
    /// Its place in the mailbox.
    pub at: usize,
    /// Without its saved date where the index no longer has it.
    pub message: Message,
    /// Where it is stored, if that is known.
    pub place: Option<Place>,
    /// Only a part of it is sound.
    pub wounded: bool,
    /// No index has it: it was first saved to the mailbox.
    pub unnamed: bool,
    /// A conversion wrote that the mailbox has it, and under which UID.
    pub recalled: bool,
    /// What its index has of it.
    pub record: Record,
    /// What a conversion wrote of it.
    pub wrote: Wrote,
    /// Which stored message it is.
    pub map_uid: u32,
    pub guid: [u8; 16],
}

impl Entry {
    /// A message that is stored; what is known of it beside that is said by who knows it.
    pub(super) fn stored(message: Message, place: Place, guid: [u8; 16]) -> Self {
        Self {
            at: 0,
            message,
            place: Some(place),
            wounded: false,
            unnamed: false,
            recalled: false,
            record: Record::Sound,
            wrote: Wrote::Nothing,
            map_uid: 0,
            guid,
        }
    }

    /// Nobody knows its UID.
    pub(super) fn is_new(&self) -> bool {
        self.unnamed && !self.recalled
    }

    /// A part of its record in the index is gone.
    pub(super) fn is_damaged(&self) -> bool {
        self.record == Record::Damaged
    }

    /// The index no longer knows when it came into the mailbox.
    pub(super) fn is_undated(&self) -> bool {
        !self.unnamed && self.message.saved.is_none()
    }
}

impl Mailbox {
    pub(super) fn code(&mut self, code: &'static str) {
        if !self.codes.contains(&code) {
            self.codes.push(code);
        }
    }

    /// Without what no index names, which may be that of another mailbox.
    pub(super) fn wait_if_unsure(&mut self) {
        if self.made || self.entries.iter().any(|entry| entry.unnamed) {
            self.named = Named::Waits;
            self.entries.retain(|entry| !entry.unnamed);
        }
    }
}
