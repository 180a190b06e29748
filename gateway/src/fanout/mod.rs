//! From those who publish to those who subscribe.
//!
//! What is durable and wanted by anybody is queued here, is carried by `rumqttd`'s router, and is then put into the
//! mailboxes of the sessions that want it. Nobody on the durable path waits for any of this: [`Fanout::publish`]
//! returns at once, whether the router lives or not.

mod filter;
mod letter;
mod mailbox;
mod membership;
mod publication;
mod retained;
mod router;
mod table;

pub(crate) use filter::check_filter;
pub(crate) use letter::{Letter, Noted, released};
pub(crate) use mailbox::{Budget, Overflow};
pub(crate) use membership::Membership;
pub(crate) use publication::{NOBODY, Publication, Said};
pub(crate) use table::split_shared;

use crate::outage::{Closed, backoff};
use crate::packet::QoS;
use crate::state;
use crate::{Limits, Metrics};
use mailbox::{Mailbox, Posted};
use records::{Note, Timestamp};
use retained::{Change, Retained};
use router::{BATCH, BATCH_BYTES, Carrier, Down};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;
use table::{Subscription, Table};
use tokio::sync::Notify;

/// How long the router may take for a batch before it is taken for dead.
const STUCK: Duration = Duration::from_secs(5);

/// The subscribing side of a gateway: subscriptions, what is retained, and the router.
#[derive(Debug)]
pub struct Fanout {
    board: RwLock<Board>,
    /// Beside the board, so that a gateway without subscribers pays no lock for each message.
    subscriptions: AtomicUsize,
    queue: Mutex<Queue>,
    news: Notify,
    last_mailbox: AtomicU64,
    /// Of publications that are noted while they are on their way.
    last_number: AtomicU64,
    is_router_to_die: AtomicBool,
    /// Of what waits for the router.
    queue_budget: Budget,
    mailbox_budget: Budget,
    metrics: Arc<Metrics>,
}

#[derive(Debug)]
struct Board {
    table: Table,
    retained: Retained,
}

/// What the router has still to carry, in order. What it is carrying stays until it is through.
#[derive(Debug, Default)]
struct Queue {
    /// The number of the first: they are numbered as they come.
    first: u64,
    publications: VecDeque<Publication>,
    bytes: usize,
}

impl Queue {
    fn next_number(&self) -> u64 {
        self.first + self.publications.len() as u64
    }
}

impl Fanout {
    /// Without subscribers, and with nothing retained. No router runs before there is something to carry.
    pub fn new(limits: &Limits, metrics: Arc<Metrics>) -> Fanout {
        let retained = Budget { messages: limits.max_retained_messages, bytes: limits.max_retained_bytes };
        Fanout {
            board: RwLock::new(Board { table: Table::default(), retained: Retained::new(retained) }),
            subscriptions: AtomicUsize::new(0),
            queue: Mutex::default(),
            news: Notify::new(),
            last_mailbox: AtomicU64::new(NOBODY),
            last_number: AtomicU64::new(0),
            is_router_to_die: AtomicBool::new(false),
            queue_budget: Budget { messages: usize::MAX, bytes: limits.max_fanout_bytes },
            mailbox_budget: Budget { messages: limits.max_queued_messages, bytes: limits.max_queued_bytes },
            metrics,
        }
    }

    /// A drill: makes the thread of the router panic with the next batch. Subscribers miss nothing.
    pub fn kill_router(&self) {
        self.is_router_to_die.store(true, Ordering::Relaxed);
    }

    /// What subscribers get of a message that was said at `now`; `None` when nobody wants it.
    pub(crate) fn publication(&self, said: &Said<'_>, now: Timestamp) -> Option<Publication> {
        if self.subscriptions.load(Ordering::Relaxed) == 0 {
            return said.is_retained.then(|| Publication::new(said, 0, now));
        }
        let board = self.read();
        if !said.is_retained && !board.table.is_wanted(said.topic) {
            return None;
        }
        let is_owed = said.qos > QoS::AtMostOnce && board.table.is_owed(said.topic);
        let number = if is_owed { self.last_number.fetch_add(1, Ordering::Relaxed) + 1 } else { 0 };
        Some(Publication::new(said, number, now))
    }

    /// Whether that is what is retained under that topic name; an empty payload: whether nothing is.
    pub(crate) fn retains(&self, topic: &str, payload: &[u8]) -> bool {
        self.read().retained.payload(topic).unwrap_or_default() == payload
    }

