//! `rumqttd`'s router, behind one link: publications go in as opaque bytes, and come out in the same order.
//!
//! It sees one client, one topic name and one filter, all in ASCII, at QoS 0 and without properties: nothing that it
//! can't take (see `gateway/README.md`), and nothing that would make it keep more than its segments.

use super::Publication;
use bytes::Bytes;
use rumqttd::local::{LinkBuilder, LinkRx, LinkTx};
use rumqttd::protocol::{Packet, Publish};
use rumqttd::{Notification, Router, RouterConfig};

/// What one batch may hold: less than the router's queues of 200 and its segments.
pub(super) const BATCH: usize = 100;
pub(super) const BATCH_BYTES: usize = 512 << 10;

const TOPIC: &str = "fanout";
const SEGMENT_BYTES: usize = 1 << 20;
const SEGMENTS: usize = 3;

/// A running router and our link to it.
pub(super) struct Carrier {
    tx: LinkTx,
    rx: LinkRx,
    /// Makes the router's thread panic.
    kill: Box<dyn Fn() + Send + Sync>,
}

/// The router is gone, or doesn't do what it should.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Down(String);

impl Down {
    pub(super) fn stuck() -> Down {
        Down("it did nothing for seconds".to_owned())
    }
}

impl Carrier {
    /// Starts a router in a thread of its own.
    pub(super) async fn start() -> Result<Carrier, Down> {
        // A link is built by waiting for the router.
        let started = tokio::task::spawn_blocking(Carrier::start_blocking).await;
        started.map_err(|error| Down(error.to_string()))?
    }

    fn start_blocking() -> Result<Carrier, Down> {
        let config = RouterConfig {
            max_connections: 2,
            max_outgoing_packet_count: BATCH as u64,
            max_segment_size: SEGMENT_BYTES,
            max_segment_count: SEGMENTS,
            ..RouterConfig::default()
        };
        let router = Router::new(0, config).spawn();
        let link = LinkBuilder::new("gateway", router.clone());
        let (mut tx, rx, _) = link.build().map_err(|error| Down(error.to_string()))?;
        tx.subscribe(TOPIC).map_err(|error| Down(error.to_string()))?;
        // A request in the name of a connection that doesn't exist is one of the things it can't take.
        let kill = move || {
            let _ = LinkTx::new(usize::MAX, router.clone(), Default::default()).shadow("");
        };
        Ok(Carrier { tx, rx, kill: Box::new(kill) })
    }

    /// Sends a batch, and returns when all of it has come back. After an error, or when it is dropped half-way, the
    /// router must not be used any more.
    pub(super) async fn carry(&mut self, batch: &[Publication]) -> Result<Vec<Publication>, Down> {
        self.send(batch)?;
        let mut carried = Vec::with_capacity(batch.len());
        while carried.len() < batch.len() {
            let notification = self.rx.next().await.map_err(|error| Down(error.to_string()))?;
            match notification {
                Some(Notification::Forward(forward)) => carried.push(back(forward.publish.payload)?),
                Some(Notification::Unschedule) => {
                    self.rx.ready().map_err(|error| Down(error.to_string()))?;
                }
                _ => {}
            }
        }
        Ok(carried)
    }

    /// One event for the whole batch.
    fn send(&mut self, batch: &[Publication]) -> Result<(), Down> {
        let Some((last, others)) = batch.split_last() else { return Ok(()) };
        let packets = others.iter().map(|it| {
            Packet::Publish(
                Publish::new(Bytes::from_static(TOPIC.as_bytes()), it.bytes().clone(), false),
                None,
            )
        });
        self.tx.buffer().extend(packets);
        let sent = self.tx.publish(TOPIC, last.bytes().clone());
        sent.map(drop).map_err(|error| Down(error.to_string()))
    }

    pub(super) fn kill(&self) {
        (self.kill)();
    }
}

fn back(bytes: Bytes) -> Result<Publication, Down> {
    Publication::from_bytes(bytes).ok_or_else(|| Down("it gave back what it was not given".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::super::{NOBODY, Said};
    use super::*;
    use crate::packet::QoS;
    use records::Timestamp;

    fn batch(len: usize, payload: usize) -> Vec<Publication> {
        let payload = vec![b'x'; payload];
        (0..len)
            .map(|number| {
                let said = Said {
                    topic: &format!("é/{number}"),
                    payload: &payload,
                    properties: &[],
                    qos: QoS::ExactlyOnce,
                    is_retained: true,
                    origin: NOBODY,
                };
                Publication::new(&said, number as u64, Timestamp(0))
            })
            .collect()
    }

    #[tokio::test]
    async fn what_goes_in_comes_out() {
        let mut carrier = Carrier::start().await.unwrap();
        // Many times what its segments hold, and one that fills a segment alone.
        for (len, payload) in [(1, 1), (BATCH, 5000), (1, 2 << 20), (BATCH, 1)] {
            for _ in 0..20 {
                let batch = batch(len, payload);
                assert!(carrier.carry(&batch).await.unwrap() == batch, "{len} of {payload}");
            }
        }
    }

    #[tokio::test]
    async fn a_dead_one_is_noticed() {
        let mut carrier = Carrier::start().await.unwrap();
        carrier.kill();
        let mut carried = 0;
        // It may still serve what it was asked before.
        while let Ok(batch) = carrier.carry(&batch(1, 1)).await {
            carried += batch.len();
            assert!(carried < 100_000);
        }
    }
}
