//! What the library says: events while it works, findings, and the sum at the end.

pub mod catalogue;
mod event;
mod finding;
mod sum;
mod text;

pub use catalogue::{Rule, Severity};
pub use event::{Event, Observer};
pub use finding::{Difference, Finding, Place, Side};
pub use sum::{
    Digests, Limits, MailboxLine, QuotaLine, QuotaStatus, Status, StepLine, Summary, Usage,
    UserLine, Users, Verdict,
};
pub use text::{counted, escape};
