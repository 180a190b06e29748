//! `device-sim`: the simulated city, the load generator and the replayer from a shell.
//!
//! The only place of this folder that reads the clock, files and the command line.

use clap::{Args, Parser, Subcommand};
use device_sim::load::{LoadConfig, load};
use device_sim::replay::{Map, ReplayConfig, Table, replay};
use device_sim::run::{Clock, Progress, RunConfig, run};
use device_sim::{City, CityConfig, DeviceSpec};
use std::collections::HashMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Devices that aren't there.
#[derive(Parser)]
#[command(name = "device-sim")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs a city: its backlog first, then live, until interrupted.
    Run(RunArgs),
    /// Floods a broker and prints what it acknowledged, and how fast.
    Load(LoadArgs),
    /// Publishes a recorded table with its own times.
    Replay(ReplayArgs),
    /// Prints a city's devices as CSV, for `sluice device import`.
    Devices(CityArgs),
}

#[derive(Args)]
struct CityArgs {
    /// The city; the default one when left out.
    #[arg(long)]
    config: Option<PathBuf>,
}

#[derive(Args)]
struct RunArgs {
    #[command(flatten)]
    city: CityArgs,
    /// Where the broker listens.
    #[arg(long, default_value = "127.0.0.1:1883", value_parser = address)]
    broker: (String, u16),
    /// Lines `id,password`.
    #[arg(long)]
    password_file: Option<PathBuf>,
    /// How much of the past to deliver first, such as `24h`.
    #[arg(long, default_value = "0s", value_parser = duration)]
    backlog: Duration,
    /// Seconds of device time in a second.
    #[arg(long, default_value_t = 1.0, value_parser = positive)]
    speed: f64,
}

#[derive(Args)]
struct LoadArgs {
    /// Where the broker listens.
    #[arg(long, default_value = "127.0.0.1:1883", value_parser = address)]
    broker: (String, u16),
    /// How many devices.
    #[arg(long, default_value_t = 20)]
    connections: usize,
    /// Messages of a device that wait for their acknowledgement.
    #[arg(long, default_value_t = 20)]
    in_flight: usize,
    /// How long to send.
    #[arg(long, default_value_t = 10.0, value_parser = positive)]
    seconds: f64,
    /// Bytes of a payload.
    #[arg(long, default_value_t = 200)]
    payload: usize,
    /// Messages a second over all devices; as fast as they are taken when left out.
    #[arg(long, value_parser = positive)]
    rate: Option<f64>,
    /// Lines `id,password`; the first ones are used.
    #[arg(long, conflicts_with_all = ["device_prefix", "password"])]
    users: Option<PathBuf>,
    /// Devices are named by it and a number from 1.
    #[arg(long, default_value = "load-")]
    device_prefix: String,
    /// Their password.
    #[arg(long)]
    password: Option<String>,
    /// The devices' epoch; seconds since 1970 when left out, so that no run repeats another.
    #[arg(long)]
    epoch: Option<u32>,
    /// Appends `device,sequence` of each acknowledged message.
    #[arg(long)]
    ledger: Option<PathBuf>,
    /// Goes on after the broker died, sending again what was not acknowledged.
    #[arg(long)]
    reconnect: bool,
}

#[derive(Args)]
struct ReplayArgs {
    /// The table, CSV with a line of column names.
    table: PathBuf,
    /// How its columns become readings.
    #[arg(long)]
    map: PathBuf,
    /// Where the broker listens.
    #[arg(long, default_value = "127.0.0.1:1883", value_parser = address)]
    broker: (String, u16),
    /// The device's id; the map's device when left out.
    #[arg(long)]
    user: Option<String>,
    /// Its password.
    #[arg(long)]
    password: Option<String>,
    /// Lines `id,password`, for a table of many devices.
    #[arg(long, conflicts_with = "password")]
    password_file: Option<PathBuf>,
}

type Outcome = Result<(), Box<dyn Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(tracing::Level::INFO).init();
    let outcome = match Cli::parse().command {
        Command::Run(args) => run_city(args).await,
        Command::Load(args) => run_load(args).await,
        Command::Replay(args) => run_replay(args).await,
        Command::Devices(args) => print_devices(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("device-sim: {}", chain(&*error));
            ExitCode::FAILURE
        }
    }
}

