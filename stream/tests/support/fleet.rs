//! A small city for properties: every use case, from a seed.

use records::{
    Action, Batch, Body, Device, Entry, Family, Name, Observation, Origin, Producer, Quality, Quantity,
    Reading, Record, Subject, TagRead, Tick, Timestamp, Topic, TopicPartition, Verb, partition_of,
};

/// 2026-05-04T00:00:00Z.
pub const START: i64 = 1_777_852_800_000;
const MINUTES: i64 = 8;

/// Numbers from a seed (SplitMix64).
pub struct Chance(pub u64);

impl Chance {
    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound.max(1)
    }

    /// True this many times out of a hundred.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// What is appended, in order: when, under which key, what.
#[derive(Clone)]
pub struct Input {
    /// When it is appended.
    pub at: i64,
    /// Its key.
    pub key: Name,
    /// The record.
    pub record: Record,
}

/// Everything that happens in the city: entries first, then messages with jitter, disorder, duplicates and bad
/// clocks, and an operator now and then.
pub fn city(seed: u64) -> Vec<Input> {
    let mut chance = Chance(seed);
    let mut inputs: Vec<Input> = members().into_iter().map(entry).collect();
    let mut messages = Vec::new();
    for member in members() {
        messages.extend(speak(&member, &mut chance));
    }
    messages.push(acknowledgement(&mut chance));
    messages.sort_by_key(|input| input.at);
    inputs.append(&mut messages);
    inputs
}

struct Member {
    id: &'static str,
    family: Family,
    area: &'static str,
    rank: u32,
}

impl Member {
    /// How far its clock is ahead, ms.
    fn ahead(&self) -> i64 {
        match self.id {
            "fast" => 7_200_000,
            "slow" => -28_800_000,
            _ => 0,
        }
    }
}

fn members() -> Vec<Member> {
    let member = |id, family, area, rank| Member { id, family, area, rank };
    vec![
        member("t1", Family::Traffic, "ring-1", 1),
        member("t2", Family::Traffic, "ring-1", 2),
        member("t3", Family::Traffic, "ring-1", 3),
        member("t9", Family::Traffic, "ring-9", 1),
        member("r1", Family::Rfid, "line-1", 1),
        member("r2", Family::Rfid, "line-1", 2),
        member("m1", Family::Machine, "line-1", 0),
        member("m2", Family::Machine, "line-2", 0),
        member("a1", Family::Air, "north", 0),
        member("w1", Family::Weather, "north", 0),
        member("uncounted", Family::Weather, "north", 0),
        member("x1", Family::Other, "", 0),
        member("fast", Family::Other, "", 0),
        member("slow", Family::Machine, "line-2", 0),
    ]
}

fn entry(member: Member) -> Input {
    let device = Device {
        id: member.id.into(),
        family: member.family,
        label: Name::default(),
        area: member.area.into(),
        rank: member.rank,
        position: None,
        is_enabled: true,
        updated_at: Timestamp(START - 60_000),
        limits: Vec::new(),
    };
    Input { at: START - 60_000, key: device.id.clone(), record: Record::Device(device) }
}

/// A message every ten seconds or so; sometimes a silence, after which the unsent comes at once.
fn speak(member: &Member, chance: &mut Chance) -> Vec<Input> {
    let mut inputs = Vec::new();
    let silence = chance.below(6) as i64;
    let mut at = START + chance.below(10_000) as i64;
    let mut sequence = 0;
    while at < START + MINUTES * 60_000 {
        let minute = (at - START) / 60_000;
        let returns = START + (silence + 2) * 60_000;
        let is_held = chance.0.is_multiple_of(3) && minute >= silence && at < returns;
        let sent = (if is_held { returns } else { at }) + chance.below(3_000) as i64;
        let message = message(member, at, sent, sequence, minute, chance);
        if chance.percent(10) {
            let again = sent + chance.below(20_000) as i64;
            let repeated = Observation { ingest_time: Timestamp(again), ..message.clone() };
            inputs.push(input(again, repeated));
        }
        if !chance.percent(5) {
            inputs.push(input(sent, message));
        }
        sequence += 1;
        at += 7_000 + chance.below(6_000) as i64;
    }
    inputs
}

fn input(at: i64, message: Observation) -> Input {
    Input { at, key: message.device.clone(), record: Record::Observation(message) }
}

fn message(
    member: &Member,
    at: i64,
    sent: i64,
    sequence: u64,
    minute: i64,
    chance: &mut Chance,
) -> Observation {
    let wrong = [0, START + 86_400_000][chance.below(2) as usize];
    let device_time = if chance.percent(3) { wrong } else { at + member.ahead() };
    Observation {
        device: member.id.into(),
        epoch: 0,
        sequence: (member.id != "uncounted").then_some(sequence),
        device_time: Some(Timestamp(device_time)),
        event_time: Timestamp(device_time),
        // The gateway stamps a little before the append.
        ingest_time: Timestamp(sent - chance.below(900) as i64),
        position: None,
        stated: None,
        is_late: false,
        body: body(member, at, minute, chance),
    }
}

