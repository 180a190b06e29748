//! `sluice store …`: looks after the time series on disk.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use sinks::store::{self, Copied, CopyError, Verified};

use super::{Failure, load};
use crate::folder::Folder;

/// What can be done with the time series.
#[derive(Subcommand)]
pub enum Command {
    /// Compare every file with the manifest, byte for byte; Sluice may be running
    Verify,
    /// Copy the series as of their last seal to a folder; Sluice may be running
    Backup {
        /// A folder that is absent or empty
        to: PathBuf,
    },
    /// Put a backup where the series are to be; Sluice must not be running, and the series must not be there
    Restore {
        /// The backup
        from: PathBuf,
    },
}

/// Does it, for the data folder of the configuration.
///
/// # Errors
/// The folder can't be read, the copy not written, or something is damaged.
pub fn run(config: Option<&Path>, command: Command) -> Result<(), Failure> {
    let series = Folder::create(&load(config)?.data)?.series();
    match command {
        Command::Verify => {
            report(&store::verify(&series).map_err(|error| {
                Failure::because(format_args!("the series in {}", series.display()), &error)
            })?)
        }
        Command::Backup { to } => copied(store::backup(&series, &to), &to),
        Command::Restore { from } => copied(store::restore(&from, &series), &series),
    }
}

fn copied(result: Result<Copied, CopyError>, to: &Path) -> Result<(), Failure> {
    let Copied { files, bytes } = result.map_err(|error| Failure::because("the series", &error))?;
    println!("{files} files, {bytes} bytes are in {}", to.display());
    Ok(())
}

fn report(verified: &Verified) -> Result<(), Failure> {
    let Verified { files, rows, bytes, faults, set_aside, strays } = verified;
    for fault in faults {
        println!("{}: {} rows are lost: {}", fault.path.display(), fault.rows, fault.detail);
    }
    for stray in strays {
        println!("{}: no manifest names it; the next start removes it", stray.display());
    }
    println!(
        "{files} files with {rows} rows and {bytes} bytes are what was written; {set_aside} were set aside before"
    );
    match faults.len() {
        0 => Ok(()),
        count => Err(Failure::failed(format_args!("{count} of the files are damaged"))),
    }
}
