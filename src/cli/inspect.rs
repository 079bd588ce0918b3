//! `mailtally inspect`

use clap::Args;
use mailtally::Result;
use mailtally::format::location;
use mailtally::ops::inspect;

use super::exit::Exit;
use super::global::Global;
use super::run::Run;
use super::stores::{self, Context};

/// What is in this store, and what is wrong with it?
///
/// Reads every message and writes nothing. A LOCATION without a driver is told by what lies there.
///
/// Exit status: 0 nothing is wrong that puts mail at stake; 1 something is, or a server that opens the store
/// before a repair does would lose or rebuild something.
#[derive(Args)]
pub struct Inspect {
    /// What to read, such as maildir:/home/%u/Maildir or /srv/mail/u1
    location: String,
}

impl Inspect {
    /// Inspects every account of the location.
    pub fn run(self, global: &Global) -> Result<Exit> {
        let context = Context::here();
        let location = location::parse(&self.location)?;
        let found = stores::find(&location, global, &context)?;
        let run = Run::start("inspect", global, &found, &location, false)?;
        let exit = run.each(&found.accounts, |account, teller, workers| {
            let root = stores::open(&account.place)?;
            let (room, open) = stores::open_options(&location, account, &root, &context)?;
            inspect::account(room, root, &open, teller, workers)
        });
        Ok(exit)
    }
}
