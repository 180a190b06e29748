//! `[console]`: the operators' page and API, and who may log in.

use std::net::SocketAddr;

use sinks::console::QueryLimits;

use super::section::{Problems, Section};
use super::{HOUR, SECOND};

/// `[console]`
#[derive(Clone, Debug, PartialEq)]
pub struct ConsoleConfig {
    /// HTTP listener of the page and the API.
    pub listen: SocketAddr,
    /// Who may log in, with the argon2 hash of their password. Needed unless `listen` is loopback.
    pub login: Option<LoginConfig>,
    /// What one question to the API may cost.
    pub limits: QueryLimits,
}

/// `[console] operator, password_hash`
#[derive(Clone, Debug, PartialEq)]
pub struct LoginConfig {
    /// The name that actions are recorded under.
    pub operator: String,
    /// PHC string, as `sluice password` prints it.
    pub password_hash: String,
}

impl Default for ConsoleConfig {
    fn default() -> ConsoleConfig {
        ConsoleConfig { listen: super::loopback(8080), login: None, limits: QueryLimits::default() }
    }
}

/// Reads the section.
pub fn read(mut from: Section<'_>, problems: &mut Problems<'_>) -> ConsoleConfig {
    let default = ConsoleConfig::default();
    let (at, path) = (from.span("listen"), from.path_of("listen"));
    let listen = from.address("listen", default.listen, problems);
    let (hash_at, login_at) =
        (from.span("password_hash"), from.span("operator").or(from.span("password_hash")));
    let is_open_to_others = login_at.is_none() && !listen.ip().is_loopback();
    let login = match (from.text("operator", problems), from.text("password_hash", problems)) {
        (Some(operator), Some(password_hash)) => {
            if !password_hash.starts_with("$argon2") {
                let message = "must be an argon2 hash; `sluice password` makes one";
                problems.add(hash_at, from.path_of("password_hash"), message);
            }
            Some(LoginConfig { operator, password_hash })
        }
        (None, None) => None,
        _ => {
            let message = "operator and password_hash go together";
            problems.add(login_at, from.path_of("operator"), message);
            None
        }
    };
    if is_open_to_others {
        let message = format!("{listen} is reachable by others, so operator and password_hash are needed");
        problems.add(at, path, message);
    }
    let limits = limits(&mut from, default.limits, problems);
    from.end(problems);
    ConsoleConfig { listen, login, limits }
}

fn limits(from: &mut Section<'_>, default: QueryLimits, problems: &mut Problems<'_>) -> QueryLimits {
    let mut count = |key, default: usize| {
        let found = from.number(key, default as u64, 1..1_000_000_000, problems);
        usize::try_from(found).unwrap_or(default)
    };
    let (series, rows) = (count("query_series", default.series), count("query_rows", default.rows));
    let time = from.duration("query_time", default.time, SECOND..HOUR, problems);
    let memory = from.size("query_memory", default.memory_bytes as u64, 1 << 20..1 << 40, problems);
    let memory_bytes = usize::try_from(memory).unwrap_or(default.memory_bytes);
    QueryLimits { series, rows, time, memory_bytes }
}

#[cfg(test)]
mod tests {
    use crate::config::tests::problems;

    #[test]
    fn half_a_login_is_no_login() {
        assert!(problems("[console]\noperator = \"wang\"\n").contains("go together"));
        assert!(
            problems("[console]\noperator = \"w\"\npassword_hash = \"secret\"\n").contains("sluice password")
        );
    }
}
