//! What is exported, how, and where to.

use super::Period;
use jiff::tz::TimeZone;
use records::Name;
use std::path::PathBuf;
use std::time::Duration;

/// One kind of file.
#[derive(Clone, Debug, PartialEq)]
pub struct ExportOptions {
    /// The first part of each file's name: 1 to 64 of `A-Z a-z 0-9 . _ -`.
    pub name: String,
    /// What is in it.
    pub what: Exports,
    /// Quantities; all when empty.
    pub quantities: Vec<Name>,
    /// Subjects by name, or by the beginning of it where it ends in `*`; all when empty. Areas are `area/NAME`.
    pub subjects: Vec<String>,
    /// How it is written.
    pub format: ExportFormat,
    /// How long the time of one file is.
    pub period: Period,
    /// Whose calendar it is.
    pub zone: TimeZone,
    /// Where the files are put.
    pub folder: PathBuf,
    /// So long after its end a period is written; what comes later is not in the file.
    pub delay: Duration,
    /// Files of periods that ended longer ago are removed; `None` keeps all.
    pub retention: Option<Duration>,
}

/// What rows a file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exports {
    /// Values with quality and all three times.
    Observations,
    /// The windows of one length, each by its highest revision.
    Windows(Duration),
}

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportFormat {
    /// Text (RFC 4180), times in RFC 3339, UTC.
    Csv,
    /// Typed columns, zstd.
    Parquet,
}

impl ExportFormat {
    /// What a file's name ends in.
    pub fn extension(self) -> &'static str {
        match self {
            ExportFormat::Csv => "csv",
            ExportFormat::Parquet => "parquet",
        }
    }
}

impl ExportOptions {
    /// Whether a series is wanted.
    pub(crate) fn wants(&self, subject: &str, quantity: &Name) -> bool {
        let is_named = |wanted: &String| match wanted.strip_suffix('*') {
            Some(beginning) => subject.starts_with(beginning),
            None => subject == wanted,
        };
        (self.quantities.is_empty() || self.quantities.contains(quantity))
            && (self.subjects.is_empty() || self.subjects.iter().any(is_named))
    }
}
