//! The registry file on its own, and in the hands of two.

#![allow(clippy::unwrap_used, reason = "a test's own scaffolding")]

mod support;

use gateway::{Directory, NewDevice, Registry, RegistryError};
use records::{Crs, Family, Position, Timestamp};
use support::{NOW, new_device};

fn open() -> (tempfile::TempDir, Registry, Registry) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.db");
    let (one, other) = (Registry::open(&path).unwrap(), Registry::open(&path).unwrap());
    (folder, one, other)
}

#[test]
fn one_handle_sees_what_the_other_did() {
    let (_folder, one, other) = open();
    let device = NewDevice {
        label: "Köln, Rathaus".into(),
        family: Family::Traffic,
        rank: 7,
        position: Some(Position { lon: 6.9603, lat: 50.9375 }),
        ..new_device("t-1")
    };
    let password = one.add(device, NOW).unwrap();
    let seen = other.get("t-1").unwrap();
    assert_eq!(
        (seen.id.as_str(), seen.family, seen.label.as_str()),
        ("t-1", Family::Traffic, "Köln, Rathaus")
    );
    assert_eq!((seen.area.as_str(), seen.rank, seen.is_enabled), ("north", 7, true));
    assert_eq!((seen.position, seen.updated_at), (Some(Position { lon: 6.9603, lat: 50.9375 }), NOW));
    let entry = other.look_up("t-1").unwrap().unwrap();
    assert!(entry.credential.matches(password.as_str()));
    assert!(!entry.credential.matches("t-1"));

    other.disable("t-1", NOW).unwrap();
    assert!(!one.get("t-1").unwrap().is_enabled);
    let rotated = one.rotate("t-1").unwrap();
    let entry = other.look_up("t-1").unwrap().unwrap();
    assert!(entry.credential.matches(rotated.as_str()) && !entry.credential.matches(password.as_str()));
}

#[test]
fn many_are_provisioned_all_or_none() {
    let (_folder, one, other) = open();
    let old = one.add(new_device("b"), NOW).unwrap();
    one.disable("b", NOW).unwrap();
    let devices = ["a", "b", "c"].map(new_device);
    let passwords = one.provision(&devices, Timestamp(NOW.millis() + 1000)).unwrap();
    for (device, password) in devices.iter().zip(&passwords) {
        assert!(other.look_up(&device.id).unwrap().unwrap().credential.matches(password.as_str()));
    }
    let kept = other.look_up("b").unwrap().unwrap();
    assert!(!kept.device.is_enabled && !kept.credential.matches(old.as_str()));

    let bad = [new_device("d"), new_device("not/one")];
    assert!(matches!(one.provision(&bad, NOW), Err(RegistryError::InvalidId(_))));
    assert_eq!(one.list().unwrap().len(), 3);
}

#[test]
fn changes_are_found_by_revision() {
    let (_folder, one, other) = open();
    for id in ["a", "b", "c"] {
        one.add(new_device(id), NOW).unwrap();
    }
    let changed_since = |revision| -> (Vec<String>, u64) {
        let entries = other.changed_since(revision).unwrap();
        let last = entries.last().map_or(revision, |entry| entry.revision);
        (entries.iter().map(|entry| entry.device.id.to_string()).collect(), last)
    };
    let (ids, revision) = changed_since(0);
    assert_eq!(ids, ["a", "b", "c"]);
    assert_eq!(changed_since(revision), (vec![], revision));
    one.rotate("a").unwrap();
    one.disable("b", NOW).unwrap();
    one.enable("c", NOW).unwrap(); // It is enabled: nothing changes.
    let (ids, revision) = changed_since(revision);
    assert_eq!(ids, ["a", "b"]);
    assert_eq!(changed_since(revision).0, [""; 0]);
}

#[test]
fn updated_at_grows_even_when_the_clock_was_set_back() {
    let (_folder, one, _other) = open();
    one.add(new_device("a"), NOW).unwrap();
    let mut last = NOW;
    for now in [Timestamp(0), NOW, Timestamp(NOW.millis() + 1000), Timestamp(5)] {
        let is_enabled = one.get("a").unwrap().is_enabled;
        if is_enabled { one.disable("a", now) } else { one.enable("a", now) }.unwrap();
        let updated_at = one.get("a").unwrap().updated_at;
        assert!(updated_at > last, "{updated_at} after {last}");
        last = updated_at;
    }
}

