//! Devices that aren't there: a simulated city over MQTT, a load generator, a replayer of recorded tables.
//!
//! It speaks to a gateway the way devices do, through the front door, and knows nothing of what is behind it:
//! neither the log's records nor any stage. What it says is a function of seed and time.

pub mod city;

pub mod config;

pub mod device;

mod schedule;

mod voice;

pub mod run;

pub mod load;

pub mod replay;

mod window;

mod guangzhou;

mod place;

mod script;

mod strike;

mod model;

mod epc;

mod chance;

pub use city::{City, CityError, Message};
pub use config::CityConfig;
pub use device::{DeviceSpec, Family};
pub use epc::sgtin96;
pub use schedule::Schedule;
