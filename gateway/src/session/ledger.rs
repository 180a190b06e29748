//! What was received and not yet acknowledged: what gathers, and the one append that is under way.

use super::received::Received;
use super::{Sender, scratch};
use crate::Limits;
use crate::fanout::Publication;
use crate::gateway::Gate;
use crate::normalize::{self, Arrival, Normalized, Rejection};
use crate::outage::{Closed, Waiting, backoff};
use crate::packet::{Acknowledgement, Publish, QoS, ReasonCode, Version, acknowledge};
use crate::state::{self, key};
use bytes::BytesMut;
use records::{AppendError, Batch, Note, Producer, Reason, Record, Timestamp, Topic, TopicPartition};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::time::Sleep;

#[derive(Default)]
pub(super) struct Ledger {
    gathering: Option<Box<Work>>,
    under_way: Option<Box<UnderWay>>,
    /// Messages of QoS 2 that are not released.
    pub received: Received,
    /// Of a session that outlives its connection, and what it is to remember.
    session: Option<u64>,
    /// How many messages of QoS 2 came over this connection.
    claims: u32,
}

/// Messages for one append, with what is owed when it is durable.
#[derive(Default)]
pub(super) struct Work {
    telemetry: Batch,
    quarantine: Batch,
    /// What is to be remembered with them.
    notes: Vec<Note>,
    /// Messages whose observations `telemetry` holds: one may have several.
    accepted: usize,
    /// Acknowledgements, in the order of arrival.
    owed: Vec<Owed>,
    /// Other answers, ready to be sent.
    answers: BytesMut,
    /// How many of these are the end of their message's way, and so not among the received.
    last: usize,
    /// For subscribers, when it is durable.
    publications: Vec<Publication>,
    /// How many of the quarantined had which reason.
    reasons: [u32; Reason::ALL.len()],
}

/// One acknowledgement. Only MQTT 5 says the code.
#[derive(Clone, Copy)]
struct Owed {
    what: Acknowledgement,
    packet_id: u16,
    code: ReasonCode,
}

struct UnderWay {
    work: Box<Work>,
    step: Step,
    attempt: u32,
    /// Set from the first failure on.
    waiting: Option<Waiting>,
}

enum Step {
    Appending(Pin<Box<dyn Future<Output = Result<(), AppendError>> + Send>>),
    BackingOff(Pin<Box<Sleep>>),
}

impl Ledger {
    /// Of a session that had received these; with its number when it outlives its connection.
    pub(super) fn resume(received: Received, session: Option<u64>) -> Ledger {
        Ledger { received, session, ..Ledger::default() }
    }

    /// Enters an answer that waits for what was entered before it.
    pub(super) fn answer(&mut self, answer: &[u8]) {
        self.gathering.get_or_insert_with(scratch::work).answers.extend_from_slice(answer);
    }

    /// Enters what is to be remembered.
    pub(super) fn note(&mut self, note: Note) {
        self.gathering.get_or_insert_with(scratch::work).notes.push(note);
    }

    /// Enters a message. `publication` is what subscribers get of it if it is accepted.
    pub(super) fn enter(
        &mut self,
        sender: &Sender,
        arrival: Arrival<'_>,
        publish: &Publish<'_>,
        version: Version,
        normalized: Normalized,
        publication: Option<Publication>,
    ) {
        let work = self.gathering.get_or_insert_with(scratch::work);
        let key = sender.id.as_bytes();
        let code = match normalize::fit(normalized, publish.payload.len()) {
            Ok(observations) => {
                for observation in observations.as_slice() {
                    work.telemetry.push_with(key, |bytes| observation.encode(bytes));
                }
                work.accepted += 1;
                work.hand_on(publication);
                ReasonCode::Success
            }
            Err(rejection) => {
                let code = code_of(rejection.reason);
                work.quarantine(key, arrival, publish, rejection);
                code
            }
        };
        self.owe_answer(publish, version, code, arrival.ingest_time);
    }

    /// Enters a message that only clears what is retained: nothing of it goes to the log.
    pub(super) fn clear(
        &mut self,
        publish: &Publish<'_>,
        version: Version,
        publication: Publication,
        ingest_time: Timestamp,
    ) {
        self.gathering.get_or_insert_with(scratch::work).hand_on(Some(publication));
        self.owe_answer(publish, version, ReasonCode::Success, ingest_time);
    }

    fn owe_answer(&mut self, publish: &Publish<'_>, version: Version, code: ReasonCode, at: Timestamp) {
        let work = self.gathering.get_or_insert_with(scratch::work);
        // In MQTT 5 a failure ends the exchange; in 3.1.1 nothing but PUBREL does.
        if publish.qos == QoS::ExactlyOnce && !(version == Version::V5 && code.is_failure()) {
            self.received.extend(publish.packet_id);
            if let (Some(session), Some(packet_id)) = (self.session, publish.packet_id) {
                self.claims = self.claims.wrapping_add(1);
                let value = [key::time(at), self.claims.to_be_bytes().to_vec()].concat();
                work.notes.push(Note::Claim { key: key::received(session, packet_id), value });
            }
        } else {
            work.last += usize::from(publish.packet_id.is_some());
        }
        let what = first_answer(publish.qos);
        work.owed.extend(publish.packet_id.map(|packet_id| Owed { what, packet_id, code }));
    }

