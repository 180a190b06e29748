//! A real Mosquitto in a folder of its own, and its command-line client.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// A broker, stopped when dropped.
pub struct Broker {
    folder: tempfile::TempDir,
    pub address: String,
}

impl Broker {
    /// Starts one; `more` is added to its configuration.
    pub fn start(more: &str) -> Broker {
        let folder = tempfile::tempdir().expect("a folder for the broker");
        std::fs::write(folder.path().join("more.conf"), more).expect("the folder takes a file");
        let mut broker = Broker { folder, address: String::new() };
        broker.address = broker.script("up");
        broker
    }

    /// Stops and starts it again, on the same port.
    pub fn restart(&self) {
        self.script("down");
        assert_eq!(self.script("up"), self.address);
    }

    /// Begins to publish these lines at QoS 1, each a message; the child ends well when the broker has taken all.
    pub fn publish(&self, topic: &str, lines: &str, more: &[&str]) -> Child {
        let (host, port) = self.address.split_once(':').expect("an address with a port");
        let mut child = Command::new("mosquitto_pub")
            .args(["-h", host, "-p", port, "-q", "1", "-t", topic, "-l"])
            .args(more)
            .stdin(Stdio::piped())
            .spawn()
            .expect("mosquitto_pub starts");
        let mut stdin = child.stdin.take().expect("stdin is piped");
        let lines = lines.to_owned();
        std::thread::spawn(move || {
            // Only a child that has failed doesn't read, and its exit code says so.
            let _ = stdin.write_all(lines.as_bytes());
        });
        child
    }

    /// Publishes and waits until the broker has taken all.
    pub fn publish_all(&self, topic: &str, lines: &str, more: &[&str]) {
        let ended = self.publish(topic, lines, more).wait().expect("it ends");
        assert!(ended.success(), "mosquitto_pub to {topic}: {ended}");
    }

    fn script(&self, command: &str) -> String {
        let script = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/services/mosquitto/mosquitto"));
        let output =
            Command::new(script).arg(command).arg(self.folder.path()).output().expect("bash is there");
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("an address is text").trim().to_owned()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.script("down");
    }
}
