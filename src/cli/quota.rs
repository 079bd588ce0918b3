//! `mailtally quota`

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use clap::Args;
use mailtally::Result;
use mailtally::format::location::{self, Template};
use mailtally::ops::Teller;
use mailtally::ops::quota::{self, DictFile, Options};
use mailtally::ops::users::FoundAccount;
use mailtally::report::catalogue::QUOTA_DICT_MISSING;
use mailtally::report::{Finding, Limits, QuotaLine, QuotaStatus, Usage, counted, escape};

use super::exit::Exit;
use super::global::Global;
use super::render::tables::{self, Stands::Broken};
use super::render::{Shown, bytes, hanging, place};
use super::run::Run;
use super::stores::{self, Context};

/// How much is used, counted from the messages, against what the store believes?
///
/// Every message is read. `maildirsize` counts plain bytes, as Dovecot's maildir quota does; `count`
/// stands for the sums that the indexes keep (hdr-vsize), in bytes with CRLF line ends. Of a quota in a
/// dict file, --dict names the file.
///
/// Exit status: 0 what is kept is right, or is now; 1 it is not, or a message cannot be counted; 75 with
/// --write: a server works on the account. Damage within a message that has its size counts as its bytes:
/// inspect tells of it.
#[derive(Args)]
pub struct Quota {
    /// What to count, such as maildir:/home/%u/Maildir
    location: String,
    /// Correct what is kept and wrong; limits stay as they are
    #[arg(long)]
    write: bool,
    /// Vouch for it that no server works on the accounts
    #[arg(long)]
    offline: bool,
    /// The file of `quota = dict:...:file:PATH`, with the variables of a location
    #[arg(long, value_name = "PATH")]
    dict: Option<OsString>,
    /// Files count bytes with CRLF line ends, as with Dovecot's `quota_vsizes = yes`
    #[arg(long)]
    vsizes: bool,
}

impl Quota {
    /// Counts every account of the location.
    pub fn run(self, global: &Global) -> Result<Exit> {
        let context = Context::here();
        let location = location::parse(&self.location)?;
        let found = stores::find(&location, global, &context)?;
        let run = Run::start("quota", global, &found, &location, !self.write)?;
        let options = Options {
            write: self.write,
            offline: self.offline,
            vsizes: self.vsizes,
        };
        let dict = self
            .dict
            .as_ref()
            .map(|path| Template::parse(path.as_bytes()));
        let dict = dict.transpose()?;
        let exit = run.each(&found.accounts, |account, teller, workers| {
            let root = stores::open(&account.place)?;
            let (room, open) = stores::open_options(&location, account, &root, &context)?;
            let dict = match &dict {
                Some(path) => dict_file(path, account, &context, teller)?,
                None => None,
            };
            quota::account(room, &root, &open, dict.as_ref(), &options, teller, workers)
        });
        Ok(exit)
    }
}

/// The file of a dict; where not even its directory is there, that is said.
fn dict_file(
    path: &Template,
    account: &FoundAccount,
    context: &Context,
    teller: &Teller<'_>,
) -> Result<Option<DictFile>> {
    let named = stores::named_file(path, account, context)?;
    if named.is_none() {
        let finding = Finding::new(&QUOTA_DICT_MISSING, "its directory is not there");
        let path = path.expand(&context.homes.user(&account.user))?;
        teller.found(finding.path(path.into_os_string().into_encoded_bytes()));
    }
    Ok(named.map(|(dir, name)| DictFile { dir, name }))
}

/// The table of what is used, and why something of it was not corrected; of that only what is wrong, where
/// nothing else is wanted.
pub fn table(out: &mut String, lines: &[QuotaLine], shown: Shown) {
    let head = ["user", "root", "counted", "stored", "limit", ""].map(|name| (name, Broken));
    let mut lines: Vec<_> = lines.iter().collect();
    lines.retain(|line| !shown.quiet || line.status.is_wrong());
    if lines.is_empty() {
        return;
    }
    out.push('\n');
    lines.sort_by_key(|line| &line.user);
    let rows = lines.iter().map(|line| {
        [
            escape(line.user.as_bytes()),
            line.root.into(),
            usage(&line.counted),
            line.stored.as_ref().map_or("-".into(), usage),
            line.limits.as_ref().map_or("-".into(), limits),
            status(line.status).into(),
        ]
    });
    tables::write(out, &head, rows, shown.width);
    for line in lines {
        if let Some(why) = &line.not_written {
            let text = format!("{}: {why}", place(&line.user, line.root));
            hanging(out, shown.width, "not written: ", 4, &text);
        }
    }
}

fn usage(usage: &Usage) -> String {
    let size = match u64::try_from(usage.bytes) {
        Ok(size) => bytes(size),
        Err(_) => format!("{} B", usage.bytes),
    };
    format!("{size} in {}", usage.messages)
}

fn limits(limits: &Limits) -> String {
    let size = limits.bytes.map(bytes);
    let messages = limits.messages.map(|count| counted(count, "message"));
    let parts: Vec<_> = [size, messages].into_iter().flatten().collect();
    parts.join(", ")
}

fn status(status: QuotaStatus) -> &'static str {
    match status {
        QuotaStatus::Ok => "right",
        QuotaStatus::None => "not kept",
        QuotaStatus::Stale => "WRONG (stale)",
        QuotaStatus::Wrapped => "WRONG (wrapped)",
        QuotaStatus::Broken => "WRONG (broken)",
        QuotaStatus::Corrected => "corrected",
    }
}
