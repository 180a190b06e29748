//! Packet ids of QoS 2 (MQTT, 4.3.3): messages that were received and that the client has not released.
//!
//! The client may send such a message again under its id, also over another connection, and it is the same message.

/// Packet ids in order. Takes no room until there is one.
#[derive(Debug, Default)]
pub(crate) struct Received(Vec<Taken>);

#[derive(Clone, Copy, Debug)]
struct Taken {
    packet_id: u16,
    is_durable: bool,
}

impl Received {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the message of that id is durable; `None` when there is no such message.
    pub(super) fn is_durable(&self, packet_id: u16) -> Option<bool> {
        self.find(packet_id).ok().map(|place| self.0[place].is_durable)
    }

    /// The message of that id is durable, if it is one of these.
    pub(super) fn settle(&mut self, packet_id: u16) {
        if let Ok(place) = self.find(packet_id) {
            self.0[place].is_durable = true;
        }
    }

    /// Whether there was a durable message of that id, which is forgotten now.
    pub(super) fn release(&mut self, packet_id: u16) -> bool {
        match self.find(packet_id) {
            Ok(place) if self.0[place].is_durable => {
                self.0.remove(place);
                true
            }
            _ => false,
        }
    }

    /// Those that are durable, in as little room as they need: what outlives a connection.
    pub(super) fn durable(mut self) -> Received {
        self.0.retain(|taken| taken.is_durable);
        self.0.shrink_to_fit();
        self
    }

    fn find(&self, packet_id: u16) -> Result<usize, usize> {
        self.0.binary_search_by_key(&packet_id, |taken| taken.packet_id)
    }
}

/// Messages that are not durable yet.
impl Extend<u16> for Received {
    fn extend<I: IntoIterator<Item = u16>>(&mut self, ids: I) {
        for packet_id in ids {
            if let Err(place) = self.find(packet_id) {
                self.0.insert(place, Taken { packet_id, is_durable: false });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_received_settled_and_released() {
        let mut received = Received::default();
        received.extend([9, 3, 9]);
        assert_eq!((received.len(), received.is_durable(9), received.is_durable(4)), (2, Some(false), None));
        assert!(!received.release(9), "its PUBREC is still to come");
        received.settle(9);
        received.settle(4);
        assert_eq!((received.is_durable(9), received.is_durable(4)), (Some(true), None));
        let mut received = received.durable();
        assert_eq!((received.len(), received.is_durable(3)), (1, None));
        assert!(received.release(9) && !received.release(9));
        assert_eq!(received.len(), 0);
    }
}
