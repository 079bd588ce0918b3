//! `mailtally repair`

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use clap::Args;
use mailtally::format::location;
use mailtally::format::{Absent, RepairOptions, Room};
use mailtally::ops::Teller;
use mailtally::ops::repair::{self, Options, Repaired};
use mailtally::ops::users::FoundAccount;
use mailtally::ops::workers::Workers;
use mailtally::report::{StepLine, counted, escape};
use mailtally::{Error, Result};

use super::exit::Exit;
use super::global::Global;
use super::render::{Shown, hanging, of_account, place, whole};
use super::run::Run;
use super::stores::{self, Context};

/// Rebuild index, UID and quota data from the messages, losing no flag that can still be read
///
/// What is damaged is written anew from the best source that is left; what is sound is not touched.
/// Everything that is replaced is kept in mailtally-replaced/DATE in the account, and --undo puts it
/// back. Stop the mail server for the user first: an account that is in use is refused. It counts as in
/// use where a lock on one of its logs, caches or storage files is held, an index log was written in the
/// last ten seconds, or a .lock file is less than two minutes old. A session that only waits shows none
/// of that; --offline looks for none of it.
///
/// Exit status: 0 the store is sound now; 1 something is left that needs a person, or is lost for good,
/// also after --undo and where --dry-run shows steps; 66 --undo has nothing to take back; 73 --undo was
/// refused, because something was changed since the repair; 75 a server works on the account.
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
    /// Take for lost what is not there: the messages of an mdbox whose storage is missing or empty; those of a
    /// Maildir folder of which no file is left, or no cur/ (maildir.emptied); and Maildir folders that only the
    /// server's list of mailboxes has (mailbox.gone). Without this, a repair of such an mdbox stops, and the lists
    /// of such a Maildir stay: the files may not be mounted. Mailboxes of a dbox that are gone always stay
    #[arg(long)]
    accept_loss: bool,
    /// Mend received dates of a Maildir that are plainly the time of a copy
    ///
    /// A file time is that of a copy where 20 files or more of the account (or nine in ten) have theirs in
    /// the same minute, and better dates tell that they came a day or more before it, on three days or more;
    /// and it is no date at 1970 and in the future. The better date is told by the leading seconds of the
    /// file name, else by the server's cache, else by the topmost Received header; each step says by which.
    /// Only file times change, and the received dates in the server's cache where they are of the copy too.
    #[arg(long)]
    dates: bool,
}

impl Repair {
    /// Repairs every account of the location.
    pub fn run(self, global: &Global) -> Result<Exit> {
        let context = Context::here();
        let location = location::parse(&self.location)?;
        let found = stores::find(&location, global, &context)?;
        let run = Run::start("repair", global, &found, &location, self.dry_run)?;
        let options = Options {
            dry_run: self.dry_run,
            undo: self.undo,
            offline: self.offline,
            repair: RepairOptions {
                now: context.now_u32(),
                recover_orphans: self.recover_orphans,
                dates: self.dates,
            },
        };
        let opened = |account: &FoundAccount| {
            let root = stores::open(&account.place)?;
            let (room, mut open) = stores::open_options(&location, account, &root, &context)?;
            // What was taken back is looked at, whatever it is.
            if self.accept_loss || self.undo {
                open.absent = Absent::IsLost;
            }
            Ok((room, root, open))
        };
        // Accounts, and plans of which people are told at the end.
        let passed_on = Mutex::new(Vec::new());
        let all_passed_on = || passed_on.lock().unwrap_or_else(PoisonError::into_inner);
        let one = |account: &FoundAccount, teller: &Teller<'_>, workers: &Workers| {
            let (room, root, open) = opened(account)?;
            supported(room, &options)?;
            let Repaired { line, plans } =
                repair::account(room, &root, &open, &options, teller, workers)?;
            if !plans.is_empty() {
                all_passed_on().push((account.clone(), plans));
            }
            Ok(line)
        };
        let told = || {
            for (account, plans) in all_passed_on().iter() {
                let told = opened(account)
                    .and_then(|(room, root, open)| repair::told(room, &root, &open, plans));
                // What cannot be marked as told is told once more.
                let _: Result<()> = told;
            }
        };
        Ok(run.each_then(&found.accounts, one, told))
    }
}

