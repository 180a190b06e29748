//! A disk that fails while the log runs, and one that can't be written.
#![allow(clippy::unwrap_used, reason = "clippy does not see that this is test code")]

mod common;

use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{ChildStdout, Command, Stdio};
use std::time::Duration;

use common::*;
use embedded::{OpenError, Options};
use records::{AppendError, Producer, Topic};

const DIR: &str = "SLUICE_TEST_LOG_DIR";
/// Nobody, on every Linux.
const NOBODY: u32 = 65_534;

/// The rest of the next line of the child that begins with this word.
fn told(lines: &mut BufReader<ChildStdout>, word: &str) -> String {
    let mut line = String::new();
    while lines.read_line(&mut line).unwrap() > 0 {
        if let Some((_, rest)) = line.split_once(word) {
            return rest.trim().to_owned();
        }
        line.clear();
    }
    panic!("the child never says {word}");
}

/// Writes beyond a limit fail as on a broken disk; the system says "file too large" and SQLite "disk I/O error".
#[test]
fn a_write_that_fails_is_an_error_and_all_goes_on_when_it_works_again() {
    let dir = tempfile::tempdir().unwrap();
    let program = std::env::current_exe().unwrap();
    let script = "trap '' XFSZ; ulimit -S -f 4000; exec \"$0\" the_writer --exact --ignored --nocapture";
    let mut writer = Command::new("sh");
    writer.args(["-c", script]).arg(program).env(DIR, dir.path()).stdout(Stdio::piped());
    let mut writer = writer.spawn().unwrap();
    let mut lines = BufReader::new(writer.stdout.take().unwrap());
    let before: u64 = told(&mut lines, "acknowledged ").parse().unwrap();
    assert!(before > 100, "{before}");
    let error = told(&mut lines, "refused ");
    assert!(error.contains("I/O error"), "{error}");
    assert_eq!(told(&mut lines, "readable "), before.to_string());
    let pid = writer.id().to_string();
    assert!(Command::new("prlimit").args(["--pid", &pid, "--fsize=unlimited"]).status().unwrap().success());
    let after: u64 = told(&mut lines, "again ").parse().unwrap();
    // A refused append may be there all the same; an acknowledged one is, where it was said to be.
    assert!(after >= before, "{after} after {before}");
    assert!(writer.wait().unwrap().success());
    assert_eq!(embedded::verify(dir.path()).unwrap().damages, []);
}

#[tokio::test]
#[ignore = "needs a parent that limits and lifts"]
async fn the_writer() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let log = open(Path::new(&dir));
    let mut acknowledged = 0;
    let error = loop {
        match log.append(vec![(T0, filler(10, 1000))]).await {
            Ok(offsets) => acknowledged = offsets[0] + 10,
            Err(error) => break error,
        }
    };
    println!("acknowledged {acknowledged}");
    let AppendError::Unavailable(cause) = error else { panic!("{error:?}") };
    println!("refused {cause}");
    let (_, values) = read(&mut log.consumer("reader", &[Topic::Telemetry]), acknowledged as usize).await;
    println!("readable {}", values.len());
    loop {
        if let Ok(offsets) = log.append(vec![(T0, filler(1, 10))]).await {
            break println!("again {}", offsets[0]);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    log.close().await;
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    append(&log, T0, batch(["a"])).await;
    log.close().await;
    let names = ["log.db", "log.lock"];
    for name in names {
        std::fs::set_permissions(dir.path().join(name), PermissionsExt::from_mode(0o444)).unwrap();
    }
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o555)).unwrap();
    let before = std::fs::read(dir.path().join("log.db")).unwrap();
    // Where somebody else may run it.
    let programs = tempfile::tempdir().unwrap();
    let program = programs.path().join("opener");
    std::fs::set_permissions(programs.path(), PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let mut opener = Command::new(&program);
    opener.args(["the_opener", "--exact", "--ignored", "--nocapture"]).env(DIR, dir.path());
    // Permissions mean nothing to root.
    if std::fs::metadata("/proc/self").unwrap().uid() == 0 {
        opener.uid(NOBODY).gid(NOBODY);
    }
    let output = String::from_utf8(opener.output().unwrap().stdout).unwrap();
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
    assert!(output.contains("refused ") && output.contains("log.lock"), "{output}");
    assert_eq!(std::fs::read(dir.path().join("log.db")).unwrap(), before);
}

#[tokio::test]
#[ignore = "needs a parent that takes its rights away"]
async fn the_opener() {
    let Ok(dir) = std::env::var(DIR) else { return };
    match open_with(Path::new(&dir), Options::default()) {
        Err(error @ OpenError::Folder { .. }) => println!("refused {error}"),
        other => panic!("{:?}", other.err()),
    }
}
