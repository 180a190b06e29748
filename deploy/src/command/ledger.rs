//! `sluice ledger`: what became of every message, as a table; also while the server runs.

use std::path::Path;
use std::time::Duration;

use clap::Args;
use sinks::{LedgerBook, LedgerQuery, LedgerView};

use super::{Failure, load};
use crate::clock;
use crate::folder::Folder;

/// Which hours.
#[derive(Args)]
pub struct Arguments {
    /// Of one device; without it of all
    #[arg(long)]
    device: Option<String>,
    /// How far back, as 24h or 7d
    #[arg(long, value_parser = crate::config::duration, default_value = "24h")]
    since: Duration,
    /// At most so many rows; the last line, which adds up, is of all
    #[arg(long, default_value_t = 1000)]
    limit: u32,
}

/// Prints it.
///
/// # Errors
/// There is no ledger in the configured data folder, or it can't be read.
pub fn run(config: Option<&Path>, arguments: Arguments) -> Result<(), Failure> {
    let path = Folder::create(&load(config)?.data)?.ledger();
    if !path.exists() {
        return Err(Failure::failed(format_args!("there is no ledger in {}", path.display())));
    }
    let unreadable = |error: &sinks::alerts::BookError| Failure::because("ledger", error);
    let book = LedgerBook::open(&path).map_err(|error| unreadable(&error))?;
    let now = clock::now();
    let query = LedgerQuery {
        device: arguments.device.map(Into::into),
        from: now - arguments.since,
        to: now + Duration::from_secs(3600),
        limit: arguments.limit,
    };
    let (hours, total) = book.find(&query).map_err(|error| unreadable(&error))?;
    print!("{}", table(&hours, &total));
    Ok(())
}

/// One line an hour and device, columns by tab, so that both people and `cut` can read it.
fn table(hours: &[LedgerView], total: &LedgerView) -> String {
    let names = total.counts.keys().copied();
    let reasons = total.quarantined.keys().copied();
    let head: Vec<&str> =
        ["hour", "device"].into_iter().chain(names).chain(reasons).chain(["balanced"]).collect();
    let mut lines = head.join("\t") + "\n";
    for row in hours.iter().chain([total]) {
        let is_total = row.device.is_empty();
        let hour = records::Timestamp(row.hour).to_string();
        let mut cells = match is_total {
            true => vec!["total".to_owned(), String::new()],
            false => vec![hour, row.device.to_string()],
        };
        cells.extend(row.counts.values().chain(row.quarantined.values()).map(i64::to_string));
        cells.push(if row.is_balanced { "yes" } else { "no" }.to_owned());
        lines += &(cells.join("\t") + "\n");
    }
    lines
}
