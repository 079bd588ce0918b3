//! `mailtally manifest`

use std::io::BufWriter;
use std::path::{Path, PathBuf};

use clap::Args;
use mailtally::format::Room;
use mailtally::format::location::{self, Location};
use mailtally::format::tally::Writer;
use mailtally::ops::manifest::Manifest;
use mailtally::ops::sha256;
use mailtally::ops::users::{Found, FoundAccount};
use mailtally::ops::verify::StoreAt;
use mailtally::report::UserLine;
use mailtally::report::catalogue::FILE_UNREADABLE;
use mailtally::{Error, Result};

use super::exit::Exit;
use super::global::Global;
use super::output::NewOutput;
use super::parties;
use super::render::{Next, whole};
use super::run::Run;
use super::stores::{self, Context};

/// Write the fingerprints of a store, to be compared on another host or another day
///
/// Reads every message once. FILE is a tally: JSON lines in a zstd stream, which `verify`, DuckDB and
/// Spark read as it is. It is written whole or not at all.
///
/// Exit status: 0 every message is in it; 1 something could not be read, and is marked so; 73 FILE
/// cannot be made, or is none of ours.
#[derive(Args)]
pub struct ManifestOf {
    /// What to read, such as maildir:/home/%u/Maildir
    location: String,
    /// Where to; `-` is standard output
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Write FILE.sha256 too, the SHA-256 of every file of the store, for `sha256sum -c`
    #[arg(long)]
    sha256: bool,
}

impl ManifestOf {
    /// Writes the fingerprints of every account.
    pub fn run(self, global: &Global) -> Result<Exit> {
        let context = Context::here();
        let location = location::parse(&self.location)?;
        let to_stdout = self.output == Path::new("-");
        if to_stdout && self.sha256 {
            return Err(Error::Usage {
                what: "--sha256 writes a second file, and standard output is one".into(),
                help: "name a file with -o".into(),
            });
        }
        let found = stores::find(&location, global, &context)?;
        outside(&self.output, &found)?;
        let mut run = Run::start("manifest", global, &found, &location, false)?;
        if to_stdout {
            run.results_to_stderr();
        }
        run.next(self.next(&location));
        let out = NewOutput::create(&self.output)?;
        let list = if self.sha256 {
            Some(NewOutput::create(&with_suffix(&self.output))?)
        } else {
            None
        };
        let writing = Writing {
            location: &location,
            context: &context,
            run: &run,
        };
        let written = writing.all(&found, out, list);
        match written {
            Ok(results) => Ok(run.conclude(&results)),
            Err(error) => {
                let failed = run.one("", |_, _| Err(error));
                Ok(run.conclude(&[failed]))
            }
        }
    }

    fn next(&self, location: &Location) -> Next {
        let file = self.output.display();
        let base = location.path.base().filter(|_| self.sha256);
        let list = with_suffix(&self.output);
        let list = std::path::absolute(&list).unwrap_or(list);
        let check = base.map(|base| {
            let (base, list) = (base.display(), list.display());
            let command = format!("(cd {base} && sha256sum -c --quiet {list})");
            format!("next, without mailtally: {}\n", whole(&command))
        });
        Next {
            go: format!(
                "{}next, on the other host: {}",
                check.unwrap_or_default(),
                whole(&format!("mailtally verify tally:{file} LOCATION"))
            ),
            no_go: "next: mend what is listed above, and run the same command again".into(),
            more: String::new(),
        }
    }
}

fn with_suffix(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".sha256");
    name.into()
}

/// A store is never written to.
fn outside(file: &Path, found: &Found) -> Result<()> {
    let above = file.parent().filter(|above| !above.as_os_str().is_empty());
    let Ok(above) = above.unwrap_or(Path::new(".")).canonicalize() else {
        return Ok(());
    };
    let real = |account: &FoundAccount| account.place.path().canonicalize().ok();
    let mut roots = found.accounts.iter().filter_map(real);
    match roots.find(|root| above.starts_with(root)) {
        Some(root) if file != Path::new("-") => Err(Error::Usage {
            what: format!("{} lies in the store {}", file.display(), root.display()),
            help: "name a file outside it with -o: a store is never written to".into(),
        }),
        _ => Ok(()),
    }
}

struct Writing<'a> {
    location: &'a Location,
    context: &'a Context,
    run: &'a Run,
}

type List = BufWriter<NewOutput>;

impl Writing<'_> {
    /// The accounts that could not be opened are results of their own; anything else ends the manifest.
    fn all(
        &self,
        found: &Found,
        out: NewOutput,
        list: Option<NewOutput>,
    ) -> Result<Vec<Result<UserLine>>> {
        let path = out.path().to_owned();
        let mut list = list.map(BufWriter::new);
        let mut begun: Option<Manifest<NewOutput>> = None;
        let mut fresh = Some(Writer::new(out, path)?);
        let mut format: Option<&'static Room> = None;
        let mut results = Vec::new();
        for account in &found.accounts {
            let opened = parties::at(self.location, account, self.context);
            let store = match opened {
                Ok(store) => store,
                Err(error) => {
                    results.push(self.run.one(&account.user, |_, _| Err(error)));
                    continue;
                }
            };
            one_format(&mut format, &store)?;
            if let Some(out) = fresh.take() {
                let now = self.context.now;
                begun = Some(Manifest::begin(out, store.room, store.open.fs_layout, now)?);
            }
            let Some(manifest) = &mut begun else { break };
            let result = self.account(account, &store, manifest, &mut list);
            results.push(result);
            if manifest.is_torn() {
                return Ok(results);
            }
        }
        // Without any account there is nothing to be compared with, and no file.
        if let Some(manifest) = begun.filter(|manifest| manifest.users() > 0) {
            manifest.finish()?.publish()?;
            if let Some(list) = list {
                let list = list
                    .into_inner()
                    .map_err(std::io::IntoInnerError::into_error);
                publish_list(list)?;
            }
        }
        Ok(results)
    }

    fn account(
        &self,
        account: &FoundAccount,
        store: &StoreAt,
        manifest: &mut Manifest<NewOutput>,
        list: &mut Option<List>,
    ) -> Result<UserLine> {
        self.run.one(&account.user, |teller, workers| {
            if let Some(list) = list {
                let prefix = self.prefix(account);
                let unread = sha256::list(&store.root, &prefix, list, workers)?;
                for path in unread {
                    let finding = mailtally::report::Finding::new(&FILE_UNREADABLE, "left out");
                    teller.found(finding.path(path));
                }
            }
            manifest.account(store, teller, workers)
        })
    }

    /// An account's path from the part of the location that all share.
    fn prefix(&self, account: &FoundAccount) -> Vec<u8> {
        let path = account.place.path();
        let base = self.location.path.base();
        let below = base.and_then(|base| path.strip_prefix(base).ok());
        below
            .unwrap_or(path)
            .as_os_str()
            .as_encoded_bytes()
            .to_vec()
    }
}

fn publish_list(list: std::io::Result<NewOutput>) -> Result<()> {
    use mailtally::error::At;
    list.at("write", Path::new("the list"))?.publish()
}

/// A tally says once of which format its stores are.
fn one_format(format: &mut Option<&'static Room>, store: &StoreAt) -> Result<()> {
    let first = *format.get_or_insert(store.room);
    if first.name == store.room.name {
        return Ok(());
    }
    Err(Error::Usage {
        what: format!(
            "{} is {}, and the accounts before it are {}",
            store.root.path().display(),
            store.room.name,
            first.name
        ),
        help: format!(
            "write the format before the path, such as {}:PATH",
            first.name
        ),
    })
}
