//! Records go when their time is over: in small steps between commits, and never unread unless the budget says so.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use records::{Offset, Topic, TopicPartition};
use rusqlite::OptionalExtension;

use crate::layout::table;
use crate::options::Retention;
use crate::schema::{from_sql, to_sql};
use crate::seat::ReaderName;
use crate::shared::Shared;
use crate::transaction::Session;

/// A step removes at most this many rows.
const STEP_ROWS: usize = 10;
/// And about this many bytes, or twice what the last commit appended.
const STEP_BYTES: u64 = 512 << 10;
/// How often to look when nothing had to go the last time.
const PERIOD: Duration = Duration::from_millis(100);
/// How much of what has been read goes for each append that found no room.
const RELIEF_BYTES: u64 = 16 << 20;
/// Between complaints about the same thing.
const QUIET: Duration = Duration::from_secs(60);

/// Remembers what has to go.
pub(crate) struct Retainer {
    looked: Instant,
    has_more: bool,
    /// The last attempt failed, and that was told.
    is_failing: bool,
    appended: u64,
    /// What must go, if it can, because an append found no room.
    relief: u64,
    /// When the oldest row of each partition was appended, where that is known.
    oldest_ms: Vec<Option<i64>>,
    losses: BTreeMap<(TopicPartition, ReaderName), u64>,
    losses_told: Instant,
    stuck_told: Option<Instant>,
}

/// What may go from a partition.
#[derive(Clone, Copy, Debug, Default)]
struct Goal {
    index: usize,
    /// Nothing at or behind this offset.
    keep: Offset,
    /// So much, whatever its age.
    bytes: u64,
    /// And what is older.
    before_ms: Option<i64>,
}

/// A row as far as removing it is concerned.
#[derive(Clone, Copy, Debug)]
struct Old {
    next: Offset,
    appended_ms: i64,
    bytes: u64,
}

impl Retainer {
    pub fn new(shared: &Shared) -> Retainer {
        Retainer {
            looked: Instant::now(),
            has_more: false,
            is_failing: false,
            appended: 0,
            relief: 0,
            oldest_ms: vec![None; shared.partitions.len()],
            losses: BTreeMap::new(),
            losses_told: Instant::now(),
            stuck_told: None,
        }
    }

    pub fn has_more(&self) -> bool {
        self.has_more
    }

    pub fn appended(&mut self, bytes: usize) {
        self.appended = bytes as u64;
        self.relief = 0;
    }

    pub fn failed(&mut self, is_full: bool) {
        self.relief = if is_full { RELIEF_BYTES } else { 0 };
        self.has_more |= is_full;
    }

    /// Removes a little, if there is something to remove.
    ///
    /// # Errors
    /// The file must be opened anew: it no longer syncs as it should.
    pub fn step(&mut self, session: &mut Session<'_>) -> rusqlite::Result<()> {
        if !self.has_more && self.looked.elapsed() < PERIOD {
            return Ok(());
        }
        self.looked = Instant::now();
        // Removal need not be durable before the next append is, so it does without an fsync of its own.
        session.conn.execute_batch("PRAGMA synchronous = NORMAL")?;
        let removed = self.remove_something(session);
        session.roll_back();
        session.conn.execute_batch("PRAGMA synchronous = FULL")?;
        match removed {
            Ok(has_removed) => {
                self.has_more = has_removed;
                self.is_failing &= !has_removed;
            }
            Err(error) => {
                self.has_more = false;
                if !std::mem::replace(&mut self.is_failing, true) {
                    tracing::warn!(%error, "old records could not be removed; trying again");
                }
            }
        }
        self.tell_losses();
        Ok(())
    }

    /// Whether something was removed, so that it is worth looking again soon.
    fn remove_something(&mut self, session: &mut Session<'_>) -> rusqlite::Result<bool> {
        let shared = session.shared;
        let pressure = self.relief.max(session.room.pressure()?);
        for goal in self.goals(shared, pressure) {
            if self.remove(session, goal)? {
                return Ok(true);
            }
        }
        let excess = session.room.excess()?;
        if excess > 0 {
            return self.remove_unread(session, excess);
        }
        if self.relief > 0 || session.room.is_reserved()? {
            self.complain(shared);
        }
        Ok(false)
    }

    /// What may go of what everybody has read.
    fn goals(&self, shared: &Shared, pressure: u64) -> Vec<Goal> {
        let now = (shared.clock)().millis();
        let mut goals = Vec::new();
        for topic in Topic::ALL {
            let retention = shared.options[topic].retention;
            goals.extend(goals_of(shared, topic, retention, now));
        }
        for goal in &mut goals {
            goal.bytes = goal.bytes.max(pressure);
        }
        goals.retain(|goal| goal.bytes > 0 || self.may_be_old(goal, now));
        // Who has the most to give gives first.
        goals.sort_by_key(|goal| std::cmp::Reverse(bytes(shared, goal.index)));
        goals
    }

