//! What it costs to check a password against its hash, and to find out that the registry hasn't changed.

use criterion::{Criterion, criterion_group, criterion_main};
use gateway::{Directory, Entry, NewDevice, Registry};
use records::{Crs, Family, Timestamp};
use std::hint::black_box;

const NOW: Timestamp = Timestamp(1_800_000_000_000);

fn device(id: &str) -> NewDevice {
    NewDevice {
        id: id.into(),
        family: Family::Air,
        label: "".into(),
        area: "".into(),
        rank: 0,
        position: None,
        crs: Crs::Wgs84,
    }
}

fn registry(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder");
    let registry = Registry::open(&folder.path().join("registry.db")).expect("a registry");
    let entry = |id| -> Entry { registry.look_up(id).expect("readable").expect("an entry") };

    registry.add(device("random"), NOW).expect("added");
    let random = entry("random").credential;
    criterion.bench_function("verify a random password", |bencher| {
        bencher.iter(|| random.matches(black_box("abcdef-ghjkmn-pqrstu-vwxyz2")));
    });
    registry.add_with_password(device("chosen"), "a chosen password", NOW).expect("added");
    let chosen = entry("chosen").credential;
    criterion.bench_function("verify a chosen password", |bencher| {
        bencher.iter(|| chosen.matches(black_box("another password")));
    });
    let revision = entry("chosen").revision;
    criterion.bench_function("look for changes", |bencher| {
        bencher.iter(|| registry.changed_since(black_box(revision)).expect("readable"));
    });
}

criterion_group!(benches, registry);
criterion_main!(benches);
