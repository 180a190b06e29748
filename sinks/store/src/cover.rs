//! Which span of an answer is made from raw values, and which from roll-ups of which width.

use crate::day::{Day, Kind};
use crate::sealed::FileSet;

/// Where the rolled-up part of an answer comes from in a span of event time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub kind: Kind,
    pub from: i64,
    pub to: i64,
}

/// From the finest.
const SOURCES: [Kind; 4] = [Kind::Observations, Kind::Minutes, Kind::Hours, Kind::Days];

/// Covers `[from, to)` with parts that don't overlap, by time.
///
/// Everywhere the coarsest source counts that `is_exact` for the answer and whose spans lie inside; at the ends finer
/// ones. Where none of these is left, because rows are older than their retention, the finest that is left counts,
/// each of its spans as if all of it were at its start.
pub(crate) fn cover(files: &FileSet, from: i64, to: i64, is_exact: impl Fn(Kind) -> bool) -> Vec<Part> {
    let exact: Vec<Kind> = SOURCES.into_iter().filter(|kind| is_exact(*kind)).collect();
    let mut parts = Vec::new();
    for (from, to) in between_changes(files, from, to) {
        let day = Day::of(from);
        let whole: Vec<Kind> = exact.iter().copied().filter(|kind| is_whole(files, *kind, day)).collect();
        let ends_anywhere = |kind: &Kind| *kind == Kind::Observations;
        if whole.first().is_some_and(ends_anywhere) {
            nest(&whole, from, to, &mut parts);
        } else {
            let left = SOURCES.into_iter().find(|kind| is_whole(files, *kind, day));
            let left = left.or_else(|| SOURCES.into_iter().rev().find(|kind| day >= files.horizon(*kind)));
            let finest = left.unwrap_or(Kind::Days);
            let coarser = whole.into_iter().filter(|kind| *kind > finest);
            let sources: Vec<Kind> = std::iter::once(finest).chain(coarser).collect();
            nest(&sources, from, to, &mut parts);
        }
    }
    parts.dedup_by(|next, part| {
        let is_same = next.kind == part.kind && next.from == part.to;
        if is_same {
            part.to = next.to;
        }
        is_same
    });
    parts
}

/// Whether all rows of a day are there that were written.
pub(crate) fn is_whole(files: &FileSet, kind: Kind, day: Day) -> bool {
    day >= files.horizon(kind) && !files.holes().contains(&(kind, kind.folder_of(day.start())))
}

/// Covers a span with the coarsest of `sources`, which stand from the finest, and what it can't cover with the next.
fn nest(sources: &[Kind], from: i64, to: i64, parts: &mut Vec<Part>) {
    let Some((&kind, finer)) = sources.split_last() else { return };
    if from >= to {
        return;
    }
    let width = kind.width().max(1);
    if finer.is_empty() {
        parts.push(Part { kind, from, to });
        return;
    }
    let begin = from.saturating_add(width - 1).div_euclid(width).saturating_mul(width);
    let end = to.div_euclid(width) * width;
    if begin >= end {
        nest(finer, from, to, parts);
        return;
    }
    nest(finer, from, begin, parts);
    parts.push(Part { kind, from: begin, to: end });
    nest(finer, end, to, parts);
}

/// Cuts a span where the availability of a source changes.
fn between_changes(files: &FileSet, from: i64, to: i64) -> Vec<(i64, i64)> {
    let horizons = SOURCES.into_iter().map(|kind| files.horizon(kind).start());
    let holes = files.holes().iter().flat_map(|(kind, day)| [day.start(), kind.end_of(*day).start()]);
    let mut cuts: Vec<i64> = horizons.chain(holes).filter(|cut| from < *cut && *cut < to).collect();
    if from < to {
        cuts.extend([from, to]);
    }
    cuts.sort_unstable();
    cuts.dedup();
    cuts.windows(2).map(|pair| (pair[0], pair[1])).collect()
}
