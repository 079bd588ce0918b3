//! The program. Everything it does is in the library; `cli` is what only a user sees.

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
