//! One session's subscriptions.

use super::Letter;
use super::mailbox::Mailbox;
use super::table::{Subscription, split_shared};
use super::{Fanout, Publication};
use crate::normalize::mapping::Filter;
use crate::packet::{Options, RetainHandling};
use crate::state::{self, key};
use records::{Note, Timestamp};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A mailbox, and the filters for which it gets something. When it is dropped, they are gone.
#[derive(Debug)]
pub(crate) struct Membership {
    fanout: Arc<Fanout>,
    pub mailbox: Arc<Mailbox>,
    filters: Vec<Box<str>>,
}

impl Membership {
    /// `session`: under which it is noted, when it outlives its connection.
    pub(crate) fn new(fanout: Arc<Fanout>, session: Option<u64>) -> Membership {
        let id = fanout.last_mailbox.fetch_add(1, Ordering::Relaxed) + 1;
        let mailbox = Arc::new(Mailbox::new(id, session, fanout.mailbox_budget));
        Membership { fanout, mailbox, filters: Vec::new() }
    }

    /// How many filters it has.
    pub(crate) fn len(&self) -> usize {
        self.filters.len()
    }

    /// Whether it has this filter.
    pub(crate) fn has(&self, filter: &str) -> bool {
        self.filters.iter().any(|held| **held == *filter)
    }

    /// Adds a filter, or serves it in another way. What is retained waits in the mailbox when this returns, in front
    /// of whatever is published later, and nothing is between the two. Returns what is to be noted.
    pub(crate) fn subscribe(
        &mut self,
        filter: &Filter,
        options: Options,
        identifier: Option<u32>,
        now: Timestamp,
    ) -> Vec<Note> {
        let mut notes: Vec<Note> = self
            .mailbox
            .session
            .map(|session| state::subscribed(session, filter.as_str(), options, identifier))
            .into_iter()
            .collect();
        let mut board = self.fanout.write();
        let since = self.fanout.queue().next_number();
        let subscription = Subscription { mailbox: self.mailbox.clone(), options, identifier, since };
        let is_new = board.table.insert(filter.as_str(), subscription);
        self.fanout.note_subscriptions(&board.table);
        let is_asked_for = match options.retain_handling {
            RetainHandling::Always => true,
            RetainHandling::IfNew => is_new,
            RetainHandling::Never => false,
        };
        // 4.8.2: a shared subscription gets nothing that is retained.
        if is_asked_for && split_shared(filter.as_str()).0.is_none() {
            for publication in board.retained.matching(filter, now) {
                let mut letter = retained(publication, options, identifier);
                notes.extend(self.mailbox.keep(&mut letter));
                let posted = self.mailbox.post(letter);
                self.fanout.count(&self.mailbox, posted);
            }
        }
        drop(board);
        if is_new {
            self.filters.push(filter.as_str().into());
        }
        notes
    }

    /// `None` when there was no such subscription; otherwise what is to be noted.
    pub(crate) fn unsubscribe(&mut self, filter: &str) -> Option<Vec<Note>> {
        let place = self.filters.iter().position(|held| **held == *filter)?;
        self.filters.swap_remove(place);
        let mut board = self.fanout.write();
        board.table.remove(filter, &self.mailbox);
        self.fanout.note_subscriptions(&board.table);
        let removal = |session| Note::Remove { key: key::subscription(session, filter) };
        Some(self.mailbox.session.map(removal).into_iter().collect())
    }
}

fn retained(publication: &Publication, options: Options, identifier: Option<u32>) -> Letter {
    Letter {
        publication: publication.clone(),
        qos: options.qos.min(publication.qos()),
        is_retained: true,
        identifiers: identifier.into_iter().collect(),
        number: 0,
        is_again: false,
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let mut board = self.fanout.write();
        for filter in &self.filters {
            board.table.remove(filter, &self.mailbox);
        }
        self.fanout.note_subscriptions(&board.table);
    }
}
