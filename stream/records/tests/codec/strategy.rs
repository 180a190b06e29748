//! Any record there can be.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use records::{
    Account, AccountCounts, AccountItem, Action, Aggregate, Alert, AlertState, Body, Crs, Device, Family,
    Flag, Limit, LimitKind, Name, Observation, Passage, Position, Quality, Quantity, Quarantined, Reading,
    Reason, Record, Rules, Severity, Share, Sighting, StatedPosition, Status, Subject, TagRead, Tick,
    Timestamp, UseCase, VehicleClass, Verb, Window,
};

pub fn record() -> impl Strategy<Value = Record> {
    prop_oneof![
        4 => observation().prop_map(Record::Observation).boxed(),
        1 => device().prop_map(Record::Device).boxed(),
        1 => tick().prop_map(Record::Tick).boxed(),
        1 => action().prop_map(Record::Action).boxed(),
        2 => aggregate().prop_map(Record::Aggregate).boxed(),
        1 => sighting().prop_map(Record::Sighting).boxed(),
        2 => alert().prop_map(|alert| Record::Alert(Box::new(alert))).boxed(),
        1 => account().prop_map(Record::Account).boxed(),
        1 => share().prop_map(Record::Share).boxed(),
        1 => rules().prop_map(Record::Rules).boxed(),
        1 => quarantined().prop_map(Record::Quarantined).boxed(),
    ]
}

fn name() -> impl Strategy<Value = Name> {
    prop_oneof![Just(String::new()), "[a-z0-9-]{1,40}", ".{0,30}"].prop_map(Name::from)
}

fn time() -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        8 => (0..4_102_444_800_000_i64).prop_map(Timestamp),
        2 => any::<i64>().prop_map(Timestamp),
        1 => prop_oneof![Just(Timestamp::MIN), Just(Timestamp::MAX)],
    ]
}

/// Every finite number: those that fit a shorter float, and those that don't.
fn number() -> impl Strategy<Value = f64> {
    let finite = any::<f64>().prop_filter("finite", |number| number.is_finite());
    prop_oneof![
        (-1000..1000_i32).prop_map(|tenths| f64::from(tenths) / 8.0),
        (-1000..1000_i32).prop_map(|tenths| f64::from(tenths) / 10.0),
        single().prop_map(f64::from),
        prop_oneof![Just(0.0), Just(-0.0), Just(f64::MAX), Just(f64::MIN_POSITIVE)],
        finite,
    ]
}

fn single() -> impl Strategy<Value = f32> {
    let finite = any::<f32>().prop_filter("finite", |number| number.is_finite());
    prop_oneof![(-1000..1000_i16).prop_map(|tenths| f32::from(tenths) / 10.0), finite]
}

fn position() -> impl Strategy<Value = Position> {
    (number(), number()).prop_map(|(lon, lat)| Position { lon, lat })
}

fn quantity() -> impl Strategy<Value = Quantity> {
    let known: Vec<&str> = Quantity::registry().iter().map(|info| info.name).collect();
    prop_oneof![
        proptest::sample::select(known).prop_map(Quantity::from_name),
        name().prop_map(|name| Quantity::from_name(&name)),
    ]
}

fn quality() -> impl Strategy<Value = Quality> {
    let flags = [Flag::Good, Flag::NotEvaluated, Flag::Suspect, Flag::Bad, Flag::Missing];
    (proptest::sample::select(flags.to_vec()), prop_oneof![Just(0), any::<u16>()])
        .prop_map(|(flag, tests)| Quality { flag, tests })
}

fn reading() -> impl Strategy<Value = Reading> {
    (quantity(), number(), quality()).prop_map(|(quantity, value, quality)| Reading {
        quantity,
        value,
        quality,
    })
}

fn epc() -> impl Strategy<Value = Name> {
    prop_oneof!["([0-9A-F]{2}){0,20}".prop_map(Name::from), "[0-9A-Fa-f]{0,9}".prop_map(Name::from), name()]
}

fn tag_read() -> impl Strategy<Value = TagRead> {
    (epc(), any::<u16>(), option::of(single()), any::<u32>(), option::of(time()), option::of(time()))
        .prop_map(|(epc, antenna, rssi, count, first_seen, last_seen)| TagRead {
            epc,
            antenna,
            rssi,
            count,
            first_seen,
            last_seen,
        })
}

fn passage() -> impl Strategy<Value = Passage> {
    (time(), any::<u8>(), option::of(single()), proptest::sample::select(VehicleClass::ALL.to_vec()))
        .prop_map(|(at, lane, speed, class)| Passage { at, lane, speed, class })
}

fn status() -> impl Strategy<Value = Status> {
    (option::of(name()), option::of(any::<u64>()), option::of(single()), option::of(name()))
        .prop_map(|(firmware, uptime_s, battery_v, text)| Status { firmware, uptime_s, battery_v, text })
}

fn body() -> impl Strategy<Value = Body> {
    prop_oneof![
        vec(reading(), 0..8).prop_map(Body::Readings),
        vec(tag_read(), 0..8).prop_map(Body::TagReads),
        vec(passage(), 0..8).prop_map(Body::Passages),
        status().prop_map(Body::Status),
    ]
}

fn stated() -> impl Strategy<Value = StatedPosition> {
    let crs = proptest::sample::select(Crs::ALL.to_vec());
    (crs, position()).prop_map(|(crs, Position { lon, lat })| StatedPosition { crs, lon, lat })
}

