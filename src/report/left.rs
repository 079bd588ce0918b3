//! What is left for a person where a repair has done what it could.

use std::borrow::Cow;

/// Where a remedy has nothing but a repair.
const ELSE: &str =
    "mend what else is listed first; if nothing is, restore the account from a backup";

/// The remedy without what names a repair that was just run: what is left of its sentences and alternatives.
pub fn left(remedy: &'static str, given: &[&str]) -> Cow<'static, str> {
    let is_left = |part: &&str| !names_repair(part, given) && !is_of_a_copy(part);
    let sentences = remedy.split("; ").map(|sentence| {
        let alternatives = sentence.split(", or ").filter(is_left);
        alternatives.collect::<Vec<_>>().join(", or ")
    });
    let rest: Vec<_> = sentences.filter(|sentence| !sentence.is_empty()).collect();
    let rest = rest.join("; ");
    let rest = rest.strip_prefix("else ").unwrap_or(&rest);
    match rest {
        "" => ELSE.into(),
        same if same == remedy => remedy.into(),
        rest => rest.to_owned().into(),
    }
}

/// True for a repair with no option, or with one that was given.
fn names_repair(part: &str, given: &[&str]) -> bool {
    let Some((_, behind)) = part.split_once("repair") else {
        return false;
    };
    let option = behind.trim_start().split([' ', ',']).next();
    match option.filter(|word| word.starts_with("--")) {
        Some(option) => given.contains(&option),
        None => true,
    }
}

/// A repair has no destination.
fn is_of_a_copy(part: &str) -> bool {
    part.starts_with("nothing at the destination")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::catalogue as rules;

    #[test]
    fn what_is_left_names_no_repair_that_was_just_run() {
        for rule in rules::RULES {
            let left = left(rule.remedy, &["--dates", "--recover-orphans"]);
            assert!(!left.contains("repair"), "{}: {left}", rule.code);
            assert!(!left.is_empty() && !left.starts_with("else"), "{left}");
        }
    }

    #[test]
    fn sentences_and_alternatives_stand_for_themselves() {
        let left = |rule: &'static crate::report::Rule| left(rule.remedy, &[]);
        for (rule, wanted) in [
            (
                &rules::MAILDIR_KEYWORD_UNNAMED,
                "add the missing line to dovecot-keywords",
            ),
            (&rules::DBOX_METADATA, "restore the file from a backup"),
            (&rules::UIDLIST_TRUNCATED, "nothing"),
            (&rules::QUOTA_STALE, ELSE),
            (&rules::QUOTA_WRAPPED, "run quota --write"),
            (&rules::MDBOX_REFCOUNT, ELSE),
            (&rules::MAILDIR_COPY_DATES, rules::MAILDIR_COPY_DATES.remedy),
        ] {
            assert_eq!(left(rule), wanted);
        }
    }
}
