//! A broker small enough to be seen through: takes everything, remembers it, and can be made to fail.

#![allow(clippy::unwrap_used, dead_code, missing_docs)]

use bytes::BytesMut;
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::{ConnAck, ConnectReturnCode, Packet, PubAck, Publish};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// How it fails.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// Close each connection after so many publishes, the last five of them stored or not, never acknowledged.
    pub close_after: Option<usize>,
    /// The only password that is let in.
    pub password: Option<&'static str>,
}

#[derive(Clone)]
pub struct Broker {
    pub port: u16,
    faults: Faults,
    received: Arc<Mutex<Vec<Publish>>>,
    connections: Arc<AtomicUsize>,
}

impl Broker {
    pub async fn start(faults: Faults) -> Broker {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let broker = Broker { port, faults, received: Arc::default(), connections: Arc::default() };
        let serving = broker.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                serving.connections.fetch_add(1, Ordering::Relaxed);
                let serving = serving.clone();
                tokio::spawn(async move { serving.serve(socket).await });
            }
        });
        broker
    }

    /// What was published to a topic name, in order of arrival.
    pub fn payloads(&self, topic: &str) -> Vec<Vec<u8>> {
        let received = self.received.lock().unwrap();
        received
            .iter()
            .filter(|publish| publish.topic == topic)
            .map(|publish| publish.payload.to_vec())
            .collect()
    }

    /// All payloads in order of arrival.
    pub fn arrivals(&self) -> Vec<Vec<u8>> {
        self.received.lock().unwrap().iter().map(|publish| publish.payload.to_vec()).collect()
    }

    pub fn count(&self) -> usize {
        self.received.lock().unwrap().len()
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    async fn serve(&self, mut socket: TcpStream) -> Option<()> {
        let (mut incoming, mut outgoing, mut published) = (BytesMut::new(), BytesMut::new(), 0);
        loop {
            while let Ok(packet) = Packet::read(&mut incoming, 1 << 20) {
                match packet {
                    Packet::Connect(connect) => {
                        let password = connect.login.map(|login| login.password);
                        let is_in = self.faults.password.is_none_or(|only| password.as_deref() == Some(only));
                        let code =
                            if is_in { ConnectReturnCode::Success } else { ConnectReturnCode::NotAuthorized };
                        ConnAck::new(code, false).write(&mut outgoing).ok()?;
                    }
                    Packet::Publish(publish) => {
                        assert_eq!(publish.qos, QoS::AtLeastOnce);
                        published += 1;
                        let ack = PubAck::new(publish.pkid);
                        let is_doubtful = self.faults.close_after.is_some_and(|most| published > most - 5);
                        if !is_doubtful || published % 2 == 0 {
                            self.received.lock().unwrap().push(publish);
                        }
                        if !is_doubtful {
                            ack.write(&mut outgoing).ok()?;
                        }
                        if Some(published) == self.faults.close_after {
                            socket.write_all(&outgoing).await.ok()?;
                            return None;
                        }
                    }
                    Packet::PingReq => outgoing.extend_from_slice(&[0xd0, 0]),
                    Packet::Disconnect => return None,
                    other => panic!("a device sent {other:?}"),
                }
            }
            socket.write_all(&outgoing).await.ok()?;
            outgoing.clear();
            if socket.read_buf(&mut incoming).await.ok()? == 0 {
                return None;
            }
        }
    }
}
