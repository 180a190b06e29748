//! What is remembered by key, beside the records and with them.
#![allow(clippy::unwrap_used, reason = "clippy does not see that this is test code")]

mod common;

use std::path::Path;

use common::*;
use embedded::{Log, Options, backup, stats, verify};
use records::{AppendError, Note, Noted, Timestamp, Topic};
use rusqlite::Connection;

fn put(key: &str, value: &str) -> Note {
    Note::Put { key: key.into(), value: value.into() }
}

fn claim(key: &str, value: &str) -> Note {
    Note::Claim { key: key.into(), value: value.into() }
}

fn remove(key: &str) -> Note {
    Note::Remove { key: key.into() }
}

async fn note(log: &Log, notes: Vec<Note>) {
    log.append_noted(vec![], notes).await.unwrap();
}

async fn keys(log: &Log, prefix: &str) -> String {
    let noted = log.notes(prefix.as_bytes()).await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let pair = |(key, value): &(Vec<u8>, Vec<u8>)| format!("{}={}", text(key), text(value));
    noted.pairs.iter().map(pair).collect::<Vec<_>>().join(" ")
}

fn change(dir: &Path, sql: &str) {
    Connection::open(dir.join("log.db")).unwrap().execute_batch(sql).unwrap();
}

#[tokio::test]
async fn notes_are_carried_out_in_their_order_and_outlive_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    note(&log, vec![put("a1", "x"), put("b", "y"), put("a2", "z"), remove("b"), put("b", "w")]).await;
    assert_eq!(keys(&log, "").await, "a1=x a2=z b=w");
    assert_eq!(keys(&log, "a").await, "a1=x a2=z");
    let same = |value: &str| Note::RemoveSame { key: b"b".to_vec(), value: value.into() };
    note(&log, vec![same("y")]).await;
    assert_eq!(keys(&log, "b").await, "b=w");
    note(&log, vec![same("w"), Note::RemoveUnder { prefix: b"a".to_vec() }, put("a1", "again")]).await;
    log.close().await;
    drop(log);
    assert_eq!(keys(&open(dir.path()), "").await, "a1=again");
}

#[tokio::test]
async fn an_append_that_is_offered_again_is_carried_out_once() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    let offer = async |value: &str, claims: Vec<Note>| {
        log.append_noted(vec![(T0, batch([value]))], claims).await.unwrap();
    };
    for _ in 0..3 {
        offer("one", vec![put("other", "1"), claim("id", "first"), claim("id2", "first")]).await;
    }
    // Without a claim nobody knows it, and another value of the same key is another append.
    offer("two", vec![put("other", "2")]).await;
    offer("two", vec![put("other", "2")]).await;
    offer("three", vec![claim("id", "second")]).await;
    note(&log, vec![remove("id")]).await;
    offer("four", vec![claim("id", "second")]).await;
    let mut reader = log.consumer("reader", &[Topic::Telemetry]);
    assert_eq!(read(&mut reader, 5).await.1, ["one", "two", "two", "three", "four"]);
    assert_eq!(keys(&log, "id").await, "id=second id2=first");
}

#[tokio::test]
async fn a_full_log_refuses_notes_with_records_and_takes_those_that_make_room() {
    let dir = tempfile::tempdir().unwrap();
    let log = open_with(dir.path(), Options { budget_bytes: Some(4 << 20), ..Options::default() }).unwrap();
    log.introduce("slow", &[Topic::Telemetry]).await.unwrap();
    note(&log, vec![put("id", "1")]).await;
    let full = loop {
        let notes = vec![put("with", "records")];
        if let Err(error) = log.append_noted(vec![(T0, filler(20, 1000))], notes).await {
            break error;
        }
        note(&log, vec![remove("with")]).await;
    };
    assert!(matches!(full, AppendError::Full(_)), "{full:?}");
    assert_eq!(keys(&log, "").await, "id=1", "nothing of what was refused");
    note(&log, vec![remove("id")]).await;
    assert_eq!(keys(&log, "").await, "");
}

#[tokio::test]
async fn a_note_that_is_not_as_it_was_written_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    note(&log, vec![put("a", "one"), put("b", "two"), put("c", "three")]).await;
    change(dir.path(), "UPDATE notes SET value = x'00' WHERE key = x'62'");
    let Noted { pairs, damaged } = log.notes(b"").await.unwrap();
    assert_eq!((pairs.len(), damaged), (2, vec![b"b".to_vec()]));
    let found = verify(dir.path()).unwrap();
    let told: Vec<String> = found.damages.iter().map(ToString::to_string).collect();
    assert_eq!((found.notes, told), (2, vec!["the note b does not match its checksum".to_owned()]));
    assert_eq!(stats(dir.path()).unwrap().notes.count, 3);
}

#[tokio::test]
async fn a_copy_has_them_and_is_another_log() {
    let (dir, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let log = open(dir.path());
    note(&log, vec![put("a", "one")]).await;
    backup(dir.path(), to.path(), Timestamp(77)).unwrap();
    let copy = open(to.path());
    assert_eq!((keys(&copy, "").await, copy.made()), ("a=one".to_owned(), Timestamp(77)));
    assert_ne!(log.made(), copy.made());
}

#[tokio::test]
async fn a_log_of_the_version_before_gets_what_it_lacks() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    append(&log, T0, batch(["kept"])).await;
    log.close().await;
    drop(log);
    change(dir.path(), "DROP TABLE notes; PRAGMA user_version = 1");
    assert_eq!((verify(dir.path()).unwrap().damages, stats(dir.path()).unwrap().notes.count), (vec![], 0));
    let log = open(dir.path());
    note(&log, vec![put("a", "one")]).await;
    assert_eq!(keys(&log, "").await, "a=one");
    assert_eq!(read(&mut log.consumer("reader", &[Topic::Telemetry]), 1).await.1, ["kept"]);
    let version = Connection::open(dir.path().join("log.db")).unwrap();
    let version: i64 = version.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    assert_eq!(version, 2);
}
