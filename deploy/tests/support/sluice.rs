//! The binary as a child process on a data folder of its own.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

/// A running `sluice`, killed when dropped.
pub struct Sluice {
    child: Child,
    addresses: HashMap<String, String>,
}

/// A folder with a config file whose listeners take any free port.
pub struct Folder {
    pub dir: tempfile::TempDir,
    pub config: PathBuf,
}

impl Folder {
    /// A fresh one; `more` is added to the config.
    pub fn new(more: &str) -> Folder {
        let dir = tempfile::tempdir().expect("a folder for the test");
        let config = dir.path().join("sluice.toml");
        let any = "listen = \"127.0.0.1:0\"";
        let data = dir.path().join("data");
        let text = format!("data = {data:?}\n[gateway]\n{any}\n[console]\n{any}\n[admin]\n{any}\n{more}\n");
        std::fs::write(&config, text).expect("the folder takes a file");
        Folder { dir, config }
    }

    /// Where the data is.
    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// Lets the data be somewhere else.
    pub fn move_data(&self, data: &Path) {
        let text = std::fs::read_to_string(&self.config).expect("the file is there");
        let text = text.replace(&format!("{:?}", self.data()), &format!("{data:?}"));
        std::fs::write(&self.config, text).expect("the folder takes a file");
    }

    /// What the log on standard error says so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("stderr.log")).unwrap_or_default()
    }

    /// Runs a command of the binary on this config, to its end.
    pub fn command(&self, arguments: &[&str]) -> Output {
        Command::new(binary())
            .arg("--config")
            .arg(&self.config)
            .args(arguments)
            .output()
            .expect("the binary runs")
    }

    /// Registers a device and returns its password.
    pub fn add_device(&self, id: &str, family: &str, more: &[&str]) -> String {
        let mut arguments = vec!["device", "add", id, "--family", family];
        arguments.extend_from_slice(more);
        let output = self.command(&arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("a password is text").trim().to_owned()
    }

    /// Starts the server and waits until it is ready.
    pub fn start(&self) -> Sluice {
        self.try_start(&[]).unwrap_or_else(|| panic!("not ready; its log:\n{}", self.log()))
    }

    /// The same with more arguments; `None` when it ends or says nothing for 90 s: it waits 60 s for Kafka.
    pub fn try_start(&self, arguments: &[&str]) -> Option<Sluice> {
        let (mut sluice, ready) = self.spawn(arguments);
        let line = ready.recv_timeout(Duration::from_secs(90)).ok()?;
        let pairs = line.split_whitespace().filter_map(|pair| pair.split_once('='));
        sluice.addresses = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Some(sluice)
    }

    /// Starts it, and waits for nothing.
    pub fn begin(&self, arguments: &[&str]) -> Sluice {
        self.spawn(arguments).0
    }

    fn spawn(&self, arguments: &[&str]) -> (Sluice, Receiver<String>) {
        let log =
            std::fs::OpenOptions::new().create(true).append(true).open(self.dir.path().join("stderr.log"));
        let mut child = Command::new(binary())
            .arg("--config")
            .arg(&self.config)
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(log.expect("the folder takes a log"))
            .spawn()
            .expect("the binary runs");
        let stdout = child.stdout.take().expect("stdout is piped");
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if let Some(addresses) = line.strip_prefix("ready ") {
                    let _ = tell.send(addresses.to_owned());
                }
            }
        });
        (Sluice { child, addresses: HashMap::new() }, told)
    }
}

impl Sluice {
    /// Address of the listener `mqtt`, `console` or `admin`.
    pub fn address(&self, name: &str) -> SocketAddr {
        let address = &self.addresses[name];
        address.trim_start_matches("http://").parse().expect("an address with a port")
    }

    /// Whether it has not ended.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("it can be waited for").is_none()
    }

    /// `kill -9`.
    pub fn kill(mut self) {
        self.child.kill().expect("it was running");
        self.child.wait().expect("it ends");
    }

    /// Asks it to stop, and returns its exit code; none if it did not within 30 s and had to be killed.
    pub fn stop(mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs");
        let deadline = Instant::now() + Duration::from_secs(30);
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().expect("it can be waited for") {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        None
    }

    /// GET of the API, as JSON.
    pub fn get(&self, path: &str) -> serde_json::Value {
        let (status, body) = http_get(self.address("console"), path);
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).expect("the API answers in JSON")
    }

    /// Asks until `is_right`, at most `patience`.
    pub fn get_until(
        &self,
        path: &str,
        patience: Duration,
        is_right: impl Fn(&serde_json::Value) -> bool,
    ) -> serde_json::Value {
        let deadline = Instant::now() + patience;
        loop {
            // Until it has been heard of, a device is a 404.
            let (status, body) = http_get(self.address("console"), path);
            let answer = serde_json::from_str(&body).expect("the API answers in JSON");
            if status == 200 && is_right(&answer) {
                return answer;
            }
            assert!(Instant::now() < deadline, "{path} still says after {patience:?}: {answer}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Sluice {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A GET over a connection of its own: status and body.
pub fn http_get(address: SocketAddr, path: &str) -> (u16, String) {
    ask(address, &format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n"))
}

/// A POST of JSON over a connection of its own, as the page sends it: status and body.
#[allow(dead_code, reason = "not every test that starts the binary changes something")]
pub fn http_post(address: SocketAddr, path: &str, body: &serde_json::Value) -> (u16, String) {
    let (body, origin) = (body.to_string(), format!("Host: {address}\r\nOrigin: http://{address}"));
    let head = format!("POST {path} HTTP/1.0\r\n{origin}\r\nContent-Type: application/json");
    ask(address, &format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()))
}

fn ask(address: SocketAddr, request: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).expect("the server listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket takes a timeout");
    stream.write_all(request.as_bytes()).expect("the server reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the server answers");
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.expect("an answer has a status"), body.to_owned())
}

/// The binary under test.
pub fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_sluice"))
}
