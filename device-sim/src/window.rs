//! What a client has sent and the broker has not yet acknowledged.

use crate::city::Message;
use rumqttc::{ConnectionError, Event, EventLoop, Outgoing, Packet};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Messages on their way, oldest first, with the packet id that each got.
#[derive(Default)]
pub struct Window {
    sent: Mutex<VecDeque<(Option<u16>, Message)>>,
    moved: Notify,
    taken: AtomicU64,
}

impl Window {
    fn lock(&self) -> MutexGuard<'_, VecDeque<(Option<u16>, Message)>> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The client sends in order, so an id belongs to the oldest message without one.
    fn name(&self, packet: u16) {
        if let Some((id, _)) = self.lock().iter_mut().find(|(id, _)| id.is_none()) {
            *id = Some(packet);
        }
    }

    fn take(&self, packet: u16) -> Option<Message> {
        let mut sent = self.lock();
        let place = sent.iter().position(|(id, _)| *id == Some(packet))?;
        let (_, message) = sent.remove(place)?;
        self.taken.fetch_add(1, Ordering::Relaxed);
        self.moved.notify_one();
        Some(message)
    }

    /// How many messages were ever acknowledged.
    pub fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// Waits until fewer than `most` messages are on their way.
    pub async fn wait_below(&self, most: usize) {
        while self.lock().len() >= most {
            self.moved.notified().await;
        }
    }

    /// Prepares for a new connection: the packet ids of the old one mean nothing any more. Returns the payloads
    /// that must be sent again, oldest first.
    pub fn reopen(&self) -> Vec<Vec<u8>> {
        let unnamed = |(id, message): &mut (Option<u16>, Message)| {
            *id = None;
            message.payload.clone()
        };
        self.lock().iter_mut().map(unnamed).collect()
    }

    /// Takes in a message that is about to be sent.
    pub fn push(&self, message: Message) {
        self.lock().push_back((None, message));
    }
}

/// Reads what the broker says until the connection is lost; calls `count` with the time of each message that
/// it acknowledged.
pub async fn acknowledge(events: &mut EventLoop, window: &Window, count: impl Fn(i64)) -> ConnectionError {
    loop {
        match events.poll().await {
            Err(error) => return error,
            Ok(Event::Outgoing(Outgoing::Publish(id))) => window.name(id),
            Ok(Event::Incoming(Packet::PubAck(ack))) => {
                if let Some(message) = window.take(ack.pkid) {
                    count(message.time);
                }
            }
            Ok(_) => {}
        }
    }
}
