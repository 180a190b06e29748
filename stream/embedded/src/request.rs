//! What is asked of the writer, and how it answers.

use std::sync::Arc;

use records::{Batch, Note, Noted, Offset, Snapshot};
use tokio::sync::oneshot;

use crate::error::Fault;
use crate::roster::Position;
use crate::seat::{ReaderName, Seat};

/// Where an answer goes. Nobody may be listening any more; that takes nothing back.
pub(crate) type Reply<T> = oneshot::Sender<Result<T, Fault>>;

/// Batches with the numbers of their partitions.
pub(crate) type Batches = Vec<(usize, Batch)>;

/// Something to be done in a transaction.
#[derive(Debug)]
pub(crate) enum Request {
    /// Append with notes, and tell the offset of each batch.
    Append { batches: Batches, notes: Vec<Note>, reply: Reply<Vec<Offset>> },
    /// Tell what is noted under keys that begin like this.
    Recall { prefix: Vec<u8>, reply: Reply<Noted> },
    /// Append outputs and move a reader on.
    Commit { seat: Arc<Seat>, marks: Marks, reply: Reply<()> },
    /// Tell a reader where it stands; from now on its unread records are kept.
    Register { seat: Arc<Seat>, with: With, reply: Reply<Vec<Standing>> },
    /// Remove all that is known of a reader that is gone for good.
    Forget { reader: ReaderName, reply: Reply<()> },
}

/// How a reader registers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct With {
    /// Tell it its snapshots.
    pub snapshots: bool,
    /// When it is new: it stands behind what is there, not before it.
    pub at_end: bool,
}

/// What a reader commits.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    pub outputs: Batches,
    pub offsets: Vec<(usize, Offset)>,
    /// What is to stand beside the offsets; empty: nothing.
    pub notes: Vec<(usize, Arc<str>)>,
    pub snapshots: Vec<(usize, Snapshot)>,
    /// Whether the reader never asks again for what lies below its offsets: a consumer, not a job.
    pub is_final: bool,
}

/// Where a reader stands in one of its partitions.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    pub position: Position,
    pub snapshot: Option<Snapshot>,
}

/// A request that was carried out, before anybody is told.
#[derive(Debug)]
pub(crate) enum Answer {
    Appended(Vec<Offset>),
    Recalled(Noted),
    Done,
    Standings(Vec<Standing>),
}

impl Request {
    /// What is appended, by whoever asks.
    pub fn batches(&self) -> &[(usize, Batch)] {
        match self {
            Request::Append { batches, .. } => batches,
            Request::Commit { marks, .. } => &marks.outputs,
            Request::Recall { .. } | Request::Register { .. } | Request::Forget { .. } => &[],
        }
    }

    /// What is noted with it.
    pub fn notes(&self) -> &[Note] {
        match self {
            Request::Append { notes, .. } => notes,
            _ => &[],
        }
    }

    /// What is to be remembered of a job's state.
    pub fn snapshots(&self) -> &[(usize, Snapshot)] {
        match self {
            Request::Commit { marks, .. } => &marks.snapshots,
            _ => &[],
        }
    }

    pub fn answer(self, answer: Result<Answer, Fault>) {
        match (self, answer) {
            (Request::Append { reply, .. }, Ok(Answer::Appended(offsets))) => send(reply, Ok(offsets)),
            (Request::Append { reply, .. }, Err(fault)) => send(reply, Err(fault)),
            (Request::Recall { reply, .. }, Ok(Answer::Recalled(noted))) => send(reply, Ok(noted)),
            (Request::Recall { reply, .. }, Err(fault)) => send(reply, Err(fault)),
            (Request::Register { reply, .. }, Ok(Answer::Standings(standings))) => send(reply, Ok(standings)),
            (Request::Register { reply, .. }, Err(fault)) => send(reply, Err(fault)),
            (Request::Commit { reply, .. } | Request::Forget { reply, .. }, answer) => {
                send(reply, answer.map(|_| ()));
            }
            // The transaction answers each kind in kind; a mix-up shows as a closed reply.
            (Request::Append { .. } | Request::Recall { .. } | Request::Register { .. }, Ok(_)) => {}
        }
    }
}

fn send<T>(reply: Reply<T>, answer: Result<T, Fault>) {
    // A caller that went away wants no answer.
    let _ = reply.send(answer);
}