#[test]
fn mistakes_are_named() {
    let (folder, one, other) = open();
    one.add(new_device("a"), NOW).unwrap();
    let text = |error: RegistryError| error.to_string();
    assert_eq!(text(other.add(new_device("a"), NOW).unwrap_err()), r#"device "a" is registered already"#);
    for id in ["", "-a", "a/b", "a+", "#", "ü", "a b", &"x".repeat(65)] {
        let error = one.add(new_device(id), NOW).unwrap_err();
        assert!(matches!(error, RegistryError::InvalidId(_)), "{id:?}: {error}");
    }
    for result in
        [one.get("z").map(drop), one.rotate("z").map(drop), one.disable("z", NOW), one.enable("z", NOW)]
    {
        assert_eq!(text(result.unwrap_err()), r#"device "z" is not registered"#);
    }
    let nowhere = NewDevice { position: Some(Position { lon: 0.0, lat: 90.1 }), ..new_device("b") };
    assert_eq!(text(one.add(nowhere, NOW).unwrap_err()), "position: 0, 90.1 is not on Earth");
    let unknown = NewDevice { position: Some(Position { lon: f64::NAN, lat: 0.0 }), ..new_device("b") };
    assert!(matches!(one.add(unknown, NOW), Err(RegistryError::InvalidField { field: "position", .. })));
    let noisy = NewDevice { label: "a\nb".into(), ..new_device("b") };
    assert!(matches!(one.add(noisy, NOW), Err(RegistryError::InvalidField { field: "label", .. })));
    assert!(matches!(one.add_with_password(new_device("b"), "short", NOW), Err(RegistryError::WeakPassword)));
    assert_eq!(one.list().unwrap().len(), 1);

    let garbage = folder.path().join("garbage.db");
    std::fs::write(&garbage, [7; 5000]).unwrap();
    assert!(matches!(Registry::open(&garbage), Err(RegistryError::Unavailable(_))));
    assert!(matches!(Registry::open(folder.path()), Err(RegistryError::Unavailable(_))));
    let newer = folder.path().join("newer.db");
    rusqlite::Connection::open(&newer).unwrap().pragma_update(None, "user_version", 9).unwrap();
    assert!(matches!(Registry::open(&newer), Err(RegistryError::Version(9))));
}

#[test]
fn two_processes_may_write_at_once() {
    let (_folder, one, other) = open();
    std::thread::scope(|scope| {
        for (registry, prefix) in [(&one, "a"), (&other, "b")] {
            scope.spawn(move || {
                for number in 0..20 {
                    registry.add(new_device(&format!("{prefix}{number}")), NOW).unwrap();
                }
            });
        }
    });
    let entries = one.changed_since(0).unwrap();
    let revisions: Vec<_> = entries.iter().map(|entry| entry.revision).collect();
    assert_eq!(revisions, (1..=40).collect::<Vec<_>>());
}

#[cfg(unix)]
#[test]
fn the_file_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let (folder, one, _other) = open();
    one.add(new_device("a"), NOW).unwrap();
    let files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(Result::unwrap).collect();
    assert!(!files.is_empty());
    for file in files {
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o077, 0, "{:?}", file.path());
    }
}

/// The table of the first version, with one row.
const FIRST: &str = "
    CREATE TABLE device (
        id TEXT PRIMARY KEY, family TEXT NOT NULL, label TEXT NOT NULL, area TEXT NOT NULL, rank INTEGER NOT NULL,
        lon REAL, lat REAL, is_enabled INTEGER NOT NULL, updated_at INTEGER NOT NULL, credential TEXT NOT NULL,
        revision INTEGER NOT NULL UNIQUE
    ) STRICT;
    INSERT INTO device VALUES ('a', 'air', '', 'north', 0, 113.25, 23.125, 1, 1000, '', 1);
    PRAGMA user_version = 1;";

#[test]
fn a_file_of_the_first_version_is_brought_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.db");
    rusqlite::Connection::open(&path).unwrap().execute_batch(FIRST).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let entry = Registry::open(&path).unwrap().look_up("a").unwrap().unwrap();
                assert_eq!(entry.crs, Crs::Wgs84);
                assert_eq!(entry.device.position, Some(Position { lon: 113.25, lat: 23.125 }));
            });
        }
    });
}

#[test]
fn a_position_is_told_in_wgs84_and_kept_as_it_was_stated() {
    let (folder, one, _other) = open();
    let stated = Position { lon: 113.269_729_6, lat: 23.126_423_3 };
    let device = NewDevice { position: Some(stated), crs: Crs::Gcj02, ..new_device("a") };
    one.add(device, NOW).unwrap();
    let told = one.get("a").unwrap().position.unwrap();
    assert!((told.lon - 113.2644).abs() < 1e-6 && (told.lat - 23.1291).abs() < 1e-6, "{told:?}");
    let file = rusqlite::Connection::open(folder.path().join("registry.db")).unwrap();
    let kept: (f64, f64) =
        file.query_row("SELECT lon, lat FROM device", [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    assert_eq!(kept, (stated.lon, stated.lat));
}
