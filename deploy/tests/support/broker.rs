//! A Kafka that belongs to the test, so that it may be killed.

use std::path::Path;
use std::process::Command;

/// Brokers in a folder of their own; stopped when dropped.
pub struct Broker {
    dir: tempfile::TempDir,
    /// Where they are.
    pub address: String,
}

impl Broker {
    /// Starts so many nodes.
    pub fn start(nodes: u32) -> Broker {
        let dir = tempfile::tempdir().expect("a folder for the broker");
        let address = script(&["up", &path(dir.path()), &nodes.to_string()]);
        let address = address.lines().last().expect("it prints its address").to_owned();
        Broker { dir, address }
    }

    /// `kill -9` of one node.
    pub fn kill(&self, node: u32) {
        script(&["kill", &path(self.dir.path()), &node.to_string()]);
    }

    /// Starts a killed node, and returns when it serves.
    pub fn restart(&self, node: u32) {
        script(&["start", &path(self.dir.path()), &node.to_string()]);
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        script(&["down", &path(self.dir.path())]);
    }
}

fn path(path: &Path) -> String {
    path.to_str().expect("a temporary folder's name is text").to_owned()
}

fn script(arguments: &[&str]) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/services/kafka/kafka");
    let output = Command::new(script).args(arguments).output().expect("the script runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() || arguments[0] == "down", "{arguments:?}: {said}");
    String::from_utf8(output.stdout).expect("it prints text")
}
