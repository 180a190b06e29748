//! The one thread that writes: takes what waits, commits it, answers, tidies up.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode};

use crate::OpenError;
use crate::error::Fault;
use crate::lock::FolderLock;
use crate::queue::{Served, Task, Waiting};
use crate::request::{Answer, Request};
use crate::retention::Retainer;
use crate::schema;
use crate::shared::{Shared, Stage};
use crate::transaction::Session;

/// How long the writer sleeps when nobody asks for anything and nothing has to go.
const IDLE: Duration = Duration::from_secs(1);
/// Between steps of removal while nothing is appended.
const PAUSE: Duration = Duration::from_millis(2);
/// Between tries to open a file that failed.
const AGAIN: Duration = Duration::from_millis(500);
/// Without a failure for this long, an outage is over: on a full disk small commits get through between others.
const CALM: Duration = Duration::from_secs(5);

/// How a session with an open file ended.
enum Ending {
    Closed,
    /// The file must be opened anew.
    Broken,
}

/// Writes until the log is closed and nobody can ask for more.
pub(crate) fn run(shared: &Arc<Shared>, conn: Connection, lock: FolderLock) {
    let end = End(Arc::clone(shared));
    let mut conn = Some(conn);
    loop {
        let ending = match conn.take().map_or_else(|| reopen(shared), Ok) {
            Ok(open) => session(shared, &open),
            Err(fault) => wait_for_better(shared, &fault),
        };
        if matches!(ending, Ending::Closed) {
            break;
        }
    }
    drop(lock);
    drop(end);
}

/// Whatever happens to the thread, nobody waits for it in vain.
struct End(Arc<Shared>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.queue.end();
        self.0.reach(Stage::Ended);
        wake_readers(&self.0);
    }
}

fn session(shared: &Shared, conn: &Connection) -> Ending {
    match Session::new(conn, shared) {
        Ok(session) => {
            Writer { session, retainer: Retainer::new(shared), last: Served::default(), failed_at: None }
                .work()
        }
        Err(error) => wait_for_better(shared, &Fault::from(&error)),
    }
}

/// Opens the file again and takes over what it says: a commit that reported a failure may be there.
fn reopen(shared: &Shared) -> Result<Connection, Fault> {
    let conn =
        schema::open(&shared.path, &shared.options, (shared.clock)()).map_err(|error| match error {
            OpenError::Storage { source, .. } => Fault::from(&source),
            other => Fault::Unavailable(other.to_string()),
        })?;
    take_over(shared, &conn).map_err(|error| Fault::from(&error))?;
    Ok(conn)
}

fn take_over(shared: &Shared, conn: &Connection) -> rusqlite::Result<()> {
    for partition in &shared.partitions {
        partition.reload(schema::extent(conn, partition.at)?);
    }
    shared.roster.set(schema::positions(conn, &shared.layout)?);
    Ok(())
}

/// Tells everyone who asks that the file can't be used now.
fn wait_for_better(shared: &Shared, fault: &Fault) -> Ending {
    tracing::warn!(error = %fault, "the log can't be opened; trying again");
    let until = Instant::now() + AGAIN;
    while let Some(left) = until.checked_duration_since(Instant::now()) {
        match shared.queue.next(left, Served::default()) {
            Task::Serve(waiting) => refuse(shared, waiting, fault),
            Task::Tidy => {}
            Task::Drained => drained(shared),
            Task::End => return Ending::Closed,
        }
    }
    Ending::Broken
}

fn refuse(shared: &Shared, waiting: Vec<Waiting>, fault: &Fault) {
    let refusals = waiting.iter().map(|_| Err(fault.clone())).collect();
    answer(shared, waiting, refusals);
}

fn answer(shared: &Shared, waiting: Vec<Waiting>, answers: Vec<Result<Answer, Fault>>) {
    shared.queue.release(Waiting::permits(&waiting));
    for (waiting, answer) in waiting.into_iter().zip(answers) {
        if answer.is_err() && matches!(waiting.request, Request::Append { .. }) {
            shared.metrics.refused_appends.inc();
        }
        waiting.request.answer(answer);
    }
}

fn drained(shared: &Shared) {
    shared.reach(Stage::Drained);
    wake_readers(shared);
}

fn wake_readers(shared: &Shared) {
    for partition in &shared.partitions {
        partition.wake();
    }
}