/// What cannot be repaired is refused before anything is looked at.
fn supported(room: &Room, options: &Options) -> Result<()> {
    if room.name == "maildir" {
        return Ok(());
    }
    if options.repair.dates {
        return Err(Error::Usage {
            what: format!(
                "--dates is for a Maildir: an {} store keeps received dates in its messages",
                room.name
            ),
            help: "leave --dates out".into(),
        });
    }
    Ok(())
}

/// What was done, or would be; where only what is wrong is wanted, what is to be done still, and what is lost.
pub fn steps(out: &mut String, steps: &[StepLine], shown: Shown) {
    let mut steps: Vec<_> = steps.iter().collect();
    steps.retain(|step| !shown.quiet || !step.done || !step.lost.is_empty());
    if steps.is_empty() {
        return;
    }
    out.push('\n');
    steps.sort_by_key(|step| &step.user);
    let summed = |step: &StepLine| step.told_by.is_some() && !shown.verbose;
    for step in steps.iter().filter(|step| !summed(step)) {
        one_step(out, step, shown.width);
    }
    dates(
        out,
        steps.iter().copied().filter(|step| summed(step)),
        shown.width,
    );
    if shown.quiet {
        return;
    }
    for ((user, kept), count) in kept(&steps) {
        let count = counted(count, "step");
        let user = match user {
            "" => String::new(),
            user => format!("{}: ", escape(user.as_bytes())),
        };
        let text = format!("{user}{count}; what was replaced is in {kept}");
        hanging(out, shown.width, "", 2, &text);
    }
}

fn one_step(out: &mut String, step: &StepLine, width: usize) {
    let to = step.to.as_ref();
    let to = to.map_or_else(String::new, |to| whole(&format!("-> {to}")));
    let codes = match step.codes.join(", ") {
        codes if codes.is_empty() => codes,
        codes => format!("({codes})"),
    };
    let user = whole(&escape(step.user.as_bytes()));
    let parts = [user, whole(&step.path), to, codes];
    let parts = parts.iter().map(String::as_str);
    let text: Vec<_> = parts.filter(|part| !part.is_empty()).collect();
    hanging(
        out,
        width,
        &format!("{:<8} ", step.action),
        4,
        &text.join(" "),
    );
    if !step.detail.is_empty() {
        hanging(out, width, "    ", 6, &step.detail);
    }
    for lost in &step.lost {
        hanging(out, width, "    lost: ", 6, lost);
    }
}

/// Dates come by the thousand: a line for each mailbox says how many there are, and who tells them.
fn dates<'s>(out: &mut String, steps: impl Iterator<Item = &'s StepLine>, width: usize) {
    let mut mailboxes: BTreeMap<_, BTreeMap<&str, u64>> = BTreeMap::new();
    for step in steps {
        let mailbox = step.mailbox.as_deref().unwrap_or_default();
        let by = mailboxes
            .entry(of_account(&step.user, mailbox))
            .or_default();
        *by.entry(step.told_by.as_deref().unwrap_or_default())
            .or_default() += 1;
    }
    for ((user, _, mailbox), by) in mailboxes {
        let mut by: Vec<_> = by.into_iter().collect();
        by.sort_by_key(|(_, count)| Reverse(*count));
        let all = counted(by.iter().map(|(_, count)| count).sum::<u64>(), "date");
        let by = by.iter().map(|(who, count)| format!("{count} from {who}"));
        let by = by.collect::<Vec<_>>().join(", ");
        let at = place(user, mailbox);
        let text = format!("{at}: {all}: {by} (-v shows each)");
        hanging(out, width, "", 4, &text);
    }
}

/// Where what was replaced is kept, user by user, and by how many steps.
fn kept<'s>(steps: &[&'s StepLine]) -> BTreeMap<(&'s str, &'s str), u64> {
    let mut kept = BTreeMap::new();
    for step in steps {
        if let Some(folder) = &step.kept {
            *kept.entry((&*step.user, &**folder)).or_default() += 1;
        }
    }
    kept
}
