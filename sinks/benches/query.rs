//! What a question costs over HTTP, from the request to the last byte: `cargo bench -p sinks --bench query`.
#![allow(clippy::unwrap_used, reason = "the support of the tests is used here")]

#[path = "../tests/support/mod.rs"]
mod support;

use records::{Family, Name, Quality, Record, Timestamp, Topic};
use std::time::{Duration, Instant};
use store::RawRow;
use support::http::Request;
use support::{Console, T0, append, device, eventually_within};

const QUANTITIES: [&str; 6] = ["pm2_5", "pm10", "so2", "no2", "o3", "co"];
/// Of six quantities each; 1,002 series.
const DEVICES: usize = 167;
const MINUTE: i64 = 60_000;
const DAY: i64 = 1_440 * MINUTE;
/// The long series.
const DAYS: i64 = 35;
const ROUNDS: usize = 20;

fn value(subject: &Name, quantity: &'static str, at: i64) -> RawRow {
    let value = ((at / MINUTE * 7 + subject.len() as i64) % 1_000) as f64 / 10.0;
    let (event_time, quality) = (Timestamp(at), Quality::GOOD);
    RawRow {
        subject: subject.clone(),
        quantity: Name::new_static(quantity),
        event_time,
        device_time: Some(event_time),
        ingest_time: event_time,
        value,
        quality,
    }
}

/// A value a minute: of the first device for 35 days, of the others for one.
async fn fill(console: &Console) {
    let names: Vec<Name> = (0..DEVICES).map(|number| format!("air-{number:03}").into()).collect();
    let entries: Vec<Record> =
        names.iter().map(|name| Record::Device(device(name, Family::Air, 1))).collect();
    append(&console.log, Topic::Observations, &entries).await;
    eventually_within(Duration::from_secs(30), async || (console.devices.len() == DEVICES).then_some(()))
        .await;
    let start = T0 - DAYS * DAY;
    for minute in 0..DAYS * 1_440 {
        let at = start + minute * MINUTE;
        let speaking = if at < T0 - DAY { &names[..1] } else { &names[..] };
        let rows: Vec<RawRow> =
            speaking.iter().flat_map(|name| QUANTITIES.map(|quantity| value(name, quantity, at))).collect();
        let _ = console.store.write(&rows, &[]);
        if console.store.is_seal_due(Timestamp(0)) {
            console.store.seal(&[]).expect("seals");
            console.store.compact().expect("merges");
        }
    }
    console.store.seal(&[]).expect("seals");
    console.store.maintain(Timestamp(T0 + 10 * DAY)).expect("merges");
}

async fn measure(console: &Console, what: &str, path: &str, encoding: &str) {
    let mut times = Vec::with_capacity(ROUNDS);
    let mut bytes = 0;
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let answer = Request::get(path).header("Accept-Encoding", encoding).send(console.address).await;
        times.push(begun.elapsed());
        assert_eq!(answer.status, 200, "{}", answer.text());
        bytes = answer.body.len();
    }
    times.sort_unstable();
    let (middle, slowest) = (times[ROUNDS / 2], times[ROUNDS - 1]);
    println!("{what}: {middle:.1?}, slowest of {ROUNDS} {slowest:.1?}, {bytes} bytes");
}

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let console = Console::start().await;
        fill(&console).await;
        let day = format!("from={}&to={T0}", T0 - DAY);
        let all = format!("/api/v1/query?family=air&quantity={}&{day}", QUANTITIES.join(","));
        for (bucket, format, encoding) in [
            ("1h", "json", "identity"),
            ("1h", "json", "gzip"),
            ("1h", "csv", "identity"),
            ("1h", "parquet", "identity"),
            ("5m", "json", "identity"),
            ("5m", "json", "gzip"),
        ] {
            let path = format!("{all}&bucket={bucket}&format={format}");
            measure(
                &console,
                &format!("1,002 series, 24 h, {bucket}, {format}, {encoding}"),
                &path,
                encoding,
            )
            .await;
        }
        let areas =
            format!("/api/v1/query?family=air&quantity=pm2_5&group=area&{day}&bucket=1h&percentiles=50,98");
        measure(&console, "167 series as one, 24 h, 1h, two percentiles", &areas, "identity").await;
        let long = format!("from={}&to={T0}", T0 - DAYS * DAY);
        let one = format!("/api/v1/query?device=air-000&quantity=pm2_5&{long}&bucket=5m");
        measure(&console, "one series, 35 days, 5m, /query", &one, "identity").await;
        let fitted = format!("/api/v1/series?device=air-000&quantity=pm2_5&{long}&max_points=10000");
        measure(&console, "one series, 35 days, up to 10,000 points, /series", &fitted, "identity").await;
        let latest = "/api/v1/latest?area=Tianhe";
        measure(&console, "latest of 167 devices", latest, "identity").await;
    });
}
