//! `sluice store …` as a person calls it.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has failed")]

use std::path::Path;
use std::process::{Command, Output};

use records::{Quality, Timestamp, Topic, TopicPartition};
use store::{Options, RawRow, Store};

/// 2026-11-22T08:00:00Z
const T0: i64 = 1_795_334_400_000;

fn sluice(config: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
    command.arg("--config").arg(config).arg("store").args(arguments).output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn series_are_verified_backed_up_and_restored() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("sluice.toml");
    std::fs::write(&config, format!("data = \"{}\"\n", folder.path().join("data").display())).unwrap();
    let series = folder.path().join("data/series");
    let store = Store::open(&series, Options::default()).unwrap();
    let row = |index: i64| RawRow {
        subject: "air-1".into(),
        quantity: "pm2_5".into(),
        event_time: Timestamp(T0 + index * 1000),
        device_time: None,
        ingest_time: Timestamp(T0),
        value: index as f64,
        quality: Quality::GOOD,
    };
    assert_eq!(store.write(&(0..500).map(row).collect::<Vec<_>>(), &[]).refused, 0);
    store.seal(&[(TopicPartition { topic: Topic::Observations, partition: 0 }, 500)]).unwrap();

    // All of it but the restore works while the folder is in use.
    let verified = sluice(&config, &["verify"]);
    assert!(
        verified.status.success() && said(&verified).contains("1 files with 500 rows"),
        "{}",
        said(&verified)
    );
    let backup = folder.path().join("backup");
    let copied = sluice(&config, &["backup", backup.to_str().unwrap()]);
    assert!(copied.status.success(), "{}", said(&copied));
    let refused = sluice(&config, &["restore", backup.to_str().unwrap()]);
    assert!(!refused.status.success() && said(&refused).contains("is not empty"), "{}", said(&refused));
    drop(store);

    let file = series.join("observations/day=2026-11-22/0000000001.parquet");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let verified = sluice(&config, &["verify"]);
    assert_eq!(verified.status.code(), Some(1));
    assert!(said(&verified).contains("500 rows are lost"), "{}", said(&verified));
    assert!(said(&verified).contains("its rows are from 08:00 to 08:08 UTC"), "{}", said(&verified));

    std::fs::remove_dir_all(&series).unwrap();
    let restored = sluice(&config, &["restore", backup.to_str().unwrap()]);
    assert!(restored.status.success(), "{}", said(&restored));
    assert!(sluice(&config, &["verify"]).status.success());
    let store = Store::open(&series, Options::default()).unwrap();
    let points = store.range("air-1", "pm2_5", Timestamp::MIN, Timestamp::MAX, 1000).unwrap();
    assert_eq!((points.t.len(), store.offsets()[0].1), (500, 500));
}
