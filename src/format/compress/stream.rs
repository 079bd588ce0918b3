//! One reader for every codec: it moves bytes between the file and an [`Engine`].
//!
//! ```text
//!           .--------- another stream ---------.
//!           v                                  |
//! Between --+--> Inside(engine) -- End --> Between -- no more --> Done
//!                | damage                      | NULs --> Padding -- no more --> Done
//!                v                             v anything else
//!             Failed: what was decoded is delivered first, then the error, and again if asked again
//! ```

use std::io::{self, BufRead, Read};
use std::mem;

use super::{Codec, engines};

/// So much is decoded at a time.
const PIECE: usize = 64 * 1024;

/// What takes one stream apart.
pub(super) trait Engine {
    /// Decodes from `input` to `output`; an empty `input` says that no more will come.
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Step;
}

/// What one step of an engine did.
pub(super) struct Step {
    /// Bytes taken from the input.
    pub(super) read: usize,
    /// Bytes put into the output; they count even where the stream is broken after them.
    pub(super) written: usize,
    /// What comes next.
    pub(super) then: Then,
}

/// What comes after a step.
pub(super) enum Then {
    /// More of the same stream.
    Go,
    /// The stream is complete, and its checksums are right.
    End,
    /// The stream is damaged.
    Broken(String),
}

enum State {
    Between { first: bool },
    Inside(Box<dyn Engine>),
    Padding,
    Done,
    Failed(io::Error),
}

/// A reader of what a compressed file holds.
pub(super) struct Decoder<'a> {
    codec: Codec,
    inner: Box<dyn BufRead + 'a>,
    /// Why the file cannot be read further; the engine is asked for what it still holds.
    unreadable: Option<io::Error>,
    state: State,
    piece: Vec<u8>,
    at: usize,
    end: usize,
}

impl<'a> Decoder<'a> {
    pub(super) fn new(codec: Codec, inner: Box<dyn BufRead + 'a>) -> Self {
        Self {
            codec,
            inner,
            unreadable: None,
            state: State::Between { first: true },
            piece: vec![0; PIECE],
            at: 0,
            end: 0,
        }
    }

    /// Decodes until there is something to deliver, or nothing is left.
    fn refill(&mut self) -> io::Result<()> {
        while self.at == self.end {
            match &mut self.state {
                State::Done => return Ok(()),
                State::Failed(error) => {
                    let again = error.kind().into();
                    return Err(mem::replace(error, again));
                }
                State::Between { .. } | State::Inside(_) | State::Padding => self.advance()?,
            }
        }
        Ok(())
    }

    /// Does one step of the figure.
    fn advance(&mut self) -> io::Result<()> {
        let ready = match self.unreadable {
            None => self.inner.fill_buf(),
            Some(_) => Ok(&[][..]),
        };
        let input = match ready {
            Ok(input) => input,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            Err(error) => {
                self.unreadable = Some(error);
                &[]
            }
        };
        let (read, next) = match &mut self.state {
            State::Between { first } => (0, Some(between(self.codec, *first, input)?)),
            State::Inside(engine) => {
                let step = engine.step(input, &mut self.piece);
                (self.at, self.end) = (0, step.written.min(PIECE));
                (step.read.min(input.len()), after(self.codec, step, input))
            }
            State::Padding => padding(self.codec, input),
            State::Done | State::Failed(_) => (0, None),
        };
        self.inner.consume(read);
        if let Some(next) = next {
            self.enter(next);
        }
        Ok(())
    }

    /// An end that comes from a file that cannot be read further is that error and no other.
    fn enter(&mut self, next: State) {
        let is_end = matches!(next, State::Done | State::Failed(_));
        self.state = match self.unreadable.take_if(|_| is_end) {
            Some(error) => State::Failed(error),
            None => next,
        };
    }
}

/// The next state at the beginning of the file and after each stream.
fn between(codec: Codec, first: bool, input: &[u8]) -> io::Result<State> {
    Ok(match input {
        [] if !first => State::Done,
        [0, ..] if !first => State::Padding,
        _ => State::Inside(engines::start(codec)?),
    })
}

/// Skips NULs; nothing else may stand after them.
fn padding(codec: Codec, input: &[u8]) -> (usize, Option<State>) {
    let nuls = input.iter().take_while(|byte| **byte == 0).count();
    let next = match input.get(nuls) {
        _ if input.is_empty() => Some(State::Done),
        None => None,
        Some(_) => Some(damaged(codec, "other bytes follow the padding")),
    };
    (nuls, next)
}

/// The next state after a step; `None` to go on.
fn after(codec: Codec, step: Step, input: &[u8]) -> Option<State> {
    match step.then {
        Then::End => Some(State::Between { first: false }),
        Then::Broken(why) => Some(damaged(codec, &why)),
        Then::Go if step.written > 0 => None,
        Then::Go if input.is_empty() => Some(damaged(codec, "the stream ends early")),
        Then::Go if step.read > 0 => None,
        Then::Go => Some(damaged(codec, "the stream cannot be decoded further")),
    }
}

fn damaged(codec: Codec, why: &str) -> State {
    let what = format!("{}: {why}", codec.name());
    State::Failed(io::Error::new(io::ErrorKind::InvalidData, what))
}

impl BufRead for Decoder<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.refill()?;
        Ok(&self.piece[self.at..self.end])
    }

    fn consume(&mut self, amount: usize) {
        self.at = (self.at + amount).min(self.end);
    }
}

impl Read for Decoder<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let amount = self.fill_buf()?.read(buffer)?;
        self.consume(amount);
        Ok(amount)
    }
}
