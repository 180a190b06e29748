//! `sluice password`: the hash of an operator's password.

use std::io::{BufRead, IsTerminal};

use super::Failure;

/// Reads one line from standard input and prints its argon2 hash.
///
/// # Errors
/// Nothing came, or it is too short to be a password.
pub fn run() -> Result<(), Failure> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        eprintln!("Type the operator's password (it is shown) and Enter:");
    }
    let mut line = String::new();
    stdin.lock().read_line(&mut line).map_err(|error| Failure::because("standard input", &error))?;
    let password = line.trim_end_matches(['\r', '\n']);
    let hash = sinks::Login::hash(password).map_err(|error| Failure::because("password", &error))?;
    println!("{hash}");
    Ok(())
}
