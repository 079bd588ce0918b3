//! The system flags of RFC 9051, 2.3.2.

use std::fmt;
use std::ops::{BitAnd, BitOr, BitOrAssign, Not};

/// A set of system flags; `\Recent` is a property of the session and not in it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Flags(u8);

impl Flags {
    /// No flag.
    pub const NONE: Self = Self(0);
    /// `\Answered`
    pub const ANSWERED: Self = Self(1);
    /// `\Flagged`
    pub const FLAGGED: Self = Self(2);
    /// `\Deleted`
    pub const DELETED: Self = Self(4);
    /// `\Seen`
    pub const SEEN: Self = Self(8);
    /// `\Draft`
    pub const DRAFT: Self = Self(16);
    /// All five.
    pub const ALL: Self = Self(31);

    const NAMES: [(Self, &'static str); 5] = [
        (Self::ANSWERED, "\\Answered"),
        (Self::DELETED, "\\Deleted"),
        (Self::DRAFT, "\\Draft"),
        (Self::FLAGGED, "\\Flagged"),
        (Self::SEEN, "\\Seen"),
    ];

    /// True if every flag of `other` is in this set.
    pub fn contains(self, other: Self) -> bool {
        self & other == other
    }

    /// One bit a flag, the same on every machine; for digests and for formats that agree with it.
    pub fn bits(self) -> u8 {
        self.0
    }

    /// The set of these bits; others are left out.
    pub fn from_bits(bits: u8) -> Self {
        Self(bits) & Self::ALL
    }

    /// The flag of this name.
    pub fn named(name: &str) -> Option<Self> {
        let mut all = Self::NAMES.into_iter();
        all.find(|(_, known)| *known == name).map(|(flag, _)| flag)
    }

    /// The names, in alphabetical order.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let held = Self::NAMES.into_iter();
        held.filter(move |(flag, _)| self.contains(*flag))
            .map(|(_, name)| name)
    }
}

impl BitOr for Flags {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Flags {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl BitAnd for Flags {
    type Output = Self;
    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl Not for Flags {
    type Output = Self;
    fn not(self) -> Self {
        Self(!self.0 & Self::ALL.0)
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}
