//! A message that is itself compressed, as scripts that ran twice leave it: without a coat around it, every
//! reader would take it for the coat. It gets one, which a reader takes off.

use std::io;

use super::coat::{Coat, coat};
use crate::error::{Error, Result};
use crate::format::compress::{Codec, Packer};

/// Decides with the first bytes, and wraps all of them or none.
pub(super) struct Wrapping {
    /// Still to be decided.
    open: bool,
    packer: Option<Packer>,
}

impl Wrapping {
    /// `bare`: the message is plain to a reader, and has no coat.
    pub(super) fn new(bare: bool) -> Self {
        Self {
            open: bare,
            packer: None,
        }
    }

    /// The next bytes of the message, as they are to be stored.
    pub(super) fn wrap(&mut self, bytes: &mut Vec<u8>) -> Result<()> {
        if std::mem::take(&mut self.open) && matches!(coat(bytes, None), Coat::Of(_)) {
            self.packer = Some(Packer::new(Codec::Gz).map_err(no_memory)?);
        }
        let Some(packer) = &mut self.packer else {
            return Ok(());
        };
        let mut wrapped = Vec::new();
        packer.push(bytes, &mut wrapped).map_err(no_memory)?;
        *bytes = wrapped;
        Ok(())
    }

    /// The last of them.
    pub(super) fn finish(&mut self, bytes: &mut Vec<u8>) -> Result<()> {
        self.wrap(bytes)?;
        match self.packer.take() {
            Some(packer) => packer.finish(bytes).map_err(no_memory),
            None => Ok(()),
        }
    }
}

/// Into memory, nothing else can go wrong.
fn no_memory(source: io::Error) -> Error {
    Error::Io {
        action: "compress",
        path: "a message".into(),
        source,
    }
}
