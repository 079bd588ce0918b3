//! What only a user sees, and what a real server says: the binary as it is.

mod dovecot; // converted accounts, opened by the real Dovecot
mod harness; // scenarios, the binary, the server
