//! The console on made-up data in memory, for work on its pages: `cargo run -p sinks --example console`.
//!
//! Arguments: `empty` for no devices, `many` for alerts by the hundred, `login` for operator / open sesame; a port.

use prometheus::Registry;
use records::{
    Aggregate, Alert, AlertState, Batch, Body, Device, Family, Flag, MemoryLog, Observation, Position,
    Producer, Quality, Quantity, Quarantined, Reading, Reason, Record, Severity, Subject, Test, Timestamp,
    Topic, TopicPartition, UseCase, Window,
};
use sinks::console::{Actions, router, serve};
use sinks::store::{Options, Store};
use sinks::{
    AlertBook, AlertSink, Ambient, Clock, ConsoleState, DeviceBook, DeviceSink, LedgerBook, LedgerSink,
    Login, Metrics, Notices, SeriesSink,
};
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio_util::sync::CancellationToken;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |word: &str| arguments.iter().any(|argument| argument == word);
    let port = arguments.iter().find_map(|argument| argument.parse().ok()).unwrap_or(8080);
    let folder = tempfile::tempdir()?;
    let log = MemoryLog::new(|_| 1);
    let stop = CancellationToken::new();
    let console = start(folder.path(), &log, has("login"), &stop)?;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    println!("http://{}", listener.local_addr()?);
    tokio::spawn(serve(listener, router(console), stop.clone()));
    if !has("empty") {
        let city = city();
        fill(&log, &city, has("many")).await?;
        live(&log, &city).await?;
    }
    tokio::signal::ctrl_c().await?;
    stop.cancel();
    Ok(())
}