struct Writer<'c> {
    session: Session<'c>,
    retainer: Retainer,
    last: Served,
    /// The newest failure, while an outage lasts.
    failed_at: Option<Instant>,
}

impl Writer<'_> {
    fn work(mut self) -> Ending {
        let shared = self.session.shared;
        loop {
            let idle = if self.retainer.has_more() { PAUSE } else { IDLE };
            match shared.queue.next(idle, std::mem::take(&mut self.last)) {
                Task::Serve(waiting) => {
                    if let Err(fault) = self.serve(waiting) {
                        tracing::warn!(error = %fault, "the log is opened anew");
                        return Ending::Broken;
                    }
                }
                Task::Tidy => {}
                Task::Drained => {
                    self.checkpoint();
                    drained(shared);
                }
                Task::End => {
                    self.checkpoint();
                    return Ending::Closed;
                }
            }
            if let Err(error) = self.retainer.step(&mut self.session) {
                tracing::warn!(%error, "the log is opened anew");
                return Ending::Broken;
            }
        }
    }

    /// Commits what waits. An error: the file must be opened anew.
    fn serve(&mut self, waiting: Vec<Waiting>) -> Result<(), Fault> {
        let shared = self.session.shared;
        shared.metrics.queue_bytes.set(i64::try_from(shared.queue.bytes()).unwrap_or(i64::MAX));
        match self.run(&waiting) {
            Ok(answers) => {
                answer(shared, waiting, answers);
                Ok(())
            }
            Err(error) if waiting.len() > 1 && blame(&error) == Blame::Request => self.serve_each(waiting),
            Err(error) => {
                self.failed(&error);
                let fault = Fault::from(&error);
                refuse(shared, waiting, &fault);
                if blame(&error) == Blame::File { Err(fault) } else { Ok(()) }
            }
        }
    }

    /// One request may be to blame; the others shall not fail with it.
    fn serve_each(&mut self, waiting: Vec<Waiting>) -> Result<(), Fault> {
        let mut served = Ok(());
        for alone in waiting {
            match &served {
                Ok(()) => served = self.serve(vec![alone]),
                Err(fault) => refuse(self.session.shared, vec![alone], fault),
            }
        }
        served
    }

    fn run(&mut self, waiting: &[Waiting]) -> rusqlite::Result<Vec<Result<Answer, Fault>>> {
        let metrics = &self.session.shared.metrics;
        let started = Instant::now();
        let answers = self.session.run(waiting.iter().map(|waiting| &waiting.request))?;
        metrics.commits.inc();
        self.last = Served { requests: waiting.len(), took: started.elapsed() };
        metrics.commit_seconds.observe(self.last.took.as_secs_f64());
        self.succeeded(waiting.iter().map(|waiting| waiting.bytes).sum());
        Ok(answers)
    }

    fn succeeded(&mut self, bytes: usize) {
        self.retainer.appended(bytes);
        if self.failed_at.is_some_and(|failed_at| failed_at.elapsed() > CALM) {
            self.failed_at = None;
            tracing::info!("the log can be written again");
        }
    }

    fn failed(&mut self, error: &rusqlite::Error) {
        self.session.shared.metrics.failed_commits.inc();
        self.retainer.failed(error.sqlite_error_code() == Some(ErrorCode::DiskFull));
        if self.failed_at.replace(Instant::now()).is_none() {
            tracing::warn!(%error, "the log can't be written; nothing is acknowledged until it can");
        }
    }

    /// Moves all pages to the main file, so that the next start and other tools find everything there.
    fn checkpoint(&self) {
        if let Err(error) = self.session.conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())) {
            tracing::warn!(%error, "no checkpoint at the end; the next start will do it");
        }
    }
}

/// Whose fault an error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Blame {
    /// Perhaps that of one request among those tried together: a smaller one may fit.
    Request,
    /// Somebody holds the file; later.
    Busy,
    /// The file or the disk.
    File,
}

fn blame(error: &rusqlite::Error) -> Blame {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Blame::Busy,
        Some(
            ErrorCode::SystemIoFailure
            | ErrorCode::DatabaseCorrupt
            | ErrorCode::NotADatabase
            | ErrorCode::CannotOpen
            | ErrorCode::ReadOnly
            | ErrorCode::FileLockingProtocolFailed
            | ErrorCode::ConstraintViolation,
        ) => Blame::File,
        _ => Blame::Request,
    }
}