fn observation() -> impl Strategy<Value = Observation> {
    let times = (option::of(time()), time(), time());
    let rest = (option::of(position()), option::of(stated()), any::<bool>(), body());
    (name(), any::<u32>(), option::of(any::<u64>()), times, rest).prop_map(
        |(
            device,
            epoch,
            sequence,
            (device_time, event_time, ingest_time),
            (position, stated, is_late, body),
        )| {
            Observation {
                device,
                epoch,
                sequence,
                device_time,
                event_time,
                ingest_time,
                position,
                stated,
                is_late,
                body,
            }
        },
    )
}

fn device() -> impl Strategy<Value = Device> {
    let names = (name(), name(), name());
    let family = proptest::sample::select(Family::ALL.to_vec());
    let limits = vec(limit(), 0..4);
    (names, family, any::<u32>(), option::of(position()), any::<bool>(), time(), limits).prop_map(
        |((id, label, area), family, rank, position, is_enabled, updated_at, limits)| Device {
            id,
            family,
            label,
            area,
            rank,
            position,
            is_enabled,
            updated_at,
            limits,
        },
    )
}

fn limit() -> impl Strategy<Value = Limit> {
    let kind = proptest::sample::select(LimitKind::ALL.map(|(kind, _)| kind).to_vec());
    (quantity(), kind, number()).prop_map(|(quantity, kind, value)| Limit { quantity, kind, value })
}

fn account() -> impl Strategy<Value = Account> {
    (name(), time(), vec(any::<u32>(), AccountItem::ALL.len())).prop_map(|(device, hour, numbers)| {
        let mut counts = AccountCounts::default();
        let all = AccountItem::ALL.into_iter().zip(numbers);
        all.for_each(|((item, _), number)| counts.add(item, number as usize));
        Account { device, hour, counts }
    })
}

fn share() -> impl Strategy<Value = Share> {
    let names = (name(), name(), name());
    (names, (time(), time(), time()), any::<u32>(), vec(any::<u8>(), 0..300), any::<u64>()).prop_map(
        |((device, area, job), (start, end, as_of), revision, values, definition)| {
            let window = Window { start, end };
            Share { device, area, job, definition, window, revision, values, as_of }
        },
    )
}

fn rules() -> impl Strategy<Value = Rules> {
    (time(), ".{0,300}", ".{0,300}").prop_map(|(at, text, replaces)| Rules { at, text, replaces })
}

fn tick() -> impl Strategy<Value = Tick> {
    (time(), any::<u32>(), any::<u32>()).prop_map(|(at, source, sources)| Tick { at, source, sources })
}

fn subject() -> impl Strategy<Value = Subject> {
    prop_oneof![name().prop_map(Subject::Device), name().prop_map(Subject::Area)]
}

fn action() -> impl Strategy<Value = Action> {
    let verb = proptest::sample::select(Verb::ALL.to_vec());
    (name(), subject(), verb, name(), time(), ".{0,40}")
        .prop_map(|(alert, subject, verb, actor, at, note)| Action { alert, subject, verb, actor, at, note })
}

fn aggregate() -> impl Strategy<Value = Aggregate> {
    let series = (subject(), name(), quantity());
    let times = (time(), time(), time());
    let counts = (any::<u32>(), any::<u32>(), any::<u32>());
    let statistics = prop_oneof![Just((0.0, 0.0, 0.0, 0.0)), (number(), number(), number(), number())];
    (series, times, counts, statistics, any::<bool>()).prop_map(
        |((subject, area, quantity), (start, end, as_of), (revision, count, good), numbers, is_backfill)| {
            let window = Window { start, end };
            let (sum, mean, min, max) = numbers;
            Aggregate {
                subject,
                area,
                quantity,
                window,
                revision,
                count,
                good,
                sum,
                mean,
                min,
                max,
                as_of,
                is_backfill,
            }
        },
    )
}

fn sighting() -> impl Strategy<Value = Sighting> {
    (name(), name(), epc(), (time(), time(), time()), any::<u32>()).prop_map(
        |(area, device, epc, (first_seen, last_seen, as_of), count)| Sighting {
            area,
            device,
            epc,
            first_seen,
            last_seen,
            count,
            as_of,
        },
    )
}

fn alert() -> impl Strategy<Value = Alert> {
    let names = (name(), name(), name(), name(), name());
    let kinds = (
        proptest::sample::select(vec![UseCase::Transport, UseCase::Environment, UseCase::Manufacturing]),
        proptest::sample::select(vec![AlertState::Open, AlertState::Acknowledged, AlertState::Cleared]),
        proptest::sample::select(vec![
            Severity::Minor,
            Severity::Moderate,
            Severity::Severe,
            Severity::Extreme,
        ]),
    );
    let place = (subject(), option::of(position()));
    let times = (time(), time(), time());
    let words = (number(), number(), ".{0,40}", option::of(name()), option::of(".{0,20}".boxed()));
    (names, kinds, place, times, words, any::<(u32, bool)>()).prop_map(
        |(
            (id, rule, area, quantity, source),
            (use_case, state, severity),
            (subject, position),
            (opened_at, at, as_of),
            (value, threshold, text, actor, note),
            (transition, is_backfill),
        )| Alert {
            id,
            transition,
            rule,
            use_case,
            subject,
            area,
            position,
            state,
            severity,
            opened_at,
            at,
            as_of,
            quantity,
            value,
            threshold,
            text,
            source,
            is_backfill,
            actor,
            note,
        },
    )
}

fn quarantined() -> impl Strategy<Value = Quarantined> {
    let reason = proptest::sample::select(Reason::ALL.to_vec());
    (name(), ".{0,40}", time(), reason, ".{0,40}", vec(any::<u8>(), 0..60), any::<u32>()).prop_map(
        |(device, topic_name, ingest_time, reason, detail, payload, count)| Quarantined {
            device,
            topic_name,
            ingest_time,
            reason,
            detail,
            payload,
            count,
        },
    )
}
