//! Two processes and one folder.
#![allow(clippy::unwrap_used, reason = "clippy does not see that this is test code")]

mod common;

use std::path::Path;
use std::process::Command;

use common::*;
use embedded::{OpenError, Options};

const DIR: &str = "SLUICE_TEST_LOG_DIR";

#[tokio::test]
async fn a_second_process_is_told_who_holds_the_folder() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    let second = || {
        let arguments = ["the_second_process", "--exact", "--ignored", "--nocapture"];
        let output =
            Command::new(std::env::current_exe().unwrap()).args(arguments).env(DIR, dir.path()).output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    };
    let told = second();
    assert!(told.contains(&format!("in use by another sluice (pid {})", std::process::id())), "{told}");
    append(&log, T0, batch(["a"])).await;
    log.close().await;
    let told = second();
    assert!(told.contains("opened, next is 1"), "{told}");
}

#[tokio::test]
#[ignore = "needs a first process"]
async fn the_second_process() {
    let Ok(dir) = std::env::var(DIR) else { return };
    match open_with(Path::new(&dir), Options::default()) {
        Ok(log) => println!("opened, next is {}", log.stats().partitions[0].next),
        Err(error @ OpenError::InUse { .. }) => println!("{error}"),
        Err(other) => panic!("{other:?}"),
    }
}
