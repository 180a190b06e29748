//! The data folder: what lies where.

use std::path::{Path, PathBuf};

use crate::command::Failure;

/// A data folder that exists.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// The folder at `path`, made when it is not there.
    ///
    /// # Errors
    /// It can't be made.
    pub fn create(path: &Path) -> Result<Folder, Failure> {
        std::fs::create_dir_all(path)
            .map_err(|error| Failure::because(format_args!("data folder {}", path.display()), &error))?;
        Ok(Folder(path.to_owned()))
    }

    /// The folder at `path`, whether it is there or not: for those who only look.
    pub fn at(path: &Path) -> Folder {
        Folder(path.to_owned())
    }

    /// The devices that may connect (SQLite).
    pub fn registry(&self) -> PathBuf {
        self.0.join("registry.db")
    }

    /// The log's folder.
    pub fn log(&self) -> PathBuf {
        self.0.join("log")
    }

    /// The folder of a gateway's spool.
    pub fn spool(&self) -> PathBuf {
        self.0.join("spool")
    }

    /// The folder of the sessions of a gateway on Kafka that has no spool.
    pub fn sessions(&self) -> PathBuf {
        self.0.join("sessions")
    }

    /// The time series' folder.
    pub fn series(&self) -> PathBuf {
        self.0.join("series")
    }

    /// The alert read model (SQLite).
    pub fn alerts(&self) -> PathBuf {
        self.0.join("alerts.db")
    }

    /// The device read model (SQLite).
    pub fn devices(&self) -> PathBuf {
        self.0.join("devices.db")
    }

    /// What became of every message (SQLite).
    pub fn ledger(&self) -> PathBuf {
        self.0.join("ledger.db")
    }

    /// What the sink into InfluxDB must remember (SQLite).
    pub fn influx(&self) -> PathBuf {
        self.0.join("influx.db")
    }
}
