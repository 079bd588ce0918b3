//! What only a user sees, and what a real server says: the binary as it is.
#![expect(
    clippy::unwrap_used,
    reason = "tests may, also in what they are built with"
)]

mod cases; // damage that real mail stores hold, and what is made of it
mod dovecot; // converted accounts, opened by the real Dovecot
mod dovecot_reads; // dbox stores as a live Dovecot leaves them, read as it reads them
mod harness; // scenarios, the binary, the server
mod promises; // the source as it was, the destination whole or not there
