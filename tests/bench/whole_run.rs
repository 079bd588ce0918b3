//! The benchmark: whole runs of `mailtally convert`, beside `doveadm backup` and `cp -a`.
//!
//! ```text
//! cargo bench --bench whole_run -- [--rounds 5] [--work DIR] [--readme]
//!
//! DIR (outside the tree)     a store that is there is used again
//!   sizes/src/<user>         40,000 messages, 0.9 GB, in 10 accounts of 12 mailboxes, indexed by Dovecot
//!   sizes/mdbox, sizes/back  the same mail as mdbox, and as Maildirs made of that; sizes/copy: as it is
//!   mailbox/src/<user>       one mailbox of 200,000 messages, and an account with one of 64 MiB
//!   .../out/n                what the runs make, up to 1 GiB each; removed at the end
//! ```
//!
//! Every round runs each contender once, in turn, with all of the source in the page cache. Times are
//! wall clock from start to exit. Ours includes the proof and the wait until all is on the device; the
//! others are what they are. Nothing here fails for being slow: the numbers go into `README.md`.

#[path = "whole_run/contenders.rs"]
mod contenders;
#[path = "whole_run/dovecot.rs"]
mod dovecot;
#[path = "whole_run/mail.rs"]
mod mail;
#[path = "whole_run/measure.rs"]
mod measure;
#[path = "whole_run/results.rs"]
mod results;
#[path = "whole_run/store.rs"]
mod store;

use std::fs;
use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;

use contenders::{Contender, peak};
use measure::{Lock, Series};
use store::{MAILBOX, SIZES, Store};

/// Measure whole conversions, beside `doveadm backup` and `cp -a`
#[derive(Parser)]
#[command(bin_name = "cargo bench --bench whole_run --")]
struct Options {
    /// How often each contender runs
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Where the stores are kept [default: mailtally-bench in the folder for temporary files]
    #[arg(long, value_name = "DIR")]
    work: Option<PathBuf>,
    /// Only these contenders
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Option<Vec<Contender>>,
    /// Hold this lock, as flock(1) takes it, around every run, so that builds can wait for it
    #[arg(long, value_name = "FILE")]
    lock: Option<PathBuf>,
    /// Put the results into tests/bench/README.md
    #[arg(long)]
    readme: bool,
    /// Leave what the runs have made where it is: right after such a removal ext4 is slow
    #[arg(long)]
    keep: bool,
    /// What cargo says to a benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<()> {
    let options = Options::parse();
    if !options.bench {
        println!("nothing is measured but by cargo bench");
        return Ok(());
    }
    let default = std::env::temp_dir().join("mailtally-bench");
    let work = options.work.clone().unwrap_or(default);
    fs::create_dir_all(&work)?;
    let sizes = Store::ready(&work, &SIZES)?;
    let lock = Lock::new(options.lock.as_deref())?;
    let series = race(&sizes, &options, &lock)?;
    let mailbox = Store::ready(&work, &MAILBOX)?;
    let mut peaks = Vec::new();
    for store in [&sizes, &mailbox] {
        for contender in [Contender::Sdbox, Contender::Mdbox, Contender::Back] {
            peaks.push(peak(store, contender, &lock)?);
        }
    }
    let text = results::markdown(&sizes, &series, &peaks)?;
    println!("{text}");
    if !options.keep {
        sizes.clean()?;
        mailbox.clean()?;
    }
    if options.readme {
        results::into_readme(&text)?;
    }
    Ok(())
}

/// Every contender in turn, round by round.
fn race(store: &Store, options: &Options, lock: &Lock) -> Result<Vec<Series>> {
    let contenders = options.only.as_deref().unwrap_or(&Contender::ALL);
    let mut series = Series::of_all(contenders);
    for round in 1..=options.rounds {
        for contender in contenders {
            let (out, runs) = lock.around(|| {
                let out = store.fresh()?;
                contender.warm(store)?;
                let runs = contender.run(store, &out)?;
                Ok((out, runs))
            })?;
            store.check(*contender, &out)?;
            for run in runs {
                eprintln!("round {round}: {} {:.2} s", run.what, run.seconds);
                Series::add(&mut series, &run);
            }
        }
    }
    Ok(series)
}