    fn may_be_old(&self, goal: &Goal, now: i64) -> bool {
        let before = goal.before_ms.unwrap_or(i64::MIN);
        // What was noted before the clock stepped back says nothing.
        let oldest = self.oldest_ms[goal.index].filter(|oldest| *oldest <= now);
        oldest.unwrap_or(i64::MIN) < before
    }

    fn remove(&mut self, session: &Session<'_>, goal: Goal) -> rusqlite::Result<bool> {
        let partition = &session.shared.partitions[goal.index];
        let now = (session.shared.clock)().millis();
        let mut rows = oldest_rows(session, partition.at)?;
        believe(&mut rows, now, || first_stamp_until(session, partition.at, now))?;
        let step_bytes = STEP_BYTES.max(2 * self.appended);
        let count = goal.removable(&rows, partition.extent().next, step_bytes);
        self.oldest_ms[goal.index] = rows.get(count).map(|row| row.appended_ms);
        let Some(first) = count.checked_sub(1).map(|last| rows[last].next) else { return Ok(false) };
        let bytes = rows[..count].iter().map(|row| row.bytes).sum();
        let sql = format!("DELETE FROM {} WHERE first < ?1", table(partition.at));
        session.conn.execute(&sql, [to_sql(first)])?;
        let records = first - partition.extent().first;
        session.shared.metrics.removed_records.of(partition.at.topic).inc_by(records);
        partition.removed(first, bytes);
        self.relief = self.relief.saturating_sub(bytes);
        Ok(true)
    }

    /// The budget goes before the readers: counts who loses what.
    fn remove_unread(&mut self, session: &Session<'_>, bytes_over: u64) -> rusqlite::Result<bool> {
        let shared = session.shared;
        let can_go = |index: &usize| {
            let partition = &shared.partitions[*index];
            shared.options[partition.at.topic].retention != Retention::default()
        };
        let largest = (0..shared.partitions.len()).filter(can_go).max_by_key(|index| bytes(shared, *index));
        let Some(index) = largest else { return Ok(false) };
        let before = shared.partitions[index].extent().first;
        let goal = Goal { index, keep: Offset::MAX, bytes: bytes_over, before_ms: None };
        let has_removed = self.remove(session, goal)?;
        self.count_losses(shared, index, before);
        Ok(has_removed)
    }

    fn count_losses(&mut self, shared: &Shared, index: usize, before: Offset) {
        let at = shared.partitions[index].at;
        let first = shared.partitions[index].extent().first;
        let mut most = 0;
        for (name, position) in shared.roster.of(index) {
            let lost = first.saturating_sub(position.keep.max(before));
            most = most.max(lost);
            if lost > 0 {
                *self.losses.entry((at, name)).or_default() += lost;
            }
        }
        shared.metrics.lost_records.of(at.topic).inc_by(most);
    }

    fn tell_losses(&mut self) {
        if self.losses.is_empty() || self.has_more && self.losses_told.elapsed() < Duration::from_secs(1) {
            return;
        }
        self.losses_told = Instant::now();
        for ((partition, reader), records) in std::mem::take(&mut self.losses) {
            tracing::error!(%partition, %reader, records, "the log's budget is used up: removed before they were read");
        }
    }

    fn complain(&mut self, shared: &Shared) {
        if self.stuck_told.is_some_and(|told| told.elapsed() < QUIET) {
            return;
        }
        self.stuck_told = Some(Instant::now());
        let lags = (0..shared.partitions.len()).flat_map(|index| {
            let next = shared.partitions[index].extent().next;
            let readers = shared.roster.of(index).into_iter();
            readers.map(move |(name, position)| (next.saturating_sub(position.keep), index, name))
        });
        if let Some((records, index, reader)) = lags.max() {
            let partition = shared.partitions[index].at;
            tracing::warn!(%partition, %reader, records, "the log is full of records that are still to be read");
        } else {
            tracing::warn!("the log is full, and nothing in it may be removed");
        }
    }
}

impl Goal {
    /// How many of the oldest rows go now. The newest row of a partition stays: it says where to go on.
    fn removable(&self, rows: &[Old], newest: Offset, step_bytes: u64) -> usize {
        let mut bytes = 0;
        let go = rows.iter().take(STEP_ROWS).take_while(|row| {
            let is_unread = row.next > self.keep || row.next >= newest;
            let is_over = bytes < self.bytes || row.appended_ms < self.before_ms.unwrap_or(i64::MIN);
            let is_small_step = bytes == 0 || bytes + row.bytes <= step_bytes;
            bytes += row.bytes;
            !is_unread && is_over && is_small_step
        });
        go.count()
    }
}

