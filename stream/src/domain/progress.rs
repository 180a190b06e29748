//! How far a device has come in event time, for those who must wait for several devices.

use minicbor::{Decode, Encode};
use records::Timestamp;
use std::time::Duration;

/// How far a device has come, and when it last said so.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub(super) struct Progress {
    /// Everything up to here is known, event time.
    #[cbor(n(0), with = "crate::cbor")]
    pub(super) reached: Timestamp,
    /// Ingest time of its last word.
    #[cbor(n(1), with = "crate::cbor")]
    heard: Timestamp,
}

impl Progress {
    /// A device that has said nothing yet, and is waited for from now on.
    pub(super) fn new(now: Timestamp) -> Progress {
        Progress { reached: Timestamp::MIN, heard: now }
    }

    /// The device has come to `reached`, as we know at `now`.
    pub(super) fn advance(&mut self, reached: Timestamp, now: Timestamp) {
        self.reached = self.reached.max(reached);
        self.heard = self.heard.max(now);
    }

    /// It is waited for from `now` on, however long it has been silent.
    pub(super) fn wait_from(&mut self, now: Timestamp) {
        self.heard = self.heard.max(now);
    }

    /// It has said nothing for longer than `patience`, ingest time.
    pub(super) fn is_silent(&self, now: Timestamp, patience: Duration) -> bool {
        now.since(self.heard) > patience
    }

    /// The ingest time from which on nothing more is expected of it about `at`: already, when it has come that far;
    /// else when it will have been silent for longer than `patience` and `at` will be that long ago.
    ///
    /// An instant instead of a yes or no, so that what follows does not depend on how often somebody asks.
    pub(super) fn past_from(&self, at: Timestamp, patience: Duration) -> Timestamp {
        if self.reached >= at {
            return Timestamp::MIN;
        }
        (self.heard.max(at) + patience) + Duration::from_millis(1)
    }
}

/// Whether somebody speaks at `now` after all have been silent since `last`: a site that is back. Whoever comes first
/// then brings its backlog before the others do, so they are waited for again. Twice the patience, so that a device
/// that is alone and speaks as often as the patience allows does not make everybody wait for the dead.
pub(super) fn is_back(last: Timestamp, now: Timestamp, patience: Duration) -> bool {
    now.since(last) > patience * 2
}
