//! `mailtally repair`

use std::fmt::Write;

use clap::Args;
use mailtally::format::RepairOptions;
use mailtally::format::location::{self, Keys, Layout, Location};
use mailtally::ops::repair::{self, Options};
use mailtally::report::{StepLine, counted, escape};
use mailtally::{Error, Result};

use super::exit::Exit;
use super::global::Global;
use super::run::Run;
use super::stores::{self, Context};

/// Rebuild index, UID and quota data from the messages, losing no flag that can still be read
///
/// What is damaged is written anew from the best source that is left; what is sound is not touched.
/// Everything that is replaced is kept in mailtally-replaced/DATE in the account, and --undo puts it
/// back. Stop the mail server for the user first: an account that is in use is refused.
///
/// Exit status: 0 the store is sound now; 1 something is left that needs a person, or is lost for
/// good; 75 a server works on the account.
#[derive(Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "switches of the command line, each on its own"
)]
pub struct Repair {
    /// What to repair, such as mdbox:/srv/mail/%u
    location: String,
    /// Show what would be done, and do nothing of it
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Take the last repair back
    #[arg(long)]
    undo: bool,
    /// Vouch for it that no server works on the accounts
    #[arg(long)]
    offline: bool,
    /// Take messages that no mailbox names into a mailbox `Recovered`
    #[arg(long)]
    recover_orphans: bool,
}

impl Repair {
    /// Repairs every account of the location.
    pub fn run(self, global: &Global) -> Result<Exit> {
        let context = Context::here();
        let location = location::parse(&self.location)?;
        in_one_place(&location)?;
        let found = stores::find(&location, global, &context)?;
        let run = Run::start("repair", global, &found, &location, self.dry_run)?;
        let options = Options {
            dry_run: self.dry_run,
            undo: self.undo,
            offline: self.offline,
            repair: RepairOptions {
                now: context.now_u32(),
                recover_orphans: self.recover_orphans,
                dates: false,
            },
        };
        let exit = run.each(&found.accounts, |account, teller, workers| {
            let root = account.place.open()?;
            let (room, open) = stores::open_options(&location, account, &root, &context)?;
            repair::account(room, &root, &open, &options, teller, workers)
        });
        Ok(exit)
    }
}

/// What is replaced is kept in the account's root, so that is where all of it must be.
fn in_one_place(location: &Location) -> Result<()> {
    let keys = &location.keys;
    let plain = Keys {
        index: None,
        control: None,
        inbox: None,
        layout: keys.layout.filter(|layout| *layout != Layout::Fs),
        ..keys.clone()
    };
    if *keys == plain {
        return Ok(());
    }
    Err(Error::Usage {
        what: "repair does not support INDEX=, CONTROL=, INBOX= and LAYOUT=fs in this version"
            .into(),
        help: "convert the account: what is sound of it is carried, and the new store is whole"
            .into(),
    })
}

/// What was done, or would be.
pub fn steps(out: &mut String, steps: &[StepLine]) {
    let mut steps: Vec<_> = steps.iter().collect();
    steps.sort_by_key(|step| &step.user);
    for step in &steps {
        let (codes, to) = (step.codes.join(", "), step.to.as_ref());
        let why = if codes.is_empty() {
            String::new()
        } else {
            format!("  ({codes})")
        };
        let to = to.map_or_else(String::new, |to| format!(" -> {to}"));
        let user = match step.user.as_str() {
            "" => String::new(),
            user => format!("{} ", escape(user.as_bytes())),
        };
        let _ = writeln!(out, "{:<8} {user}{}{to}{why}", step.action, step.path);
        if !step.detail.is_empty() {
            let _ = writeln!(out, "    {}", step.detail);
        }
        for lost in &step.lost {
            let _ = writeln!(out, "    lost: {lost}");
        }
    }
    if let Some(kept) = steps.iter().find_map(|step| step.kept.as_ref()) {
        let count = counted(steps.len() as u64, "step");
        let _ = writeln!(out, "{count}; what was replaced is kept in {kept}");
    }
}
