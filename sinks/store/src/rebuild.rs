//! Days written anew from the log, because a file of theirs was lost.

use crate::StoreError;
use crate::columns::ValuePoint;
use crate::day::{Day, Kind};
use crate::happened::HappeningPoint;
use crate::manifest::Change;
use crate::memory::Memory;
use crate::point::{RawPoint, WindowPoint};
use crate::reading::ReadError;
use crate::seal::Frozen;
use crate::sealed::SealedFile;
use crate::store::{Damaged, Store};
use crate::{AggregateRow, HappeningRow, RawRow};
use records::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The kinds that are made from the log.
const FROM_LOG: [Kind; 3] = [Kind::Observations, Kind::Aggregates, Kind::Happenings];

/// Rows that are gathered before they become files.
const GATHERED: usize = 1_000_000;

/// What was written anew.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rebuilt {
    /// The UTC days, as `2026-11-22`.
    pub days: Vec<String>,
    /// Rows that they have now.
    pub rows: u64,
    /// Rows that were lost and are there again.
    pub regained: u64,
}

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// The log was asked for all rows of a day and has fewer than were stored: what it no longer has can't be rebuilt.
    #[error(
        "the log no longer has all of {day}: {found} of {known} {kind} are there, so the day stays as it is, with {lost} rows lost"
    )]
    Incomplete {
        /// The UTC day.
        day: String,
        /// Which rows.
        kind: &'static str,
        /// How many the store has or had.
        known: u64,
        /// How many the log has.
        found: u64,
        /// How many of them are in damaged files.
        lost: u64,
    },
    /// Older than the retention: raw values of that day are not kept any more.
    #[error("{0} is older than the retention")]
    Old(String),
    /// The store can't be read or written.
    #[error("the store failed")]
    Failed(#[from] StoreError),
}

impl From<ReadError> for RebuildError {
    fn from(error: ReadError) -> RebuildError {
        match error {
            ReadError::Failed(error) => RebuildError::Failed(error),
            ReadError::Damaged { detail, .. } => RebuildError::Failed(StoreError::Unavailable(
                format!("a new file is damaged: {detail}").into(),
            )),
        }
    }
}

/// Takes the rows of the log, all that the store has read of it, and keeps those of its days.
pub struct Rebuild {
    store: Store,
    days: BTreeSet<Day>,
    memory: Memory,
    files: Vec<Arc<SealedFile>>,
    /// Rows of the log, before any replaced another.
    found: BTreeMap<(Kind, Day), u64>,
}

impl Store {
    /// Reads every file and sets aside what is not as it was written.
    pub fn examine(&self) -> Result<(), StoreError> {
        let files = Arc::clone(&self.tables().files);
        for file in files.all() {
            if let Some(detail) = crate::verify::compare(file)? {
                self.set_aside(file, &detail)?;
            }
        }
        Ok(())
    }

    /// Begins to write the UTC days of `[from, to)` anew, or those that a damaged file is of. `None` when there are
    /// no such days.
    pub fn rebuild(&self, range: Option<(Timestamp, Timestamp)>) -> Option<Rebuild> {
        let tables = self.tables();
        let damaged = tables.damaged.iter().filter(|damaged| kind_of(damaged).is_some());
        let days: BTreeSet<Day> = match range {
            Some((from, to)) => {
                let stored =
                    tables.files.all().filter(|file| FROM_LOG.contains(&file.kind)).map(|file| file.day);
                let all = stored.chain(damaged.filter_map(|damaged| Day::parse(&damaged.day)));
                let last = Day::of(to.millis().saturating_sub(1));
                all.filter(|day| (Day::of(from.millis())..=last).contains(day)).collect()
            }
            None => damaged.filter_map(|damaged| Day::parse(&damaged.day)).collect(),
        };
        drop(tables);
        let (store, memory, files) = (self.clone(), Memory::new(), Vec::new());
        (!days.is_empty()).then_some(Rebuild { store, days, memory, files, found: BTreeMap::new() })
    }
}

impl Rebuild {
    /// First instant of the first day, and the instant behind the last.
    pub fn range(&self) -> (Timestamp, Timestamp) {
        let first = self.days.first().map_or(0, |day| day.start());
        let end = self.days.last().map_or(0, |day| Day(day.0 + 1).start());
        (Timestamp(first), Timestamp(end))
    }

    /// Takes rows, in the order of the log; those of other days are passed over.
    pub fn write(
        &mut self,
        raw: &[RawRow],
        windows: &[AggregateRow],
        happenings: &[HappeningRow],
    ) -> Result<(), StoreError> {
        let mut tables = self.store.tables_mut();
        let is_wanted = |at: Timestamp| self.days.contains(&Day::of(at.millis()));
        for row in raw.iter().filter(|row| is_wanted(row.event_time)) {
            if let Some(point) = RawPoint::new(row) {
                *self.found.entry((Kind::Observations, Day::of(point.event_time))).or_default() += 1;
                self.memory.raw.push(tables.series_of(&row.subject, &row.quantity), point);
            }
        }
        for row in windows.iter().filter(|row| is_wanted(row.window.start)) {
            if let Some(point) = WindowPoint::new(row) {
                *self.found.entry((Kind::Aggregates, Day::of(point.start))).or_default() += 1;
                self.memory.windows.push(tables.series_of(&row.subject, &row.quantity), point);
            }
        }
        for row in happenings.iter().filter(|row| is_wanted(row.at)) {
            if let Some(point) = HappeningPoint::new(row) {
                *self.found.entry((Kind::Happenings, Day::of(point.at))).or_default() += 1;
                let kind = records::Name::new_static(row.kind.name());
                self.memory.happenings.push(tables.series_of(&row.device, &kind), point);
            }
        }
        drop(tables);
        if self.memory.len() >= GATHERED { self.put_out() } else { Ok(()) }
    }

