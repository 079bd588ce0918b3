//! Pours a body into a buffer, in the coat that it gets.

use std::io;

use crate::digest::Measured;
use crate::error::Result;
use crate::format::compress::{Codec, Packer};
use crate::store::StoreError;

/// What is written at once; a message that is smaller takes one write.
pub const PIECE: usize = 256 * 1024;

/// Appends the body to `buffer`; whenever that holds a piece, `full` may take it. Returns the damage that
/// the stored form at the source has from some byte on; what comes before it is poured.
pub fn pour(
    body: &mut Measured<'_>,
    coat: Option<Codec>,
    buffer: &mut Vec<u8>,
    full: &mut dyn FnMut(&mut Vec<u8>) -> Result<()>,
) -> Result<Option<io::Error>, StoreError> {
    let mut packer = coat.map(Packer::new).transpose().map_err(no_memory)?;
    let damage = loop {
        let mut packed = Ok(());
        let piece = body.piece(|bytes| match &mut packer {
            Some(packer) => packed = packer.push(bytes, buffer),
            None => buffer.extend_from_slice(bytes),
        });
        packed.map_err(no_memory)?;
        match piece {
            Ok(true) if buffer.len() >= PIECE => full(buffer)?,
            Ok(true) => {}
            Ok(false) => break None,
            Err(error) if body.is_damage(&error) => break Some(error),
            Err(error) => {
                let read = body.size();
                return Err(StoreError::Source { error, read });
            }
        }
    };
    if let Some(packer) = packer {
        packer.finish(buffer).map_err(no_memory)?;
    }
    Ok(damage)
}

/// Into memory, nothing else can go wrong.
fn no_memory(source: io::Error) -> StoreError {
    StoreError::Destination(crate::Error::Io {
        action: "compress",
        path: "a message".into(),
        source,
    })
}
