//! What only a user sees, and what a real server says: the binary as it is.
#![expect(
    clippy::unwrap_used,
    reason = "tests may, also in what they are built with"
)]

mod cases; // damage that real mail stores hold, and what is made of it
mod chains; // generated accounts, along any chain of formats
mod dovecot; // converted accounts, opened by the real Dovecot
mod dovecot_reads; // dbox stores as a live Dovecot leaves them, read as it reads them
mod harness; // scenarios, the binary, the server
mod kept; // a second pass over a source that has lost mail, or is another account
mod mdbox; // what a server does to an mdbox only
mod pairs; // every pair of formats
mod promises; // the source as it was, the destination whole or not there
mod quota; // usage, against what the store and the server believe
mod repair; // damaged stores, sound again
mod second_pass; // what was mended or lost between two passes
mod to_maildir; // Maildirs that are made, of every format
mod verify; // what verify and manifest find, and what they do not
