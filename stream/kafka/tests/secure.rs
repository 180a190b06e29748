//! A broker that asks who we are, through TLS.
#![allow(clippy::unwrap_used, reason = "clippy does not see that this is test code")]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use common::{metrics, options_at, prefix};
use kafka::admin::Admin;
use kafka::{ConnectError, Log, Options, Token};
use records::{Batch, Consumer, Producer, Topic, TopicPartition};

const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Kafka (the service's script)"]
async fn clients_prove_themselves_or_are_told_why_not() {
    let broker = Broker::start();
    carries(broker.scram("sluice-secret")).await;
    carries(broker.tokens()).await;

    refused(broker.scram("a guess"), "sasl.password").await;
    let mut stranger = broker.scram("sluice-secret");
    let other = broker.dir.path().join("other");
    std::fs::create_dir(&other).unwrap();
    set(&mut stranger, "ssl.ca.location", certificate(&other).to_str().unwrap());
    refused(stranger, "ssl.ca.location").await;
}

/// Topics are made, a record is appended, read and committed.
async fn carries(options: Options) {
    Admin::connect(&options).unwrap().create().await.unwrap();
    let log = Log::connect(options, metrics()).await.unwrap();
    let mut batch = Batch::new();
    batch.push(b"device", b"value");
    let place = TopicPartition { topic: Topic::Telemetry, partition: 0 };
    assert_eq!(log.append(vec![(place, batch)]).await.unwrap(), [0]);
    let mut consumer = log.consumer("reader", &[Topic::Telemetry]);
    let fetched = tokio::time::timeout(PATIENCE, consumer.poll()).await.unwrap().unwrap().unwrap();
    assert_eq!(fetched.records().map(|(_, _, value)| value.to_vec()).collect::<Vec<_>>(), [b"value"]);
    consumer.commit(&[(place, 1)]).await.unwrap();
}

/// Nobody waits for what can't come, and the words name the setting.
async fn refused(options: Options, words: &str) {
    let Err(error) = Log::connect(options, metrics()).await else { panic!("{words}: it is let in") };
    assert!(matches!(error, ConnectError::Refused { .. }), "{words}: {error:?}");
    assert!(error.to_string().contains(words), "{words}: {error}");
    println!("{error}");
}

fn set(options: &mut Options, name: &str, value: &str) {
    options.security.properties.insert(name.to_owned(), value.to_owned());
}

struct Broker {
    dir: tempfile::TempDir,
    address: String,
}

impl Broker {
    fn start() -> Broker {
        let dir = tempfile::tempdir().unwrap();
        run(&["up", dir.path().to_str().unwrap(), "1", "--secure"]);
        let address = run(&["address", dir.path().to_str().unwrap(), "--secure"]);
        Broker { dir, address }
    }

    fn through_tls(&self, mechanism: &str) -> Options {
        let mut options = options_at(&self.address, &prefix("secure"), "one", 1);
        set(&mut options, "security.protocol", "SASL_SSL");
        set(&mut options, "ssl.ca.location", self.dir.path().join("ca.pem").to_str().unwrap());
        set(&mut options, "sasl.mechanism", mechanism);
        options
    }

    fn scram(&self, password: &str) -> Options {
        let mut options = self.through_tls("SCRAM-SHA-512");
        set(&mut options, "sasl.username", "sluice");
        set(&mut options, "sasl.password", password);
        options
    }

    fn tokens(&self) -> Options {
        let mut options = self.through_tls("OAUTHBEARER");
        options.security.tokens = Some(Arc::new(|| Ok(token())));
        options
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        run(&["down", self.dir.path().to_str().unwrap()]);
    }
}

/// A JSON Web Signature without a signature (RFC 7515, appendix A.5), for five minutes.
fn token() -> Token {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let expires = now + 300;
    let [head, claims] = [r#"{"alg":"none"}"#, &format!(r#"{{"sub":"sluice","iat":{now},"exp":{expires}}}"#)]
        .map(|part| URL_SAFE_NO_PAD.encode(part));
    let expires_ms = i64::try_from(expires * 1000).unwrap();
    Token { token: format!("{head}.{claims}."), principal: "sluice".to_owned(), expires_ms }
}

/// Somebody else's.
fn certificate(folder: &Path) -> PathBuf {
    let path = folder.join("ca.pem");
    let store = folder.join("key.p12");
    let store = store.to_str().unwrap();
    let keytool = |arguments: &[&str]| {
        let shared = ["-keystore", store, "-storepass", "not-for-us", "-alias", "other"];
        let output = Command::new("keytool").args(arguments).args(shared).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    };
    keytool(&["-genkeypair", "-storetype", "PKCS12", "-keyalg", "EC", "-dname", "CN=other"]);
    keytool(&["-exportcert", "-rfc", "-file", path.to_str().unwrap()]);
    path
}

fn run(arguments: &[&str]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/services/kafka/kafka");
    let output = Command::new(script).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
