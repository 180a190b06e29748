//! `sluice store rebuild` and `restore` against a log that a real server has written.

mod support;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use records::Timestamp;
use store::{Options, Store, backup};
use support::device::Device;
use support::sluice::Folder;

const CONFIG: &str = "[store]\nseal_age = \"1s\"\n";
const PATIENCE: Duration = Duration::from_secs(120);

/// Publishes observations `numbers`, and stops the server when the series have them, sealed.
fn publish(folder: &Folder, password: &str, numbers: std::ops::Range<i64>, start: i64) {
    let sluice = folder.start();
    let address = sluice.address("mqtt");
    let device = Device { id: "w-1".into(), password: password.to_owned(), in_flight: 20, per_second: None };
    let payload = |index: i64| {
        let time = start + 10 * index;
        format!(r#"{{"epoch": 1, "sequence": {index}, "time": {time}, "temperature": 21.5}}"#).into_bytes()
    };
    let end = numbers.end;
    let payloads: Vec<Vec<u8>> = numbers.map(payload).collect();
    device.publish_all(|| address, &payloads, Instant::now() + PATIENCE, |_| {});
    let path = format!("/api/v1/query?device=w-1&quantity=temperature&bucket=365d&from=0&to={}", start * 2);
    sluice.get_until(&path, PATIENCE, |answer| answer["series"][0]["count"] == serde_json::json!([end]));
    assert_eq!(sluice.stop(), Some(0), "a stop seals");
}

fn count(series: &Path) -> u64 {
    let store = Store::open(series, Options::default()).expect("opens");
    let width = Duration::from_secs(86_400);
    let all = store.buckets("w-1", "temperature", Timestamp::MIN, Timestamp::MAX, width, Duration::ZERO);
    all.expect("answers").iter().map(|bucket| bucket.count).sum()
}

fn run(folder: &Folder, arguments: &[&str], is_fine: bool) -> String {
    let output = folder.command(&[&["store"], arguments].concat());
    let text =
        [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat();
    assert_eq!(output.status.success(), is_fine, "{arguments:?}: {text}");
    text
}

fn raw_file(series: &Path) -> PathBuf {
    let day =
        std::fs::read_dir(series.join("observations")).expect("days").next().expect("a day").expect("read");
    std::fs::read_dir(day.path()).expect("files").next().expect("a file").expect("read").path()
}

fn flip_a_bit(series: &Path) {
    let path = raw_file(series);
    let mut bytes = std::fs::read(&path).expect("read");
    bytes[40] ^= 1;
    std::fs::write(path, bytes).expect("written");
}

#[test]
fn series_are_made_whole_from_the_log() {
    let folder = Folder::new(CONFIG);
    let password = folder.add_device("w-1", "weather", &[]);
    let (series, copy) = (folder.data().join("series"), folder.dir.path().join("copy"));
    let start = deploy::clock::now().millis() - 60_000;
    publish(&folder, &password, 0..100, start);
    backup(&series, &copy).expect("copies");
    publish(&folder, &password, 100..250, start);
    assert_eq!(count(&series), 250);

    // A flipped bit: found, told, and made good.
    flip_a_bit(&series);
    assert!(run(&folder, &["rebuild"], true).contains("of them had been lost"));
    assert_eq!(count(&series), 250);
    run(&folder, &["verify"], true);
    assert!(run(&folder, &["rebuild"], true).contains("nothing is damaged"));

    // Series of an earlier moment read on from where they end, though the log's position is behind that.
    std::fs::remove_dir_all(&series).expect("removed");
    run(&folder, &["restore", copy.to_str().expect("a path")], true);
    assert_eq!(count(&series), 250);
    // The same without the command.
    std::fs::remove_dir_all(&series).expect("removed");
    store::restore(&copy, &series).expect("copies");
    publish(&folder, &password, 250..260, start);
    assert_eq!(count(&series), 260);

    // Everything, from nothing.
    assert!(run(&folder, &["rebuild", "--all"], true).contains("rows were read from the log"));
    assert_eq!(count(&series), 260);

    // What the log no longer has stays lost, and that is said.
    let other = folder.data().join("log");
    std::fs::rename(&other, folder.data().join("log.away")).expect("moved");
    flip_a_bit(&series);
    let told = run(&folder, &["rebuild"], false);
    assert!(told.contains("log"), "{told}");
    std::fs::rename(folder.data().join("log.away"), &other).expect("moved back");
    run(&folder, &["rebuild"], true);
    assert_eq!(count(&series), 260);
}
