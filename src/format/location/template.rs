//! A path with variables in it.
//!
//! ```text
//! /var/vmail/%d/%n/Maildir          for user u@example.org
//! '----+---' '-----+-----'          base   /var/vmail                   the administrator's
//!    base        steps              steps  example.org, u, Maildir      the users' own
//!
//! ~/Maildir   %h/Maildir            base   the home, as the password table has it
//! ```
//!
//! `%u` `%{user}` · `%n` `%{user | username}` · `%d` `%{user | domain}` · `%h` `%{home}` `~`
//!
//! The home stands at the beginning only. A value is always one component and never `..`: no name of a
//! user leads out of the path. Modifiers (`%Lu`, `%2.256Nu`, `%{user | lower}`) are not supported.
//!
//! Sources: Dovecot 2.3.19, "Config variables"; Dovecot 2.4, "Variable expansion".

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, PathBuf};

use bstr::{BString, ByteSlice};

use super::usage;
use crate::error::Result;
use crate::report::escape;

/// What a variable stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Variable {
    /// `%u`: the whole name of the user.
    User,
    /// `%n`: what stands before the `@`.
    Username,
    /// `%d`: what stands behind the `@`.
    Domain,
}

/// A piece of a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// As it stands.
    Text(BString),
    /// To be filled in.
    Variable(Variable),
}

/// The administrator's part of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Base {
    Path(BString),
    Home,
}

/// A path with variables in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    base: Base,
    steps: Vec<Vec<Part>>,
}

/// Who a template is filled in for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct User {
    /// The name; empty where a location has no variable.
    pub name: String,
    /// The home directory, if it is known.
    pub home: Option<PathBuf>,
}

/// A path of one user, cut where the administrator's part ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// Named by the administrator: links in it are followed.
    pub base: PathBuf,
    /// In the hands of users: single names, to be opened one in the other, following no link.
    pub steps: Vec<BString>,
}

impl Template {
    /// Reads a path.
    pub fn parse(text: &[u8]) -> Result<Self> {
        let (base, rest) = match tokens(text)?.as_slice() {
            [] => (Base::Path(BString::default()), vec![]),
            [Token::Home, rest @ ..] => (Base::Home, rest.to_vec()),
            [Token::Text(whole)] => (Base::Path(whole.clone()), vec![]),
            [Token::Text(text), rest @ ..] => {
                let slash = text.rfind_byte(b'/').map_or(0, |at| at + 1);
                let base = if slash == 0 { b"." } else { &text[..slash] };
                let begun = Token::Text(text[slash..].into());
                (Base::Path(base.into()), [&[begun], rest].concat())
            }
            rest => (Base::Path(".".into()), rest.to_vec()),
        };
        let steps = steps(rest)?;
        Ok(Self { base, steps })
    }

    /// True without any variable, the home included.
    pub fn is_plain(&self) -> bool {
        !self.has_home() && !self.names_users()
    }

    /// True if it begins at the home of a user.
    pub fn has_home(&self) -> bool {
        self.base == Base::Home
    }

    /// True with a variable that is a name, or a part of one.
    pub fn names_users(&self) -> bool {
        use Variable::{Domain, User, Username};
        [User, Username, Domain].into_iter().any(|it| self.has(it))
    }

    /// True if the variable stands in it.
    pub fn has(&self, variable: Variable) -> bool {
        let mut parts = self.steps.iter().flatten();
        parts.any(|part| *part == Part::Variable(variable))
    }

    /// The administrator's part; `None` if that is the home of each user.
    pub fn base(&self) -> Option<PathBuf> {
        match &self.base {
            Base::Home => None,
            Base::Path(path) => Some(OsString::from_vec(path.to_vec()).into()),
        }
    }

    /// The components behind the administrator's part, each in its pieces.
    pub fn steps(&self) -> &[Vec<Part>] {
        &self.steps
    }

    /// The path of one user.
    pub fn expand(&self, user: &User) -> Result<PathBuf> {
        let Split { base, steps } = self.split(user)?;
        let mut path = base.into_os_string().into_vec();
        for step in steps {
            if !path.ends_with(b"/") {
                path.push(b'/');
            }
            path.extend_from_slice(&step);
        }
        Ok(OsString::from_vec(path).into())
    }

    /// The path of one user, cut where the administrator's part ends.
    pub fn split(&self, user: &User) -> Result<Split> {
        let base = self.base().map_or_else(|| user.home(), Ok)?;
        let filled = self.steps.iter().map(|step| {
            let pieces = step.iter().map(|part| match part {
                Part::Text(text) => Ok(text.as_bytes()),
                Part::Variable(variable) => user.value(*variable).map(str::as_bytes),
            });
            Ok(pieces.collect::<Result<Vec<_>>>()?.concat().into())
        });
        let steps = filled.collect::<Result<_>>()?;
        Ok(Split { base, steps })
    }
}

