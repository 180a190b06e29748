//! `sluice device …`: the registry from the command line, also while the server runs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use gateway::NewDevice;
use records::{Crs, Family, Position};

use super::{Failure, import, load, open_registry};
use crate::clock;
use crate::folder::Folder;

/// What to do with the registry.
#[derive(Subcommand)]
pub enum Command {
    /// Register a device and print its password, once
    Add(NewArguments),
    /// Register every device of a CSV file, all or none, and print id,password, once
    Import {
        /// Its header names id and family, and any of label, area, rank, lon, lat, crs
        file: PathBuf,
    },
    /// Print a bearer token, which the device may send in its password's place; `rotate` voids it
    Token {
        /// The device
        id: String,
        /// For how long, as 24h or 90d
        #[arg(long, value_parser = crate::config::duration, default_value = "90d")]
        valid: Duration,
    },
    /// List all devices
    List,
    /// Let a disabled device connect again
    Enable {
        /// The device
        id: String,
    },
    /// Forbid a device to connect; live sessions are cut within two seconds
    Disable {
        /// The device
        id: String,
    },
    /// Give a device a new password and print it, once
    Rotate {
        /// The device
        id: String,
    },
}

/// A device to register.
#[derive(Args)]
pub struct NewArguments {
    /// Its user name on MQTT: 1 to 64 of A-Z a-z 0-9 . _ -
    id: String,
    /// air, water, weather, traffic, rfid, machine or other
    #[arg(long, value_parser = family)]
    family: Family,
    /// What a person calls it
    #[arg(long, default_value = "")]
    label: String,
    /// What it rolls up into: a district, a road, a line
    #[arg(long, default_value = "")]
    area: String,
    /// Its place in the order of its area
    #[arg(long, default_value_t = 0)]
    rank: u32,
    /// Where it stands, degrees: LON,LAT
    #[arg(long, value_parser = position, allow_hyphen_values = true)]
    position: Option<Position>,
    /// Coordinate system of --position and of what the device states: wgs84, cgcs2000, gcj02 or bd09
    #[arg(long, value_parser = crs, default_value = "wgs84")]
    crs: Crs,
}

/// Runs the command on the registry of the configured data folder.
///
/// # Errors
/// What the registry refuses, in its words.
pub fn run(config: Option<&Path>, command: Command) -> Result<(), Failure> {
    let registry = open_registry(&Folder::create(&load(config)?.data)?)?;
    let done = match command {
        Command::Import { file } => return import::run(&registry, &file),
        Command::Add(device) => {
            registry.add(device.into(), clock::now()).map(|password| println!("{password}"))
        }
        Command::Rotate { id } => registry.rotate(&id).map(|password| println!("{password}")),
        Command::Token { id, valid } => {
            registry.token(&id, clock::now() + valid).map(|token| println!("{token}"))
        }
        Command::Enable { id } => registry.enable(&id, clock::now()),
        Command::Disable { id } => registry.disable(&id, clock::now()),
        Command::List => registry.list().map(|devices| print!("{}", table(&devices))),
    };
    done.map_err(|error| Failure::because("device", &error))
}

impl From<NewArguments> for NewDevice {
    fn from(from: NewArguments) -> NewDevice {
        NewDevice {
            id: from.id.into(),
            family: from.family,
            label: from.label.into(),
            area: from.area.into(),
            rank: from.rank,
            position: from.position,
            crs: from.crs,
        }
    }
}

/// One line a device, columns by tab, so that both people and `cut` can read it.
fn table(devices: &[records::Device]) -> String {
    let mut lines = String::from("id\tfamily\tarea\trank\tlon\tlat\tenabled\tlabel\n");
    for device in devices {
        let (lon, lat) =
            device.position.map_or_else(Default::default, |at| (at.lon.to_string(), at.lat.to_string()));
        let fields = [
            device.id.as_str(),
            device.family.name(),
            &device.area,
            &device.rank.to_string(),
            &lon,
            &lat,
            if device.is_enabled { "yes" } else { "no" },
            &device.label,
        ];
        lines += &fields.join("\t");
        lines.push('\n');
    }
    lines
}

fn family(text: &str) -> Result<Family, String> {
    let names: Vec<&str> = Family::ALL.into_iter().map(Family::name).collect();
    Family::from_name(text).ok_or_else(|| format!("must be one of {}", names.join(", ")))
}

fn crs(text: &str) -> Result<Crs, String> {
    let names: Vec<&str> = Crs::ALL.into_iter().map(Crs::name).collect();
    Crs::from_name(text).ok_or_else(|| format!("must be one of {}", names.join(", ")))
}

fn position(text: &str) -> Result<Position, String> {
    let parsed = text.split_once(',').and_then(|(lon, lat)| {
        Some(Position { lon: lon.trim().parse().ok()?, lat: lat.trim().parse().ok()? })
    });
    let is_on_earth = |at: &Position| (-180.0..=180.0).contains(&at.lon) && (-90.0..=90.0).contains(&at.lat);
    parsed.filter(is_on_earth).ok_or_else(|| "must be LON,LAT in degrees, as in 113.264,23.129".to_owned())
}
