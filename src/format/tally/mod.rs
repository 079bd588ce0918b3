//! Tally files: the fingerprints of a store, one JSON object a line in one zstd stream.
//!
//! ```text
//! {"type":"tally","version":1,"format":"maildir",...}      head line
//! {"type":"account","user":"u","subscriptions":[...],...}
//! {"type":"mailbox","user":"u","mailbox":"INBOX","messages":2,"uidvalidity":...,...}
//! {"type":"message","user":"u","mailbox":"INBOX","uid":1,...}
//! {"type":"message","user":"u","mailbox":"INBOX","uid":4,...}
//! {"type":"sum","user":"u","mailbox":"INBOX",...,"digest":"..."}      behind the messages
//! {"type":"sum","user":"u","mailboxes":1,...,"digest":"..."}          behind the mailboxes
//! {"type":"end","users":1,...,"digest":"..."}                         without it the file is cut off
//! ```
//! Records are sorted by user (bytes), mailbox (level by level, bytes) and UID, so that two of them are
//! compared side by side, and neither who writes nor who reads holds more than a line. What shows only
//! behind the last message stands there, in a `sum`. `type` is the first key of every line.
//!
//! `mailbox` has `/` between levels; where that does not show the levels, `levels` does. Digests are those
//! of [`merkle`](crate::digest::merkle). A message that could not be read has `unread`, the code of the
//! finding, in place of its content; a damaged one has both: the content is what is sound of it, and sums and
//! digests are made of that. The line of a mailbox of which nothing could be read has `unread` too, and no sum.
//! Every sum is held against the lines before it.
//!
//! What `convert` remembers between two passes is such a file, `mailtally.state`, in the root of the
//! destination account; its head line says in which state source and destination were left, and there the
//! sums stand in the lines of the mailboxes.

mod given;
mod head;
mod lines;
mod prints;
mod proven;
mod reader;
mod state;
mod sums;
mod writer;

#[cfg(test)]
mod tests;

pub use given::{Given, GivenUids};
pub use head::Head;
pub use lines::{AccountLine, MailboxLine, SumLine, message_text, text, time};
pub use prints::{AccountPrint, Body, BodyPrint, Envelope, MailboxPrint, MessagePrint, shown};
pub use proven::Proven;
pub use reader::{Reader, Record};
pub use state::{
    STATE, StateMailbox, StateWriter, read_state, read_state_mailboxes, read_state_messages,
    whole_mailboxes,
};
pub use writer::Writer;
