//! `sluice demo`: everything in one process, and a simulated city in front of it.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use device_sim::run::{Progress, RunConfig};
use device_sim::{City, CityConfig, DeviceSpec};
use gateway::{NewDevice, Registry, RegistryError};
use records::{Crs, Family, Position};
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::all::{announce, block_on, interruption};
use super::{Failure, load};
use crate::clock;
use crate::compose::{Addresses, Sluice};
use crate::role::Role;
use crate::rules;
use crate::terminal::Terminal;

/// The device that is registered for whoever tries the demo.
const GUEST: &str = "probe-1";

/// What the demo shows.
#[derive(clap::Args)]
pub struct Arguments {
    /// What looks like chance in the city comes from this number
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Hours of the past that the devices deliver first
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u32).range(0..=720))]
    backlog_hours: u32,
}

/// Runs until SIGINT or SIGTERM.
///
/// # Errors
/// As [`super::all::run`].
pub fn run(config: Option<&Path>, arguments: &Arguments, terminal: &Terminal) -> Result<(), Failure> {
    let config = load(config)?;
    let rules = rules::load(config.stream.rules.as_deref())?;
    let city = CityConfig { seed: arguments.seed, ..CityConfig::default() };
    let city = City::new(&city, clock::now().millis()).map_err(|error| Failure::because("city", &error))?;
    let backlog = Duration::from_secs(3600) * arguments.backlog_hours;
    block_on(async {
        let interrupted = interruption();
        let sluice = Sluice::start(&config, rules, Role::All).await?;
        announce(&sluice.addresses);
        let (Some(registry), Some(mqtt)) = (&sluice.registry, sluice.addresses.mqtt) else {
            unreachable!("all stages run, so there is a gateway")
        };
        let passwords =
            register(registry, city.devices()).map_err(|error| Failure::because("demo", &error))?;
        greet(&sluice.addresses, passwords.len(), &passwords[GUEST]);

        let stop = CancellationToken::new();
        let progress = Arc::new(Progress::default());
        let run = RunConfig {
            host: mqtt.ip().to_string(),
            port: mqtt.port(),
            passwords,
            backlog,
            ..RunConfig::default()
        };
        let devices = device_sim::run::run(
            Arc::new(city),
            run,
            Arc::new(|| clock::now().millis()),
            progress.clone(),
            stop.clone(),
        );
        let devices = tokio::spawn(devices);
        let show = tokio::spawn(show(progress, terminal.clone()));
        let result = sluice.run_until(interrupted).await;
        terminal.progress("");
        stop.cancel();
        show.abort();
        let _ = tokio::time::timeout(Duration::from_secs(2), devices).await;
        result
    })
}

/// Registers the city's devices and the guest with new passwords, which only this process knows.
fn register(registry: &Registry, devices: &[DeviceSpec]) -> Result<HashMap<String, String>, RegistryError> {
    let guest = NewDevice {
        id: GUEST.into(),
        family: Family::Air,
        label: "Your own device".into(),
        area: "district/tianhe".into(),
        rank: 0,
        position: Some(Position { lon: 113.3612, lat: 23.1247 }),
        crs: Crs::Wgs84,
    };
    let devices: Vec<NewDevice> = devices.iter().map(in_our_words).chain([guest]).collect();
    let passwords = registry.provision(&devices, clock::now())?;
    let named =
        devices.iter().zip(passwords).map(|(device, password)| (device.id.to_string(), password.to_string()));
    Ok(named.collect())
}

fn in_our_words(device: &DeviceSpec) -> NewDevice {
    NewDevice {
        id: device.id.as_str().into(),
        family: Family::from_name(device.family.name()).unwrap_or(Family::Other),
        label: device.label.as_str().into(),
        area: device.area.as_str().into(),
        rank: device.rank,
        position: Some(Position { lon: device.position.lon, lat: device.position.lat }),
        crs: Crs::Wgs84,
    }
}

/// What a newcomer wants to know, once.
fn greet(addresses: &Addresses, devices: usize, password: &str) {
    let Addresses { mqtt: Some(mqtt), console: Some(console), .. } = addresses else { return };
    eprintln!(
        "\n  Sluice, with a simulated city of {} devices.\n\n  \
         Watch it:     http://{console}\n  \
         Join it:      mosquitto_pub -h {} -p {} -i {GUEST} -u {GUEST} -P {password} -q 1 \\\n                \
         -t up/{GUEST}/telemetry -m '{{\"pm2_5\": 180.0}}'\n  \
         (this password is shown once; the devices have random ones of their own)\n  \
         Stop it:      Ctrl-C\n",
        devices - 1,
        mqtt.ip(),
        mqtt.port(),
    );
}

/// Shows how the backlog is worked through: a line that stays under the log, or a log line now and then.
async fn show(progress: Arc<Progress>, terminal: Terminal) {
    let every = Duration::from_millis(if terminal.is_interactive() { 200 } else { 2000 });
    loop {
        tokio::time::sleep(every).await;
        let report = progress.report();
        if report.delivered >= report.total {
            break;
        }
        let share = 100 * report.delivered / report.total.max(1);
        let line = format!("backlog {share:>3} %  {} of {} messages", report.delivered, report.total);
        if terminal.is_interactive() {
            terminal.progress(&format!("  {line}  {}", bar(share)));
        } else {
            info!("{line}");
        }
    }
    terminal.progress("");
    let report = progress.report();
    info!(messages = report.total, "backlog delivered, {} devices are live", report.connected);
}

fn bar(share: u64) -> String {
    let full = usize::try_from(share / 4).unwrap_or(25).min(25);
    format!("{}{}", "█".repeat(full), "░".repeat(25 - full))
}
