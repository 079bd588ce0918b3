//! Which users are chosen on the command line.

use std::collections::BTreeSet;

use bstr::ByteSlice;

use super::usage;
use crate::error::Result;

/// Which users are chosen; everybody if nothing is said. What a mask or the list names is chosen, and of
/// that what belongs to the shard.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// `-u`: names, with `*` for anything and `?` for any one character.
    pub masks: Vec<String>,
    /// `-F`: names as they are.
    pub listed: Option<Vec<String>>,
    /// `--shard I/N`: part I of N, counted from 1. Each user is in exactly one.
    pub shard: Option<(u32, u32)>,
}

impl Selection {
    /// The names in a file for `-F`: one a line.
    pub fn names_in(file: &[u8]) -> Vec<String> {
        let lines = file.lines().map(|line| line.to_str_lossy());
        let lines = lines.map(|line| line.trim().to_owned());
        lines.filter(|line| !line.is_empty()).collect()
    }

    pub(super) fn check(&self) -> Result<()> {
        match self.shard {
            Some((part, of)) if part == 0 || part > of => usage(
                format!("there is no shard {part}/{of}"),
                "write I/N with I from 1 to N, for example 1/4",
            ),
            _ => Ok(()),
        }
    }

    /// True if a user who is there is chosen.
    pub fn takes(&self, name: &str) -> bool {
        let named = self.named().contains(name);
        (named || self.mask_takes(name)) && self.shard_takes(name)
    }

    /// True if users are chosen by name.
    pub(super) fn chooses(&self) -> bool {
        !self.masks.is_empty() || self.listed.is_some()
    }

    /// True if it takes a look at what is there to know the names.
    pub(super) fn needs_listing(&self) -> bool {
        !self.chooses() || self.masks.iter().any(|mask| is_wild(mask))
    }

    /// The users named in full: they are missing if they are not there.
    pub(super) fn named(&self) -> BTreeSet<&str> {
        let masks = self.masks.iter().filter(|mask| !is_wild(mask));
        let listed = self.listed.iter().flatten();
        masks.chain(listed).map(String::as_str).collect()
    }

    /// Those of them that belong to the shard.
    pub fn must_be_there(&self) -> impl Iterator<Item = &str> {
        let named = self.named().into_iter();
        named.filter(|name| self.shard_takes(name))
    }

    /// True if a name that was found is chosen by a mask, or if nobody chooses.
    pub(super) fn mask_takes(&self, name: &str) -> bool {
        !self.chooses() || self.masks.iter().any(|mask| fits(mask, name))
    }

    /// True if users that `label` stands for, perhaps as `*@domain`, may be chosen. One shard says so.
    pub(super) fn may_take(&self, label: &str) -> bool {
        let domain = |text: &str| text.split_once('@').map(|(_, domain)| domain.to_owned());
        let may_fit = |mask: &String| match (domain(mask), domain(label)) {
            (Some(mask), Some(label)) => fits(&mask, &label),
            _ => true,
        };
        let chosen = !self.chooses() || self.masks.iter().any(may_fit);
        chosen && self.shard_takes(label)
    }

    /// True if a name is in this shard. It depends on nothing but the name.
    pub(super) fn shard_takes(&self, name: &str) -> bool {
        let Some((part, of)) = self.shard else {
            return true;
        };
        let [a, b, c, d, ..] = *blake3::hash(name.as_bytes()).as_bytes();
        let hash = u32::from_le_bytes([a, b, c, d]);
        hash.checked_rem(of) == part.checked_sub(1)
    }
}

fn is_wild(mask: &str) -> bool {
    mask.contains(['*', '?'])
}

/// True if a mask fits a whole name.
fn fits(mask: &str, name: &str) -> bool {
    let (mask, name): (Vec<_>, Vec<_>) = (mask.chars().collect(), name.chars().collect());
    let (mut in_mask, mut in_name) = (0, 0);
    // The last `*`, and how far it reaches: it takes one more whenever what follows does not fit.
    let mut star = None;
    while let Some(c) = name.get(in_name) {
        match mask.get(in_mask) {
            Some('*') => {
                star = Some((in_mask, in_name));
                in_mask += 1;
            }
            Some(m) if m == c || *m == '?' => {
                in_mask += 1;
                in_name += 1;
            }
            _ => {
                let Some((at, reach)) = star else {
                    return false;
                };
                star = Some((at, reach + 1));
                (in_mask, in_name) = (at + 1, reach + 1);
            }
        }
    }
    mask[in_mask..].iter().all(|m| *m == '*')
}

#[cfg(test)]
mod tests {
    use super::{Selection, fits};

    #[test]
    fn masks_fit_whole_names() {
        for (mask, name, yes) in [
            ("*", "anybody", true),
            ("*", "", true),
            ("a*c", "abc", true),
            ("a*c", "abcd", false),
            ("a*b*c", "a-b-b-c", true),
            ("?b", "äb", true),
            ("?", "", false),
            ("*@example.org", "u@example.org", true),
            ("*@example.org", "u@example.org.evil", false),
            ("abc", "abc", true),
            ("abc", "ab", false),
            ("**a", "a", true),
        ] {
            assert_eq!(fits(mask, name), yes, "{mask} {name}");
        }
        let long = "a".repeat(5000);
        assert!(!fits(
            &"a*".repeat(1000).replace("**", "*"),
            &format!("b{long}")
        ));
    }

    #[test]
    fn a_list_of_users_is_one_a_line() {
        let names = Selection::names_in(b"a\n\n  b@c \r\n\xff\n");
        assert_eq!(names, ["a", "b@c", "\u{fffd}"]);
    }
}
