//! `mailtally convert`

use clap::{Args, ValueEnum};
use mailtally::Result;
use mailtally::disk::Owner;
use mailtally::format::compress::Codec;
use mailtally::format::location::{self, Layout, Location};
use mailtally::ops::convert::{self, Job, Options};
use mailtally::ops::together::Together;
use mailtally::store::{Compress, Form};

use super::exit::Exit;
use super::global::Global;
use super::run::Run;
use super::stores::{self, Context};

/// Make DESTINATION hold the same mail as SOURCE, in its own format, and prove it
///
/// The new account is built beside its place, read back, compared with the source message by message,
/// synced, and renamed into place. SOURCE is never written to. Run it again: nothing is done where
/// nothing changed, a store that someone else has written to is not touched, and one with mail that is lost
/// at the source is kept.
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
    /// The coat of messages at the destination; `none` can be read by every server
    #[arg(long, value_enum, default_value_t, value_name = "CODEC")]
    compress: Coat,
    /// Begin another storage file of an mdbox above this size, such as 10M
    #[arg(long, value_name = "SIZE", default_value = "10M", value_parser = size)]
    rotate_size: u64,
    /// Replace an account of an earlier pass although the source has lost mail that it has
    #[arg(long)]
    accept_loss: bool,
}

/// The coat of messages at the destination.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Coat {
    /// None
    #[default]
    None,
    /// The one that each message had
    Keep,
    /// Zstandard
    Zstd,
    /// gzip
    Gz,
}

impl From<Coat> for Compress {
    fn from(coat: Coat) -> Self {
        match coat {
            Coat::None => Self::None,
            Coat::Keep => Self::Keep,
            Coat::Zstd => Self::With(Codec::Zstd),
            Coat::Gz => Self::With(Codec::Gz),
        }
    }
}

/// A size as Dovecot's settings have it: a number, and `k`, `M` or `G` for powers of 1024.
fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let number: u64 = digits
        .parse()
        .map_err(|_| "write a number, such as 10M".to_owned())?;
    let power = match text[digits.len()..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 1,
        "m" | "mb" | "mib" => 2,
        "g" | "gb" | "gib" => 3,
        other => return Err(format!("`{other}` is no unit: write k, M or G")),
    };
    let size = number.checked_mul(1 << (10 * power));
    let fits = size.filter(|size| (1..=LARGEST_FILE).contains(size));
    fits.ok_or_else(|| "between 1 byte and 4 GiB less a MiB: places in a file have 32 bits".into())
}

/// Places in an mdbox's files have 32 bits.
const LARGEST_FILE: u64 = (4 << 30) - (1 << 20);

impl Convert {
    fn form(&self, destination: &Location) -> Form {
        Form {
            fs_layout: destination.keys.layout == Some(Layout::Fs),
            compress: self.compress.into(),
            rotate_size: self.rotate_size,
        }
    }

    /// Converts every account of the source.
    pub fn run(self, global: &Global) -> Result<Exit> {
        let context = Context::here();
        let source = location::parse(&self.source)?;
        let destination = location::parse(&self.destination)?;
        let to = stores::destination_room(&destination)?;
        let form = self.form(&destination);
        stores::pair(&source, &destination)?;
        let found = stores::find(&source, global, &context)?;
        let run = Run::start("convert", global, &found, &source, self.dry_run)?;
        let options = Options {
            dry_run: self.dry_run,
            owner: self.owner,
            now: context.now_u32(),
            form,
            accept_loss: self.accept_loss,
        };
        let together = Together::default();
        let results = run.work(&found.accounts, |account, teller, workers| {
            let root = stores::open(&account.place)?;
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
                together: &together,
            };
            convert::account(job, &options, teller, workers)
        });
        for shortage in together.shortages() {
            run.found(shortage);
        }
        Ok(run.conclude(&results))
    }
}
