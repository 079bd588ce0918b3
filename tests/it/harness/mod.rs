//! Builds scenarios, runs the binary, and asks the server.

pub mod dovecot;