    /// Whether a message of that topic name would go to anybody.
    pub(crate) fn is_wanted(&self, topic: &str) -> bool {
        self.subscriptions.load(Ordering::Relaxed) > 0 && self.read().table.is_wanted(topic)
    }

    /// Hands these on to whoever wants them. Never waits. When the router has been behind for so long that there is
    /// no room, those who wanted them are told that they have lost something.
    ///
    /// What is to be retained is retained when this returns, before anybody is told that it was published. Returns what
    /// is to be noted: what found no room.
    pub(crate) fn publish(&self, publications: Vec<Publication>) -> Vec<Note> {
        let is_any_retained = publications.iter().any(Publication::is_retained);
        self.hand_on(publications, is_any_retained)
    }

    /// What an earlier process has retained already and not delivered.
    pub(crate) fn publish_again(&self, publications: Vec<Publication>) -> Vec<Note> {
        self.hand_on(publications, false)
    }

    fn hand_on(&self, publications: Vec<Publication>, retains: bool) -> Vec<Note> {
        let (mut lost, mut notes) = (Vec::new(), Vec::new());
        // Whoever subscribes meanwhile gets what is retained, or the message itself, and not both.
        let mut board = retains.then(|| self.write());
        let mut queue = self.queue();
        for publication in publications {
            if let Some(board) = board.as_mut().filter(|_| publication.is_retained()) {
                notes.extend(self.retain(&mut board.retained, &publication).as_ref().map(state::release));
            }
            if self.queue_budget.has_room(queue.publications.len(), queue.bytes, publication.len()) {
                queue.bytes += publication.len();
                queue.publications.push_back(publication);
            } else {
                lost.push(publication);
            }
        }
        let number = queue.next_number();
        drop((queue, board));
        self.news.notify_one();
        for publication in lost {
            let miss = |mailbox: &Arc<Mailbox>, letter: Letter| self.count(mailbox, mailbox.miss(letter.qos));
            self.for_recipients(&publication, number, miss);
            notes.extend(state::arrived(&publication));
        }
        notes
    }

    /// Retains what was retained before, at a start. Returns what found no room or is worth nothing any more.
    pub(crate) fn restore(&self, publications: Vec<Publication>, now: Timestamp) -> Vec<Publication> {
        let mut board = self.write();
        let mut refused: Vec<Publication> =
            publications.iter().filter_map(|it| self.retain(&mut board.retained, it)).collect();
        refused.extend(board.retained.purge(now));
        self.count_retained(&board.retained);
        refused
    }

    /// Carries and delivers until the log is closed. What outlives the process is noted with `note` before it is
    /// delivered.
    pub(crate) async fn run<F>(&self, note: impl Fn(Vec<Note>) -> F)
    where
        F: Future<Output = Result<(), Closed>>,
    {
        let mut carrier = None;
        loop {
            let batch = self.next_batch().await;
            let carried = self.carry(&mut carrier, &batch).await;
            let mut letters = self.letters(&carried);
            let kept = letters.iter_mut().filter_map(|(mailbox, letter)| mailbox.keep(letter));
            // With them, so that after a crash it is delivered or on its way, and not both.
            let notes: Vec<Note> = kept.chain(carried.iter().filter_map(state::arrived)).collect();
            if !notes.is_empty() && note(notes).await.is_err() {
                return;
            }
            for (mailbox, letter) in letters {
                self.count(&mailbox, mailbox.post(letter));
            }
            self.take_out(&carried);
        }
    }

    /// Who is to get what of a batch that was carried.
    fn letters(&self, carried: &[Publication]) -> Vec<(Arc<Mailbox>, Letter)> {
        let first = self.queue().first;
        let mut letters = Vec::new();
        for (number, publication) in (first..).zip(carried) {
            self.for_recipients(publication, number, |mailbox, letter| {
                letters.push((mailbox.clone(), letter))
            });
        }
        letters
    }

    /// Numbers of publications go on behind this one.
    pub(crate) fn go_on(&self, last: u64) {
        self.last_number.store(last, Ordering::Relaxed);
    }

    /// Takes out what is retained and worth nothing any more.
    pub(crate) fn purge(&self, now: Timestamp) -> Vec<Publication> {
        let mut board = self.write();
        let expired = board.retained.purge(now);
        self.count_retained(&board.retained);
        expired
    }

    async fn next_batch(&self) -> Vec<Publication> {
        loop {
            let batch = self.front();
            if !batch.is_empty() {
                return batch;
            }
            self.news.notified().await;
        }
    }

