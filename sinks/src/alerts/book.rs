//! The alert book: every transition once, numbered in the order in which we learnt of it.

use super::query::Counts;
use super::schema;
use records::{Alert, AlertState, Name, Severity, Subject};
use rusqlite::{Connection, OptionalExtension, params};
use rustc_hash::FxHashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use tokio::sync::broadcast;

/// How far a subscriber may fall behind before it has to read the book again.
const BACKLOG: usize = 4096;

/// How alerts stand, in SQLite and, for the active ones, in memory. Calls block: not for an async thread.
pub struct AlertBook {
    writer: Mutex<Connection>,
    reader: Mutex<Connection>,
    active: RwLock<FxHashMap<Name, Arc<Alert>>>,
    news: broadcast::Sender<Arc<Transition>>,
}

/// A transition with its place in the feed.
#[derive(Debug, Clone, PartialEq)]
pub struct Transition {
    /// Rises by at least 1 from one transition to the next that we learn of.
    pub seq: u64,
    /// The transition.
    pub alert: Alert,
}

/// Why the book could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum BookError {
    /// The file can't be read or written.
    #[error("the book can't be used")]
    Storage(#[from] rusqlite::Error),
    /// What it holds is not what we write.
    #[error("the book holds what is not an entry")]
    Damaged(#[from] serde_json::Error),
}

impl AlertBook {
    /// Opens the book at `path`, or starts one.
    ///
    /// # Errors
    /// When the file can't be opened or holds something else.
    pub fn open(path: &Path) -> Result<AlertBook, BookError> {
        let writer = Connection::open(path)?;
        schema::open(&writer)?;
        let reader = Connection::open(path)?;
        reader.busy_timeout(std::time::Duration::from_secs(5))?;
        let active = RwLock::new(read_active(&reader)?);
        let (news, _) = broadcast::channel(BACKLOG);
        Ok(AlertBook { writer: Mutex::new(writer), reader: Mutex::new(reader), active, news })
    }

    /// Enters what is new among `alerts`, in one durable commit, and tells subscribers. Returns how many were.
    ///
    /// # Errors
    /// Nothing was entered.
    pub fn enter(&self, alerts: &[Alert]) -> Result<usize, BookError> {
        let mut writer = hold(&self.writer);
        let transaction = writer.transaction()?;
        let mut new = Vec::new();
        for alert in alerts {
            if let Some(seq) = enter_one(&transaction, alert)? {
                new.push(Transition { seq, alert: alert.clone() });
            }
        }
        transaction.commit()?;
        self.keep_active(&new);
        let count = new.len();
        for transition in new {
            // Nobody listening is no failure. The writer's lock is held, so the order is that of `seq`.
            let _ = self.news.send(Arc::new(transition));
        }
        Ok(count)
    }

    /// Transitions that are entered from now on. Read [`AlertBook::after`] *behind* this call and skip what comes
    /// twice, and nothing is missed.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Transition>> {
        self.news.subscribe()
    }

    /// Up to `limit` transitions behind `seq`, in order.
    ///
    /// # Errors
    /// When the book can't be read.
    pub fn after(&self, seq: u64, limit: u32) -> Result<Vec<Transition>, BookError> {
        let reader = hold(&self.reader);
        let mut select =
            reader.prepare("SELECT seq, json FROM transition WHERE seq > ?1 ORDER BY seq LIMIT ?2")?;
        let rows = select.query_map(params![signed(seq), limit], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
        })?;
        rows.map(|row| {
            let (seq, json) = row?;
            Ok(Transition { seq: seq.unsigned_abs(), alert: serde_json::from_str(&json)? })
        })
        .collect()
    }

    /// The number of the newest transition; 0 in an empty book.
    ///
    /// # Errors
    /// When the book can't be read.
    pub fn newest(&self) -> Result<u64, BookError> {
        let newest = hold(&self.reader)
            .query_row("SELECT max(seq) FROM transition", [], |row| row.get::<_, Option<i64>>(0))?;
        Ok(newest.unwrap_or(0).unsigned_abs())
    }

    /// How the alert stands, when it is active.
    pub fn active(&self, id: &str) -> Option<Arc<Alert>> {
        self.active.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// The worst active alert of every device that has one, and how many it has.
    pub fn worst_by_device(&self) -> FxHashMap<Name, (Severity, u32)> {
        let mut worst: FxHashMap<Name, (Severity, u32)> = FxHashMap::default();
        for alert in self.active.read().unwrap_or_else(PoisonError::into_inner).values() {
            if let Subject::Device(device) = &alert.subject {
                let entry = worst.entry(device.clone()).or_insert((alert.severity, 0));
                *entry = (entry.0.max(alert.severity), entry.1 + 1);
            }
        }
        worst
    }

    /// How many alerts are active, by use case and severity.
    pub fn counts(&self) -> Counts {
        Counts::of(self.active.read().unwrap_or_else(PoisonError::into_inner).values().map(AsRef::as_ref))
    }

    pub(super) fn reader(&self) -> MutexGuard<'_, Connection> {
        hold(&self.reader)
    }

    fn keep_active(&self, new: &[Transition]) {
        let mut active = self.active.write().unwrap_or_else(PoisonError::into_inner);
        for Transition { alert, .. } in new {
            if active.get(&alert.id).is_some_and(|known| known.transition > alert.transition) {
                continue;
            }
            if alert.state == AlertState::Cleared {
                active.remove(&alert.id);
            } else {
                active.insert(alert.id.clone(), Arc::new(alert.clone()));
            }
        }
    }
}

