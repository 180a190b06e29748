//! What the command line can ask for, one file each.

pub mod all;
pub mod check;
pub mod demo;
pub mod device;
mod import;
pub mod ledger;
pub mod log;
pub mod password;
pub mod replay;
pub mod rules;
pub mod store;
pub mod subscriber;
pub mod topic;

use std::fmt::Display;
use std::path::Path;
use std::process::ExitCode;

use gateway::Registry;
use records::Timestamp;

use crate::config::Config;
use crate::folder::Folder;
use crate::supervise::Chain;

/// Why a command did not do what it was asked, in words for the terminal, and its exit code.
#[derive(Debug, PartialEq, Eq)]
pub struct Failure {
    code: u8,
    text: String,
}

impl Failure {
    /// The command line or a file it names is wrong (exit code 64, `EX_USAGE`).
    pub fn usage(text: impl Display) -> Failure {
        Failure { code: 64, text: text.to_string() }
    }

    /// It could not be done (exit code 1).
    pub fn failed(text: impl Display) -> Failure {
        Failure { code: 1, text: text.to_string() }
    }

    /// It could not be done, because of `error` and its causes.
    pub fn because(what: impl Display, error: &(dyn std::error::Error + 'static)) -> Failure {
        Failure::failed(format_args!("{what}: {}", Chain(error)))
    }

    /// Says so on standard error.
    pub fn report(&self) -> ExitCode {
        eprintln!("sluice: {}", self.text);
        ExitCode::from(self.code)
    }
}

/// Reads the configuration file, or takes the defaults when there is none.
///
/// # Errors
/// The file can't be read, or all of its problems, a line each.
pub fn load(file: Option<&Path>) -> Result<Config, Failure> {
    let Some(file) = file else { return Ok(Config::default()) };
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::because(format_args!("{} can't be read", file.display()), &error))?;
    Config::parse(&text).map_err(|problems| {
        let lines: String = problems.iter().map(|problem| format!("\n  {problem}")).collect();
        let count = problems.len();
        Failure::usage(format_args!("{} has {count} problem{}:{lines}", file.display(), plural(count)))
    })
}

/// Opens the registry of a data folder.
///
/// # Errors
/// It can't be opened.
pub fn open_registry(folder: &Folder) -> Result<Registry, Failure> {
    Registry::open(&folder.registry()).map_err(|error| Failure::because("registry", &error))
}

/// A time as people write it (RFC 3339).
fn instant(text: &str) -> Result<Timestamp, String> {
    let at: jiff::Timestamp = text.parse().map_err(|error: jiff::Error| error.to_string())?;
    Ok(Timestamp(at.as_millisecond()))
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}