fn start(
    folder: &std::path::Path,
    log: &MemoryLog,
    wants_login: bool,
    stop: &CancellationToken,
) -> Result<ConsoleState, Box<dyn Error>> {
    let clock: Clock = Arc::new(now);
    let metrics = Metrics::register(&Registry::new())?;
    let store = Store::open(&folder.join("series"), Options::default())?;
    let alerts = Arc::new(AlertBook::open(&folder.join("alerts.db"))?);
    let devices = Arc::new(DeviceBook::open(&folder.join("devices.db"))?);
    let notices = Notices::default();
    let ambient = || Ambient {
        metrics: metrics.clone(),
        notices: notices.clone(),
        clock: Arc::clone(&clock),
        seed: 1,
        look_again: Duration::from_secs(60),
    };
    let series = SeriesSink::new(store.clone(), Arc::clone(&clock), Duration::from_secs(60), metrics.clone());
    let alert_sink = AlertSink::new(Arc::clone(&alerts), metrics.clone());
    let ledger = Arc::new(LedgerBook::open(&folder.join("ledger.db"))?);
    let device_sink = DeviceSink::new(Arc::clone(&devices));
    tokio::spawn(sinks::run(log.consumer("series", SeriesSink::TOPICS), series, ambient(), stop.clone()));
    tokio::spawn(sinks::run(log.consumer("alerts", AlertSink::TOPICS), alert_sink, ambient(), stop.clone()));
    tokio::spawn(sinks::run(
        log.consumer("devices", DeviceSink::TOPICS),
        device_sink,
        ambient(),
        stop.clone(),
    ));
    let ledger_sink = LedgerSink::new(Arc::clone(&ledger));
    tokio::spawn(sinks::run(
        log.consumer("ledger", LedgerSink::TOPICS),
        ledger_sink,
        ambient(),
        stop.clone(),
    ));
    let hash = Login::hash("open sesame")?;
    let login = wants_login.then(|| Login::new("operator".into(), &hash)).flatten();
    let actions = Actions::new(log.clone());
    Ok(ConsoleState {
        store,
        alerts,
        devices,
        ledger,
        notices: notices.clone(),
        actions,
        clock,
        login,
        metrics,
        limits: sinks::console::QueryLimits::default(),
        stop: stop.clone(),
    })
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Made-up numbers that look like measurements.
fn noise(seed: u64) -> f64 {
    let mut z = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    ((z ^ (z >> 27)) >> 11) as f64 / (1u64 << 53) as f64
}

fn city() -> Vec<Device> {
    let mut city = Vec::new();
    let mut add = |id: String, family, label: String, area: &str, rank, lon, lat| {
        city.push(Device {
            id: id.into(),
            family,
            label: label.into(),
            area: area.into(),
            rank,
            position: Some(Position { lon, lat }),
            is_enabled: true,
            updated_at: now(),
            limits: Vec::new(),
        });
    };
    let around = |seed: u64| (113.26 + (noise(seed) - 0.5) * 0.16, 23.13 + (noise(seed + 7777) - 0.5) * 0.10);
    for i in 0..48 {
        let (lon, lat) = around(i);
        add(format!("air-{i:02}"), Family::Air, format!("Air station {i}"), "Tianhe", 0, lon, lat);
    }
    for i in 0..16 {
        let (lon, lat) = (113.18 + 0.01 * i as f64, 23.105 + 0.006 * (i as f64 / 3.0).sin());
        add(format!("water-{i:02}"), Family::Water, format!("River probe {i}"), "Pearl River", i, lon, lat);
    }
    for i in 0..16 {
        let (lon, lat) = around(i + 300);
        add(format!("weather-{i:02}"), Family::Weather, String::new(), "Yuexiu", 0, lon, lat);
    }
    for (road, (lat, slope)) in
        [("Huangpu Avenue", (23.126, 0.01)), ("Inner Ring", (23.15, -0.05)), ("Dongfeng Road", (23.14, 0.03))]
            .into_iter()
    {
        for i in 0..24 {
            let lon = 113.20 + 0.005 * f64::from(i);
            let bend = 0.003 * (f64::from(i) / 4.0).sin();
            let id = format!("{}-{i:02}", road.to_lowercase().replace(' ', "-"));
            add(id, Family::Traffic, String::new(), road, i, lon, lat + slope * (lon - 113.26) + bend);
        }
    }
    for i in 0..12 {
        let lon = 113.315 + 0.0008 * f64::from(i % 4);
        add(
            format!("gate-{i:02}"),
            Family::Rfid,
            format!("Gate {i}"),
            "Line 1",
            i,
            lon,
            23.095 + 0.0006 * f64::from(i / 4),
        );
        add(
            format!("press-{i:02}"),
            Family::Machine,
            format!("Press {i}"),
            "Line 1",
            i,
            lon,
            23.0975 + 0.0006 * f64::from(i / 4),
        );
    }
    add("probe-1".into(), Family::Air, String::new(), "", 0, 0.0, 0.0);
    if let Some(probe) = city.last_mut() {
        probe.position = None;
    }
    city
}

fn quantities(family: Family) -> &'static [(&'static str, f64, f64)] {
    match family {
        Family::Air => &[
            ("pm2_5", 45.0, 30.0),
            ("pm10", 70.0, 40.0),
            ("no2", 38.0, 15.0),
            ("temperature", 22.0, 6.0),
            ("humidity", 60.0, 20.0),
        ],
        Family::Water => &[
            ("ph", 7.2, 0.4),
            ("dissolved_oxygen", 6.4, 1.0),
            ("turbidity", 18.0, 9.0),
            ("water_level", 2.1, 0.3),
        ],
        Family::Weather => &[("rainfall", 0.3, 0.6), ("wind_speed", 3.0, 3.0), ("temperature", 22.0, 6.0)],
        Family::Traffic => &[("vehicle_count", 14.0, 9.0), ("occupancy", 14.0, 10.0), ("speed", 52.0, 12.0)],
        Family::Rfid => &[("battery", 3.6, 0.1)],
        Family::Machine => {
            &[("vibration", 2.2, 0.6), ("bearing_temperature", 61.0, 5.0), ("power", 18.0, 4.0)]
        }
        Family::Other => &[],
    }
}