    /// Puts the new files in the place of the old ones, each day by itself, unless the log had less than the store.
    ///
    /// # Errors
    /// See [`RebuildError`]. Days before the one that failed are rebuilt.
    pub fn finish(mut self) -> Result<Rebuilt, RebuildError> {
        self.put_out()?;
        let _one_at_a_time = self.store.merging();
        let mut rebuilt = Rebuilt::default();
        for day in &self.days {
            let (kinds, regained) = self.check(*day)?;
            rebuilt.rows += self.replace(*day, &kinds)?;
            rebuilt.regained += regained;
            rebuilt.days.push(day.to_string());
        }
        self.store.mend_roll_ups(|_| false)?;
        Ok(rebuilt)
    }

    fn put_out(&mut self) -> Result<(), StoreError> {
        let memory = vec![Arc::new(std::mem::replace(&mut self.memory, Memory::new()))];
        let frozen = Frozen::of(memory, &self.store.tables());
        self.files.extend(self.store.write_days(frozen.series::<RawPoint>())?);
        self.files.extend(self.store.write_days(frozen.series::<WindowPoint>())?);
        self.files.extend(self.store.write_days(frozen.series::<HappeningPoint>())?);
        Ok(())
    }

    /// The kinds of rows of a day that the log has all of, and how many lost ones come back; or why they don't.
    fn check(&self, day: Day) -> Result<(Vec<Kind>, u64), RebuildError> {
        let files = Arc::clone(&self.store.tables().files);
        if day < files.horizon(Kind::Observations) {
            return Err(RebuildError::Old(day.to_string()));
        }
        let (mut kinds, mut regained) = (Vec::new(), 0);
        for kind in FROM_LOG {
            let stored: u64 = files.of_day(kind, day).iter().map(|file| file.rows).sum();
            let lost: u64 = self.damaged(kind, day).iter().map(|damaged| damaged.rows).sum();
            let (known, found) = (stored + lost, self.found.get(&(kind, day)).copied().unwrap_or(0));
            if found >= known {
                kinds.push(kind);
                regained += lost;
            } else if lost > 0 {
                let day = day.to_string();
                return Err(RebuildError::Incomplete { day, kind: kind.name(), known, found, lost });
            }
        }
        Ok((kinds, regained))
    }

    fn replace(&self, day: Day, kinds: &[Kind]) -> Result<u64, RebuildError> {
        let files = Arc::clone(&self.store.tables().files);
        let mut added: Vec<_> = kinds.iter().flat_map(|kind| self.new_files(*kind, day)).cloned().collect();
        let rows = added.iter().map(|file| file.rows).sum();
        let mut gone: Vec<_> = kinds.iter().flat_map(|kind| files.of_day(*kind, day)).cloned().collect();
        let damaged: Vec<Damaged> = kinds.iter().flat_map(|kind| self.damaged(*kind, day)).collect();
        let minutes = files.of_day(Kind::Minutes, day);
        let (mut rolled, mut mended, mut torn) = (Vec::new(), Vec::new(), Vec::new());
        let has_roll_ups = !minutes.is_empty() || files.holes().contains(&(Kind::Minutes, day));
        if has_roll_ups && kinds.contains(&Kind::Observations) {
            let raw: Vec<_> = self.new_files(Kind::Observations, day).cloned().collect();
            gone.extend(minutes.iter().cloned());
            rolled.extend(raw.iter().map(|file| file.id));
            if self.store.is_spared(&raw) {
                torn.push((Kind::Minutes, day));
            } else {
                added.extend(self.store.summed::<ValuePoint>(&raw, &[Kind::Minutes], day)?);
                mended.push((Kind::Minutes, day));
            }
            // Made again from what is finer as soon as all days are done.
            torn.extend([Kind::Hours, Kind::Days].map(|kind| (kind, kind.folder_of(day.start()))));
        }
        let new_series = self.store.tables().new_series();
        let change = Change {
            added: &added,
            gone: &gone,
            series: &new_series,
            rolled: &rolled,
            mended: &mended,
            torn: &torn,
            damaged_no_more: &damaged,
            ..Change::default()
        };
        self.store.commit(&change, |tables| {
            tables.persisted_series += new_series.len();
            tables.damaged.retain(|known| !damaged.contains(known));
        })?;
        for path in damaged.iter().map(|damaged| &damaged.path) {
            // Its rows are there again; what can't be removed does no harm.
            let _ = std::fs::remove_file(path);
        }
        Ok(rows)
    }

    fn new_files(&self, kind: Kind, day: Day) -> impl Iterator<Item = &Arc<SealedFile>> {
        self.files.iter().filter(move |file| (file.kind, file.day) == (kind, day))
    }

    fn damaged(&self, kind: Kind, day: Day) -> Vec<Damaged> {
        let day = day.to_string();
        let is_of = |damaged: &&Damaged| kind_of(damaged) == Some(kind) && damaged.day == day;
        self.store.tables().damaged.iter().filter(is_of).cloned().collect()
    }
}

/// The kind of rows that a damaged file held, if the log can give them back.
fn kind_of(damaged: &Damaged) -> Option<Kind> {
    let folder = damaged.path.parent()?.parent()?.file_name()?.to_string_lossy();
    Kind::from_name(&folder).filter(|kind| FROM_LOG.contains(kind))
}
