//! The binary `sluice`: reads the command line and the configuration, and hands over.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use deploy::command::{self, Failure};
use deploy::role::Role;
use deploy::terminal::Terminal;

/// Gives memory back after a backlog, which the system's allocator keeps in pieces: see the folder's README.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// From field devices to those who act: MQTT in, durable log, windows and alerts, time series and console out.
#[derive(Parser)]
#[command(version, about, long_about = None)]
struct Arguments {
    /// Configuration file; without one everything listens on loopback and data goes to ./data
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,

    /// What to log: a level, or levels by module as in "info,gateway=debug"
    #[arg(long, global = true, value_name = "FILTER", default_value = "info")]
    log: String,

    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Run everything in one process (the default)
    All,
    /// Run what devices connect to; needs log.kind = "kafka", like the two that follow
    Gateway,
    /// Run the jobs: windows, rules, alerts
    Stream,
    /// Run the sinks and the console
    Sinks,
    /// Tell another deployment what the section mirror says; on the embedded log `sluice all` does it
    Mirror,
    /// Run everything, and a simulated city that delivers its last 24 hours and then goes live
    Demo(command::demo::Arguments),
    /// Report every problem of a configuration file, with line and path
    Check {
        /// The file
        file: PathBuf,
        /// A payload: show what the mappings make of it
        #[arg(long = "try", value_name = "SAMPLE.json")]
        sample: Option<PathBuf>,
        /// The topic name it comes on; without one, an example for each mapping
        #[arg(long, requires = "sample")]
        topic: Option<String>,
    },
    /// Register devices and manage what they prove themselves by
    #[command(subcommand)]
    Device(command::device::Command),
    /// Register those who subscribe over MQTT, and say what they may be sent
    #[command(subcommand)]
    Subscriber(command::subscriber::Command),
    /// Verify, back up and restore the time series on disk
    #[command(subcommand)]
    Store(command::store::Command),
    /// Print what became of every message, by hour and device, also while the server runs
    Ledger(command::ledger::Arguments),
    /// Run history again by the same or other rules, and print which alerts would have been otherwise; touches nothing
    Replay(command::replay::Arguments),
    /// Put other rules in force, also while the server runs
    #[command(subcommand)]
    Rules(command::rules::Command),
    /// Look into the log's file and copy it, also while the server runs
    Log(command::log::Arguments),
    /// Make the topics on a Kafka cluster, and look at them
    #[command(subcommand)]
    Topic(command::topic::Command),
    /// Make the hash of an operator's password, read from standard input, for console.password_hash
    Password,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let terminal = match Terminal::start(&arguments.log) {
        Ok(terminal) => terminal,
        Err(problem) => return Failure::usage(problem).report(),
    };
    let config = arguments.config.as_deref();
    let result = match arguments.command.unwrap_or(Command::All) {
        Command::All => command::all::run(config, Role::All),
        Command::Gateway => command::all::run(config, Role::Gateway),
        Command::Stream => command::all::run(config, Role::Stream),
        Command::Sinks => command::all::run(config, Role::Sinks),
        Command::Mirror => command::all::run(config, Role::Mirror),
        Command::Demo(demo) => command::demo::run(config, &demo, &terminal),
        Command::Check { file, sample, topic } => match sample {
            None => command::check::run(&file),
            Some(sample) => command::check::try_sample(&file, &sample, topic.as_deref()),
        },
        Command::Device(device) => command::device::run(config, device),
        Command::Subscriber(subscriber) => command::subscriber::run(config, subscriber),
        Command::Store(store) => command::store::run(config, store),
        Command::Ledger(ledger) => command::ledger::run(config, ledger),
        Command::Replay(replay) => command::replay::run(config, replay),
        Command::Rules(rules) => command::rules::run(config, rules),
        Command::Log(log) => command::log::run(config, log),
        Command::Topic(topic) => command::topic::run(config, &topic),
        Command::Password => command::password::run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