fn observation(device: &Device, at: Timestamp, sequence: u64) -> Observation {
    let seed = device.id.bytes().fold(sequence, |seed, byte| seed.wrapping_mul(31).wrapping_add(byte.into()));
    let day = (at.millis() % (24 * HOUR)) as f64 / (24 * HOUR) as f64 * std::f64::consts::TAU;
    let readings = quantities(device.family)
        .iter()
        .enumerate()
        .map(|(index, (name, mean, spread))| {
            let episode = if device.id == "air-03" && index < 2 { 4.0 } else { 1.0 };
            let jitter = noise(seed.wrapping_add(index as u64 * 101)) - 0.5;
            let value = (mean + spread * (0.6 * day.sin() + 0.5 * jitter)).max(0.0) * episode;
            let is_odd = noise(seed.wrapping_add(5)) > 0.985;
            let quality =
                if is_odd { Quality::GOOD.failed(Test::Spike, Flag::Suspect) } else { Quality::GOOD };
            Reading { quantity: Quantity::from_name(name), value, quality }
        })
        .collect();
    Observation {
        device: device.id.clone(),
        epoch: 0,
        sequence: Some(sequence),
        device_time: Some(at),
        event_time: at,
        ingest_time: now(),
        position: None,
        stated: None,
        is_late: false,
        body: Body::Readings(readings),
    }
}

async fn append(log: &MemoryLog, topic: Topic, records: &[Record]) -> Result<(), Box<dyn Error>> {
    let mut batch = Batch::new();
    for record in records {
        batch.push_with(b"", |bytes| record.encode(bytes));
    }
    log.append(vec![(TopicPartition { topic, partition: 0 }, batch)]).await?;
    Ok(())
}

async fn fill(log: &MemoryLog, city: &[Device], wants_many: bool) -> Result<(), Box<dyn Error>> {
    append(log, Topic::Observations, &city.iter().cloned().map(Record::Device).collect::<Vec<_>>()).await?;
    let end = now().millis();
    for minute in (0..24 * 60).step_by(2) {
        let at = Timestamp(end - 24 * HOUR + minute * MINUTE);
        let speaking = city.iter().filter(|device| device.id != "weather-03" && !device.id.ends_with("-11"));
        let records: Vec<Record> = speaking
            .filter(|device| !(device.id == "air-07" && (300..500).contains(&minute)))
            .map(|device| Record::Observation(observation(device, at, minute as u64)))
            .collect();
        append(log, Topic::Observations, &records).await?;
    }
    let hours = (0..48).map(|half| Record::Aggregate(index("air-03", end - (48 - half) * HOUR / 2)));
    append(log, Topic::Aggregates, &hours.collect::<Vec<_>>()).await?;
    append(log, Topic::Quarantine, &[refused("air-03"), refused("air-03")]).await?;
    append(log, Topic::Alerts, &alerts(end, if wants_many { 60 } else { 1 })).await
}

fn index(device: &str, start: i64) -> Aggregate {
    let value = 110.0 + 60.0 * noise(start as u64);
    Aggregate {
        subject: Subject::Device(device.into()),
        area: "Tianhe".into(),
        quantity: Quantity::from_name("iaqi_pm2_5"),
        window: Window { start: Timestamp(start), end: Timestamp(start + HOUR / 2) },
        revision: 0,
        count: 1,
        good: 1,
        sum: value,
        mean: value,
        min: value,
        max: value,
        as_of: now(),
        is_backfill: true,
    }
}

fn refused(device: &str) -> Record {
    Record::Quarantined(Quarantined {
        device: device.into(),
        topic_name: format!("up/{device}/telemetry"),
        ingest_time: now(),
        reason: Reason::Malformed,
        detail: "expected a value at byte 10, found '}'".to_owned(),
        payload: br#"{"pm2_5": }"#.to_vec(),
        count: 1,
    })
}

