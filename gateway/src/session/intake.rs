//! What comes in over a session's connection: read as far as there is room, cut into packets, charged to its device.

use super::{Ending, MAX_OUTBOX, Session, scratch};
use crate::packet::{Front, Packet, Room, Version, Violation, front, pingresp};
use records::{Producer, Timestamp};
use std::task::{Context, Poll};

impl<P: Producer> Session<P> {
    /// Back-pressure: nothing is read that there is no room for, or that its device has to wait with.
    pub(super) fn may_read(&mut self, cx: &mut Context<'_>) -> bool {
        if self.pause.as_mut().is_some_and(|pause| pause.as_mut().poll(cx).is_ready()) {
            self.pause = None;
        }
        let is_stalled = self.pause.is_some() || !self.ledger.has_room(&self.gate.limits);
        if is_stalled != self.is_stalled {
            self.is_stalled = is_stalled;
            self.place.control.set_stalled(is_stalled, self.gate.sessions.now());
        }
        !is_stalled && self.outbox.len() < MAX_OUTBOX
    }

    /// Reads once and takes what is there. `false` when nothing was there.
    pub(super) fn read(&mut self, cx: &mut Context<'_>) -> bool {
        scratch::with_read_buffer(|buffer| match self.transport.poll_read(cx, buffer) {
            Poll::Pending => false,
            Poll::Ready(Ok(read @ 1..)) => {
                self.place.control.hear(self.gate.sessions.now());
                self.take(&buffer[..read]);
                self.note_halved();
                self.charge();
                true
            }
            Poll::Ready(Ok(0)) => {
                self.end(Ending::Lost);
                true
            }
            Poll::Ready(Err(error)) => {
                tracing::debug!(device = %self.device.id, %error, "read failed");
                self.end(Ending::Lost);
                true
            }
        })
    }

    /// Takes bytes that were just read, in place where it can.
    fn take(&mut self, bytes: &[u8]) {
        let ingest_time = (self.gate.clock)();
        if self.unread.is_empty() {
            let taken = self.take_packets(bytes, ingest_time);
            self.unread.extend_from_slice(&bytes[taken..]);
        } else {
            self.unread.extend_from_slice(bytes);
            self.take_unread(ingest_time);
        }
    }

    /// Bytes that dribble in are heard, but only for as long as one packet may take.
    pub(super) fn note_halved(&mut self) {
        let is_halved = !self.unread.is_empty() || self.oversized.is_some();
        let is_another = std::mem::take(&mut self.has_finished);
        self.place.control.set_halved(is_halved, is_another, self.gate.sessions.now());
    }

    /// Takes tokens for what was published. When there are too few, MQTT 5 says so to whoever publishes, and a client
    /// of 3.1.1 is not read from until there are enough.
    pub(super) fn charge(&mut self) {
        let published = std::mem::take(&mut self.published);
        let missing = self.bucket.as_ref().and_then(|bucket| bucket.take(published));
        match (missing, self.version) {
            (None, _) => {}
            (Some(_), Version::V5) if published > 0 => self.violated(Violation::Rate),
            (Some(_), Version::V5) => {}
            (Some(missing), Version::V311) => {
                self.gate.metrics.slowed.inc();
                self.pause = Some(Box::pin(tokio::time::sleep(missing)));
            }
        }
    }

    pub(super) fn take_unread(&mut self, ingest_time: Timestamp) {
        let mut unread = std::mem::take(&mut self.unread);
        let taken = self.take_packets(&unread, ingest_time);
        if taken < unread.len() {
            unread.drain(..taken);
            self.unread = unread;
        }
    }

    /// Takes every whole packet, and returns how many bytes that were. An ending takes the rest with it.
    fn take_packets(&mut self, bytes: &[u8], ingest_time: Timestamp) -> usize {
        let mut taken = self.pass_by(bytes);
        let room = Room { payload: self.gate.limits.max_payload, packet: self.gate.limits.max_packet() };
        while self.ending.is_none() {
            match front(&bytes[taken..], self.version, room) {
                Ok(Front::Whole(packet, len)) => {
                    taken += len;
                    self.has_finished = true;
                    self.take_packet(packet, ingest_time);
                }
                Ok(Front::TooLarge(publish, len)) => {
                    let there = len.min(bytes.len() - taken);
                    taken += there;
                    self.begin_oversized(&publish, len - there, ingest_time);
                }
                Ok(Front::Partial) => return taken,
                Err(violation) => self.violated(violation),
            }
        }
        bytes.len()
    }

    fn take_packet(&mut self, packet: Packet<'_>, ingest_time: Timestamp) {
        match packet {
            Packet::Publish(publish) => {
                self.published += 1;
                self.publish(&publish, ingest_time);
            }
            Packet::Pubrel { packet_id } => self.ledger.release(packet_id),
            Packet::PingReq => pingresp(&mut self.outbox),
            Packet::Disconnect(farewell) => self.disconnect(farewell),
            Packet::Subscribe(subscribe) => self.subscribe(&subscribe, ingest_time),
            Packet::Unsubscribe(unsubscribe) => self.unsubscribe(&unsubscribe),
            Packet::Answer(answer) => self.take_answer(answer),
            Packet::Connect(_) => self.violated(Violation::Order),
        }
    }
}
