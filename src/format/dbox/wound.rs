//! What is wrong with a message that is carried as far as it is sound.
//!
//! ```text
//! body --> Wounded --> all that is sound, then an error of kind InvalidData that holds the Wound
//! ```
//! So a damaged dbox message is to the rest of the program what a damaged compressed one is: what comes
//! before the error is kept, and the error becomes a finding.

use std::io::{self, BufRead, Read};

use crate::report::Rule;

/// Why a message is not whole.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{why}")]
pub struct Wound {
    /// The rule that it breaks.
    pub rule: &'static Rule,
    /// What was seen, and where.
    pub why: String,
    /// What its metadata told, and nothing does any more.
    pub unknown: Vec<&'static str>,
}

impl Wound {
    /// With this rule.
    pub fn new(rule: &'static Rule, why: impl Into<String>) -> Self {
        Self {
            rule,
            why: why.into(),
            unknown: Vec::new(),
        }
    }

    /// The wound that an error holds.
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    /// An error after which what came before is sound.
    pub fn behind_what_is_sound(self) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, self)
    }

    /// An error after which nothing is to be kept.
    pub fn instead_of_all(self) -> io::Error {
        io::Error::other(self)
    }
}

/// A body, and behind it what is wrong.
pub(super) struct Wounded<'a> {
    inner: Box<dyn BufRead + 'a>,
    wound: Wound,
}

impl<'a> Wounded<'a> {
    pub(super) fn new(inner: Box<dyn BufRead + 'a>, wound: Wound) -> Self {
        Self { inner, wound }
    }

    /// The error at the end; a coat that breaks off has its own say in it.
    fn end(&self, coat: Option<&io::Error>) -> io::Error {
        let mut wound = self.wound.clone();
        if let Some(coat) = coat {
            wound.why = format!("{}; {coat}", wound.why);
        }
        wound.behind_what_is_sound()
    }
}

impl BufRead for Wounded<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let ended = match self.inner.fill_buf() {
            Ok([]) => Err(self.end(None)),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(self.end(Some(&error))),
            Err(error) => Err(error),
        };
        ended.and_then(|()| self.inner.fill_buf())
    }

    fn consume(&mut self, amount: usize) {
        self.inner.consume(amount);
    }
}

impl Read for Wounded<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let amount = self.fill_buf()?.read(buffer)?;
        self.consume(amount);
        Ok(amount)
    }
}
