//! `sluice check --try`: what a payload becomes, shown before anything runs.

use std::process::{Command, Output};

const CONFIG: &str = r#"
[[mapping]]
filter = "plant/+/line/+/temp"
device = "m-{1}-{2}"
family = "machine"
area = "plant-{1}"
crs = "gcj02"
sequence = "/n"
time = { pointer = "/at", format = "%Y-%m-%d %H:%M:%S", zone = "Asia/Shanghai" }
position = { lon = "/where/0", lat = "/where/1" }
readings = { bearing_temperature = { pointer = "/kelvin", unit = "K" }, rpm = "/rpm" }
"#;

const SAMPLE: &str = r#"{"n": 7, "at": "2025-11-25 00:00:00", "where": [113.2697296, 23.1264233], "kelvin": "300.15",
    "rpm": 1480}"#;

fn check(sample: &str, more: &[&str]) -> Output {
    let folder = tempfile::tempdir().expect("a folder");
    let (config, payload) = (folder.path().join("sluice.toml"), folder.path().join("sample.json"));
    std::fs::write(&config, CONFIG).expect("the folder takes a file");
    std::fs::write(&payload, sample).expect("the folder takes a file");
    let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
    command.arg("check").arg(&config).arg("--try").arg(&payload).args(more).output().expect("the binary runs")
}

#[test]
fn a_sample_is_shown_as_it_would_stand_on_the_log() {
    let output = check(SAMPLE, &["--topic", "plant/7/line/b/temp"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    expect_test::expect![[r#"
        plant/7/line/b/temp by the mapping of plant/+/line/+/temp
          device m-7-b (machine) in "plant-7"
          time 2025-11-24T16:00:00Z
          sequence 7
          position 113.264400, 23.129100 (WGS-84)
          bearing_temperature = 27 Cel
          rpm = 1480 in a unit of its own
    "#]]
    .assert_eq(&String::from_utf8_lossy(&output.stdout));
    assert!(String::from_utf8_lossy(&check(SAMPLE, &[]).stdout).contains("device m-1-2 (machine)"));
}

#[test]
fn a_sample_that_nobody_understands_is_a_failure() {
    let output = check("{}", &["--topic", "plant/7/line/b/temp"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("to quarantine, invalid: "), "{said}");
    let output = check(SAMPLE, &["--topic", "elsewhere"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("no mapping is for elsewhere"));
}
