//! A storage file that is being filled: small messages gather, so that few writes are large ones.
//!
//! ```text
//! m.7   written ............. | gathered ..... |
//!                             at               end   the next message goes here:
//!         a small one          is copied behind those that wait
//!         any other one,       is written from where it is, behind those that waited:
//!         or one too many      by who brought it, while others go on
//! ```

use std::mem;
use std::sync::Arc;

use crate::disk::NewFile;
use crate::error::Result;
use crate::format::pour::PIECE;

/// To copy a larger one takes longer than another write.
const SMALL: usize = 64 * 1024;

/// A file that is being filled.
pub(super) struct Filling {
    pub id: u32,
    pub file: Arc<NewFile>,
    pub end: u64,
    /// The last bytes before `end`, not yet written.
    gathered: Vec<u8>,
}

/// What is due to be written, and where.
pub(super) struct Due {
    file: Arc<NewFile>,
    at: u64,
    gathered: Vec<u8>,
}

impl Due {
    /// Writes what was gathered and the message behind it; gives back the buffer.
    pub(super) fn write(self, message: &[u8]) -> Result<Vec<u8>> {
        let behind = self.at + self.gathered.len() as u64;
        if !self.gathered.is_empty() {
            self.file.write_all_at(&self.gathered, self.at)?;
        }
        self.file.write_all_at(message, behind)?;
        Ok(self.gathered)
    }
}

impl Filling {
    /// Begins a file with its header.
    pub(super) fn begin(id: u32, mut file: NewFile, header: &[u8]) -> Result<Self> {
        file.append(header)?;
        Ok(Self {
            id,
            file: Arc::new(file),
            end: header.len() as u64,
            gathered: Vec::new(),
        })
    }

    /// Takes a message in, or says what is to be written with it. `buffer` is for those that are gathered.
    pub(super) fn take(
        &mut self,
        message: &[u8],
        buffer: impl FnOnce(usize) -> Vec<u8>,
    ) -> Option<Due> {
        let at = self.gathered_at();
        self.end += message.len() as u64;
        if message.len() > SMALL || self.gathered.len() + message.len() > PIECE {
            return Some(Due {
                file: Arc::clone(&self.file),
                at,
                gathered: mem::take(&mut self.gathered),
            });
        }
        if self.gathered.capacity() == 0 {
            self.gathered = buffer(PIECE);
        }
        self.gathered.extend_from_slice(message);
        None
    }

    fn gathered_at(&self) -> u64 {
        self.end - self.gathered.len() as u64
    }

    /// Writes what was gathered.
    pub(super) fn write_gathered(&mut self) -> Result<()> {
        let at = self.gathered_at();
        if !self.gathered.is_empty() {
            self.file.write_all_at(&self.gathered, at)?;
            self.gathered.clear();
        }
        Ok(())
    }
}