async fn run_city(args: RunArgs) -> Outcome {
    let city = Arc::new(read_city(&args.city)?);
    let passwords = args.password_file.as_deref().map(read_passwords).transpose()?.unwrap_or_default();
    let (host, port) = args.broker;
    let config = RunConfig {
        host,
        port,
        passwords: passwords.into_iter().collect(),
        backlog: args.backlog,
        speed: args.speed,
        ..RunConfig::default()
    };
    let (progress, stop) = (Arc::new(Progress::default()), stop_on_interrupt());
    let watched = progress.clone();
    let printing = tokio::spawn(async move {
        loop {
            let report = watched.report();
            eprint!(
                "\r{} devices, backlog {}/{}, live {}   ",
                report.connected, report.delivered, report.total, report.live
            );
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    let report = run(city, config, clock(), progress, stop).await;
    printing.abort();
    eprintln!("\rbacklog {} of {}, live {}                    ", report.delivered, report.total, report.live);
    Ok(())
}

async fn run_load(args: LoadArgs) -> Outcome {
    let users = match &args.users {
        Some(path) => read_passwords(path)?.into_iter().map(|(id, password)| (id, Some(password))).collect(),
        None => (1..=args.connections)
            .map(|number| (format!("{}{number}", args.device_prefix), args.password.clone()))
            .collect::<Vec<_>>(),
    };
    if users.len() < args.connections {
        return Err(format!("{} connections, but only {} users", args.connections, users.len()).into());
    }
    let (host, port) = args.broker;
    let config = LoadConfig {
        host,
        port,
        users: users.into_iter().take(args.connections).collect(),
        in_flight: args.in_flight,
        duration: Duration::from_secs_f64(args.seconds),
        payload: args.payload,
        rate: args.rate,
        epoch: args.epoch.unwrap_or((clock()() / 1_000) as u32),
        ledger: args.ledger,
        reconnect: args.reconnect,
    };
    println!("{}", load(config, clock(), stop_on_interrupt()).await?);
    Ok(())
}

async fn run_replay(args: ReplayArgs) -> Outcome {
    let mut map: Map =
        toml::from_str(&read(&args.map)?).map_err(|error| format!("{}: {error}", args.map.display()))?;
    if let Some(user) = args.user {
        (map.device, map.device_column) = (Some(user), None);
    }
    let table =
        Table::parse(&read(&args.table)?).map_err(|error| format!("{}: {error}", args.table.display()))?;
    let messages = map.messages(&table).map_err(|problems| listed(&args.table, &problems))?;
    let mut passwords: HashMap<_, _> = args
        .password_file
        .as_deref()
        .map(read_passwords)
        .transpose()?
        .unwrap_or_default()
        .into_iter()
        .collect();
    if let Some(password) = args.password {
        passwords.extend(messages.keys().map(|device| (device.clone(), password.clone())));
    }
    let (host, port) = args.broker;
    let count =
        replay(&ReplayConfig { host, port, passwords, in_flight: 50, attempts: 20 }, &messages).await?;
    println!("{count} messages of {} devices acknowledged", messages.len());
    Ok(())
}

fn print_devices(args: &CityArgs) -> Outcome {
    println!("{}", DeviceSpec::CSV_HEADER);
    for device in read_city(args)?.devices() {
        println!("{}", device.to_csv());
    }
    Ok(())
}

fn read_city(args: &CityArgs) -> Result<City, Box<dyn Error>> {
    let config = match &args.config {
        Some(path) => toml::from_str(&read(path)?).map_err(|error| format!("{}: {error}", path.display()))?,
        None => CityConfig::default(),
    };
    Ok(City::new(&config, clock()())?)
}

/// Lines `id,password`; a first line with exactly these words, and empty lines, are skipped.
fn read_passwords(path: &Path) -> Result<Vec<(String, String)>, Box<dyn Error>> {
    let text = read(path)?;
    let lines =
        text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty() && *line != "id,password");
    let pair = |(number, line): (usize, &str)| match line.split_once(',') {
        Some((id, password)) => Ok((id.trim().to_string(), password.trim().to_string())),
        None => Err(format!("{}:{}: expected id,password", path.display(), number + 1).into()),
    };
    lines.map(pair).collect()
}

fn read(path: &Path) -> Result<String, Box<dyn Error>> {
    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()).into())
}

fn listed(path: &Path, problems: &[String]) -> String {
    let shown = problems.iter().take(10).map(|problem| format!("\n  {problem}")).collect::<String>();
    let more = problems.len().saturating_sub(10);
    let rest = if more > 0 { format!("\n  and {more} more") } else { String::new() };
    format!("{}:{shown}{rest}", path.display())
}

fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(&format!(": {next}"));
        cause = next.source();
    }
    text
}

fn clock() -> Clock {
    Arc::new(|| jiff::Timestamp::now().as_millisecond())
}

fn stop_on_interrupt() -> CancellationToken {
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            stopping.cancel();
        }
    });
    stop
}

fn address(text: &str) -> Result<(String, u16), String> {
    let (host, port) = text.rsplit_once(':').ok_or("expected HOST:PORT")?;
    Ok((host.to_string(), port.parse().map_err(|_| format!("{port:?} is no port"))?))
}

fn duration(text: &str) -> Result<Duration, String> {
    let span: jiff::SignedDuration =
        text.parse().map_err(|_| "expected a duration such as 24h".to_string())?;
    Duration::try_from(span).map_err(|_| "must not be negative".to_string())
}

fn positive(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| *number > 0.0 && *number < 1e9);
    number.ok_or_else(|| "expected a number above 0".to_string())
}