/// The number of the transition, if it was not there yet.
fn enter_one(connection: &Connection, alert: &Alert) -> Result<Option<u64>, BookError> {
    let json = serde_json::to_string(alert)?;
    let is_new = connection
        .prepare("INSERT OR IGNORE INTO transition (alert, number, json) VALUES (?1, ?2, ?3)")?
        .execute(params![alert.id.as_str(), alert.transition, json])?;
    if is_new == 0 {
        return Ok(None);
    }
    let seq = connection.last_insert_rowid();
    let cleared_at = (alert.state == AlertState::Cleared).then_some(alert.at.millis());
    connection
        .prepare(
            "INSERT INTO alert VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
             ON CONFLICT (id) DO UPDATE SET number = excluded.number, state = excluded.state,
                 severity = excluded.severity, cleared_at = excluded.cleared_at, json = excluded.json,
                 acknowledged_by = coalesce(excluded.acknowledged_by, acknowledged_by)
             WHERE excluded.number > number",
        )?
        .execute(params![
            alert.id.as_str(),
            alert.transition,
            schema::state(alert.state),
            schema::severity(alert.severity),
            schema::use_case(alert.use_case),
            schema::subject_kind(&alert.subject),
            alert.subject.name().as_str(),
            alert.opened_at.millis(),
            cleared_at,
            alert.actor.as_deref(),
            json
        ])?;
    Ok(Some(seq.unsigned_abs()))
}

fn read_active(connection: &Connection) -> Result<FxHashMap<Name, Arc<Alert>>, BookError> {
    let mut select = connection.prepare("SELECT json FROM alert WHERE cleared_at IS NULL")?;
    let rows = select.query_map([], |row| row.get::<_, String>(0))?;
    rows.map(|json| {
        let alert: Alert = serde_json::from_str(&json?)?;
        Ok((alert.id.clone(), Arc::new(alert)))
    })
    .collect()
}

/// All transitions of one alert, oldest first; empty when it is unknown.
pub(super) fn history(connection: &Connection, id: &str) -> Result<Vec<Transition>, BookError> {
    let mut select =
        connection.prepare("SELECT seq, json FROM transition WHERE alert = ?1 ORDER BY number")?;
    let rows = select.query_map([id], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))?;
    rows.map(|row| {
        let (seq, json) = row?;
        Ok(Transition { seq: seq.unsigned_abs(), alert: serde_json::from_str(&json)? })
    })
    .collect()
}

/// Who acknowledged it, if anybody did.
pub(super) fn acknowledged_by(connection: &Connection, id: &str) -> Result<Option<String>, BookError> {
    Ok(connection
        .query_row("SELECT acknowledged_by FROM alert WHERE id = ?1", [id], |row| row.get(0))
        .optional()?
        .flatten())
}

fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere leaves a rolled-back transaction behind, nothing half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn signed(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}
