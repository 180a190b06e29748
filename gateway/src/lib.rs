//! Where devices connect: MQTT sessions, identity, normalisers, and an acknowledgement after the append.
//!
//! A PUBACK of this crate is a promise: what it acknowledges is on durable storage. Everything here serves that,
//! and nothing here looks at values: judging them is the stream's work.
//!
//! Absent on purpose: the wall clock (a [`Clock`] is an argument), configuration, any knowledge of who reads the
//! log, and any other crate of ours than `firmware-protocol` (the devices' words) and `records` (ours).

mod gateway;
mod limits;

mod session;

mod fanout;

mod listener;
mod packet;
mod tls;
mod transport;
mod websocket;

pub mod normalize;

pub mod forward;
pub mod mirror;
pub mod results;
pub mod source;

mod acl;
mod announce;
mod identity;
mod kept;
mod outage;
mod rates;
mod registry;
mod seats;
mod sessions;
mod shed;
mod state;
mod throttle;
mod watch;

mod error;
mod metrics;

pub use acl::Role;
pub use error::{GatewayError, RegistryError};
pub use fanout::Fanout;
pub use gateway::{Parts, run};
pub use limits::Limits;
pub use listener::Listener;
pub use metrics::Metrics;
pub use registry::{Credential, Directory, Entry, NewDevice, NewSubscriber, Password, Registry};
pub use shed::Shedding;
pub use source::{MqttVersion, Source, SourceConfig};
pub use state::{Promise, SessionStore};

pub use tls::{CertificateName, ClientRule, Tls, TlsError};

use records::Timestamp;
use std::sync::Arc;

/// What time it is: the gateway's clock, as told by whoever runs it.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;
