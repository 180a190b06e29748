//! What a process does of the whole.

use crate::command::Failure;
use crate::config::{Config, LogKind};

/// Which stages a process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Every stage.
    All,
    /// Devices → telemetry.
    Gateway,
    /// Telemetry → observations, aggregates, alerts.
    Stream,
    /// These → read models, databases, console.
    Sinks,
    /// What was chosen of these → another deployment's Kafka.
    Mirror,
}

impl Role {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Role::All => "all",
            Role::Gateway => "gateway",
            Role::Stream => "stream",
            Role::Sinks => "sinks",
            Role::Mirror => "mirror",
        }
    }

    /// Whether devices connect to it.
    pub fn has_gateway(self) -> bool {
        matches!(self, Role::All | Role::Gateway)
    }

    /// Whether it runs the jobs.
    pub fn has_stream(self) -> bool {
        matches!(self, Role::All | Role::Stream)
    }

    /// Whether it writes read models and shows the console.
    pub fn has_sinks(self) -> bool {
        matches!(self, Role::All | Role::Sinks)
    }

    /// Whether it tells another deployment, when the configuration says which.
    pub fn has_mirror(self) -> bool {
        matches!(self, Role::All | Role::Mirror)
    }

    /// Whether the configuration allows it.
    ///
    /// # Errors
    /// One stage alone on a log that no other process can open; a mirror that nobody has configured.
    pub fn check(self, config: &Config) -> Result<(), Failure> {
        if self == Role::Mirror && config.mirror.is_none() {
            return Err(Failure::usage("`sluice mirror` needs a section [mirror]"));
        }
        match (self, &config.log.kind) {
            (Role::All, _) | (_, LogKind::Kafka(_)) => Ok(()),
            (role, LogKind::Embedded) => Err(Failure::usage(format_args!(
                "`sluice {}` needs log.kind = \"kafka\": the embedded log belongs to one process, which runs all",
                role.name()
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_alone_needs_a_log_for_many() {
        let embedded = Config::default();
        let text = "[log]\nkind = \"kafka\"\n[log.kafka]\nbrokers = \"kafka:9092\"\n";
        let kafka = Config::parse(text).expect("the file is right");
        for role in [Role::Gateway, Role::Stream, Role::Sinks] {
            assert!(role.check(&embedded).is_err(), "{role:?}");
            assert_eq!(role.check(&kafka), Ok(()), "{role:?}");
        }
        assert_eq!((Role::All.check(&embedded), Role::All.check(&kafka)), (Ok(()), Ok(())));
    }
}
