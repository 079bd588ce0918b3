//! Whether the file systems have room for all accounts of a run, and not only for each.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::needed::Needed;
use crate::disk::Space;
use crate::report::catalogue::ACCOUNT_SPACE;
use crate::report::{Finding, counted};

/// What new accounts need. One that takes the place of an earlier copy is not counted: that makes room again.
#[derive(Debug, Default)]
pub struct Together(Mutex<BTreeMap<u64, Sum>>);

/// On one file system.
#[derive(Debug)]
struct Sum {
    accounts: u64,
    needed: Needed,
    space: Space,
}

impl Together {
    fn sums(&self) -> MutexGuard<'_, BTreeMap<u64, Sum>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more account, on the file system of this device.
    pub(super) fn add(&self, device: u64, needed: Needed, space: Space) {
        let mut sums = self.sums();
        let sum = sums.entry(device).or_insert_with(|| Sum {
            accounts: 0,
            needed: Needed::nothing(space.block),
            space,
        });
        sum.accounts += 1;
        sum.needed = sum.needed.and(needed);
    }

    /// Where several accounts do not fit together.
    pub fn shortages(&self) -> Vec<Finding> {
        let sums = self.sums();
        let several = sums.values().filter(|sum| sum.accounts > 1);
        let short = several.filter(|sum| !sum.needed.fits(&sum.space));
        let findings = short.map(|sum| {
            let accounts = counted(sum.accounts, "account");
            let against = sum.needed.against(&sum.space);
            Finding::new(
                &ACCOUNT_SPACE,
                format!("{accounts} together need {against}"),
            )
        });
        findings.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_counted_on_the_file_system_that_they_go_to() {
        let space = Space {
            bytes: 10,
            files: None,
            block: 1,
        };
        let needs = |bytes| Needed {
            bytes,
            ..Needed::nothing(1)
        };
        let together = Together::default();
        for (device, bytes) in [(1, 6), (2, 6), (3, 11), (1, 4)] {
            together.add(device, needs(bytes), space);
        }
        assert_eq!(together.shortages(), []);
        together.add(2, needs(5), space);
        let told = together.shortages();
        let details: Vec<_> = told.iter().map(|it| it.detail.as_str()).collect();
        let wanted = "2 accounts together need 11 bytes and 0 files, there is room for 10 bytes";
        assert_eq!(details, [wanted]);
    }
}
