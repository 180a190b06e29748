//! Clients that others have written, as they come: on both versions of MQTT.

#![allow(clippy::unwrap_used, reason = "a test's own scaffolding")]

mod support;

use std::process::Output;
use support::*;
use tokio::process::Command;

/// `mosquitto_pub` as d-1, with what is particular to a test.
async fn mosquitto_pub(site: &Site, arguments: &[&str]) -> Output {
    let mut command = Command::new("mosquitto_pub");
    command.args(["-h", "127.0.0.1", "-p", &site.address.port().to_string(), "-u", "d-1"]);
    command.args(arguments).output().await.expect("mosquitto-clients is installed")
}

#[tokio::test]
#[ignore = "needs mosquitto-clients"]
async fn mosquitto_pub_publishes_line_by_line() {
    let site = Site::open(&["d-1"]).await;
    let payload = r#"{"sequence": 7, "pm2_5": 180.0}"#;
    for version in ["mqttv311", "mqttv5"] {
        for qos in ["0", "1", "2"] {
            let common = ["-V", version, "-q", qos, "-P", PASSWORD, "-t", "up/d-1/telemetry", "-m", payload];
            let published = mosquitto_pub(&site, &[&common[..], &["--repeat", "50"]].concat()).await;
            assert!(published.status.success(), "{version} {qos}: {published:?}");
        }
    }
    assert_eq!(site.log.sequences("d-1"), [7; 300]);
    site.close().await;
}

#[tokio::test]
#[ignore = "needs mosquitto-clients"]
async fn mosquitto_pub_understands_the_properties_and_reasons_of_5() {
    let site = Site::open(&["d-1"]).await;
    let common = ["-V", "mqttv5", "-q", "1", "-d"];
    let right = [
        "-P",
        PASSWORD,
        "-D",
        "publish",
        "topic-alias",
        "3",
        "-D",
        "connect",
        "session-expiry-interval",
        "9",
    ];
    let message = ["-t", "up/d-1/telemetry", "-m", r#"{"sequence": 7, "pm2_5": 1}"#, "--repeat", "3"];
    let published = mosquitto_pub(&site, &[&common[..], &right, &message].concat()).await;
    assert!(published.status.success(), "{published:?}");
    assert_eq!(site.log.sequences("d-1"), [7; 3]);

    let check = async |arguments: &[&str], expected: &str| {
        let refused = mosquitto_pub(&site, &[&common[..], arguments].concat()).await;
        let said = [refused.stdout, refused.stderr].concat();
        let said = String::from_utf8_lossy(&said).to_lowercase();
        assert!(said.contains(expected), "{said}");
    };
    check(&["-P", "wrong", "-t", "up/d-1/telemetry", "-m", "{}"], "bad user name or password").await;
    check(&["-P", PASSWORD, "-t", "up/d-2/telemetry", "-m", "{}"], "not authorized").await;
    check(&["-P", PASSWORD, "-t", "up/d-1/telemetry", "-m", "?"], "payload format invalid").await;
    site.close().await;
}