    /// At least one, if there is any.
    fn front(&self) -> Vec<Publication> {
        let queue = self.queue();
        let mut bytes = 0;
        let fitting = queue.publications.iter().take(BATCH).take_while(|publication| {
            let is_first = bytes == 0;
            bytes += publication.len();
            is_first || bytes <= BATCH_BYTES
        });
        fitting.cloned().collect()
    }

    fn take_out(&self, carried: &[Publication]) {
        let mut queue = self.queue();
        queue.publications.drain(..carried.len());
        queue.first += carried.len() as u64;
        queue.bytes -= carried.iter().map(Publication::len).sum::<usize>();
    }

    /// Through the router, however often it has to be started for that. Nothing of a batch is delivered before all of
    /// it was carried, so nothing is delivered twice.
    async fn carry(&self, carrier: &mut Option<Carrier>, batch: &[Publication]) -> Vec<Publication> {
        let mut failures = 0;
        loop {
            match self.try_carry(carrier, batch).await {
                Ok(carried) => {
                    if failures > 0 {
                        tracing::info!("subscribers are served again, and have missed nothing");
                    }
                    return carried;
                }
                Err(error) => {
                    if failures == 0 {
                        tracing::warn!(%error, "the router of MQTT subscribers died: starting another one");
                    }
                    *carrier = None;
                    self.metrics.router_restarts.inc();
                    if failures > 0 {
                        tokio::time::sleep(backoff(failures)).await;
                    }
                    failures += 1;
                }
            }
        }
    }

    async fn try_carry(
        &self,
        carrier: &mut Option<Carrier>,
        batch: &[Publication],
    ) -> Result<Vec<Publication>, Down> {
        let carrier = match carrier {
            Some(carrier) => carrier,
            none => none.insert(Carrier::start().await?),
        };
        if self.is_router_to_die.swap(false, Ordering::Relaxed) {
            carrier.kill();
        }
        tokio::time::timeout(STUCK, carrier.carry(batch)).await.unwrap_or_else(|_| Err(Down::stuck()))
    }

    /// Gives it back when there is no room.
    fn retain(&self, retained: &mut Retained, publication: &Publication) -> Option<Publication> {
        let change = retained.put(publication);
        self.count_retained(retained);
        if change != Change::Refused {
            return None;
        }
        self.metrics.retained_refused.inc();
        Some(publication.clone())
    }

    /// A subscriber gets a message once, whatever of its own filters it matches (3.3.4), and once for each group.
    /// Nobody gets one whose number was given before they subscribed.
    fn for_recipients(
        &self,
        publication: &Publication,
        number: u64,
        mut each: impl FnMut(&Arc<Mailbox>, Letter),
    ) {
        let board = self.read();
        let matching = board.table.matching(publication.topic(), number);
        let mut own = matching.own;
        own.retain(|it| !(it.options.no_local && it.mailbox.id == publication.origin()));
        own.sort_by_key(|it| it.mailbox.id);
        let of_one = own.chunk_by(|one, other| one.mailbox.id == other.mailbox.id);
        for subscriptions in of_one.chain(matching.shared.iter().map(std::slice::from_ref)) {
            each(&subscriptions[0].mailbox, letter(publication, subscriptions));
        }
    }

    fn count(&self, mailbox: &Mailbox, posted: Posted) {
        match posted {
            Posted::Waits | Posted::Over => {}
            Posted::Dropped => self.metrics.deliveries_dropped.inc(),
            Posted::Overflowed => {
                tracing::debug!(mailbox = mailbox.id, "a subscriber can't keep up");
                self.metrics.subscribers_overflowed.inc();
            }
        }
    }

    fn count_retained(&self, retained: &Retained) {
        self.metrics.retained_messages.set(retained.len() as i64);
        self.metrics.retained_bytes.set(retained.bytes() as i64);
    }

    fn note_subscriptions(&self, table: &Table) {
        self.subscriptions.store(table.len(), Ordering::Relaxed);
        self.metrics.subscriptions.set(table.len() as i64);
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self) -> RwLockReadGuard<'_, Board> {
        self.board.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Board> {
        self.board.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// At the lower of the published and the highest granted QoS.
fn letter(publication: &Publication, subscriptions: &[&Subscription]) -> Letter {
    let granted = subscriptions.iter().map(|it| it.options.qos).max().unwrap_or(QoS::AtMostOnce);
    let keeps_retain = subscriptions.iter().any(|it| it.options.keeps_retain);
    Letter {
        publication: publication.clone(),
        qos: granted.min(publication.qos()),
        is_retained: keeps_retain && publication.is_retained(),
        identifiers: subscriptions.iter().filter_map(|it| it.identifier).collect(),
        number: 0,
        is_again: false,
    }
}
