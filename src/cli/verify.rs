//! `mailtally verify`

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::path::Path;

use clap::Args;
use mailtally::format::location::Location;
use mailtally::ops::users::{Found, FoundAccount};
use mailtally::ops::verify::{self, Level};
use mailtally::report::catalogue::{ACCOUNT_EXTRA, ACCOUNT_MISSING};
use mailtally::report::{Rule, UserLine};
use mailtally::{Error, Result};

use super::exit::Exit;
use super::global::Global;
use super::parties::{self, Lane, Named, Paired};
use super::render::{Next, whole};
use super::run::Run;
use super::stores::{self, Context};

/// Is it the same mail? Go or no-go? Either side may be a tally file.
///
/// Compares mailbox by mailbox and UID by UID: contents, flags, keywords, dates, GUIDs, UIDVALIDITY,
/// subscriptions, ACLs, sieve scripts, quota limits; between two stores of one format also raw bytes,
/// owners and modes. What one side has no place for is not compared, and that is said. Nothing is written.
///
/// Exit status: 0 the same mail; 1 something differs or cannot be read; 64 and above: it could not be
/// compared.
#[derive(Args)]
pub struct Verify {
    /// What there was, such as maildir:/home/%u/Maildir or tally:all.tally
    source: String,
    /// What there is now, such as sdbox:/srv/mail/%u
    destination: String,
    /// Compare lists, flags, dates and sizes, and open no message
    #[arg(long, conflicts_with_all = ["sample", "seed"])]
    quick: bool,
    /// Compare the lists of all, and every byte of one message in N
    #[arg(long, value_name = "1/N", value_parser = sample)]
    sample: Option<u32>,
    /// Which of them: N seeds in a row read every message once [default: the day]
    #[arg(long, value_name = "NUMBER", requires = "sample")]
    seed: Option<u64>,
}

/// `1/30`, or `30`.
fn sample(text: &str) -> Result<u32, String> {
    let number = text.strip_prefix("1/").unwrap_or(text).parse();
    let of = number.ok().filter(|of| *of > 0);
    of.ok_or_else(|| "write 1/N, such as 1/30".into())
}

const DAY: i64 = 86_400;

impl Verify {
    fn level(&self, context: &Context) -> Level {
        match self.sample {
            Some(of) => {
                let day = u64::try_from(context.now / DAY).unwrap_or(0);
                let seed = self.seed.unwrap_or(day);
                Level::Sample { of, seed }
            }
            None if self.quick => Level::Quick,
            None => Level::Full,
        }
    }

    /// Compares every account.
    pub fn run(self, global: &Global) -> Result<Exit> {
        let context = Context::here();
        let level = self.level(&context);
        let next = self.next();
        let source = Named::open(&self.source, global, &context)?;
        let destination = Named::open(&self.destination, global, &context)?;
        match (source, destination) {
            (Named::Stores(source, one), Named::Stores(destination, other)) => {
                stores::pair(&source, &destination)?;
                let paired = parties::pair(one, other);
                apart(&paired.found.accounts, &paired.there)?;
                let locations = [&*source, &*destination];
                side_by_side(&locations, &paired, level, next, global, &context)
            }
            (source, destination) => {
                one_by_one([source, destination], level, next, global, &context)
            }
        }
    }

    fn next(&self) -> Next {
        let (source, destination) = (quoted(&self.source), quoted(&self.destination));
        let verify = whole(&format!("mailtally verify {source} {destination}"));
        Next {
            go: if self.quick || self.sample.is_some() {
                format!("next, before the last switch: {verify}")
            } else {
                "next: switch your server to the destination".into()
            },
            no_go: format!("next: mend what is listed above, then {verify}"),
            more: format!("all of it: {verify}{}", whole(" -v")),
        }
    }
}

/// As a shell reads it.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:%=@+,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.into()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// Two places that are one, or lie in each other, say nothing about a copy.
fn apart(one: &[FoundAccount], other: &[FoundAccount]) -> Result<()> {
    for (one, other) in one.iter().zip(other) {
        let real = |account: &FoundAccount| account.place.path().canonicalize().ok();
        let (Some(one), Some(other)) = (real(one), real(other)) else {
            continue;
        };
        if one == other {
            return same_place(&one);
        }
        if one.starts_with(&other) || other.starts_with(&one) {
            return Err(Error::Usage {
                what: format!(
                    "{} and {} lie in one another",
                    one.display(),
                    other.display()
                ),
                help: "name two stores that lie apart".into(),
            });
        }
    }
    Ok(())
}

fn same_place<T>(path: &Path) -> Result<T> {
    Err(Error::Usage {
        what: format!("both locations are {}", path.display()),
        help:
            "name the copy as the second location; to compare a store with itself on another day, \
               write a tally of it with `mailtally manifest`"
                .into(),
    })
}

