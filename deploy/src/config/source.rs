//! `[[source]]`: brokers that a site already has, and what is taken from them.

use std::time::Duration;

use gateway::normalize::mapping::Filter;
use gateway::{MqttVersion, SourceConfig};

use super::section::{Problems, Section};

const SECOND: Duration = Duration::from_secs(1);

/// Reads all of them; one with a problem is left out.
pub fn read(tables: Vec<Section<'_>>, problems: &mut Problems<'_>) -> Vec<SourceConfig> {
    let mut sources: Vec<SourceConfig> = Vec::new();
    for table in tables {
        let (at, path) = (table.span("name"), table.path_of("name"));
        let Some(source) = read_one(table, problems) else { continue };
        if sources.iter().any(|other| other.name == source.name) {
            problems.add(at, path, format!("two sources are called \"{}\"", source.name));
        }
        sources.push(source);
    }
    sources
}

fn read_one(mut from: Section<'_>, problems: &mut Problems<'_>) -> Option<SourceConfig> {
    let name = from.required("name", problems, name);
    let broker = from.required("broker", problems, address);
    let version = from.read("version", problems, version).unwrap_or(MqttVersion::V5);
    let group = from.read("group", problems, group);
    let keep_alive = from.duration("keep_alive", 30 * SECOND, 5 * SECOND..3600 * SECOND, problems);
    let new_devices = from.number("new_devices_per_minute", 10_000, 0..1_000_001, problems);
    let login = read_login(&mut from, problems);
    let filters = read_filters(&mut from, problems);
    from.end(problems);
    let (host, port) = broker?;
    Some(SourceConfig {
        name: name?,
        host,
        port,
        version,
        login,
        filters,
        group,
        keep_alive,
        new_devices_per_minute: u32::try_from(new_devices).unwrap_or(u32::MAX),
    })
}

fn read_login(from: &mut Section<'_>, problems: &mut Problems<'_>) -> Option<(String, String)> {
    let at = from.span("user").or(from.span("password"));
    match (from.text("user", problems), from.text("password", problems)) {
        (None, None) => None,
        (Some(user), password) => Some((user, password.unwrap_or_default())),
        (None, Some(_)) => {
            problems.add(at, from.path_of("password"), "needs a user");
            None
        }
    }
}

fn read_filters(from: &mut Section<'_>, problems: &mut Problems<'_>) -> Vec<String> {
    let (at, path) = (from.span("filters"), from.path_of("filters"));
    let filters = from.texts("filters", problems);
    if filters.is_empty() {
        problems.add(at, &path, "must name at least one topic filter");
    }
    for (at, filter) in &filters {
        match Filter::parse(filter) {
            Err(wrong) => problems.add(Some(at.clone()), &path, wrong),
            Ok(_) if filter.starts_with("$share/") => {
                problems.add(Some(at.clone()), &path, "a shared subscription is asked for by group");
            }
            Ok(_) => {}
        }
    }
    filters.into_iter().map(|(_, filter)| filter).collect()
}

/// It stands in the client id, in metrics, and as the device of what has none.
fn name(text: &str) -> Result<String, String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let is_right =
        (1..=32).contains(&text.len()) && text.bytes().all(is_plain) && !text.starts_with(['-', '_']);
    if is_right { Ok(text.to_owned()) } else { Err(format!("\"{text}\" is not 1 to 32 of A-Z a-z 0-9 - _")) }
}

fn address(text: &str) -> Result<(String, u16), String> {
    let parts = text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
    let parts = parts.filter(|(host, port)| !host.is_empty() && *port > 0);
    let (host, port) =
        parts.ok_or_else(|| format!("\"{text}\" is not HOST:PORT, as \"broker.plant:1883\""))?;
    Ok((host.trim_matches(['[', ']']).to_owned(), port))
}

fn version(text: &str) -> Result<MqttVersion, String> {
    match text {
        "3.1.1" => Ok(MqttVersion::V311),
        "5" => Ok(MqttVersion::V5),
        _ => Err(format!("\"{text}\" is neither \"3.1.1\" nor \"5\"")),
    }
}

fn group(text: &str) -> Result<String, String> {
    let is_right = !text.is_empty() && !text.contains(['/', '+', '#']);
    if is_right { Ok(text.to_owned()) } else { Err("a group has no / + #".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    #[test]
    fn reads_every_key() {
        let text = r#"
            [[source]]
            name = "plant"
            broker = "[::1]:1884"
            version = "3.1.1"
            user = "sluice"
            password = "secret"
            filters = ["up/#", "plant/+/line/+/temp"]
            group = "sluice"
            keep_alive = "10s"
            new_devices_per_minute = 50
            [[source]]
            name = "city"
            broker = "broker.city:1883"
            filters = ["city/#"]
        "#;
        let sources = Config::parse(text).expect("all keys are right").sources;
        let [first, second] = &sources[..] else { panic!("two") };
        let expected = SourceConfig {
            name: "plant".into(),
            host: "::1".into(),
            port: 1884,
            version: MqttVersion::V311,
            login: Some(("sluice".into(), "secret".into())),
            filters: vec!["up/#".into(), "plant/+/line/+/temp".into()],
            group: Some("sluice".into()),
            keep_alive: 10 * SECOND,
            new_devices_per_minute: 50,
        };
        assert_eq!(*first, expected);
        assert_eq!((second.version, second.port, &second.login), (MqttVersion::V5, 1883, &None));
        assert_eq!(second.new_devices_per_minute, 10_000);
    }

    #[test]
    fn says_every_problem_at_once() {
        let text = "\
[[source]]
name = \"a/b\"
broker = \"nowhere\"
version = \"4\"
password = \"x\"
filters = [\"a#\", \"$share/g/a\"]
group = \"g/h\"
keep_alive = \"1s\"
[[source]]
name = \"plant\"
broker = \"a:1\"
filters = []
[[source]]
name = \"plant\"
broker = \"b:1\"
filters = [\"a\"]
";
        let found = Config::parse(text).expect_err("the file is broken");
        let found: String = found.iter().map(|problem| format!("{problem}\n")).collect();
        expect_test::expect![[r#"
            line 2: source[0].name: "a/b" is not 1 to 32 of A-Z a-z 0-9 - _
            line 3: source[0].broker: "nowhere" is not HOST:PORT, as "broker.plant:1883"
            line 4: source[0].version: "4" is neither "3.1.1" nor "5"
            line 5: source[0].password: needs a user
            line 6: source[0].filters: in "a#" a wildcard is not a level of its own, or # is not the last
            line 6: source[0].filters: a shared subscription is asked for by group
            line 7: source[0].group: a group has no / + #
            line 8: source[0].keep_alive: 1s is outside 5s to 3600s
            line 12: source[1].filters: must name at least one topic filter
            line 14: source[2].name: two sources are called "plant"
        "#]]
        .assert_eq(&found);
    }
}
