//! What the library says while it works; bars, logs, JSON lines and the report all listen here.

use super::{Difference, Finding, MailboxLine, QuotaLine, StepLine, UserLine};

/// Something that has just happened.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The accounts are known.
    Planned {
        /// How many.
        users: u64,
    },
    /// Work on an account begins.
    UserStarted {
        /// Which.
        user: &'a str,
        /// About how many messages it has; 0 where nobody knows, or nobody wants to.
        messages: u64,
    },
    /// Messages went through.
    Copied {
        /// How many.
        messages: u64,
        /// Their bytes.
        bytes: u64,
    },
    /// Messages were read back and compared.
    Proved {
        /// How many.
        messages: u64,
    },
    /// Something an administrator should know of.
    Found(&'a Finding),
    /// The two sides do not agree.
    Differs(&'a Difference),
    /// The usage of an account was counted.
    Counted(&'a QuotaLine),
    /// A step of a repair is planned, or done.
    Step(&'a StepLine),
    /// A mailbox is complete.
    MailboxDone(&'a MailboxLine),
    /// An account is complete.
    UserDone(&'a UserLine),
}

/// Who listens.
pub trait Observer: Sync {
    /// Called from any thread, in the order things happen.
    fn on(&self, event: Event<'_>);
    /// True for one who shows how much is left: for all others no messages are counted before.
    fn shows_progress(&self) -> bool {
        false
    }
}

/// Nobody: tests and quiet runs.
impl Observer for () {
    fn on(&self, _: Event<'_>) {}
}
