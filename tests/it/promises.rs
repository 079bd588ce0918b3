//! What is promised for every run: the source as it was, the destination whole or not there.

mod command_line; // wrong command lines say what to write
mod destination; // what is there already, owners and modes, the second pass
mod ends; // disk full, signals, SIGKILL
mod garbage; // any bytes in any file, any name
mod links; // what a user left cannot lead outside
mod source; // never written to
mod steps; // a run that is cut or fails at any step
mod syncs; // when the device is waited for
