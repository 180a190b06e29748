//! SUBSCRIBE and UNSUBSCRIBE, read in place.

use super::fields::Fields;
use super::property::{self, Property};
use super::{QoS, Version, Violation};

/// What a client wants to be sent. Its filters are text, and otherwise not looked at.
#[derive(Debug, PartialEq)]
pub(crate) struct Subscribe<'a> {
    pub packet_id: u16,
    /// A number that goes with whatever is sent because of these filters.
    pub identifier: Option<u32>,
    filters: Fields<'a>,
}

/// What a client does not want any more.
#[derive(Debug, PartialEq)]
pub(crate) struct Unsubscribe<'a> {
    pub packet_id: u16,
    filters: Fields<'a>,
}

/// How a subscription is to be served (MQTT 5, 3.8.3.1). In 3.1.1 only the QoS can be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    pub qos: QoS,
    /// Not what this client publishes itself.
    pub no_local: bool,
    /// RETAIN stays as it was published.
    pub keeps_retain: bool,
    pub retain_handling: RetainHandling,
}

/// Whether what is retained is sent at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RetainHandling {
    Always,
    /// When there is no such subscription yet.
    IfNew,
    Never,
}

impl<'a> Subscribe<'a> {
    pub(super) fn read(mut body: Fields<'a>, version: Version) -> Result<Subscribe<'a>, Violation> {
        let packet_id = super::packet_id(body.two()?)?;
        let mut identifier = None;
        if version == Version::V5 {
            property::read(&mut body, property::IN_SUBSCRIBE, |property| {
                if let Property::SubscriptionId(id) = property {
                    identifier = Some(id);
                }
            })?;
        }
        let filters = body;
        // 3.8.3: at least one.
        if body.is_empty() {
            return Err(Violation::Protocol);
        }
        while !body.is_empty() {
            let filter = body.text()?;
            Options::read(body.byte()?, filter, version)?;
        }
        Ok(Subscribe { packet_id, identifier, filters })
    }

    /// Its filters, in order.
    pub(crate) fn filters(&self, version: Version) -> impl Iterator<Item = (&'a str, Options)> {
        let mut rest = self.filters;
        std::iter::from_fn(move || {
            let filter = rest.text().ok()?;
            Some((filter, Options::read(rest.byte().ok()?, filter, version).ok()?))
        })
    }
}

impl<'a> Unsubscribe<'a> {
    pub(super) fn read(mut body: Fields<'a>, version: Version) -> Result<Unsubscribe<'a>, Violation> {
        let packet_id = super::packet_id(body.two()?)?;
        if version == Version::V5 {
            property::read(&mut body, property::IN_UNSUBSCRIBE, |_| ())?;
        }
        let filters = body;
        if body.is_empty() {
            return Err(Violation::Protocol);
        }
        while !body.is_empty() {
            body.text()?;
        }
        Ok(Unsubscribe { packet_id, filters })
    }

    /// Its filters, in order.
    pub(crate) fn filters(&self) -> impl Iterator<Item = &'a str> {
        let mut rest = self.filters;
        std::iter::from_fn(move || rest.text().ok())
    }
}

impl Options {
    /// As MQTT 5 writes them; what is retained was asked for when it was subscribed.
    pub(crate) fn byte(self) -> u8 {
        self.qos as u8 | u8::from(self.no_local) << 2 | u8::from(self.keeps_retain) << 3 | 2 << 4
    }

    /// The reverse.
    pub(crate) fn of_byte(options: u8) -> Option<Options> {
        Options::read(options, "", Version::V5).ok()
    }

    /// MQTT 3.1.1 and 5, 3.8.3.
    fn read(options: u8, filter: &str, version: Version) -> Result<Options, Violation> {
        let reserved = if version == Version::V5 { 0xc0 } else { 0xfc };
        let qos = QoS::from_code(options & 0b11).filter(|_| options & reserved == 0);
        let no_local = options & 0b100 != 0;
        let retain_handling = match options >> 4 & 0b11 {
            0 => RetainHandling::Always,
            1 => RetainHandling::IfNew,
            2 => RetainHandling::Never,
            _ => return Err(if version == Version::V5 { Violation::Protocol } else { Violation::Malformed }),
        };
        if no_local && filter.starts_with("$share/") && qos.is_some() {
            return Err(Violation::Protocol);
        }
        let qos = qos.ok_or(Violation::Malformed)?;
        Ok(Options { qos, no_local, keeps_retain: options & 0b1000 != 0, retain_handling })
    }
}
