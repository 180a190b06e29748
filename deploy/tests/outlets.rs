//! Outlets that are away stop nobody, and the log keeps nothing for those that are switched off.

mod support;

use std::time::{Duration, Instant};

use support::device::Device;
use support::sluice::Folder;

const PATIENCE: Duration = Duration::from_secs(20);

/// A port on which nobody listens.
const NOWHERE: &str = "http://127.0.0.1:9";

#[test]
fn outlets_that_are_away_wait_and_leave_no_trace_when_switched_off() {
    let folder = Folder::new("");
    let plain = std::fs::read_to_string(&folder.config).expect("it was written");
    let secret = folder.dir.path().join("secret");
    std::fs::write(&secret, "secret\n").expect("the folder takes a file");
    let outlets = format!(
        "[influx]\nurl = \"{NOWHERE}\"\norg = \"o\"\nbucket = \"b\"\ntoken_file = {secret:?}\nraw = true\nbatch_age = \"50ms\"\n\
         [webhook]\nurl = \"{NOWHERE}\"\nsecret_file = {secret:?}\n"
    );
    std::fs::write(&folder.config, format!("{plain}{outlets}")).expect("the folder takes a file");
    let password = folder.add_device("probe-1", "air", &[]);
    let device = Device { id: "probe-1".to_owned(), password, in_flight: 1, per_second: None };
    let payloads = [b"{\"pm2_5\": 1.5}".to_vec(), b"{\"pm2_5\": 2.5}".to_vec()];

    let sluice = folder.start();
    device.publish_all(|| sluice.address("mqtt"), &payloads[..1], Instant::now() + PATIENCE, |_| {});
    let waits = |answer: &serde_json::Value| answer["notices"][0]["kind"] == "waiting";
    let notices = sluice.get_until("/api/v1/notices", PATIENCE, waits);
    assert_eq!(notices["notices"][0]["source"], "influx");
    let series = "/api/v1/series?device=probe-1&quantity=pm2_5";
    sluice.get_until(series, PATIENCE, |series| series["mean"] == serde_json::json!([1.5]));
    assert_eq!(sluice.stop(), Some(0), "its log:\n{}", folder.log());
    assert!(readers(&folder).contains("influx"), "{}", readers(&folder));

    std::fs::write(&folder.config, plain).expect("the folder takes a file");
    let sluice = folder.start();
    device.publish_all(|| sluice.address("mqtt"), &payloads[1..], Instant::now() + PATIENCE, |_| {});
    sluice.get_until(series, PATIENCE, |series| series["mean"] == serde_json::json!([1.5, 2.5]));
    assert_eq!(sluice.stop(), Some(0), "its log:\n{}", folder.log());
    let left = readers(&folder);
    assert!(!left.contains("influx") && !left.contains("webhook") && left.contains("series"), "{left}");
}

fn readers(folder: &Folder) -> String {
    let output = folder.command(&["log", "stats"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("statistics are text")
}
