//! What is done now and then: retention, merging what is over, setting damaged files aside, tidying at start.

use crate::StoreError;
use crate::day::{Day, Found, Kind, find, set_aside_name};
use crate::manifest::Change;
use crate::sealed::{FileSet, SealedFile};
use crate::store::{Damaged, Store};
use records::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{DirEntry, read_dir};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How long after its end a day is over: readings of its last minutes have come by then.
const SETTLING: Duration = Duration::from_secs(3600);

impl Store {
    /// What is to be done now and then, at least hourly: removes days older than the retention, and the oldest
    /// ones while the files have more than the budget; merges days that are over. Returns how many files went.
    pub fn maintain(&self, now: Timestamp) -> Result<usize, StoreError> {
        let _one_at_a_time = self.merging();
        let removed = self.remove_old(now)?;
        let over = Day::of((now - SETTLING).millis());
        Ok(removed + self.merge_all(|day| day < over)?)
    }

    fn remove_old(&self, now: Timestamp) -> Result<usize, StoreError> {
        let retention = self.options().retention;
        let by_age = retention.map(|retention| Day::of((now - retention).millis()));
        let files = Arc::clone(&self.tables().files);
        let by_size = self.options().budget_bytes.and_then(|budget| within_budget(&files, budget, now));
        let Some(oldest_kept) = by_age.max(by_size) else { return Ok(0) };
        if by_size > by_age && files.all().any(|file| file.day < oldest_kept) {
            tracing::warn!(
                before = %oldest_kept, budget_bytes = self.options().budget_bytes,
                "the budget is reached: days are removed before the retention is over"
            );
        }
        let gone: Vec<_> = files.all().filter(|file| file.day < oldest_kept).cloned().collect();
        if gone.is_empty() {
            return Ok(0);
        }
        let count = gone.len();
        let places: BTreeSet<_> = gone.iter().map(|file| (file.kind, file.day)).collect();
        self.commit(&Change { gone: &gone, ..Change::default() }, |_| ())?;
        drop((files, gone));
        let _nothing_is_written = self.sealing();
        for (kind, day) in places {
            // Fails when a reader still holds a file in there; the next start removes it then.
            let _ = std::fs::remove_dir(day.dir(self.root(), kind));
        }
        Ok(count)
    }

    /// The files that were set aside, by day.
    pub fn damaged(&self) -> Vec<Damaged> {
        self.tables().damaged.clone()
    }

    /// Takes a file that is not what was written out of the store, keeping its bytes under another name.
    pub(crate) fn set_aside(&self, file: &Arc<SealedFile>, detail: &str) -> Result<(), StoreError> {
        let mut manifest = self.manifest();
        if !self.tables().files.contains(file) {
            return Ok(());
        }
        let path = file.path.with_file_name(set_aside_name(file.id));
        std::fs::rename(&file.path, &path).or_else(|error| match error.kind() {
            ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        })?;
        let day = file.day.to_string();
        let detail = format!("{detail}; its rows are from {}", clock_span(file));
        let damaged = Damaged { path, day, rows: file.rows, detail };
        let gone = std::slice::from_ref(file);
        manifest.commit(&Change { gone, damaged: Some(&damaged), ..Change::default() })?;
        tracing::error!(
            path = %damaged.path.display(), day = damaged.day, rows = damaged.rows, detail = damaged.detail,
            "a file is damaged and was set aside: its rows are missing until it is restored"
        );
        let mut tables = self.tables_mut();
        tables.files = Arc::new(tables.files.changed(&[], gone));
        tables.damaged.push(damaged);
        tables.damaged.sort_by(|a, b| (&a.day, &a.path).cmp(&(&b.day, &b.path)));
        Ok(())
    }
}

/// The oldest day that can stay when all files together may have `budget` bytes; today stays in any case. `None`
/// when all can.
fn within_budget(files: &FileSet, budget: u64, now: Timestamp) -> Option<Day> {
    let mut days: BTreeMap<Day, u64> = BTreeMap::new();
    for file in files.all() {
        *days.entry(file.day).or_default() += file.checks.bytes;
    }
    let (mut bytes, mut kept) = (0, None);
    for (day, size) in days.into_iter().rev() {
        bytes += size;
        if bytes > budget && day < Day::of(now.millis()) {
            return kept.or(Some(Day::of(now.millis())));
        }
        kept = Some(day);
    }
    None
}

/// The hours of its day that a file has rows of, as `07:12 to 09:59 UTC`.
pub(crate) fn clock_span(file: &SealedFile) -> String {
    let (first, last) = file.extent();
    let clock = |at: Timestamp| {
        let minute = (at.millis() - file.day.start()) / 60_000;
        format!("{:02}:{:02}", minute / 60, minute % 60)
    };
    format!("{} to {} UTC", clock(first), clock(last))
}

/// Removes what no manifest names from the folders, and tells the highest number that is in use.
pub(crate) fn remove_strays(root: &Path, is_named: impl Fn(Kind, u64) -> bool) -> Result<u64, StoreError> {
    let mut highest = 0;
    for kind in Kind::ALL {
        let dir = root.join(kind.name());
        std::fs::create_dir_all(&dir)?;
        for day in read_dir(&dir)? {
            let day = day?;
            if !day.file_type()?.is_dir() || !day.file_name().to_string_lossy().starts_with("day=") {
                continue;
            }
            for file in read_dir(day.path())? {
                highest = highest.max(remove_stray(&file?, |id| is_named(kind, id))?);
            }
            // Only an empty folder goes.
            let _ = std::fs::remove_dir(day.path());
        }
    }
    Ok(highest)
}

fn remove_stray(file: &DirEntry, is_named: impl Fn(u64) -> bool) -> Result<u64, StoreError> {
    let id = match find(&file.file_name().to_string_lossy()) {
        None => return Ok(0),
        Some(Found::SetAside(id)) => return Ok(id),
        Some(Found::Finished(id)) if is_named(id) => return Ok(id),
        Some(Found::Finished(id) | Found::Unfinished(id)) => id,
    };
    tracing::info!(path = %file.path().display(), "removed a file that no seal or merge finished");
    std::fs::remove_file(file.path())?;
    Ok(id)
}
