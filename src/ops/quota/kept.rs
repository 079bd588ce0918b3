//! The files that keep an account's usage.

use bstr::BString;

use crate::disk::Dir;
use crate::error::Result;
use crate::format::side_files::{self, corrected_quota_dict, read_quota_dict};
use crate::format::{OpenOptions, QuotaFile, Room, StoredUsage};

/// The file of a quota dict.
#[derive(Debug)]
pub struct DictFile {
    /// The directory it is in.
    pub dir: Dir,
    /// Its name there.
    pub name: BString,
}

/// One of them.
pub(super) enum Kept<'a> {
    /// The format's own.
    OfRoom(QuotaFile, &'a Dir, &'a OpenOptions),
    /// A dict's.
    Dict(&'a DictFile),
}

impl<'a> Kept<'a> {
    /// All that an account can have.
    pub fn all(
        room: &Room,
        root: &'a Dir,
        open: &'a OpenOptions,
        dict: Option<&'a DictFile>,
    ) -> Vec<Self> {
        let own = room.quota.map(|file| Self::OfRoom(file, root, open));
        own.into_iter().chain(dict.map(Self::Dict)).collect()
    }

    /// What the quota root is called in records.
    pub fn name(&self) -> &'static str {
        match self {
            Self::OfRoom(file, ..) => file.name,
            Self::Dict(_) => "dict",
        }
    }

    /// Where it is, for findings.
    pub fn path(&self) -> BString {
        match self {
            Self::OfRoom(file, ..) => file.name.into(),
            Self::Dict(dict) => {
                let path = dict.dir.path_of(&dict.name);
                path.into_os_string().into_encoded_bytes().into()
            }
        }
    }

    /// What it says; `None` where it is not there.
    pub fn read(&self) -> Result<Option<StoredUsage>> {
        match self {
            Self::OfRoom(file, root, open) => (file.read)(root, open),
            Self::Dict(dict) => {
                let bytes = dict.dir.read_if_there(&dict.name, side_files::MOST)?;
                Ok(bytes.map(|bytes| StoredUsage {
                    used: read_quota_dict(&bytes),
                    ..StoredUsage::default()
                }))
            }
        }
    }

    /// Makes it say so much.
    pub fn write(&self, bytes: u64, messages: u64) -> Result<()> {
        match self {
            Self::OfRoom(file, root, open) => (file.write)(root, open, bytes, messages),
            Self::Dict(dict) => {
                let old = dict.dir.read_if_there(&dict.name, side_files::MOST)?;
                let new = corrected_quota_dict(&old.unwrap_or_default(), bytes, messages);
                dict.dir.replace(&dict.name, &new)
            }
        }
    }
}
