//! Names as they lie on disk, and identities for mailboxes that have none.

use bstr::ByteSlice;

use crate::disk::Dir;
use crate::model::{MailboxGuid, MailboxName, mutf7};
use crate::report::catalogue::MAILBOX_NAME;
use crate::report::{Finding, escape};
use crate::store::Found;

/// Reads the levels of one name and remembers what was odd about them.
#[derive(Debug)]
pub struct Spelling {
    utf8: bool,
    odd: bool,
}

impl Spelling {
    /// `utf8`: the store's names are UTF-8 and not modified UTF-7.
    pub fn new(utf8: bool) -> Self {
        Self { utf8, odd: false }
    }

    /// The text of one level.
    pub fn level(&mut self, name: &[u8]) -> String {
        match exact(name, self.utf8) {
            Some(text) => text,
            None => {
                self.odd = true;
                escape(name)
            }
        }
    }

    /// True once a level was not in the store's encoding.
    pub fn is_odd(&self) -> bool {
        self.odd
    }

    /// Says what was odd about the name.
    pub fn tell(&self, name: &MailboxName, path: &[u8], found: Found<'_>) {
        if self.odd {
            let detail = format!("read as {name}");
            found(Finding::new(&MAILBOX_NAME, detail).mailbox(name).path(path));
        }
    }
}

fn exact(name: &[u8], utf8: bool) -> Option<String> {
    if utf8 {
        name.to_str().ok().map(ToOwned::to_owned)
    } else {
        mutf7::decode(name)
    }
}

/// The text of one level; what is not in the store's encoding is read as the text that it shows.
pub fn level(name: &[u8], utf8: bool) -> String {
    exact(name, utf8).unwrap_or_else(|| escape(name))
}

/// A GUID for a mailbox without one: the same at every run over the same folder, and no other's.
pub fn made_guid(dir: &Dir, name: &MailboxName) -> MailboxGuid {
    let id = dir.own_stat().map_or((0, 0), |stat| stat.id);
    let mut hasher = blake3::Hasher::new_derive_key("mailtally 2026 mailbox guid");
    hasher.update(&id.0.to_le_bytes());
    hasher.update(&id.1.to_le_bytes());
    hasher.update(name.to_string().as_bytes());
    let mut bytes = [0; 16];
    hasher.finalize_xof().fill(&mut bytes);
    bytes[0] |= 1; // never all zero
    MailboxGuid::new(bytes).expect("BUG: the first byte is not zero")
}

/// A GUID for a message that shares its base name with another: a function of both names.
pub fn made_message_guid(name: &[u8]) -> String {
    let hash = blake3::derive_key("mailtally 2026 message guid", name);
    data_encoding::HEXLOWER.encode(&hash[..16])
}
