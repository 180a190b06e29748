//! How much of the budget is used, and by whom the rest may be.
//!
//! A job frees its input only by committing its outputs. If appends could take the last byte, nobody could ever make
//! room again; so they are refused while there is some left for those who read.

use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::{Connection, Statement};

use crate::options::{Options, OverBudget};
use crate::schema::{PAGE_BYTES, from_sql};

/// Looks into the file for what is used.
pub(crate) struct Room<'c> {
    page_count: Statement<'c>,
    free_count: Statement<'c>,
    budget: Option<u64>,
    policy: OverBudget,
    /// What was used when it was last looked, for others to see.
    used: &'c AtomicU64,
}

/// Whether so much of a budget is used that what may be left out should be: a twentieth before appends are refused,
/// and a twentieth behind the point from which on all goes that was read, so it is the unread that fills the log.
pub(crate) fn is_scarce(used: u64, budget: Option<u64>) -> bool {
    budget.is_some_and(|budget| used > budget / 20 * 17)
}

impl<'c> Room<'c> {
    pub fn new(conn: &'c Connection, options: &Options, used: &'c AtomicU64) -> rusqlite::Result<Room<'c>> {
        Ok(Room {
            used,
            page_count: conn.prepare("PRAGMA page_count")?,
            free_count: conn.prepare("PRAGMA freelist_count")?,
            budget: options.budget_bytes,
            policy: options.over_budget,
        })
    }

    /// What is over four fifths of the budget: so much of what has been read should go.
    pub fn pressure(&mut self) -> rusqlite::Result<u64> {
        self.over(|budget| budget / 5 * 4)
    }

    /// What must go even if it has not been read.
    pub fn excess(&mut self) -> rusqlite::Result<u64> {
        match self.policy {
            OverBudget::Refuse => Ok(0),
            OverBudget::RemoveUnread => self.over(|budget| budget),
        }
    }

    /// Whether appends are to be refused: nine tenths are used, and the rest is for those who read.
    pub fn is_reserved(&mut self) -> rusqlite::Result<bool> {
        match self.policy {
            OverBudget::Refuse => Ok(self.over(|budget| budget / 10 * 9)? > 0),
            OverBudget::RemoveUnread => Ok(false),
        }
    }

    fn over(&mut self, limit: impl FnOnce(u64) -> u64) -> rusqlite::Result<u64> {
        let Some(budget) = self.budget else { return Ok(0) };
        let pages = count(&mut self.page_count)?.saturating_sub(count(&mut self.free_count)?);
        let used = pages * PAGE_BYTES;
        self.used.store(used, Ordering::Relaxed);
        Ok(used.saturating_sub(limit(budget)))
    }
}

fn count(statement: &mut Statement<'_>) -> rusqlite::Result<u64> {
    statement.query_row([], |row| row.get(0)).map(from_sql)
}
