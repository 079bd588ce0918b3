//! A message read in turns from the store and from the files of its attachments.

use std::collections::VecDeque;
use std::io::{self, BufRead, Read};

use super::{Attachments, Encoder, Part};
use crate::format::dbox::Wound;
use crate::report::catalogue::DBOX_EXTERNAL_ATTACHMENT;

/// So much is read at a time.
const PIECE: usize = 64 * 1024;

/// Reads a whole message.
pub(super) struct Joined<'a> {
    attachments: Attachments<'a>,
    body: Box<dyn BufRead + 'a>,
    /// Those that are still to come.
    parts: VecDeque<Part>,
    /// The attachment that is being read, and what it still has to give.
    inside: Option<(Encoder, u64)>,
    /// Where in the whole message.
    at: u64,
    piece: Vec<u8>,
    from: usize,
    to: usize,
}

impl<'a> Joined<'a> {
    pub fn new(mut attachments: Attachments<'a>, body: Box<dyn BufRead + 'a>) -> Self {
        let parts = std::mem::take(&mut attachments.parts).into();
        Self {
            attachments,
            body,
            parts,
            inside: None,
            at: 0,
            piece: vec![0; PIECE],
            from: 0,
            to: 0,
        }
    }

    /// The next bytes of the message; none at its end.
    fn refill(&mut self) -> io::Result<()> {
        self.enter()?;
        let read = match &mut self.inside {
            Some((attachment, left)) => {
                let most = usize::try_from(*left).unwrap_or(PIECE).min(PIECE);
                let read = attachment.read(&mut self.piece[..most])?;
                if read == 0 {
                    return Err(broken(self.at, "an attachment is shorter than it was"));
                }
                *left -= read as u64;
                read
            }
            None => self.read_body()?,
        };
        self.at += read as u64;
        (self.from, self.to) = (0, read);
        Ok(())
    }

    /// Leaves an attachment that is through, and enters one that begins here.
    fn enter(&mut self) -> io::Result<()> {
        self.inside.take_if(|(_, left)| *left == 0);
        while self.inside.is_none()
            && let Some(part) = self.parts.pop_front_if(|part| part.start == self.at)
        {
            if part.len > 0 {
                let opened = self.attachments.open(&part);
                let opened = opened.map_err(|error| broken(self.at, error.chain()))?;
                self.inside = Some((opened, part.len));
            }
        }
        Ok(())
    }

    fn read_body(&mut self) -> io::Result<usize> {
        let next = self.parts.front().map(|part| part.start - self.at);
        let most = next.map_or(PIECE, |len| {
            usize::try_from(len).unwrap_or(PIECE).min(PIECE)
        });
        let read = self.body.read(&mut self.piece[..most])?;
        if read == 0 && next.is_some() {
            return Err(broken(self.at, "the message ends before its attachment"));
        }
        Ok(read)
    }
}

/// Nothing of a message is kept whose attachments cannot be had.
fn broken(at: u64, why: impl Into<String>) -> io::Error {
    let why = format!("byte {at} of the message: {}", why.into());
    Wound::new(&DBOX_EXTERNAL_ATTACHMENT, why).instead_of_all()
}

impl BufRead for Joined<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.from == self.to {
            self.refill()?;
        }
        Ok(&self.piece[self.from..self.to])
    }

    fn consume(&mut self, amount: usize) {
        self.from = (self.from + amount).min(self.to);
    }
}

impl Read for Joined<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let amount = self.fill_buf()?.read(buffer)?;
        self.consume(amount);
        Ok(amount)
    }
}
