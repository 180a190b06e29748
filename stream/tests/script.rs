//! Runs `tests/script/*.txt`: what goes into the two jobs, and what must come out, readable by eye.
//!
//! ```text
//! device <id> <family> <area> [rank=<n>] [at=<time>] [label=<word>] [off]
//!     [limits=<quantity>.<kind>:<number>,…] [on=<lon>,<lat>]               a registry entry; area - for none
//! in <event time> <device> [<quantity>=]<value> … [at=<ingest>] [seq=<n>] [epoch=<n>] [clock=none|<time>]
//!     [on=<lon>,<lat>]                                                    where it was
//!     [from=<gateway>/<spool>/<offset>]                                    a forwarder brought it
//! reads <event time> <reader> <epc> … [at=<ingest>]                        tag reads
//! tick <ingest time>                                                       nobody spoke
//! ack <alert id> by <actor> at <time>                                      an operator
//! show observations | ticks | rules                                       print these too
//! idle <hours>                                                             a device is let go of after these; first
//! policy trust|correct|ingest                                              what is done about wrong clocks; first
//! job | place | pattern | threshold | absence | quality <key> = <value>; …          a table of the rules file; first
//! change <at> <old> => <new>                                                other rules: so much of the file is otherwise
//! remove <kind> <id> <at>                                                   other rules: one is gone
//! restart                                                                  from a snapshot
//! out …                                                                    what the line before causes
//! count                                                                    say which facts were noted
//! counted <fact>=<n> …                                                     since the last such line
//! ```
//! Times are `h:mm[:ss[.mmm]]` of 2026-05-04 UTC; a missing ingest time is the event time, or the newest ingest time
//! if that is later. Every script is run twice: straight, and with a restart from a snapshot before each line.
//! `UPDATE_SCRIPTS=1` writes what came out into the files, for an author's eye.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use support::script::{Script, Stage};

#[test]
fn scripts() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/script");
    let mut files: Vec<PathBuf> = fs::read_dir(&folder)
        .expect("the folder of scripts can be listed")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    assert!(files.len() >= 80, "scripts are missing");
    for file in files {
        check(&file);
    }
}

#[expect(clippy::disallowed_methods, reason = "an author asks for it")]
fn check(file: &Path) {
    let mut expected = fs::read_to_string(file).expect("scripts are text");
    if std::env::var_os("UPDATE_SCRIPTS").is_some() {
        expected = run(&expected, false);
        fs::write(file, &expected).expect("scripts can be written");
    }
    let name = file.file_name().expect("files have names").to_string_lossy();
    for restarts in [false, true] {
        assert_eq!(run(&expected, restarts), expected, "{name}, restarts: {restarts}");
    }
}

/// The script as it would have to be.
fn run(script: &str, restarts: bool) -> String {
    let mut stage = Stage::default();
    let mut found = String::new();
    for line in Script::lines(script) {
        if restarts {
            stage.restart();
        }
        found += line;
        found.push('\n');
        for out in stage.run(line) {
            found += &out;
            found.push('\n');
        }
    }
    found
}
