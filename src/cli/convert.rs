//! `mailtally convert`

use clap::Args;
use mailtally::Result;
use mailtally::disk::Owner;
use mailtally::format::location;
use mailtally::ops::convert::{self, Job, Options};

use super::exit::Exit;
use super::global::Global;
use super::run::Run;
use super::stores::{self, Context};

/// Make DESTINATION hold the same mail as SOURCE, in its own format, and prove it
///
/// The new account is built beside its place, read back, compared with the source message by message,
/// synced, and renamed into place. SOURCE is never written to. Run it again: nothing is done where
/// nothing changed, and a store that someone else has written to is not touched.
///
/// Exit status: 0 all carried and proven; 1 something needs a person; 73 the destination holds
/// something that is not ours.
#[derive(Args)]
pub struct Convert {
    /// What to read, such as maildir:/home/%u/Maildir
    source: String,
    /// What to make, such as sdbox:/srv/mail/%u
    destination: String,
    /// Do all the reading and none of the writing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Give the destination to this owner: names or numbers [default: the source's owner]
    #[arg(long, value_name = "USER[:GROUP]", value_parser = stores::owner)]
    owner: Option<Owner>,
}

impl Convert {
    /// Converts every account of the source.
    pub fn run(self, global: &Global) -> Result<Exit> {
        let context = Context::here();
        let source = location::parse(&self.source)?;
        let destination = location::parse(&self.destination)?;
        let to = stores::destination_room(&destination)?;
        stores::pair(&source, &destination)?;
        let found = stores::find(&source, global, &context)?;
        let run = Run::start("convert", global, &found, &source, self.dry_run)?;
        let options = Options {
            dry_run: self.dry_run,
            owner: self.owner,
            now: context.now_u32(),
        };
        let exit = run.each(&found.accounts, |account, teller, workers| {
            let root = account.place.open()?;
            let (from, open) = stores::open_options(&source, account, &root, &context)?;
            let place = stores::destination_for(&destination, &account.user, &context)?;
            stores::apart(account.place.path(), place.path())?;
            let job = Job {
                user: &account.user,
                from,
                source: root,
                open: &open,
                to,
                destination: &place,
            };
            convert::account(job, &options, teller, workers)
        });
        Ok(exit)
    }
}
