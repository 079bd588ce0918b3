//! `verify` and `manifest`: what they find, what they do not, and what they refuse.

mod access; // owners and modes
mod damage; // files that are cut, zeroed, unreadable
mod digests; // one line to compare, whoever reads the store
mod faults; // faults planted into true copies, one at a time
mod levels; // --quick and --sample
mod moving; // a side that changes while it is read
mod planted; // an account as values, written in any format with a fault in it
mod refusals; // places and files that cannot be compared
mod refused_tallies; // files that are cut, changed, or not complete
mod tallies; // the file: whole or not there, and read by others
mod without_uids; // copies that left their uidlists behind
