//! Clients that others have written, as they come: on both versions of MQTT.

#![allow(clippy::unwrap_used, reason = "a test's own scaffolding")]

mod support;

use gateway::{Limits, Listener};
use std::process::Output;
use support::proof::Proof;
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

/// `mosquitto_sub` as the reader until it has `count` messages; what it prints.
fn mosquitto_sub(site: &Site, count: &str, arguments: &[&str]) -> tokio::process::Child {
    let mut command = Command::new("mosquitto_sub");
    command.args(["-h", "127.0.0.1", "-p", &site.address.port().to_string(), "-u", "reader", "-P", PASSWORD]);
    command.args(["-C", count, "-W", "30", "-F", "%t %q %r %p"]).args(arguments);
    command.stdout(std::process::Stdio::piped()).spawn().expect("mosquitto-clients is installed")
}

#[tokio::test]
#[ignore = "needs mosquitto-clients"]
async fn mosquitto_sub_gets_what_is_live_retained_and_left_behind() {
    for version in ["mqttv311", "mqttv5"] {
        let site = Site::open(&["d-1"]).await;
        add_subscriber(&site.registry, "reader", &["up/#"]);
        let publish = async |topic: &str, qos: &str, payload: &str, more: &[&str]| {
            let arguments = ["-V", version, "-P", PASSWORD, "-t", topic, "-q", qos, "-m", payload];
            let published = mosquitto_pub(&site, &[&arguments[..], more].concat()).await;
            assert!(published.status.success(), "{version}: {published:?}");
        };
        let reader = mosquitto_sub(&site, "3", &["-V", version, "-t", "up/+/telemetry", "-q", "2"]);
        site.until("it has subscribed", |site| site.metric("sluice_gateway_subscriptions", "") == 1.0).await;
        for qos in ["0", "1", "2"] {
            publish("up/d-1/telemetry", qos, r#"{"t": 1}"#, &["-r"]).await;
        }
        let said = String::from_utf8(reader.wait_with_output().await.unwrap().stdout).unwrap();
        let expected: String = (0..3).map(|qos| format!("up/d-1/telemetry {qos} 0 {{\"t\": 1}}\n")).collect();
        assert_eq!(said, expected, "{version}");
        let newcomer = mosquitto_sub(&site, "1", &["-V", version, "-t", "up/#", "-q", "1"]);
        let said = String::from_utf8(newcomer.wait_with_output().await.unwrap().stdout).unwrap();
        assert_eq!(said, "up/d-1/telemetry 1 1 {\"t\": 1}\n", "{version}");
        site.close().await;
    }
}

#[tokio::test]
#[ignore = "needs python3-venv and PyPI"]
async fn paho_subscribes_is_away_and_leaves_a_will() {
    let venv = tempfile::tempdir().unwrap();
    let python = venv.path().join("bin/python3");
    run(Command::new("python3").args(["-m", "venv"]).arg(venv.path())).await;
    run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "paho-mqtt==2.1.0"])).await;
    let proof = Proof::new();
    let tls = proof.tls();
    for version in ["3.1.1", "5"] {
        for transport in ["tcp", "websockets"] {
            for is_secure in [false, true] {
                let listen = |socket| match is_secure {
                    true => Listener::tls(socket, tls.clone()),
                    false => Listener::plain(socket),
                };
                let site = Site::open_behind(&["d-1"], Limits::default(), listen).await;
                add_subscriber(&site.registry, "reader", &["up/#"]);
                let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/paho/subscribe.py");
                let address = if transport == "tcp" { site.address } else { site.websocket };
                let port = address.port().to_string();
                let mut command = Command::new(&python);
                command.args([script, &port, version, transport]);
                command.args(is_secure.then(|| proof.write(&site)));
                println!("{version} {transport} {is_secure}:\n{}", run(&mut command).await);
                site.close().await;
            }
        }
    }
}

async fn run(command: &mut Command) -> String {
    let done = command.output().await.unwrap();
    assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).into_owned()
}
