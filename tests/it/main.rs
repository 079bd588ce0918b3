//! What only a user sees, and what a real server says: the binary as it is.
#![expect(
    clippy::unwrap_used,
    reason = "tests may, also in what they are built with"
)]

mod cases; // damage that real mail stores hold, and what is made of it
mod dovecot; // converted accounts, opened by the real Dovecot
mod harness; // scenarios, the binary, the server
mod promises;
mod to_maildir; // Maildirs that are made, of every format
