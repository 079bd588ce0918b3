//! How much room an account will take at its destination: whole blocks and files, as a file system gives them.

use crate::disk::Space;
use crate::model::{Account, SieveKind};
use crate::store::{Form, Takes};

/// Headers and metadata of a message take about this much, in its file and in a storage file.
const BESIDE_BODY: u64 = 200;
/// A file that tells of messages begins with about this much.
const HEAD: u64 = 400;
/// Of a message in `mailtally.state`, compressed.
const STATE: u64 = 110;
/// Storage files that are filled side by side.
const LANES: u64 = 2;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needed {
    /// Bytes in whole blocks.
    pub bytes: u64,
    /// Files and directories.
    pub files: u64,
    pub(super) block: u64,
}

impl Needed {
    /// Nothing yet, in blocks of this size.
    pub fn nothing(block: u64) -> Self {
        Self {
            bytes: 0,
            files: 0,
            block: block.max(1),
        }
    }

    /// All of an account; of each mailbox the sizes of its messages.
    pub fn by_account<'m, M>(
        mut self,
        account: &Account,
        mailboxes: impl Iterator<Item = M>,
        takes: &Takes,
        form: &Form,
    ) -> Self
    where
        M: Iterator<Item = u64> + 'm,
    {
        let (mut messages, mut stored) = (0, 0);
        for mailbox in mailboxes {
            let mut count = 0;
            for size in mailbox {
                count += 1;
                if takes.file_per_message {
                    self.file(size + BESIDE_BODY);
                } else {
                    stored += size + BESIDE_BODY;
                }
            }
            self.telling(takes.mailbox_files, count);
            self.files += takes.mailbox_marks;
            self.dirs(takes.mailbox_dirs);
            messages += count;
        }
        if !takes.file_per_message {
            self.file(stored);
            let files = stored / form.rotate_size.max(1) + LANES;
            self.files += files;
            self.bytes += files * self.block;
        }
        self.telling(takes.account_files, messages);
        self.telling(&[STATE, 0, 0], messages);
        self.dirs(takes.account_dirs);
        self.scripts(account);
        self
    }

    /// True where it fits.
    pub fn fits(&self, space: &Space) -> bool {
        self.bytes <= space.bytes && space.files.is_none_or(|files| self.files <= files)
    }

    /// What is needed, and what there is.
    pub fn against(&self, space: &Space) -> String {
        let there = space.files.map_or_else(
            || format!("{} bytes", space.bytes),
            |files| format!("{} bytes and {files} files", space.bytes),
        );
        let Self { bytes, files, .. } = self;
        format!("{bytes} bytes and {files} files, there is room for {there}")
    }

    /// Both.
    pub fn and(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.saturating_add(other.bytes),
            files: self.files.saturating_add(other.files),
            ..self
        }
    }

    fn file(&mut self, len: u64) {
        self.files += 1;
        self.bytes += len.div_ceil(self.block) * self.block;
    }

    /// Files that have so many bytes for each of so many messages.
    fn telling(&mut self, files: &[u64], messages: u64) {
        for of_message in files {
            self.file(HEAD + of_message * messages);
        }
    }

    fn dirs(&mut self, count: u64) {
        for _ in 0..count {
            self.file(1);
        }
    }

    fn scripts(&mut self, account: &Account) {
        for script in &account.sieve {
            match &script.kind {
                SieveKind::Script(bytes) => self.file(bytes.len() as u64),
                SieveKind::Link(_) => self.file(0),
            }
        }
        self.dirs(u64::from(!account.sieve.is_empty()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAKES: Takes = Takes {
        file_per_message: true,
        mailbox_files: &[0],
        mailbox_marks: 1,
        mailbox_dirs: 1,
        account_files: &[],
        account_dirs: 0,
    };

    #[test]
    fn a_file_takes_whole_blocks() {
        let needed = |block, takes: &Takes| {
            let mailboxes = [[10, 5000]].into_iter().map(IntoIterator::into_iter);
            Needed::nothing(block).by_account(
                &Account::default(),
                mailboxes,
                takes,
                &Form::default(),
            )
        };
        let own = needed(4096, &TAKES);
        // The messages, a list, a mark, a directory, and three files of the account.
        assert_eq!((own.bytes, own.files), ((1 + 2 + 1 + 1 + 3) * 4096, 8));
        let shared = Takes {
            file_per_message: false,
            ..TAKES
        };
        let shared = needed(1 << 20, &shared);
        assert_eq!((shared.bytes >> 20, shared.files), (8, 9));
        let space = |bytes, files| Space {
            bytes,
            files,
            block: 4096,
        };
        assert!(own.fits(&space(own.bytes, None)));
        assert!(!own.fits(&space(own.bytes - 1, None)));
        assert!(!own.fits(&space(own.bytes, Some(7))));
    }
}
