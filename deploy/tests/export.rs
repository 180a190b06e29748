//! `[[export]]` through the binary: the hour that is over is a file with its rows, once.

mod support;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use support::device::say;
use support::sluice::Folder;

const PATIENCE: Duration = Duration::from_secs(60);
const HOUR: i64 = 3_600_000;

#[test]
fn an_hour_that_is_over_becomes_a_file() {
    let folder = Folder::new("[store]\nseal_age = \"1s\"\n[clock]\npolicy = \"trust\"");
    let password = folder.add_device("machine-1", "machine", &[]);
    let now =
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_millis() as i64;
    let hour = now.div_euclid(HOUR) * HOUR - HOUR;
    let sluice = folder.start();
    for at in [hour, hour + HOUR / 2, hour + HOUR - 1, now] {
        say(sluice.address("mqtt"), "machine-1", &password, at);
    }
    let series = format!("/api/v1/series?device=machine-1&quantity=vibration&from={hour}");
    sluice.get_until(&series, PATIENCE, |series| series["t"].as_array().is_some_and(|t| t.len() == 4));
    assert_eq!(sluice.stop(), Some(0), "its log:\n{}", folder.log());

    let out = folder.dir.path().join("exports");
    let plain = std::fs::read_to_string(&folder.config).expect("it was written");
    let export = format!(
        "[[export]]\nname = \"hourly\"\nwhat = \"observations\"\nformat = \"csv\"\nperiod = \"hour\"\n\
         delay = \"1s\"\nfolder = {out:?}\n"
    );
    std::fs::write(&folder.config, format!("{plain}{export}")).expect("the folder takes a file");
    let sluice = folder.start();
    let begun = Instant::now();
    while files(&out).is_empty() {
        assert!(begun.elapsed() < PATIENCE, "no file; its log:\n{}", folder.log());
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(sluice.stop(), Some(0), "its log:\n{}", folder.log());
    // When the hour has turned meanwhile there are two.
    let file = &files(&out)[0];
    let text = std::fs::read_to_string(file).expect("it is whole");
    let rows: Vec<&str> = text.lines().skip(1).collect();
    assert_eq!(rows.len(), 3, "the current hour is not over:\n{text}");
    assert!(
        rows.iter().all(|row| row.starts_with("machine-1,vibration,") && row.contains(",8.25,")),
        "{text}"
    );
}

/// The exported files, by period; the folder's mark is not one.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.expect("read").path());
    let is_csv = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "csv");
    let mut found: Vec<PathBuf> = paths.filter(is_csv).collect();
    found.sort();
    found
}