fn alerts(end: i64, times: i64) -> Vec<Record> {
    let mut records = Vec::new();
    for round in 0..times {
        let opened = end - (9 + round * 23) * MINUTE;
        let device = |name: &str| Subject::Device(name.into());
        let mut raise = |rule: &str,
                         use_case,
                         subject: Subject,
                         severity,
                         (quantity, value, threshold): (&str, f64, f64),
                         text: &str,
                         ago: i64,
                         over: Option<i64>| {
            let opened_at = Timestamp(opened - ago * MINUTE);
            let mut alert = Alert {
                id: format!("{rule}/{}/{opened_at}", subject.name()).into(),
                transition: 0,
                rule: rule.into(),
                use_case,
                subject,
                area: "Tianhe".into(),
                position: None,
                state: AlertState::Open,
                severity,
                opened_at,
                at: opened_at,
                as_of: now(),
                quantity: quantity.into(),
                value,
                threshold,
                text: text.to_owned(),
                source: "HJ 633-2026, table 3".into(),
                is_backfill: ago > 100,
                actor: None,
                note: None,
            };
            records.push(Record::Alert(Box::new(alert.clone())));
            if let Some(minutes) = over.or((round > 5).then_some(17)) {
                alert.transition = 1;
                alert.state = AlertState::Cleared;
                alert.at = Timestamp(opened_at.millis() + minutes * MINUTE);
                records.push(Record::Alert(Box::new(alert)));
            }
        };
        raise(
            "air.iaqi",
            UseCase::Environment,
            device("air-03"),
            Severity::Severe,
            ("iaqi_pm2_5", 168.0, 150.0),
            "PM2.5 is at IAQI 168: moderately polluted at Air station 3",
            42,
            None,
        );
        raise(
            "weather.rain",
            UseCase::Environment,
            device("weather-05"),
            Severity::Extreme,
            ("rainfall_3h", 102.0, 100.0),
            "102 mm of rain in 3 h: red warning level",
            3,
            None,
        );
        raise(
            "traffic.queue",
            UseCase::Transport,
            Subject::Area("Huangpu Avenue".into()),
            Severity::Severe,
            ("queue_detectors", 5.0, 3.0),
            "Standing queue over 5 detectors on Huangpu Avenue",
            6,
            None,
        );
        raise(
            "traffic.queue",
            UseCase::Transport,
            Subject::Area("Inner Ring".into()),
            Severity::Moderate,
            ("queue_detectors", 3.0, 3.0),
            "Standing queue over 3 detectors on Inner Ring",
            480,
            Some(25),
        );
        raise(
            "plant.vibration",
            UseCase::Manufacturing,
            device("press-04"),
            Severity::Moderate,
            ("vibration", 4.9, 4.5),
            "Press 4 vibrates at 4.9 mm/s: zone C",
            1,
            None,
        );
        raise(
            "tags.missing",
            UseCase::Manufacturing,
            device("gate-02"),
            Severity::Minor,
            ("tags_missing", 2.0, 1.0),
            "2 pallets did not arrive at Gate 2",
            15,
            Some(8),
        );
    }
    records
}

/// Devices go on speaking; operators' actions are answered as the stream stage would.
async fn live(log: &MemoryLog, city: &[Device]) -> Result<(), Box<dyn Error>> {
    use records::Consumer;
    let mut actions = log.consumer("stand-in", &[Topic::Telemetry, Topic::Aggregates]);
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    let mut sequence = 100_000;
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                sequence += 1;
                let part = city.iter().filter(|device| device.id != "weather-03" && !device.id.ends_with("-11"));
                let part = part.enumerate().filter(|(index, _)| *index as u64 % 5 == sequence % 5);
                let records: Vec<Record> = part.map(|(_, device)| Record::Observation(observation(device, now(), sequence))).collect();
                append(log, Topic::Observations, &records).await?;
            }
            fetched = actions.poll() => {
                let Some(fetched) = fetched? else { return Ok(()) };
                for (_, _, value) in fetched.records() {
                    if let Ok(Record::Action(action)) = Record::decode(value) {
                        acknowledge(log, &action).await?;
                    }
                }
            }
        }
    }
}

async fn acknowledge(log: &MemoryLog, action: &records::Action) -> Result<(), Box<dyn Error>> {
    let found = log.decoded(Topic::Alerts).into_iter().rev().find_map(|record| match record {
        Record::Alert(alert) if alert.id == action.alert => Some(*alert),
        _ => None,
    });
    let Some(mut alert) = found else { return Ok(()) };
    alert.transition += 1;
    alert.state = AlertState::Acknowledged;
    alert.at = action.at;
    alert.actor = Some(action.actor.clone());
    alert.note = Some(action.note.clone()).filter(|note| !note.is_empty());
    append(log, Topic::Alerts, &[Record::Alert(Box::new(alert))]).await
}
