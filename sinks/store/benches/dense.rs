//! Series with a value every ten seconds: 35 days of them, with and without a roll-up by the minute.

use city::{City, DAY, QUANTITIES, START, fill, on_processor, size};
use records::Timestamp;
use store::{Options, Store};

mod city;

const DEVICES: usize = 10;

fn main() {
    for minutes_shrink in [8, 6] {
        measure(Options { minutes_shrink, ..Options::default() });
    }
}

fn measure(options: Options) {
    let shrink = options.minutes_shrink;
    let dir = tempfile::tempdir().expect("a folder");
    let store = Store::open(dir.path(), options).expect("opens");
    let written = fill(&store, &mut City::new(DEVICES, 10_000));
    println!("minutes where they are a {shrink}th: {written} rows");
    for kind in ["observations", "rollup_1m", "rollup_1h", "rollup_1d", "manifest.db"] {
        let path = dir.path().join(kind);
        let bytes = if path.exists() { size(&path) } else { 0 };
        println!("  {kind}: {:.2} B a row", bytes as f64 / written as f64);
    }
    println!("  all: {:.2} B a row", size(dir.path()) as f64 / written as f64);
    let (from, to) = (Timestamp(START), Timestamp(START + 35 * DAY));
    for pass in ["first", "second"] {
        let begun = on_processor();
        for device in 0..DEVICES {
            let subject = format!("station-{device:05}");
            let points = store.range(&subject, QUANTITIES[1], from, to, 10_081).expect("answers");
            assert_eq!(points.t.len(), 10_080);
        }
        let each = (on_processor() - begun) / u32::try_from(DEVICES).expect("a few");
        println!("  one series, 35 days to 5 min, {pass} time: {each:?} of CPU");
    }
}