fn body(member: &Member, at: i64, minute: i64, chance: &mut Chance) -> Body {
    let is_bad = (1..5).contains(&minute);
    let noise = chance.below(1000) as f64 / 1000.0;
    let values: Vec<(&str, f64)> = match member.family {
        Family::Traffic if is_bad => vec![("occupancy", 60.0 + noise), ("speed", 5.0 + noise)],
        Family::Traffic => vec![("occupancy", 10.0 + noise), ("speed", 60.0 + noise)],
        Family::Machine => vec![("vibration", if is_bad { 4.0 + noise } else { noise })],
        Family::Air => vec![("pm2_5", 180.0 + noise), ("humidity", 101.0 * noise)],
        // One in eight stands out, and in each fourth minute all do.
        Family::Weather => {
            let jump = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 12.0][chance.below(8) as usize];
            let step = f64::from(u8::from(minute % 4 == 3)) * 8.0;
            vec![("rainfall", 2.0 + noise), ("temperature", 20.0 + noise + jump + step)]
        }
        Family::Rfid => return tags(member, at),
        Family::Water | Family::Other => vec![("radon", noise * 1e-9), ("temperature", noise)],
    };
    let reading = |(name, value): (&str, f64)| Reading {
        quantity: Quantity::from_name(name),
        value,
        quality: Quality::default(),
    };
    Body::Readings(values.into_iter().map(reading).collect())
}

/// A pallet every 20 s; the second reader sees it 30 s later, and misses some.
fn tags(member: &Member, at: i64) -> Body {
    let shift = if member.rank == 1 { 0 } else { 30_000 };
    let pallet = (at - START - shift).div_euclid(20_000);
    let is_seen = pallet >= 0 && (member.rank == 1 || pallet % 4 != 1);
    let read = TagRead {
        epc: format!("E2{pallet:06X}").into(),
        antenna: 1,
        rssi: None,
        count: 2,
        first_seen: None,
        last_seen: None,
    };
    Body::TagReads(is_seen.then_some(read).into_iter().collect())
}

fn acknowledgement(chance: &mut Chance) -> Input {
    let at = START + 200_000 + chance.below(60_000) as i64;
    let action = Action {
        alert: format!("vibration-zone/m1/{}", START + 60_000).into(),
        subject: Subject::Device("m1".into()),
        verb: Verb::Acknowledge,
        actor: "lin".into(),
        at: Timestamp(at),
        note: "seen".into(),
    };
    Input { at, key: "m1".into(), record: Record::Action(action) }
}

/// Appends the inputs, and in each partition ticks of its own: whenever `chance` says so, and at the end enough to
/// close everything.
pub async fn append(log: &impl Producer, inputs: &[Input], mut chance: Chance) {
    let partitions = log.partitions(Topic::Telemetry);
    let mut batches = vec![Batch::new(); partitions as usize];
    let tick = |at| Record::Tick(Tick { at: Timestamp(at), source: 0, sources: 1 });
    for Input { at, key, record } in inputs {
        if let Record::Rules(_) = record {
            batches.iter_mut().for_each(|batch| batch.push_with(b"", |to| record.encode(to)));
            continue;
        }
        let partition = partition_of(key.as_bytes(), partitions) as usize;
        batches[partition].push_with(key.as_bytes(), |to| record.encode(to));
        let lucky = chance.below(u64::from(partitions) * 3) as usize;
        if let (Some(batch), true) = (batches.get_mut(lucky), *at >= START) {
            batch.push_with(b"", |to| tick(*at).encode(to));
        }
    }
    close_everything(&mut batches);
    let place = |partition| TopicPartition { topic: Topic::Telemetry, partition };
    let batches = (0..).map(place).zip(batches).collect();
    log.append(batches).await.expect("memory takes everything");
}

/// Appends the inputs as forwarders do: each input came through one of two gateways, a forwarder that crashes begins
/// again some records before, and one of the gateways gets a new disk on the way. Says how many came again.
pub async fn append_forwarded(log: &impl Producer, inputs: &[Input], mut chance: Chance) -> u64 {
    let mut batches = vec![Batch::new(); log.partitions(Topic::Telemetry) as usize];
    // Per spool, what it has brought: (partition, offset, input).
    let mut brought: [Vec<(usize, u64, &Input)>; 3] = Default::default();
    let mut resent = 0;
    for (number, input) in inputs.iter().enumerate() {
        let partition = partition_of(input.key.as_bytes(), log.partitions(Topic::Telemetry)) as usize;
        let spool = match chance.percent(50) {
            true => 2,
            false => usize::from(number > inputs.len() / 2),
        };
        let offset = brought[spool].iter().filter(|(of, ..)| *of == partition).count() as u64;
        brought[spool].push((partition, offset, input));
        let again = if chance.percent(5) { chance.below(40) as usize } else { 0 };
        let from = brought[spool].len().saturating_sub(1 + again);
        resent += (brought[spool].len() - 1 - from) as u64;
        // What was sent last before the crash is sent first and again, in order, after it.
        let sent = brought[spool].last().into_iter().chain(&brought[spool][from..]);
        for (partition, offset, input) in sent.take(if again > 0 { usize::MAX } else { 1 }) {
            push_forwarded(&mut batches[*partition], spool, *offset, input);
        }
        resent += u64::from(again > 0);
    }
    close_everything(&mut batches);
    let place = |partition| TopicPartition { topic: Topic::Telemetry, partition };
    log.append((0..).map(place).zip(batches).collect()).await.expect("memory takes everything");
    resent
}

fn push_forwarded(batch: &mut Batch, spool: usize, offset: u64, input: &Input) {
    let origin = Origin { gateway: ["a", "a", "b"][spool], spool: [1, 2, 1][spool], offset };
    let mut value = Vec::new();
    input.record.encode(&mut value);
    batch.push_entry(Entry {
        key: input.key.as_bytes(),
        value: &value,
        origin: Some(origin),
        mirrored: None,
    });
}

/// Ticks that come late enough for every window and patience.
fn close_everything(batches: &mut [Batch]) {
    for minutes in [1, 2, 5, 70] {
        let tick =
            Record::Tick(Tick { at: Timestamp(START + (MINUTES + minutes) * 60_000), source: 0, sources: 1 });
        batches.iter_mut().for_each(|batch| batch.push_with(b"", |to| tick.encode(to)));
    }
}
