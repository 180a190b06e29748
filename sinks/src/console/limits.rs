//! What one question may cost, and the words for whoever asked for more.

use super::reply::Refusal;
use std::time::Duration;
use store::{Store, StoreError};
use tokio::time::Instant;

/// Bounds of one question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryLimits {
    /// Series that are read, before they are joined.
    pub series: usize,
    /// Rows of the answer.
    pub rows: usize,
    /// How long it may be worked on.
    pub time: Duration,
    /// What it may hold in memory at once.
    pub memory_bytes: usize,
}

impl Default for QueryLimits {
    fn default() -> QueryLimits {
        QueryLimits {
            series: 10_000,
            rows: 1_000_000,
            time: Duration::from_secs(20),
            memory_bytes: 128 << 20,
        }
    }
}

/// What is left of the limits while a question is answered.
pub struct Budget {
    limits: QueryLimits,
    until: Instant,
    rows: usize,
}

impl Budget {
    /// All of it, from now on.
    pub fn new(limits: QueryLimits) -> Budget {
        Budget { limits, until: Instant::now() + limits.time, rows: 0 }
    }

    /// A store that answers while there is time left.
    pub fn limited(&self, store: &Store) -> Store {
        let until = self.until;
        store.asked_while(move || Instant::now() < until)
    }

    /// Whether there is time left.
    pub fn has_time(&self) -> bool {
        Instant::now() < self.until
    }

    /// Takes so many rows of the answer.
    ///
    /// # Errors
    /// When there are too many.
    pub fn take_rows(&mut self, rows: usize) -> Result<(), Refusal> {
        self.rows += rows;
        if self.rows > self.limits.rows { Err(self.too_many_rows()) } else { Ok(()) }
    }

    /// How many more things of `size` bytes fit beside `held` bytes.
    pub fn room(&self, held: usize, size: usize) -> usize {
        self.limits.memory_bytes.saturating_sub(held) / size
    }

    /// Says so when so much can't be held at once.
    ///
    /// # Errors
    /// When it is too much.
    pub fn hold(&self, bytes: usize) -> Result<(), Refusal> {
        if bytes > self.limits.memory_bytes { Err(self.too_much_memory()) } else { Ok(()) }
    }

    /// What an error of the store means for whoever asked, and let it hold `most_values`.
    pub fn refusal(&self, error: StoreError, most_values: usize) -> Refusal {
        match error {
            StoreError::TooManyRows { limit } if limit == most_values => self.too_much_memory(),
            StoreError::TooManyRows { .. } => self.too_many_rows(),
            error => self.stopped(error),
        }
    }

    /// The same where the store itself bounds the rows.
    pub fn stopped(&self, error: StoreError) -> Refusal {
        match error {
            StoreError::Stopped => self.too_long(),
            error => error.into(),
        }
    }

    /// The time is up.
    pub fn too_long(&self) -> Refusal {
        let longest = self.limits.time.as_secs_f64();
        Refusal::TooMuch(format!("limit time: it takes longer than {longest} s; ask for less at once"))
    }

    fn too_many_rows(&self) -> Refusal {
        let most = self.limits.rows;
        Refusal::TooMuch(format!("limit rows: more than {most}; ask for wider buckets or a shorter range"))
    }

    fn too_much_memory(&self) -> Refusal {
        let most = self.limits.memory_bytes;
        let advice = "ask for narrower buckets, a shorter range, or no percentiles";
        Refusal::TooMuch(format!("limit memory: more than {most} bytes at once; {advice}"))
    }
}