impl User {
    /// A user whose home is not known.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            home: None,
        }
    }

    /// What a variable stands for, if that can be a component or a part of one.
    pub fn value(&self, variable: Variable) -> Result<&str> {
        let whole = self.name.as_str();
        let cut = whole.split_once('@');
        let value = match variable {
            Variable::User => Some(whole),
            Variable::Username => Some(cut.map_or(whole, |(name, _)| name)),
            Variable::Domain => cut.map(|(_, domain)| domain),
        };
        match value {
            Some(value) if !matches!(value, "" | "." | "..") && !whole.contains(['/', '\0']) => {
                Ok(value)
            }
            _ => self.has_no(variable),
        }
    }

    fn has_no<T>(&self, variable: Variable) -> Result<T> {
        let sign = match variable {
            Variable::User => "%u",
            Variable::Username => "%n",
            Variable::Domain => "%d",
        };
        let name = escape(self.name.as_bytes());
        usage(
            format!("user `{name}` has nothing that can stand for {sign} in a path"),
            "name users as the location does: user@domain where it has %d",
        )
    }

    fn home(&self) -> Result<PathBuf> {
        let usable = |home: &&PathBuf| {
            home.is_absolute() && home.components().all(|part| part != Component::ParentDir)
        };
        if let Some(home) = self.home.as_ref().filter(usable) {
            return Ok(home.clone());
        }
        let name = escape(self.name.as_bytes());
        let what = match &name[..] {
            "" => "your own home is not known".into(),
            _ => format!("the home of user `{name}` is not known"),
        };
        usage(what, "write the path in full instead of ~ or %h")
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Text(BString),
    Variable(Variable),
    Home,
}

/// Text and variables, in the order they stand.
fn tokens(text: &[u8]) -> Result<Vec<Token>> {
    if text.contains(&0) {
        return usage("a path cannot hold a NUL".into(), "");
    }
    let mut tokens = Vec::new();
    let mut rest = match text {
        [b'~'] | [b'~', b'/', ..] => {
            tokens.push(Token::Home);
            &text[1..]
        }
        [b'~', ..] => {
            let what = format!("`{}`: `~` stands for your own home only", escape(text));
            return usage(what, "write ~/…, or ./~… for a directory of that name");
        }
        _ => text,
    };
    while let Some((token, after)) = token(rest)? {
        if token == Token::Home && !(tokens.is_empty() && matches!(after, [] | [b'/', ..])) {
            let what = format!(
                "`{}`: the home stands elsewhere than at the beginning",
                escape(text)
            );
            return usage(what, "write %h/…");
        }
        match (tokens.last_mut(), token) {
            (Some(Token::Text(before)), Token::Text(more)) => before.extend_from_slice(&more),
            (_, token) => tokens.push(token),
        }
        rest = after;
    }
    Ok(tokens)
}

/// The first token of a text, and what follows it.
fn token(text: &[u8]) -> Result<Option<(Token, &[u8])>> {
    let (token, after) = match text {
        [] => return Ok(None),
        [b'%', b'%', after @ ..] => (Token::Text("%".into()), after),
        [b'%', b'u', after @ ..] => (Token::Variable(Variable::User), after),
        [b'%', b'n', after @ ..] => (Token::Variable(Variable::Username), after),
        [b'%', b'd', after @ ..] => (Token::Variable(Variable::Domain), after),
        [b'%', b'h', after @ ..] => (Token::Home, after),
        [b'%', b'{', rest @ ..] => match rest.split_once_str("}") {
            Some((name, after)) => (long(name)?, after),
            None => return unknown(text),
        },
        [b'%', ..] => return unknown(&text[..text.len().min(2)]),
        _ => {
            let end = text.find_byte(b'%').unwrap_or(text.len());
            (Token::Text(text[..end].into()), &text[end..])
        }
    };
    Ok(Some((token, after)))
}

/// What stands between the braces: a name, and perhaps which part of it.
fn long(name: &[u8]) -> Result<Token> {
    let words: Vec<_> = name.split_str("|").map(ByteSlice::trim).collect();
    match words[..] {
        [b"user"] => Ok(Token::Variable(Variable::User)),
        [b"user", b"username"] | [b"username"] => Ok(Token::Variable(Variable::Username)),
        [b"user", b"domain"] | [b"domain"] => Ok(Token::Variable(Variable::Domain)),
        [b"home"] => Ok(Token::Home),
        _ => unknown(&[b"%{", name, b"}"].concat()),
    }
}

fn unknown<T>(variable: &[u8]) -> Result<T> {
    usage(
        format!("`{}` is not a variable known here", escape(variable)),
        "write %u, %n, %d, %h, %{user}, %{user | username}, %{user | domain} or %{home}; \
         `%%` stands for a `%`",
    )
}

/// Cuts at each `/`; what leads nowhere is left out, and nothing leads up.
fn steps(tokens: Vec<Token>) -> Result<Vec<Vec<Part>>> {
    let mut steps = vec![Vec::new()];
    for token in tokens {
        match token {
            Token::Text(text) => {
                for (nth, piece) in text.split_str("/").enumerate() {
                    if nth > 0 {
                        steps.push(Vec::new());
                    }
                    if !piece.is_empty() {
                        push(&mut steps, Part::Text(piece.into()));
                    }
                }
            }
            Token::Variable(variable) => push(&mut steps, Part::Variable(variable)),
            Token::Home => {} // `tokens` has refused it here
        }
    }
    let is = |step: &[Part], text: &str| matches!(step, [Part::Text(only)] if only == text);
    steps.retain(|step| !step.is_empty() && !is(step, "."));
    if steps.iter().any(|step| is(step, "..")) {
        return usage(
            "`..` stands behind a variable in a path".into(),
            "write the path without it",
        );
    }
    Ok(steps)
}

fn push(steps: &mut [Vec<Part>], part: Part) {
    if let Some(step) = steps.last_mut() {
        step.push(part);
    }
}
