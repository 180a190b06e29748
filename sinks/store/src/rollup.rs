//! From raw values of days that are over to what they amount to by the minute, the hour and the day.
//!
//! Roll-ups add up: late values of a day are rolled up by themselves, and no answer tells whether that has happened
//! yet, because what is not rolled up is read as it is.
//!
//! By the minute only where that makes far fewer rows. A day that is spared it counts as one that lost its minutes, and
//! gets them when they are to outlive the values.

use crate::StoreError;
use crate::bucket::{Buckets, Summary};
use crate::columns::ValuePoint;
use crate::cover::is_whole;
use crate::day::{Day, Kind};
use crate::manifest::Change;
use crate::merge::for_each_series;
use crate::reading::{ReadError, Stored};
use crate::rolled::RollPoint;
use crate::sealed::{FileSet, SealedFile};
use crate::store::Store;
use crate::writing::{Draft, FileWriter};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const MINUTE_MS: u32 = 60_000;

/// What adds to a summary.
pub(crate) trait Summed: Stored {
    fn add_to(&self, buckets: &mut Buckets) -> Result<(), StoreError>;
}

impl Summed for ValuePoint {
    fn add_to(&self, buckets: &mut Buckets) -> Result<(), StoreError> {
        buckets.add(self.at, self.value, self.flag)
    }
}

impl Summed for RollPoint {
    fn add_to(&self, buckets: &mut Buckets) -> Result<(), StoreError> {
        buckets.join(self.start, |summary| RollPoint::add_to(self, summary))
    }
}

impl Store {
    /// Rolls up the raw values of days that are over.
    pub(crate) fn roll_up_days(&self, is_over: impl Fn(Day) -> bool) -> Result<(), StoreError> {
        loop {
            let files = Arc::clone(&self.tables().files);
            let parts = files.days().find_map(|(kind, day, of_day)| {
                let is_wanted = kind == Kind::Observations && is_over(day);
                let unrolled = of_day.iter().filter(|file| is_wanted && !files.is_rolled(file));
                let unrolled: Vec<_> = unrolled.cloned().collect();
                (!unrolled.is_empty()).then_some(unrolled)
            });
            let Some(parts) = parts else { return Ok(()) };
            self.heed(self.roll_up(&parts))?;
        }
    }

    /// Adds raw files of one day to the roll-ups. `false` when one of them went meanwhile.
    pub(crate) fn roll_up(&self, parts: &[Arc<SealedFile>]) -> Result<bool, ReadError> {
        let day = parts.first().map_or(Day(0), |part| part.day);
        let files = Arc::clone(&self.tables().files);
        let has_no_minutes = files.of_day(Kind::Minutes, day).is_empty();
        let is_spared = is_whole(&files, Kind::Observations, day)
            && (files.holes().contains(&(Kind::Minutes, day)) || has_no_minutes && self.is_spared(parts));
        let kinds = if is_spared { &Kind::ROLL_UPS[1..] } else { &Kind::ROLL_UPS[..] };
        let added = self.summed::<ValuePoint>(parts, kinds, day)?;
        let rolled: Vec<u64> = parts.iter().map(|part| part.id).collect();
        let torn = if is_spared { &[(Kind::Minutes, day)][..] } else { &[] };
        Ok(self.commit(&Change { added: &added, rolled: &rolled, torn, ..Change::default() }, |_| ())?)
    }

    /// Whether the values of a day are read themselves instead of what they amount to by the minute, because there is
    /// no minute for many of them.
    pub(crate) fn is_spared(&self, parts: &[Arc<SealedFile>]) -> bool {
        let (mut rows, mut minutes) = (0, 0);
        for entry in parts.iter().flat_map(|part| &part.index) {
            let span = (entry.last - entry.first) / MINUTE_MS + 1;
            rows += u64::from(entry.rows);
            minutes += u64::from(entry.rows.min(span));
        }
        minutes * self.options().minutes_shrink > rows
    }