/// Several accounts at once.
fn side_by_side(
    locations: &[&Location; 2],
    paired: &Paired,
    level: Level,
    next: Next,
    global: &Global,
    context: &Context,
) -> Result<Exit> {
    let mut run = Run::start("verify", global, &paired.found, locations[0], false)?;
    run.next(next);
    let rules = [&ACCOUNT_MISSING, &ACCOUNT_EXTRA];
    for ((accounts, rule), location) in paired.alone.iter().zip(rules).zip(locations) {
        for account in accounts {
            let why = parties::broken(location, account, context);
            run.alone(&account.user, rule, why);
        }
    }
    let there = |user: &str| {
        let found = paired
            .there
            .binary_search_by(|account| account.user[..].cmp(user));
        found.map(|nth| &paired.there[nth])
    };
    Ok(
        run.each(&paired.found.accounts, |account, teller, workers| {
            let other =
                there(&account.user).map_err(|_| Error::Bug("a user lost its pair".into()))?;
            let source = parties::store(locations[0], account, context)?;
            let destination = parties::store(locations[1], other, context)?;
            verify::account([source, destination], level, teller, workers)
        }),
    )
}

/// A tally is one stream: its accounts come one after the other.
fn one_by_one(
    mut parties: [Named; 2],
    level: Level,
    next: Next,
    global: &Global,
    context: &Context,
) -> Result<Exit> {
    let selection = stores::selection(global)?;
    let (found, single) = of_stores(&mut parties);
    let mut run = Run::start_for("verify", global, &found, single, false)?;
    run.next(next);
    let [source, destination] = &mut parties;
    let mut lanes = [
        Lane::new(source, &selection),
        Lane::new(destination, &selection),
    ];
    let refused: BTreeSet<_> = found.refused.iter().map(|(user, _)| &user[..]).collect();
    let mut nowhere: BTreeSet<_> = selection.must_be_there().collect();
    nowhere.retain(|user| !refused.contains(user));
    let mut nobody = refused.is_empty() && nowhere.is_empty() && global.shard.is_none();
    let mut results = Vec::new();
    loop {
        let step = step(&mut lanes, level, &run, context);
        nobody &= matches!(step, Ok(Step::End));
        match step {
            Ok(Step::Done(user, result)) => {
                nowhere.retain(|named| *named != user && !user.is_empty());
                results.push(result);
            }
            Ok(Step::Alone(user, rule, why)) => {
                nowhere.remove(&user[..]);
                if !refused.contains(&user[..]) {
                    run.alone(&user, rule, why);
                }
            }
            Ok(Step::End) => break,
            // The stream itself is broken: nothing after this can be told.
            Err(error) => results.push(run.one("", |_, _| Err(error))),
        }
        if results.last().is_some_and(ends_here) {
            nowhere.clear();
            break;
        }
    }
    for user in nowhere {
        run.nowhere(user);
    }
    if nobody {
        let what = "neither side has a user that was chosen".into();
        let help = "look at the spelling of -u, -F and --shard".into();
        results.push(run.one("", |_, _| Err(Error::Missing { what, help })));
    }
    Ok(run.conclude(&results))
}

/// Users that are refused, and whether there is one account only. Those that one side has not are told in
/// their turn.
fn of_stores(parties: &mut [Named; 2]) -> (Found, bool) {
    let mut all = Found::default();
    let mut single = false;
    for party in parties {
        if let Named::Stores(location, found) = party {
            all.refused.append(&mut found.refused);
            single |= !location.path.names_users();
        }
    }
    (all, single)
}

/// True where the stream is broken, or the run is to end: nothing after this is told.
fn ends_here(result: &Result<UserLine>) -> bool {
    let broken = |error: &Error| {
        matches!(
            error,
            Error::Interrupted
                | Error::Format {
                    format: "tally",
                    ..
                }
        )
    };
    result.as_ref().err().is_some_and(broken)
}

/// What became of the next user.
enum Step {
    /// There is none.
    End,
    /// On one side only, which is this finding, and why its store cannot be opened, where it cannot.
    Alone(String, &'static Rule, Option<Error>),
    /// Compared, or why not.
    Done(String, Result<UserLine>),
}

fn step(lanes: &mut [Lane<'_>; 2], level: Level, run: &Run, context: &Context) -> Result<Step> {
    let (one, other) = (lanes[0].ahead()?, lanes[1].ahead()?);
    let order = match (&one, &other) {
        (Some(one), Some(other)) => one.cmp(other),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => return Ok(Step::End),
    };
    let (side, rule, user) = match order {
        Ordering::Less => (0, &ACCOUNT_MISSING, one.unwrap_or_default()),
        Ordering::Greater => (1, &ACCOUNT_EXTRA, other.unwrap_or_default()),
        Ordering::Equal => {
            let user = one.unwrap_or_default();
            let [one, other] = lanes;
            let parties = one
                .open(context)
                .and_then(|one| Ok([one, other.open(context)?]));
            let result = run.one(&user, |teller, workers| {
                verify::account(parties?, level, teller, workers)
            });
            if !ends_here(&result) {
                for lane in lanes {
                    lane.leave(&user)?;
                }
            }
            return Ok(Step::Done(user, result));
        }
    };
    let why = lanes[side].pass(context)?;
    Ok(Step::Alone(user, rule, why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_one_in_n() {
        assert_eq!(sample("1/30"), Ok(30));
        assert_eq!(sample("30"), Ok(30));
        for wrong in ["2/30", "1/0", "0", "", "x"] {
            assert!(sample(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_a_shell_would_take_apart_is_quoted() {
        assert_eq!(
            quoted("maildir:/home/%u/Maildir"),
            "maildir:/home/%u/Maildir"
        );
        assert_eq!(quoted("maildir:/my mail"), "'maildir:/my mail'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
