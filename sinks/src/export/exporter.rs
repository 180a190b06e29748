//! Writes the files that are due, each once and whole.

use super::sheet::write;
use super::{ExportOptions, Exports};
use records::{Name, Timestamp};
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use store::{SeriesKind, Store, StoreError};

/// Why a file could not be written; it is tried again.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The store did not answer.
    #[error("the store did not answer")]
    Store(#[from] StoreError),
    /// A file can't be read or written.
    #[error("a file can't be read or written")]
    File(#[from] std::io::Error),
    /// Parquet can't be written.
    #[error("the file can't be written")]
    Columns(#[from] parquet::errors::ParquetError),
}

/// A file that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    /// Where it is.
    pub file: PathBuf,
    /// Its rows.
    pub rows: u64,
}

/// The files of one `[[export]]`.
///
/// A file is written beside its place, synced, and renamed; then the folder's mark moves to the next period. A death
/// between the two writes the same file once more in its place, so there is neither a gap nor a row twice.
pub struct Export {
    options: ExportOptions,
    store: Store,
}

impl Export {
    /// Exports of `store`.
    pub fn new(options: ExportOptions, store: Store) -> Export {
        Export { options, store }
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.options.name
    }

    /// Whether there is something to do at `now`: a period whose delay is over, or to find out where to begin.
    ///
    /// # Errors
    /// The folder can't be read.
    pub fn is_due(&self, now: Timestamp) -> Result<bool, ExportError> {
        Ok(self.marked()?.is_none_or(|next| self.over(next, now).is_some()))
    }

    /// Writes the next file if it is due, and removes those that are too old. All that the log has held when it
    /// became due must be in the store: the first call begins with the oldest row there.
    ///
    /// # Errors
    /// The store did not answer, or a file can't be written; nothing has changed then.
    pub fn run(&self, now: Timestamp) -> Result<Option<Exported>, ExportError> {
        let next = match self.marked()? {
            Some(next) => next,
            None => self.begin(now)?,
        };
        let Some((start, end)) = self.over(next, now) else { return Ok(None) };
        let ExportOptions { folder, name, period, zone, format, .. } = &self.options;
        let file = folder.join(format!("{name}-{}.{}", period.label(start, zone), format.extension()));
        let part = folder.join(format!(".{name}.part"));
        let rows = self.fill(&File::create(&part)?, start, end)?;
        settle(&part, &file, folder)?;
        self.mark(end)?;
        self.remove_old(now)?;
        Ok(Some(Exported { file, rows }))
    }

    /// The period that holds `next`, if its delay is over.
    fn over(&self, next: Timestamp, now: Timestamp) -> Option<(Timestamp, Timestamp)> {
        let around = self.options.period.around(next, &self.options.zone);
        around.filter(|(_, end)| now >= *end + self.options.delay)
    }

    fn fill(&self, file: &File, from: Timestamp, to: Timestamp) -> Result<u64, ExportError> {
        let names = self.names();
        let rows = match self.options.what {
            Exports::Observations => {
                let values =
                    names.iter().map(|(subject, quantity)| self.store.values(subject, quantity, from, to));
                write(file, self.options.format, values)?
            }
            Exports::Windows(length) => {
                let windows = names.iter().map(|(subject, quantity)| {
                    self.store.aggregates(subject, quantity, Some(length), from, to)
                });
                write(file, self.options.format, windows)?
            }
        };
        file.sync_all()?;
        Ok(rows)
    }

    fn names(&self) -> Vec<(Name, Name)> {
        let mut names = self.store.names();
        names.retain(|(subject, quantity)| self.options.wants(subject, quantity));
        names
    }

    /// Where to begin: with the oldest row that is stored, else now.
    fn begin(&self, now: Timestamp) -> Result<Timestamp, ExportError> {
        let kind = match self.options.what {
            Exports::Observations => SeriesKind::Raw,
            Exports::Windows(length) => SeriesKind::Window(length),
        };
        let mut subjects: Vec<Name> = self.names().into_iter().map(|(subject, _)| subject).collect();
        subjects.dedup();
        let infos = subjects.iter().flat_map(|subject| {
            let infos = self.store.series(subject).into_iter();
            infos.filter(|info| info.kind == kind && self.options.wants(subject, &info.quantity))
        });
        let oldest = infos.map(|info| info.first).min().unwrap_or(now).min(now);
        self.mark(oldest)?;
        Ok(oldest)
    }

    fn marked(&self) -> Result<Option<Timestamp>, ExportError> {
        match fs::read_to_string(self.mark_file()) {
            Ok(text) => match text.trim().parse() {
                Ok(millis) => Ok(Some(Timestamp(millis))),
                Err(_) => {
                    let error = format!("{} holds no time", self.mark_file().display());
                    Err(std::io::Error::new(ErrorKind::InvalidData, error).into())
                }
            },
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Notes the beginning of the next period, milliseconds since the epoch.
    fn mark(&self, next: Timestamp) -> Result<(), ExportError> {
        let folder = &self.options.folder;
        fs::create_dir_all(folder)?;
        let part = folder.join(format!(".{}.next.part", self.options.name));
        fs::write(&part, next.millis().to_string())?;
        File::open(&part)?.sync_all()?;
        Ok(settle(&part, &self.mark_file(), folder)?)
    }

    fn mark_file(&self) -> PathBuf {
        self.options.folder.join(format!(".{}.next", self.options.name))
    }

    /// Names of one kind of file are in the order of time.
    fn remove_old(&self, now: Timestamp) -> Result<(), ExportError> {
        let ExportOptions { folder, name, period, zone, format, retention, .. } = &self.options;
        let Some(retention) = retention else { return Ok(()) };
        let Some((oldest, _)) = period.around(now - *retention, zone) else { return Ok(()) };
        let oldest = period.label(oldest, zone);
        let (beginning, ending) = (format!("{name}-"), format!(".{}", format.extension()));
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let found = entry.file_name();
            let label =
                found.to_str().and_then(|found| found.strip_prefix(&beginning)?.strip_suffix(&ending));
            let is_ours = |label: &&str| label.len() == oldest.len() && label.as_bytes()[0].is_ascii_digit();
            if label.filter(is_ours).is_some_and(|label| label < oldest.as_str()) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
}

/// Puts a file that was written and synced in its place.
fn settle(part: &Path, file: &Path, folder: &Path) -> std::io::Result<()> {
    fs::rename(part, file)?;
    File::open(folder)?.sync_all()
}
