//! `sluice subscriber …`: programs and people that subscribe over MQTT, also while the server runs.

use std::path::Path;

use clap::{Args, Subcommand};
use gateway::{Entry, NewSubscriber, Role};

use super::{Failure, load, open_registry};
use crate::clock;
use crate::folder::Folder;

/// What to do with subscribers.
#[derive(Subcommand)]
pub enum Command {
    /// Register a subscriber and print its password, once
    Add(NewArguments),
    /// List all subscribers
    List,
    /// Let a disabled subscriber connect again
    Enable {
        /// The subscriber
        id: String,
    },
    /// Forbid a subscriber to connect; live sessions are cut within two seconds
    Disable {
        /// The subscriber
        id: String,
    },
    /// Give a subscriber a new password and print it, once
    Rotate {
        /// The subscriber
        id: String,
    },
}

/// A subscriber to register.
#[derive(Args)]
pub struct NewArguments {
    /// Its user name on MQTT: 1 to 64 of A-Z a-z 0-9 . _ -
    id: String,
    /// It may subscribe to whatever this covers; {area} stands for each --area. May be repeated
    #[arg(long = "filter", required = true)]
    filters: Vec<String>,
    /// An area that it is concerned with. May be repeated
    #[arg(long = "area")]
    areas: Vec<String>,
    /// What a person calls it
    #[arg(long, default_value = "")]
    label: String,
}

/// Runs the command on the registry of the configured data folder.
///
/// # Errors
/// What the registry refuses, in its words.
pub fn run(config: Option<&Path>, command: Command) -> Result<(), Failure> {
    let registry = open_registry(&Folder::create(&load(config)?.data)?)?;
    let done = match command {
        Command::Add(new) => {
            registry.add_subscriber(&new.into(), clock::now()).map(|password| println!("{password}"))
        }
        Command::Rotate { id } => registry.rotate(&id).map(|password| println!("{password}")),
        Command::Enable { id } => registry.enable(&id, clock::now()),
        Command::Disable { id } => registry.disable(&id, clock::now()),
        Command::List => registry.list_subscribers().map(|subscribers| print!("{}", table(&subscribers))),
    };
    done.map_err(|error| Failure::because("subscriber", &error))
}

impl From<NewArguments> for NewSubscriber {
    fn from(from: NewArguments) -> NewSubscriber {
        NewSubscriber {
            id: from.id.into(),
            label: from.label.into(),
            filters: from.filters,
            areas: from.areas,
        }
    }
}

/// One line a filter, columns by tab.
fn table(subscribers: &[Entry]) -> String {
    let mut lines = String::from("id\tenabled\tfilter\tlabel\n");
    for Entry { device, role, .. } in subscribers {
        let Role::Subscriber(filters) = role else { continue };
        let is_enabled = if device.is_enabled { "yes" } else { "no" };
        for filter in filters {
            lines += &format!("{}\t{is_enabled}\t{filter}\t{}\n", device.id, device.label);
        }
    }
    lines
}
