//! What goes because of its age, or because there is too much.

use crate::StoreError;
use crate::day::{Day, Kind};
use crate::manifest::Change;
use crate::sealed::FileSet;
use crate::store::{Options, Store};
use records::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What goes together when there is too much, and in which order.
const FIRST_TO_GO: [&[Kind]; 4] = [
    &[Kind::Observations, Kind::Aggregates, Kind::Happenings],
    &[Kind::Minutes],
    &[Kind::Hours],
    &[Kind::Days],
];

impl Store {
    /// Removes folders that are over their retention or beyond the budget. Raw values stay until they are rolled up.
    pub(crate) fn remove_old(&self, now: Timestamp) -> Result<usize, StoreError> {
        let by_age = cutoffs(self.options(), now);
        let mut kept = within_budget(&self.tables().files, self.options().budget_bytes, &by_age, now);
        match self.let_minutes_outlive(&kept) {
            Ok(()) => (),
            // The values stay until there is room for what they amount to.
            Err(StoreError::Full(_)) => drop(kept.remove(&Kind::Observations)),
            Err(error) => return Err(error),
        }
        let files = Arc::clone(&self.tables().files);
        for (kind, day) in &kept {
            if by_age.get(kind) < Some(day) {
                tracing::warn!(
                    kind = kind.name(), before = %day, budget_bytes = self.options().budget_bytes,
                    "the budget is reached: rows are removed before the retention is over"
                );
            }
        }
        let is_old = |kind: Kind, folder: Day| kept.get(&kind).is_some_and(|day| kind.end_of(folder) <= *day);
        let old = files.all().filter(|file| is_old(file.kind, file.day));
        let gone: Vec<_> =
            old.filter(|file| file.kind != Kind::Observations || files.is_rolled(file)).cloned().collect();
        if gone.is_empty() {
            return Ok(0);
        }
        let count = gone.len();
        let places: BTreeSet<_> = gone.iter().map(|file| (file.kind, file.day)).collect();
        let horizons: Vec<(Kind, Day)> = kept
            .iter()
            .map(|(kind, day)| (*kind, kind.folder_of(day.start()).max(files.horizon(*kind))))
            .collect();
        let mended: Vec<(Kind, Day)> =
            files.holes().iter().filter(|(kind, folder)| is_old(*kind, *folder)).copied().collect();
        let change = Change { gone: &gone, horizons: &horizons, mended: &mended, ..Change::default() };
        self.commit(&change, |_| ())?;
        drop((files, gone));
        let _nothing_is_written = self.sealing();
        for (kind, folder) in places {
            // Fails when a reader still holds a file in there; the next start removes it then.
            let _ = std::fs::remove_dir(kind.dir(self.root(), folder));
        }
        Ok(count)
    }

    /// Makes the minutes of days that were spared them and whose values go before their minutes would.
    fn let_minutes_outlive(&self, kept: &BTreeMap<Kind, Day>) -> Result<(), StoreError> {
        let goes = |kind: Kind, day: Day| kept.get(&kind).is_some_and(|cutoff| day < *cutoff);
        self.mend_roll_ups(|day| goes(Kind::Observations, day) && !goes(Kind::Minutes, day))
    }

    /// Whether rows of a day may go at once.
    pub(crate) fn is_day_old(&self, day: Day, now: Timestamp) -> bool {
        cutoffs(self.options(), now).get(&Kind::Observations).is_some_and(|cutoff| day < *cutoff)
    }
}

/// By kind, the first day that stays for its age.
fn cutoffs(options: &Options, now: Timestamp) -> BTreeMap<Kind, Day> {
    let retentions = [
        (Kind::Observations, options.retention),
        (Kind::Aggregates, options.retention),
        (Kind::Happenings, options.retention),
        (Kind::Minutes, options.minutes_retention),
        (Kind::Hours, options.hours_retention),
        (Kind::Days, options.days_retention),
    ];
    let cutoff = |(kind, retention): (Kind, Option<_>)| Some((kind, Day::of((now - retention?).millis())));
    retentions.into_iter().filter_map(cutoff).collect()
}

/// The same when all files together may have `budget` bytes.
fn within_budget(
    files: &FileSet,
    budget: Option<u64>,
    by_age: &BTreeMap<Kind, Day>,
    now: Timestamp,
) -> BTreeMap<Kind, Day> {
    let mut kept = by_age.clone();
    let Some(budget) = budget else { return kept };
    let today = Day::of(now.millis());
    let stays = |kind: Kind, folder: Day| by_age.get(&kind).is_none_or(|day| kind.end_of(folder) > *day);
    let mut folders: BTreeMap<(Kind, Day), u64> = BTreeMap::new();
    for file in files.all().filter(|file| stays(file.kind, file.day)) {
        *folders.entry((file.kind, file.day)).or_default() += file.checks.bytes;
    }
    let mut bytes: u64 = folders.values().sum();
    for kinds in FIRST_TO_GO {
        let mut ends: Vec<Day> = folders
            .keys()
            .filter(|(kind, _)| kinds.contains(kind))
            .map(|(kind, day)| kind.end_of(*day))
            .collect();
        ends.sort_unstable();
        ends.dedup();
        for end in ends.into_iter().filter(|end| *end <= today) {
            if bytes <= budget {
                return kept;
            }
            for kind in kinds {
                let goes = |folder: Day| kind.end_of(folder) == end;
                bytes -= folders
                    .iter()
                    .filter(|((other, folder), _)| other == kind && goes(*folder))
                    .map(|(_, size)| size)
                    .sum::<u64>();
                kept.insert(*kind, end);
            }
        }
    }
    kept
}
