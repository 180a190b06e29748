//! Programs that know nothing of Sluice read the folder while it is open.

use super::oracle::*;
use crate::{RawRow, Store};
use records::{Flag, Quality};
use std::path::Path;
use std::process::Command;

/// Prints rows, days, the sum of usable values, rows without device time, windows and the greatest mean; then
/// the same by DuckDB. The queries are those of the README.
const SCRIPT: &str = r#"
import sys
import duckdb
import pyarrow.compute as pc
import pyarrow.dataset as ds

def say(*facts):
    print(*facts, flush=True)

observations = ds.dataset("observations", partitioning="hive").to_table()
aggregates = ds.dataset("aggregates", partitioning="hive").to_table()
good = observations.filter(pc.field("flag") <= 2)
say(
    observations.num_rows,
    len(pc.unique(observations["day"])),
    pc.sum(good["value"]).as_py(),
    observations["device_time"].null_count,
    aggregates.num_rows,
    pc.max(aggregates["mean"]).as_py(),
)
say(observations.schema.field("event_time").type, pc.min(observations["event_time"]).as_py().isoformat())
say(*duckdb.sql("""
    SELECT count(*), count(DISTINCT day), sum(value) FILTER (flag <= 2), count(*) - count(device_time),
        (SELECT count(*) FROM 'aggregates/*/*.parquet'), (SELECT max(mean) FROM 'aggregates/*/*.parquet')
    FROM read_parquet('observations/*/*.parquet', hive_partitioning = true)
""").fetchall()[0])
say(*duckdb.sql("""
    SELECT typeof(event_time), (SELECT count(*) FROM read_parquet('observations/*/*.parquet') WHERE subject = 'b')
    FROM 'observations/*/*.parquet' LIMIT 1
""").fetchall()[0])
"#;

fn run(command: &mut Command) -> String {
    let output = command.output().expect("starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

fn python_with_readers(dir: &Path) -> std::path::PathBuf {
    let python = dir.join("bin/python3");
    run(Command::new("python3").args(["-m", "venv"]).arg(dir));
    run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "pyarrow", "duckdb"]));
    python
}

#[test]
#[ignore = "needs pip"]
fn pyarrow_and_duckdb_count_what_was_written() {
    let (venv, dir) = (tempfile::tempdir().expect("made"), tempfile::tempdir().expect("made"));
    let python = python_with_readers(venv.path());
    let store = Store::open(dir.path(), options()).expect("opens");
    let bad = Quality { flag: Flag::Bad, tests: 2 };
    for part in 0..15 {
        let rows: Vec<RawRow> = (0..2_000)
            .map(|i| RawRow {
                quality: if i % 10 == 0 { bad } else { Quality::GOOD },
                ..raw(
                    ["a", "b"][i % 2],
                    "pm2_5",
                    MIDNIGHT - 3_600_000 + (part * 2_000 + i as i64) * 1_000,
                    0.25,
                )
            })
            .map(|row| if row.subject == "b" { RawRow { device_time: None, ..row } } else { row })
            .collect();
        let _ =
            store.write(&rows, &[aggregate("a", "pm2_5", MIDNIGHT + part * 60_000, 60_000, 0, part as f64)]);
        store.seal(&[]).expect("seals");
    }
    store.compact().expect("merges");
    // What a seal in the making and a damaged file look like.
    for name in ["_0000000998.parquet.tmp", "_0000000999.parquet.damaged"] {
        std::fs::write(dir.path().join("observations/day=2026-11-24").join(name), "PAR1").expect("written");
    }
    let found = run(Command::new(python).args(["-c", SCRIPT]).current_dir(dir.path()));
    let facts = "30000 2 6750.0 15000 15 14.0";
    let expected = [
        facts,
        "timestamp[ms, tz=UTC] 2026-11-23T23:00:00+00:00",
        facts,
        "TIMESTAMP WITH TIME ZONE 15000",
        "",
    ];
    assert_eq!(found, expected.join("\n"));
}
