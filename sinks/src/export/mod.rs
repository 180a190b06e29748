//! What is stored, as files of whole calendar periods: CSV or Parquet for who works with files.
//!
//! Reads the store and no clock: [`Export::run`] is told what time it is.

mod exporter;

mod options;

mod period;

mod sheet;

pub use exporter::{Export, ExportError, Exported};
pub use options::{ExportFormat, ExportOptions, Exports};
pub use period::Period;
