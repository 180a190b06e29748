//! Packet ids of QoS 2 (MQTT, 4.3.3): messages that were received and that the client has not released.
//!
//! The client may send such a message again under its id, also over another connection, and it is the same message.

/// Packet ids in order. Takes no room until there is one.
#[derive(Debug, Default)]
pub(crate) struct Received(Vec<Taken>);

#[derive(Clone, Copy, Debug)]
struct Taken {
    packet_id: u16,
    step: Step,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// It came, and its PUBREC is still to come.
    Taken,
    Durable,
    /// PUBREL came, and its PUBCOMP is still to come.
    Released,
}

impl Received {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Those that an earlier process has noted.
    pub(crate) fn of_durable(ids: impl IntoIterator<Item = u16>) -> Received {
        let mut taken: Vec<_> =
            ids.into_iter().map(|packet_id| Taken { packet_id, step: Step::Durable }).collect();
        taken.sort_by_key(|taken| taken.packet_id);
        Received(taken)
    }

    /// Whether the message of that id is durable; `None` when there is no such message, or it was released: then the
    /// next one of that id is another.
    pub(super) fn is_durable(&self, packet_id: u16) -> Option<bool> {
        let step = self.find(packet_id).ok().map(|place| self.0[place].step)?;
        (step != Step::Released).then_some(step == Step::Durable)
    }

    /// The message of that id is durable, if it is one of these.
    pub(super) fn settle(&mut self, packet_id: u16) {
        if let Ok(place) = self.find(packet_id)
            && self.0[place].step == Step::Taken
        {
            self.0[place].step = Step::Durable;
        }
    }

    /// Whether there is a durable message of that id; the client has done with it now.
    pub(super) fn release(&mut self, packet_id: u16) -> bool {
        let Ok(place) = self.find(packet_id) else { return false };
        let step = &mut self.0[place].step;
        if *step == Step::Taken {
            return false;
        }
        *step = Step::Released;
        true
    }

    /// That a message was released is durable, and it is forgotten.
    pub(super) fn forget(&mut self, packet_id: u16) {
        if let Ok(place) = self.find(packet_id)
            && self.0[place].step == Step::Released
        {
            self.0.remove(place);
        }
    }

    /// Whether nobody knows of one of these if it is durable: its append was given up.
    pub(crate) fn is_in_doubt(&self) -> bool {
        self.0.iter().any(|taken| taken.step == Step::Taken)
    }

    /// In as little room as they need: what outlives a connection. Whoever has released one hears of it when it says so
    /// again.
    pub(super) fn kept(mut self) -> Received {
        for taken in &mut self.0 {
            if taken.step == Step::Released {
                taken.step = Step::Durable;
            }
        }
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
            match self.find(packet_id) {
                Ok(place) => self.0[place].step = Step::Taken,
                Err(place) => self.0.insert(place, Taken { packet_id, step: Step::Taken }),
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
        let mut received = received.kept();
        assert!(received.is_in_doubt(), "of 3 nobody knows");
        received.settle(3);
        assert!(!received.is_in_doubt());
        assert!(received.release(9) && received.release(9), "PUBREL comes again until PUBCOMP is there");
        assert_eq!((received.len(), received.is_durable(9)), (2, None));
        received.forget(9);
        received.forget(3);
        assert!(!received.release(9));
        assert_eq!(received.len(), 1);
    }

    #[test]
    fn a_new_message_of_a_released_id_is_not_forgotten_with_the_old_one() {
        let mut received = Received::of_durable([9, 3]);
        assert!(received.release(3));
        received.extend([3]);
        received.forget(3);
        assert_eq!(received.is_durable(3), Some(false));
        assert!(received.release(9));
        assert_eq!(received.kept().is_durable(9), Some(true), "that it was released may be lost");
    }
}
