//! The architecture, as what is absent: no stage depends on a stage, and only `deploy` knows clock and environment.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Our crates, their folders, and which of ours each may depend on. The picture is in `deploy/README.md`.
const ALLOWED: &[(&str, &str, &[&str])] = &[
    ("firmware-protocol", "firmware-protocol", &[]),
    ("records", "stream/records", &[]),
    ("embedded", "stream/embedded", &["records"]),
    ("kafka", "stream/kafka", &["records"]),
    ("gateway", "gateway", &["firmware-protocol", "records"]),
    ("stream", "stream", &["records"]),
    ("store", "sinks/store", &["records"]),
    ("sinks", "sinks", &["records", "store"]),
    ("device-sim", "device-sim", &["firmware-protocol"]),
    (
        "deploy",
        "deploy",
        &["device-sim", "embedded", "gateway", "kafka", "records", "sinks", "store", "stream"],
    ),
];

/// What nobody but `deploy` and the simulator may say: the wall clock and the environment are arguments elsewhere.
const FORBIDDEN: &[&str] = &["SystemTime::now", "Timestamp::now", "Zoned::now", "env::var", "tokio::signal"];

/// Where not even a length of time may be measured: whatever these compute is the same in every replay.
const TIMELESS: &[&str] = &["firmware-protocol", "records", "stream", "store"];

#[test]
fn no_stage_depends_on_a_stage() {
    for (name, folder, allowed) in ALLOWED {
        let manifest =
            fs::read_to_string(root().join(folder).join("Cargo.toml")).expect("every crate has a manifest");
        assert_eq!(violations(&manifest, allowed), Vec::<String>::new(), "{name} must not depend on these");
    }
}

#[test]
fn every_crate_is_in_the_table() {
    let workspace: toml::Table = fs::read_to_string(root().join("Cargo.toml"))
        .expect("there is a workspace")
        .parse()
        .expect("it is TOML");
    let members: BTreeSet<&str> = workspace["workspace"]["members"]
        .as_array()
        .expect("members are a list")
        .iter()
        .map(|member| member.as_str().expect("a member is a path"))
        .collect();
    assert_eq!(members, ALLOWED.iter().map(|(_, folder, _)| *folder).collect());
}

/// The check itself: a stage made to depend on a stage is caught, in each kind of dependency table.
#[test]
fn a_stage_that_depends_on_a_stage_is_caught() {
    let check = |manifest: &str, expected: &[&str]| assert_eq!(violations(manifest, &["records"]), expected);
    check("[dependencies]\nrecords.workspace = true\ntokio = \"1\"\n", &[]);
    check("[dependencies]\ngateway.workspace = true\n", &["gateway"]);
    check("[dependencies]\ngateway = { path = \"../gateway\" }\nrecords = \"1\"\n", &["gateway"]);
    check("[dependencies]\ninnocent = { package = \"sinks\", path = \"../sinks\" }\n", &["sinks"]);
    check("[dev-dependencies]\nstore.workspace = true\n", &["store"]);
    check("[build-dependencies]\nstream.workspace = true\n", &["stream"]);
    check("[target.'cfg(unix)'.dependencies]\nembedded.workspace = true\n", &["embedded"]);
}

#[test]
fn only_deploy_knows_clock_and_environment() {
    let mut found = Vec::new();
    for (name, folder, _) in ALLOWED {
        if ["deploy", "device-sim"].contains(name) {
            continue;
        }
        for file in sources(&root().join(folder).join("src")) {
            // Unit tests stand in a folder of their own or behind the code; they may ask.
            if file.components().any(|part| part.as_os_str() == "tests") {
                continue;
            }
            let text = fs::read_to_string(&file).expect("sources are text");
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            let timeless: &[&str] = if TIMELESS.contains(name) { &["Instant::now"] } else { &[] };
            let said = FORBIDDEN.iter().chain(timeless).filter(|word| code.contains(**word));
            found.extend(said.map(|word| format!("{}: {word}", file.display())));
        }
    }
    assert_eq!(found, Vec::<String>::new(), "clock and environment are arguments");
}

#[test]
fn nothing_else_stands_at_the_top() {
    let top = ["Cargo.toml", "Cargo.lock", "README.md", "target", "data"];
    let folders = ["gateway", "stream", "sinks", "device-sim", "firmware-protocol", "deploy"];
    let others: Vec<String> = fs::read_dir(root())
        .expect("the workspace can be listed")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .filter(|name| {
            !name.starts_with('.') && !top.contains(&name.as_str()) && !folders.contains(&name.as_str())
        })
        .collect();
    assert_eq!(others, Vec::<String>::new());
}

fn violations(manifest: &str, allowed: &[&str]) -> Vec<String> {
    let manifest: toml::Table = manifest.parse().expect("a manifest is TOML");
    let mut tables = vec![&manifest];
    if let Some(targets) = manifest.get("target").and_then(|targets| targets.as_table()) {
        tables.extend(targets.values().filter_map(|target| target.as_table()));
    }
    let ours: BTreeSet<&str> = ALLOWED.iter().map(|(name, _, _)| *name).collect();
    let mut found = Vec::new();
    for table in tables {
        for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let Some(dependencies) = table.get(kind).and_then(|kind| kind.as_table()) else { continue };
            for (key, value) in dependencies {
                let package = value.get("package").and_then(|package| package.as_str()).unwrap_or(key);
                if ours.contains(package) && !allowed.contains(&package) {
                    found.push(package.to_owned());
                }
            }
        }
    }
    found
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a crate has sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("deploy is in the workspace")
}
