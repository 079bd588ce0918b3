//! How much room a file system has.

use super::{Action, Dir};
use crate::error::Result;

/// Room that is left for an ordinary user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Bytes.
    pub bytes: u64,
    /// Files; `None` where the file system makes them as it goes.
    pub files: Option<u64>,
    /// Bytes that a file takes at least, and takes more of.
    pub block: u64,
}

impl Dir {
    /// The room left on the file system that this directory is on.
    pub fn space(&self) -> Result<Space> {
        self.own_step(Action::Stat, || {
            let stat = rustix::fs::fstatvfs(&self.fd)?;
            Ok(Space {
                bytes: stat.f_bavail.saturating_mul(stat.f_frsize),
                block: stat.f_frsize,
                files: (stat.f_files > 0).then_some(stat.f_favail),
            })
        })
    }
}
