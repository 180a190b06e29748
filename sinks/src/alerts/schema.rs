//! Tables of the alert book, and the numbers that stand for names in them.

use records::{AlertState, Severity, Subject, UseCase};
use rusqlite::Connection;
use std::time::Duration;

/// `seq` is never reused: a feed client resumes behind the last one it saw.
const TABLES: &str = "
CREATE TABLE IF NOT EXISTS transition (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    alert TEXT NOT NULL,
    number INTEGER NOT NULL,
    json TEXT NOT NULL,
    UNIQUE (alert, number)
);
CREATE TABLE IF NOT EXISTS alert (
    id TEXT PRIMARY KEY,
    number INTEGER NOT NULL,
    state INTEGER NOT NULL,
    severity INTEGER NOT NULL,
    use_case INTEGER NOT NULL,
    subject_kind INTEGER NOT NULL,
    subject TEXT NOT NULL,
    opened_at INTEGER NOT NULL,
    cleared_at INTEGER,
    acknowledged_by TEXT,
    json TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS alert_by_time ON alert (opened_at);
CREATE INDEX IF NOT EXISTS alert_by_subject ON alert (subject, opened_at);
CREATE INDEX IF NOT EXISTS alert_active ON alert (severity DESC, opened_at DESC) WHERE cleared_at IS NULL;
";

/// Prepares a connection: write-ahead log, every commit on disk before it returns.
pub fn open(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.execute_batch(TABLES)
}

pub const fn state(state: AlertState) -> u8 {
    match state {
        AlertState::Open => 0,
        AlertState::Acknowledged => 1,
        AlertState::Cleared => 2,
    }
}

pub const fn severity(severity: Severity) -> u8 {
    match severity {
        Severity::Minor => 0,
        Severity::Moderate => 1,
        Severity::Severe => 2,
        Severity::Extreme => 3,
    }
}

pub const fn use_case(use_case: UseCase) -> u8 {
    match use_case {
        UseCase::Transport => 0,
        UseCase::Environment => 1,
        UseCase::Manufacturing => 2,
    }
}

pub const fn subject_kind(subject: &Subject) -> u8 {
    match subject {
        Subject::Device(_) => 0,
        Subject::Area(_) => 1,
    }
}
