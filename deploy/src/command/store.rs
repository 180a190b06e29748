//! `sluice store …`: looks after the time series on disk.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use records::Timestamp;
use sinks::store::{self, Copied, CopyError, Options, Rebuilt, Store, Verified};

use super::{Failure, load};
use crate::config::{Config, LogKind};
use crate::folder::Folder;
use crate::refill::{self, Refilled};

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
    /// Write days anew from the log: those of damaged files, or those named; Sluice must not be running
    Rebuild {
        /// Days from this time on (RFC 3339), whole days by UTC
        #[arg(long, requires = "to", value_parser = super::instant)]
        from: Option<Timestamp>,
        /// Days before this time
        #[arg(long, requires = "from", value_parser = super::instant)]
        to: Option<Timestamp>,
        /// Everything, from all that the log has
        #[arg(long, conflicts_with_all = ["from", "to"])]
        all: bool,
    },
}

/// Does it, for the data folder of the configuration.
///
/// # Errors
/// The folder can't be read, the copy not written, or something is damaged.
pub fn run(config: Option<&Path>, command: Command) -> Result<(), Failure> {
    let config = load(config)?;
    let series = Folder::create(&config.data)?.series();
    match command {
        Command::Verify => {
            report(&store::verify(&series).map_err(|error| {
                Failure::because(format_args!("the series in {}", series.display()), &error)
            })?)
        }
        Command::Backup { to } => copied(store::backup(&series, &to), &to),
        Command::Restore { from } => {
            copied(store::restore(&from, &series), &series)?;
            // The log's positions are ahead of these series: what lies between is read now or by nobody.
            let store = open(&series)?;
            if !has_log(&config) {
                println!("there is no log yet: nothing to read on from");
                return Ok(());
            }
            said(&refill::catch_up(&config, &store)?);
            Ok(())
        }
        Command::Rebuild { all: true, .. } => rebuild_all(&config, &series),
        Command::Rebuild { from, to, .. } => match refill::rebuild(&config, &open(&series)?, from.zip(to))? {
            None => {
                println!("nothing is damaged, or nothing is stored of that range");
                Ok(())
            }
            Some(Rebuilt { days, rows, regained }) => {
                println!("{} written anew: {rows} rows, {regained} of them had been lost", days.join(", "));
                Ok(())
            }
        },
    }
}

fn open(series: &Path) -> Result<Store, Failure> {
    Store::open(series, Options::default())
        .map_err(|error| Failure::because(format_args!("the series in {}", series.display()), &error))
}

fn has_log(config: &Config) -> bool {
    !matches!(config.log.kind, LogKind::Embedded) || Folder::at(&config.data).log().join("log.db").exists()
}

/// Makes new series beside the old ones and then takes their place; the old ones stay under another name.
fn rebuild_all(config: &Config, series: &Path) -> Result<(), Failure> {
    let (new, old) = (series.with_file_name("series.new"), series.with_file_name("series.old"));
    if old.exists() || new.exists() {
        let message = "series.new or series.old is left from before: move it away first";
        return Err(Failure::failed(message));
    }
    // Nobody writes meanwhile.
    let current = series.exists().then(|| open(series)).transpose()?;
    let fresh = open(&new)?;
    let refilled = refill::catch_up(config, &fresh)?;
    drop(fresh);
    if !refilled.missed.is_empty() {
        said(&refilled);
        std::fs::remove_dir_all(&new).map_err(|error| Failure::because("series.new", &error))?;
        return Err(Failure::failed(
            "the log no longer has everything, so the series stay as they are; rebuild single days, or move the \
             series away to begin with what the log has",
        ));
    }
    drop(current);
    let renamed = match series.exists() {
        true => std::fs::rename(series, &old),
        false => Ok(()),
    };
    renamed
        .and_then(|()| std::fs::rename(&new, series))
        .map_err(|error| Failure::because("the series", &error))?;
    said(&refilled);
    Ok(())
}

fn said(Refilled { rows, missed }: &Refilled) {
    println!("{rows} rows were read from the log");
    for (at, records) in missed {
        println!("{at}: {records} records that the series have not are no longer on the log");
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