    /// Enters that a message was not taken: its answer waits for those before it.
    pub(super) fn refuse(&mut self, qos: QoS, packet_id: u16, code: ReasonCode) {
        self.owe(Owed { what: first_answer(qos), packet_id, code });
    }

    /// Whether this message of QoS 2 was received before. If so it is acknowledged once more as soon as it is
    /// durable, and needs nothing else.
    pub(super) fn is_repeated(&mut self, packet_id: u16) -> bool {
        match self.received.is_durable(packet_id) {
            None => return false,
            Some(true) => {
                self.owe(Owed { what: Acknowledgement::Pubrec, packet_id, code: ReasonCode::Success });
            }
            // Its first PUBREC is still to come.
            Some(false) => {}
        }
        true
    }

    /// The client has done with a message of QoS 2. It hears of it when that is durable: a packet id that came back after
    /// a restart would swallow the next message that has it.
    pub(super) fn release(&mut self, packet_id: u16) {
        let is_known = self.received.release(packet_id);
        if let Some(session) = self.session.filter(|_| is_known) {
            self.note(Note::Remove { key: key::received(session, packet_id) });
        }
        let code = if is_known { ReasonCode::Success } else { ReasonCode::PacketIdentifierNotFound };
        self.owe(Owed { what: Acknowledgement::Pubcomp, packet_id, code });
    }

    fn owe(&mut self, owed: Owed) {
        let work = self.gathering.get_or_insert_with(scratch::work);
        work.last += usize::from(owed.what != Acknowledgement::Pubcomp && owed.code.is_failure());
        work.owed.push(owed);
    }

    /// Messages whose exchange with the client is not over.
    pub(super) fn in_flight(&self) -> usize {
        let under_way = self.under_way.as_ref().map_or(0, |under_way| under_way.work.last);
        under_way + self.gathering.as_ref().map_or(0, |work| work.last) + self.received.len()
    }

