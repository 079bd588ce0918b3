//! Tally files: the fingerprints of a store, one JSON object a line in one zstd stream.
//!
//! ```text
//! {"type":"tally","version":1,...}                 head line
//! {"type":"account","user":"u",...}                then records sorted by user, mailbox and UID
//! {"type":"mailbox","user":"u","mailbox":"INBOX",...}
//! {"type":"message","user":"u","mailbox":"INBOX","uid":1,...}
//! ```
//! What `convert` remembers between two passes is such a file, `mailtally.state`, in the root of the
//! destination account; its head line says in which state source and destination were left.

mod state;

pub use state::{Head, MessageLine, STATE, StateWriter, read_state, text};