fn goals_of(shared: &Shared, topic: Topic, retention: Retention, now: i64) -> Vec<Goal> {
    if retention == Retention::default() {
        return Vec::new();
    }
    let before = |age: Duration| now.saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX));
    let indices: Vec<_> = shared.layout.of(topic).filter_map(|at| shared.layout.index(at)).collect();
    let total: u64 = indices.iter().map(|index| bytes(shared, *index)).sum();
    let goal = |index| Goal {
        index,
        keep: shared.roster.keep(index),
        bytes: total.saturating_sub(retention.bytes.unwrap_or(u64::MAX)),
        before_ms: retention.age.map(before),
    };
    let has_read_rows = |goal: &Goal| shared.partitions[goal.index].extent().first < goal.keep;
    indices.into_iter().filter(|index| bytes(shared, *index) > 0).map(goal).filter(has_read_rows).collect()
}

fn bytes(shared: &Shared, index: usize) -> u64 {
    shared.partitions[index].extent().bytes()
}

fn oldest_rows(session: &Session<'_>, at: TopicPartition) -> rusqlite::Result<Vec<Old>> {
    let limit = STEP_ROWS + 1;
    let table = table(at);
    let sql =
        format!("SELECT first + count, appended_ms, length(batch) FROM {table} ORDER BY first LIMIT {limit}");
    let mut statement = session.conn.prepare(&sql)?;
    let old = |row: &rusqlite::Row<'_>| {
        Ok(Old { next: from_sql(row.get(0)?), appended_ms: row.get(1)?, bytes: from_sql(row.get(2)?) })
    };
    statement.query_map([], old)?.collect()
}

/// When rows were appended as far as a clock that was ahead can be believed: not after now, and not after a row behind
/// them was. Without this, what was appended under such a clock would stay until the time comes that it said, and so
/// would everything behind it.
///
/// `settled`: the stamp of the first row of the partition that is not after now.
fn believe(
    rows: &mut [Old],
    now: i64,
    settled: impl FnOnce() -> rusqlite::Result<Option<i64>>,
) -> rusqlite::Result<()> {
    let mut latest = match rows.last() {
        Some(last) if last.appended_ms > now => settled()?.unwrap_or(now),
        _ => now,
    };
    for row in rows.iter_mut().rev() {
        latest = latest.min(row.appended_ms);
        row.appended_ms = latest;
    }
    Ok(())
}

fn first_stamp_until(session: &Session<'_>, at: TopicPartition, now: i64) -> rusqlite::Result<Option<i64>> {
    let sql = format!("SELECT appended_ms FROM {} WHERE appended_ms <= ?1 ORDER BY first LIMIT 1", table(at));
    session.conn.query_row(&sql, [now], |row| row.get(0)).optional()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(goal: Goal, count: usize) {
        // Five rows of 100 bytes and ten records, a second apart.
        let row = |n: u64| Old { next: 10 * (n + 1), appended_ms: 1000 * n as i64, bytes: 100 };
        let rows: Vec<_> = (0..5).map(row).collect();
        assert_eq!(goal.removable(&rows, 50, 350), count, "{goal:?}");
    }

    #[test]
    fn a_clock_that_was_ahead_is_not_believed() {
        let check = |stamps: &[i64], settled: Option<i64>, believed: &[i64]| {
            let old = |stamp: &i64| Old { next: 0, appended_ms: *stamp, bytes: 0 };
            let mut rows: Vec<_> = stamps.iter().map(old).collect();
            believe(&mut rows, 100, || Ok(settled)).expect("nothing is read");
            assert_eq!(rows.iter().map(|row| row.appended_ms).collect::<Vec<_>>(), believed, "{stamps:?}");
        };
        check(&[], None, &[]);
        check(&[10, 20, 30], None, &[10, 20, 30]);
        check(&[10, 50, 20, 30], None, &[10, 20, 20, 30]);
        check(&[10, 900, 950], None, &[10, 100, 100]);
        check(&[900, 950], Some(40), &[40, 40]);
    }

    #[test]
    fn what_goes_is_read_over_the_limit_and_not_the_newest() {
        let all = Goal { keep: Offset::MAX, bytes: 10_000, ..Goal::default() };
        check(Goal { bytes: 0, ..all }, 0);
        check(Goal { bytes: 1, ..all }, 1);
        check(Goal { bytes: 101, ..all }, 2);
        check(all, 3);
        check(Goal { keep: 29, ..all }, 2);
        check(Goal { keep: 0, ..all }, 0);
        check(Goal { bytes: 0, before_ms: Some(1001), ..all }, 2);
        let rows = [Old { next: 50, appended_ms: 0, bytes: 100 }];
        assert_eq!(all.removable(&rows, 50, 350), 0);
    }
}
