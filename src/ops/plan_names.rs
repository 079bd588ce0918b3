//! Which name each mailbox gets at the destination.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::MailboxName;
use crate::report::Finding;
use crate::report::catalogue::{MAILBOX_NAME_CLASH, MAILBOX_RENAMED};
use crate::store::Found;

/// Why a name does not fit the destination.
pub type Problem<'a> = &'a dyn Fn(&MailboxName) -> Option<String>;

/// A level that is too long on disk keeps so many characters, and gets a number.
const KEPT: usize = 32;
/// Where a name is too long as a whole, its levels keep fewer.
const FEWER: [usize; 5] = [KEPT, 16, 8, 4, 2];

/// The destination's names, in the order of the source's. What does not fit is renamed and said.
pub fn plan(names: &[MailboxName], problem: Problem<'_>, found: Found<'_>) -> Vec<MailboxName> {
    let mut taken: BTreeSet<MailboxName> = names
        .iter()
        .filter(|name| problem(name).is_none())
        .cloned()
        .collect();
    let planned: Vec<_> = names
        .iter()
        .map(|name| match problem(name) {
            None => name.clone(),
            Some(why) => {
                let proposed = propose(name, problem, &taken);
                taken.insert(proposed.clone());
                let detail = format!("{why}; carried as {proposed}");
                found(Finding::new(&MAILBOX_RENAMED, detail).mailbox(name));
                proposed
            }
        })
        .collect();
    tell_clashes(&planned, found);
    planned
}

/// The nearest name that fits and is free.
fn propose(name: &MailboxName, problem: Problem<'_>, taken: &BTreeSet<MailboxName>) -> MailboxName {
    let levels = name.levels().iter();
    let mut fitted: Vec<String> = levels.map(|level| fit_level(level, problem)).collect();
    if fitted.is_empty() {
        fitted.push(fit(""));
    }
    let first = MailboxName::new(fitted);
    let roomy = with_room(&first, problem);
    [first, roomy.clone()]
        .into_iter()
        .chain((2_u32..).map(|nth| numbered(&roomy, nth)))
        .find(|name| problem(name).is_none() && !taken.contains(name))
        .expect("BUG: numbered names do not run out")
}

fn numbered(name: &MailboxName, nth: u32) -> MailboxName {
    let last = name.levels().last().map_or("", String::as_str);
    name.with_last(format!("{last}_{nth}"))
}

/// A name that is not too long as a whole, also with a number behind it: its last level is cut, then all
/// levels, and in the end one is left.
fn with_room(name: &MailboxName, problem: Problem<'_>) -> MailboxName {
    let cut = |level: &String, most: usize| level.chars().take(most).collect::<String>();
    let last = name.levels().last().cloned().unwrap_or_default();
    let last_cut = FEWER.map(|most| name.with_last(cut(&last, most)));
    let all_cut = FEWER.map(|most| {
        let levels = name.levels().iter();
        MailboxName::new(levels.map(|level| cut(level, most)))
    });
    std::iter::once(name.clone())
        .chain(last_cut)
        .chain(all_cut)
        .find(|name| problem(&numbered(name, u32::MAX)).is_none())
        .unwrap_or_else(|| MailboxName::new([fit(&last)]))
}

/// A level that fits: itself, or the nearest one that does.
fn fit_level(level: &str, problem: Problem<'_>) -> String {
    let fits = |level: &str| problem(&MailboxName::verbatim([level])).is_none();
    if fits(level) {
        return level.to_owned();
    }
    let fitted = fit(level);
    if fits(&fitted) {
        return fitted;
    }
    format!("_{fitted}")
}

fn fit(level: &str) -> String {
    let safe = level.chars().map(|c| match c {
        '/' | '.' | '~' => '_',
        c if c.is_control() => '_',
        c => c,
    });
    let kept: String = safe.take(KEPT).collect();
    if kept.is_empty() || kept == "dbox-Mails" {
        format!("{kept}_")
    } else {
        kept
    }
}

/// Names that a file system or client may take for one.
fn tell_clashes(names: &[MailboxName], found: Found<'_>) {
    let mut by_folded: BTreeMap<String, &MailboxName> = BTreeMap::new();
    for name in names {
        if let Some(other) = by_folded.insert(name.folded(), name) {
            let detail = format!("{other} and {name}");
            found(Finding::new(&MAILBOX_NAME_CLASH, detail).mailbox(name));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn no_long_names(name: &MailboxName) -> Option<String> {
        let bad = |level: &String| {
            level.is_empty() || level.len() > 40 || level == "dbox-Mails" || level == "cur"
        };
        let too_long = name.to_string().len() > 100;
        (too_long || name.levels().iter().any(bad)).then(|| "does not fit".into())
    }

    fn planned(names: &[&[&str]]) -> (Vec<String>, Vec<&'static str>) {
        let names: Vec<_> = names
            .iter()
            .map(|levels| MailboxName::new(levels.iter().copied()))
            .collect();
        let mut codes = Vec::new();
        let planned = plan(&names, &no_long_names, &mut |finding| {
            codes.push(finding.rule.code);
        });
        (planned.iter().map(ToString::to_string).collect(), codes)
    }

    #[test]
    fn a_name_that_does_not_fit_gets_the_nearest_free_one_and_is_said() {
        let long = "x".repeat(50);
        let (names, codes) =
            planned(&[&["a", ""], &["a", "_"], &["dbox-Mails"], &[&long], &["ok"]]);
        let short = "x".repeat(32);
        assert_eq!(names, ["a/__2", "a/_", "dbox-Mails_", &short, "ok"]);
        assert_eq!(codes, ["mailbox.renamed"; 3]);
    }

    #[test]
    fn a_name_that_is_too_long_as_a_whole_is_cut_until_it_fits() {
        let (one, other) = ("x".repeat(40), "y".repeat(40));
        let (names, _) = planned(&[&[&one, &one, &one]]);
        assert_eq!(names, [format!("{one}/{one}/xxxx")]);
        let (names, _) = planned(&[&[&one, &one, &one, &other], &[&one, &one, &one, &one]]);
        let level = "x".repeat(16);
        let above = format!("{level}/{level}/{level}");
        assert_eq!(
            names,
            [
                format!("{above}/{}", "y".repeat(16)),
                format!("{above}/{level}")
            ]
        );
        let deep = vec!["z"; 60];
        assert_eq!(planned(&[&deep]).0, ["z"]);
    }

    #[test]
    fn a_level_that_is_taken_by_the_format_gets_a_mark() {
        let (names, codes) = planned(&[&["cur", "x"], &["a", "cur"]]);
        assert_eq!(names, ["_cur/x", "a/_cur"]);
        assert_eq!(codes, ["mailbox.renamed"; 2]);
    }

    #[test]
    fn names_that_differ_only_in_case_or_form_are_said() {
        let (names, codes) = planned(&[&["Work"], &["work"], &["Caf\u{e9}"], &["Cafe\u{301}"]]);
        assert_eq!(names.len(), 4);
        assert_eq!(codes, ["mailbox.name-clash"; 2]);
    }
}
