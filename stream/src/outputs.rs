//! What a job writes, gathered until the next commit.

use crate::counts::{Counts, Fact};
use crate::rule::ThresholdRule;
use records::{
    Account, Aggregate, Alert, AlertState, Batch, Device, Name, Observation, Producer, Rules, Share,
    Sighting, Tick, Topic, TopicPartition, partition_of,
};

/// How many partitions the topics of the stream stage have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partitions {
    /// Of `telemetry`.
    pub telemetry: u32,
    /// Of `observations`.
    pub observations: u32,
    /// Of `aggregates`.
    pub aggregates: u32,
    /// Of `alerts`.
    pub alerts: u32,
    /// Of `ledger`.
    pub ledger: u32,
}

impl Partitions {
    /// As a log has them.
    pub fn of(log: &impl Producer) -> Partitions {
        Partitions {
            telemetry: log.partitions(Topic::Telemetry),
            observations: log.partitions(Topic::Observations),
            aggregates: log.partitions(Topic::Aggregates),
            alerts: log.partitions(Topic::Alerts),
            ledger: log.partitions(Topic::Ledger),
        }
    }
}

/// Encoded outputs, by partition, and the facts that were noted on the way.
///
/// While silent, nothing is gathered: what a replay writes is out already.
#[derive(Debug)]
pub struct Outputs {
    observations: Vec<Batch>,
    aggregates: Vec<Batch>,
    alerts: Vec<Batch>,
    ledger: Vec<Batch>,
    counts: Counts,
    has_alert: bool,
    is_silent: bool,
    tells_shadows: bool,
}

impl Outputs {
    /// Nothing yet.
    pub fn new(partitions: Partitions) -> Outputs {
        let batches = |count: u32| (0..count.max(1)).map(|_| Batch::new()).collect();
        Outputs {
            observations: batches(partitions.observations),
            aggregates: batches(partitions.aggregates),
            alerts: batches(partitions.alerts),
            ledger: batches(partitions.ledger),
            counts: Counts::default(),
            has_alert: false,
            is_silent: false,
            tells_shadows: false,
        }
    }

    /// From now on gathers nothing, or does again.
    pub fn set_silent(&mut self, is_silent: bool) {
        self.is_silent = is_silent;
    }

    /// The same, with the alerts of rules in the shadow among the others: not for anything that is public.
    pub fn with_shadows(self, tells_shadows: bool) -> Outputs {
        Outputs { tells_shadows, ..self }
    }

    /// Notes that something happened.
    pub fn count(&mut self, fact: Fact) {
        self.count_many(fact, 1);
    }

    /// Notes that something happened several times.
    pub fn count_many(&mut self, fact: Fact, times: usize) {
        if !self.is_silent {
            self.counts.add(fact, times as u64);
        }
    }

    /// Writes an observation.
    pub fn observation(&mut self, observation: &Observation) {
        if !self.is_silent {
            push(&mut self.observations, &observation.device, |to| observation.encode(to));
        }
    }

    /// Passes a registry entry on to those who read observations.
    pub fn device(&mut self, device: &Device) {
        if !self.is_silent {
            push(&mut self.observations, &device.id, |to| device.encode(to));
        }
    }

    /// Passes a registry entry on to the job of an area.
    pub fn device_to_area(&mut self, device: &Device, area: &Name) {
        if !self.is_silent {
            push(&mut self.aggregates, area, |to| device.encode(to));
        }
    }

    /// Writes a closed window.
    pub fn aggregate(&mut self, row: &Aggregate) {
        if !self.is_silent {
            push(&mut self.aggregates, &row.area, |to| row.encode(to));
        }
    }

    /// Writes a device's share in a roll-up of its area.
    pub fn share(&mut self, share: &Share) {
        if !self.is_silent {
            push(&mut self.aggregates, &share.area, |to| share.encode(to));
        }
    }

    /// Writes a sighting.
    pub fn sighting(&mut self, sighting: &Sighting) {
        if !self.is_silent {
            push(&mut self.aggregates, &sighting.area, |to| sighting.encode(to));
        }
    }

    /// Tells every partition of `aggregates` how far this one has come.
    pub fn tick(&mut self, tick: &Tick) {
        if !self.is_silent {
            self.aggregates.iter_mut().for_each(|batch| batch.push_with(b"", |to| tick.encode(to)));
        }
    }

    /// Passes rules on to every partition of `aggregates`.
    pub fn rules(&mut self, rules: &Rules) {
        if !self.is_silent {
            self.aggregates.iter_mut().for_each(|batch| batch.push_with(b"", |to| rules.encode(to)));
        }
    }

    /// Writes a transition of an alert of that rule; of a rule that is in the shadow only notes it.
    pub fn alert_of(&mut self, rule: &ThresholdRule, alert: &Alert) {
        match (rule.is_shadow, alert.state) {
            (false, _) => return self.alert(alert),
            (true, AlertState::Cleared) => self.count(Fact::ShadowCleared),
            (true, _) if alert.transition == 0 => self.count(Fact::ShadowOpened),
            (true, _) => self.count(Fact::ShadowChanged),
        }
        if self.tells_shadows {
            self.alert(alert);
        }
    }

    /// Writes a transition of an alert.
    pub fn alert(&mut self, alert: &Alert) {
        self.count(Fact::AlertTransition);
        if !self.is_silent {
            self.has_alert = true;
            push(&mut self.alerts, &alert.id, |to| alert.encode(to));
        }
    }

    /// Writes what became of a device's messages.
    pub fn account(&mut self, account: &Account) {
        if !self.is_silent {
            push(&mut self.ledger, &account.device, |to| account.encode(to));
        }
    }

    /// Whether a transition of an alert waits here.
    pub fn has_alert(&self) -> bool {
        self.has_alert
    }

    /// Bytes that wait here.
    pub fn len_bytes(&self) -> usize {
        let all = self.observations.iter().chain(&self.aggregates).chain(&self.alerts).chain(&self.ledger);
        all.map(|batch| batch.as_bytes().len()).sum()
    }

    /// Takes what has been gathered, topic by topic.
    pub fn take(&mut self) -> Vec<(TopicPartition, Batch)> {
        self.has_alert = false;
        let topics = [
            (Topic::Observations, &mut self.observations),
            (Topic::Aggregates, &mut self.aggregates),
            (Topic::Alerts, &mut self.alerts),
            (Topic::Ledger, &mut self.ledger),
        ];
        let mut taken = Vec::new();
        for (topic, batches) in topics {
            let filled = (0..).zip(batches).filter(|(_, batch)| !batch.is_empty());
            taken.extend(filled.map(|(partition, batch)| {
                // The next commit is likely as long as this one: a buffer that grows is copied again and again.
                let next = Batch::with_capacity(batch.as_bytes().len());
                (TopicPartition { topic, partition }, std::mem::replace(batch, next))
            }));
        }
        taken
    }

    /// Takes the facts that have been noted.
    pub fn take_counts(&mut self) -> Counts {
        std::mem::take(&mut self.counts)
    }
}

fn push(batches: &mut [Batch], key: &str, write: impl FnOnce(&mut Vec<u8>)) {
    let count = u32::try_from(batches.len()).expect("it was made from a u32");
    let partition = if count == 1 { 0 } else { partition_of(key.as_bytes(), count) };
    batches[partition as usize].push_with(key.as_bytes(), write);
}