    /// Moves on: acknowledges into `outbox` what has become durable, and hands over what has gathered.
    pub(super) fn poll<P: Producer>(
        &mut self,
        cx: &mut Context<'_>,
        gate: &Gate<P>,
        sender: &Sender,
        version: Version,
        outbox: &mut BytesMut,
    ) -> Result<(), Closed> {
        loop {
            let Some(under_way) = &mut self.under_way else {
                let Some(work) = self.gathering.take() else { return Ok(()) };
                if work.messages() == 0 && work.notes.is_empty() {
                    work.settle(gate, version, &mut self.received, outbox);
                    continue;
                }
                self.under_way = Some(Box::new(UnderWay::begin(work, gate, sender)));
                continue;
            };
            match under_way.poll(cx, gate, sender) {
                Poll::Pending => return Ok(()),
                Poll::Ready(durable) => durable?,
            }
            if let Some(done) = self.under_way.take() {
                Waiting::end(done.waiting);
                done.work.settle(gate, version, &mut self.received, outbox);
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.gathering.is_none() && self.under_way.is_none()
    }

    /// Whether another read may be taken on.
    pub(super) fn has_room(&self, limits: &Limits) -> bool {
        let is_refused = self.under_way.as_ref().is_some_and(|under_way| under_way.waiting.is_some());
        let is_full = self.gathering.as_ref().is_some_and(|work| {
            work.messages().max(work.owed.len()).max(work.publications.len()).max(work.notes.len())
                >= limits.max_waiting_messages
                || work.bytes() >= limits.max_waiting_bytes
        });
        !is_refused && !is_full
    }

    /// Gives up what is left, and returns how many messages that were.
    pub(super) fn abandon(&mut self) -> usize {
        let gathering = self.gathering.take();
        let under_way = self.under_way.take().map(|under_way| under_way.work);
        gathering.iter().chain(&under_way).map(|work| work.messages()).sum()
    }
}

impl Work {
    pub(super) fn messages(&self) -> usize {
        self.accepted + self.quarantine.len()
    }

    pub(super) fn bytes(&self) -> usize {
        let notes = self.notes.iter().map(Note::len);
        self.telemetry.as_bytes().len() + self.quarantine.as_bytes().len() + notes.sum::<usize>()
    }

    pub(super) fn clear(&mut self) {
        self.telemetry.clear();
        self.accepted = 0;
        self.quarantine.clear();
        self.notes.clear();
        self.owed.clear();
        self.answers.clear();
        self.last = 0;
        self.publications.clear();
        self.reasons = Default::default();
    }

    /// To subscribers, and to those who come later when it is retained.
    fn hand_on(&mut self, publication: Option<Publication>) {
        self.notes.extend(publication.iter().filter(|it| it.is_retained()).map(state::retain));
        self.notes.extend(publication.iter().filter_map(state::sent_on));
        self.publications.extend(publication);
    }

    fn quarantine(&mut self, key: &[u8], arrival: Arrival<'_>, publish: &Publish<'_>, rejection: Rejection) {
        tracing::debug!(device = %arrival.device, topic = publish.topic, detail = rejection.detail, "quarantined");
        self.reasons[place_of(rejection.reason)] += 1;
        let record = Record::Quarantined(rejection.quarantine(arrival, publish.topic, publish.payload));
        self.quarantine.push_with(key, |bytes| record.encode(bytes));
    }

    /// A copy for the log; ours stays for another attempt.
    fn batches(&self, sender: &Sender) -> Vec<(TopicPartition, Batch)> {
        let parts = [
            (Topic::Telemetry, sender.telemetry_partition, &self.telemetry),
            (Topic::Quarantine, sender.quarantine_partition, &self.quarantine),
        ];
        let filled = parts.into_iter().filter(|(_, _, batch)| !batch.is_empty());
        filled.map(|(topic, partition, batch)| (TopicPartition { topic, partition }, batch.clone())).collect()
    }

    /// It is durable: acknowledges and counts.
    fn settle<P: Producer>(
        mut self: Box<Self>,
        gate: &Gate<P>,
        version: Version,
        received: &mut Received,
        outbox: &mut BytesMut,
    ) {
        outbox.reserve(self.owed.len() * PUBACK_LEN);
        outbox.extend_from_slice(&self.answers);
        let mut pubacks = 0;
        for Owed { what, packet_id, code } in &self.owed {
            acknowledge(outbox, version, *what, *packet_id, *code);
            match what {
                Acknowledgement::Puback => pubacks += 1,
                Acknowledgement::Pubrec => received.settle(*packet_id),
                Acknowledgement::Pubcomp => received.forget(*packet_id),
                Acknowledgement::Pubrel => {}
            }
        }
        if !self.publications.is_empty() {
            gate.note_later(gate.fanout.publish(std::mem::take(&mut self.publications)));
        }
        gate.metrics.count_durable(self.accepted, &self.reasons, pubacks);
        scratch::give_back(self);
    }
}

fn first_answer(qos: QoS) -> Acknowledgement {
    if qos == QoS::ExactlyOnce { Acknowledgement::Pubrec } else { Acknowledgement::Puback }
}

/// A PUBACK without a code.
const PUBACK_LEN: usize = 4;

/// What the sender of a quarantined message is told, if its MQTT has words for it.
fn code_of(reason: Reason) -> ReasonCode {
    match reason {
        Reason::UnknownTopic => ReasonCode::TopicNameInvalid,
        Reason::TooLarge => ReasonCode::QuotaExceeded,
        _ => ReasonCode::PayloadFormatInvalid,
    }
}

fn place_of(reason: Reason) -> usize {
    Reason::ALL.iter().position(|known| *known == reason).expect("ALL has every reason")
}

impl UnderWay {
    fn begin<P: Producer>(work: Box<Work>, gate: &Gate<P>, sender: &Sender) -> UnderWay {
        let step = Step::append(&work, gate, sender);
        UnderWay { work, step, attempt: 0, waiting: None }
    }

    /// Ready when the work is durable, or never will be.
    fn poll<P: Producer>(
        &mut self,
        cx: &mut Context<'_>,
        gate: &Gate<P>,
        sender: &Sender,
    ) -> Poll<Result<(), Closed>> {
        loop {
            self.step = match &mut self.step {
                Step::Appending(append) => match ready!(append.as_mut().poll(cx)) {
                    Ok(()) => return Poll::Ready(Ok(())),
                    Err(error @ (AppendError::Closed | AppendError::Refused(_))) => {
                        return Poll::Ready(Err(Closed::told(&error)));
                    }
                    Err(error) => self.back_off(&error, gate),
                },
                Step::BackingOff(sleep) => {
                    ready!(sleep.as_mut().poll(cx));
                    Step::append(&self.work, gate, sender)
                }
            };
        }
    }

    fn back_off<P: Producer>(&mut self, error: &AppendError, gate: &Gate<P>) -> Step {
        self.waiting.get_or_insert_with(|| gate.outage.begin(error));
        gate.metrics.append_retries.inc();
        let sleep = tokio::time::sleep(backoff(self.attempt));
        self.attempt += 1;
        Step::BackingOff(Box::pin(sleep))
    }
}

impl Step {
    fn append<P: Producer>(work: &Work, gate: &Gate<P>, sender: &Sender) -> Step {
        let batches = work.batches(sender);
        if !work.notes.is_empty() {
            return Step::Appending(gate.store.append(batches, work.notes.clone()));
        }
        let log = gate.log.clone();
        Step::Appending(Box::pin(async move { log.append(batches).await.map(|_| ()) }))
    }
}
