//! What is done now and then: what is to be done about days that are over, setting damaged files aside, tidying at
//! start.

use crate::StoreError;
use crate::day::{Day, Found, Kind, find, set_aside_name};
use crate::manifest::Change;
use crate::sealed::SealedFile;
use crate::store::{Damaged, Store};
use records::Timestamp;
use std::fs::{DirEntry, read_dir};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How long after its end a day is over: readings of its last minutes have come by then.
const SETTLING: Duration = Duration::from_secs(3600);

impl Store {
    /// What is to be done now and then, at least hourly: rolls up days that are over, makes roll-ups again that were
    /// lost, removes what is over its retention or beyond the budget, and merges days that are over. Returns how many
    /// files went.
    pub fn maintain(&self, now: Timestamp) -> Result<usize, StoreError> {
        let _one_at_a_time = self.merging();
        let over = Day::of((now - SETTLING).millis());
        let rolled = self
            .roll_up_days(|day| day < over || self.is_day_old(day, now))
            .and_then(|()| self.mend_roll_ups(|_| false));
        let removed = match rolled {
            // What is rolled up already goes all the same, and makes room for the rest.
            Ok(()) | Err(StoreError::Full(_)) => self.remove_old(now)?,
            Err(error) => return Err(error),
        };
        Ok(removed + self.merge_all(|kind, folder| kind.end_of(folder) <= over)?)
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
        let torn = [(file.kind, file.day)];
        let torn = if file.kind.width() > 0 { &torn[..] } else { &[] };
        let change = Change { gone, torn, damaged: Some(&damaged), ..Change::default() };
        manifest.commit(&change)?;
        tracing::error!(
            path = %damaged.path.display(), day = damaged.day, rows = damaged.rows, detail = damaged.detail,
            "a file is damaged and was set aside: its rows are missing until it is restored"
        );
        let mut tables = self.tables_mut();
        tables.files = Arc::new(tables.files.changed(&change));
        tables.damaged.push(damaged);
        tables.damaged.sort_by(|a, b| (&a.day, &a.path).cmp(&(&b.day, &b.path)));
        Ok(())
    }
}

/// The hours of its day that a file has rows of, as `07:12 to 09:59 UTC`; with the days where it has several.
pub(crate) fn clock_span(file: &SealedFile) -> String {
    let (first, last) = file.extent();
    let is_of_one_day = Day::of(first.millis()) == Day::of(last.millis());
    let clock = |at: Timestamp| {
        let day = Day::of(at.millis());
        let minute = (at.millis() - day.start()) / 60_000;
        let clock = format!("{:02}:{:02}", minute / 60, minute % 60);
        if is_of_one_day { clock } else { format!("{day} {clock}") }
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
            if !day.file_type()?.is_dir() || !is_partition(&day.file_name().to_string_lossy()) {
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

fn is_partition(name: &str) -> bool {
    name.starts_with("day=") || name.starts_with("month=")
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
