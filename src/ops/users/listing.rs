//! The names of users, read off the directories that a path with variables fits.
//!
//! ```text
//! steps   %d            %n-mail             what is bound on the way
//!         example.org   anna-mail           %d = example.org, %n = anna   --> anna@example.org
//!                       notes               does not fit
//!         x -> /etc                         refused: *@x
//! ```

use std::collections::BTreeSet;

use bstr::{BString, ByteSlice};

use super::place::is_link;
use crate::disk::{Dir, Kind};
use crate::error::Result;
use crate::format::location::{Part, Variable};

/// What a walk tells. Whether a name's directory is there as a whole is not looked at.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Names that fit.
    pub(super) names: BTreeSet<String>,
    /// What was not entered, as a name or `*@domain`, and why.
    pub(super) refused: BTreeSet<(String, String)>,
}

impl Listing {
    /// Reads the names below `dir`.
    pub(super) fn walk(&mut self, dir: &Dir, steps: &[Vec<Part>]) -> Result<()> {
        self.within(dir, steps, &Bound::default())
    }

    fn within(&mut self, dir: &Dir, steps: &[Vec<Part>], bound: &Bound) -> Result<()> {
        let Some((step, rest)) = steps.split_first() else {
            return Ok(());
        };
        if let Some(name) = bound.fill(step) {
            if let Some(stat) = dir.stat_if_there(&name)? {
                self.one(dir, &name, stat.kind, rest, bound);
            }
            return Ok(());
        }
        let begins_with_variable = matches!(step[..], [Part::Variable(_), ..]);
        for entry in dir.entries()? {
            if begins_with_variable && is_nobody(&entry.name) {
                continue;
            }
            if let Some(bound) = bound.fit(step, &entry.name) {
                self.one(dir, &entry.name, entry.kind, rest, &bound);
            }
        }
        Ok(())
    }

    /// A name that fits a step.
    fn one(&mut self, dir: &Dir, name: &[u8], kind: Kind, rest: &[Vec<Part>], bound: &Bound) {
        let entered = match kind {
            Kind::Dir | Kind::Link if rest.iter().all(|step| bound.fill(step).is_some()) => {
                self.names.extend(bound.name());
                return;
            }
            Kind::Link => Err(is_link(dir, name)),
            Kind::Dir => dir
                .dir(name)
                .and_then(|inner| self.within(&inner, rest, bound))
                .map_err(|error| error.chain()),
            Kind::File | Kind::Other => return,
        };
        if let Err(why) = entered {
            self.refused.insert((bound.label(), why));
        }
    }
}

/// True for names that belong to the system: hidden ones, and what fsck(8) finds.
pub(super) fn is_nobody(name: &[u8]) -> bool {
    name.starts_with(b".") || name == b"lost+found"
}

/// What the variables stand for, as far as the names on the way tell.
#[derive(Debug, Clone, Default)]
struct Bound {
    user: Option<String>,
    username: Option<String>,
    domain: Option<String>,
}

impl Bound {
    fn get(&self, variable: Variable) -> Option<String> {
        let user = self.user.as_deref();
        let halves = user.map(|user| {
            user.split_once('@')
                .map_or((user, None), |(n, d)| (n, Some(d)))
        });
        match variable {
            Variable::User => self.user.clone().or_else(|| {
                let (name, domain) = (self.username.as_ref()?, self.domain.as_ref()?);
                Some(format!("{name}@{domain}"))
            }),
            Variable::Username => {
                let half = halves.map(|(name, _)| name.to_owned());
                self.username.clone().or(half)
            }
            Variable::Domain => {
                let half = halves.and_then(|(_, domain)| domain).map(str::to_owned);
                self.domain.clone().or(half)
            }
        }
    }

    fn with(&self, variable: Variable, value: &str) -> Self {
        let mut bound = self.clone();
        let slot = match variable {
            Variable::User => &mut bound.user,
            Variable::Username => &mut bound.username,
            Variable::Domain => &mut bound.domain,
        };
        *slot = Some(value.into());
        bound
    }

    /// The name of the user.
    fn name(&self) -> Option<String> {
        let whole = self.get(Variable::User);
        whole.or_else(|| self.username.clone())
    }

    /// Who is meant before all is known.
    fn label(&self) -> String {
        match (self.name(), &self.domain) {
            (Some(name), _) => name,
            (None, Some(domain)) => format!("*@{domain}"),
            (None, None) => "*".into(),
        }
    }

    /// A component, if all of its variables are known.
    fn fill(&self, step: &[Part]) -> Option<BString> {
        let pieces = step.iter().map(|part| match part {
            Part::Text(text) => Some(text.clone()),
            Part::Variable(variable) => self.get(*variable).map(BString::from),
        });
        let pieces = pieces.collect::<Option<Vec<_>>>()?;
        Some(pieces.concat().into())
    }

    /// Binds what is unknown in a component to the parts of a name, each as short as it can be.
    fn fit(&self, step: &[Part], name: &[u8]) -> Option<Self> {
        let Some((part, after)) = step.split_first() else {
            return name.is_empty().then(|| self.clone());
        };
        let known = match part {
            Part::Text(text) => Some(text.clone()),
            Part::Variable(variable) => self.get(*variable).map(BString::from),
        };
        if let Some(known) = known {
            return self.fit(after, name.strip_prefix(known.as_bytes())?);
        }
        let Part::Variable(variable) = part else {
            return None;
        };
        let mut ends = (1..=name.len()).filter_map(|end| name.split_at_checked(end));
        ends.find_map(|(value, rest)| {
            let value = value.to_str().ok()?;
            self.with(*variable, value).fit(after, rest)
        })
    }
}