    /// Makes folders of roll-ups whole again that lost a file, as far as what is finer is still there. Minutes of a day
    /// that is spared them are not made, unless the values are about to go.
    pub(crate) fn mend_roll_ups(&self, values_go: impl Fn(Day) -> bool) -> Result<(), StoreError> {
        let holes = self.tables().files.holes().clone();
        for (kind, folder) in holes {
            let files = Arc::clone(&self.tables().files);
            let Some(finer) = finer_of(&files, kind, folder) else { continue };
            let is_spared = kind == Kind::Minutes
                && !values_go(folder)
                && self.is_spared(files.of_day(Kind::Observations, folder));
            if !is_spared {
                self.heed(self.mend(&files, kind, folder, finer))?;
            }
        }
        Ok(())
    }

    fn mend(&self, files: &FileSet, kind: Kind, folder: Day, finer: Kind) -> Result<bool, ReadError> {
        let end = kind.end_of(folder);
        let parts = files.within(finer, folder.start(), end.start()).cloned();
        let parts: Vec<_> =
            parts.filter(|part| finer != Kind::Observations || files.is_rolled(part)).collect();
        let added = match finer {
            Kind::Observations => self.summed::<ValuePoint>(&parts, &[kind], folder)?,
            _ => self.summed::<RollPoint>(&parts, &[kind], folder)?,
        };
        let (gone, mended) = (files.of_day(kind, folder), [(kind, folder)]);
        let change = Change { added: &added, gone, mended: &mended, ..Change::default() };
        let is_done = self.commit(&change, |_| ())?;
        if is_done {
            tracing::info!(
                kind = kind.name(),
                folder = kind.partition(folder),
                from = finer.name(),
                "roll-ups that were not there are made"
            );
        }
        Ok(is_done)
    }

    /// What `parts` amount to, as a file of each of `kinds` (the finest first), in the folder that `day` belongs to.
    pub(crate) fn summed<P: Summed>(
        &self,
        parts: &[Arc<SealedFile>],
        kinds: &[Kind],
        day: Day,
    ) -> Result<Vec<Arc<SealedFile>>, ReadError> {
        let names = self.tables().catalog.names().to_vec();
        let mut files = Vec::with_capacity(kinds.len());
        for kind in kinds.iter().copied().filter(|_| !parts.is_empty()) {
            let (id, day) = (self.next_file(), kind.folder_of(day.start()));
            let draft = Draft { root: self.root(), steps: self.steps(), id, kind, day, level: 0, age: id };
            files.push((kind, FileWriter::<RollPoint>::create(draft)?));
        }
        for_each_series(parts, &names, |id, points: &mut Vec<P>| {
            let mut summaries = BTreeMap::new();
            for (number, (kind, file)) in files.iter_mut().enumerate() {
                summaries = match number {
                    0 => gathered(points, *kind)?,
                    _ => coarser(&summaries, *kind),
                };
                let rows = summaries.iter().flat_map(|(start, sum)| RollPoint::of(*start, kind.width(), sum));
                file.push(id, &names[id.index()], &rows.collect::<Vec<_>>())?;
            }
            Ok(())
        })?;
        Ok(files.into_iter().map(|(_, file)| file.finish()).collect::<Result<_, _>>()?)
    }
}

fn gathered<P: Summed>(points: &[P], kind: Kind) -> Result<BTreeMap<i64, Summary>, StoreError> {
    let width = Duration::from_millis(kind.width().unsigned_abs());
    let mut buckets = Buckets::new(width, Duration::ZERO, usize::MAX);
    points.iter().try_for_each(|point| point.add_to(&mut buckets))?;
    buckets.into_summaries()
}

fn coarser(finer: &BTreeMap<i64, Summary>, kind: Kind) -> BTreeMap<i64, Summary> {
    let mut summaries: BTreeMap<i64, Summary> = BTreeMap::new();
    for (start, summary) in finer {
        summaries.entry(start.div_euclid(kind.width()) * kind.width()).or_default().join(summary);
    }
    summaries
}

/// The finest of what is finer than `kind` and whole for its folder.
fn finer_of(files: &FileSet, kind: Kind, folder: Day) -> Option<Kind> {
    let end = kind.end_of(folder);
    let finer = [Kind::Observations, Kind::Minutes, Kind::Hours]
        .into_iter()
        .filter(|other| *other < kind || *other == Kind::Observations);
    let mut days = (folder.0..end.0).map(Day);
    finer
        .filter(|other| *other != kind)
        .find(|other| days.clone().all(|day| is_whole(files, *other, day)))
        .filter(|_| days.next().is_some())
}
