//! From an accepted socket to a session: CONNECT, identity, take-over, CONNACK.

use super::aliases::Aliases;
use super::ending::Refusal;
use super::handshake::shake_hands;
use super::ledger::Ledger;
use super::publish::is_foreign;
use super::will::Will;
use super::{Received, Sender, Session};
use crate::gateway::Gate;
use crate::identity::{Denial, Proven};
use crate::kept::{Absence, Over, Taken};
use crate::listener::Door;
use crate::outage::Closed;
use crate::packet::{
    Connect, Front, Greeting, Packet, Room, Terms, Version, Violation, accept, front, greeting, refuse_v5,
    refuse_v311,
};
use crate::sessions::{Client, Place, Standing};
use crate::state::key::{self, About};
use crate::tls::Certified;
use crate::transport::Transport;
use crate::{Limits, Role};
use bytes::BytesMut;
use records::{Device, Name, Note, Producer, Topic, partition_of};
use std::sync::Arc;
use tokio::net::TcpStream;

/// Longest client id that is kept; the standard asks for 23 bytes at least.
const MAX_CLIENT_ID: usize = 1024;

/// Type and flags of CONNECT: whoever begins with anything else is not waited for.
const CONNECT_FIRST_BYTE: u8 = 0x10;

/// One read while connecting: most CONNECT packets are shorter.
const READ: usize = 512;

/// Our longest packet whose length doesn't depend on what was asked: CONNACK with an assigned client id.
const MIN_PACKET_SIZE: u32 = 96;

/// A client on its way in.
struct Arriving {
    transport: Transport,
    unread: Vec<u8>,
    /// In which it is answered; 3.1.1 until it has said.
    version: Version,
    /// What it has shown in the TLS handshake.
    certified: Option<Box<Certified>>,
}

/// A client that may come in.
struct Admitted {
    proven: Proven,
    place: Place,
    connack: BytesMut,
    maximum_packet_size: u32,
    receive_maximum: u16,
    expiry: u32,
    older: Option<Absence>,
    will: Option<Box<Will>>,
}

/// Makes a session; or counts why not, and tells the client by CONNACK where its MQTT has a code for it.
pub(super) async fn connect<P: Producer>(
    stream: TcpStream,
    door: Door,
    gate: Arc<Gate<P>>,
) -> Option<Box<Session<P>>> {
    let (transport, certified) = match shake_hands(stream, door, &gate).await {
        Ok(shaken) => shaken,
        Err(refusal) => {
            gate.metrics.count_refusal(refusal);
            return None;
        }
    };
    let mut arriving = Arriving { transport, unread: Vec::new(), version: Version::V311, certified };
    let admitted = tokio::select! {
        admitted = arriving.admit(&gate) => admitted,
        () = tokio::time::sleep(gate.limits.connect_timeout) => Err(Refusal::Timeout),
        () = gate.stop.cancelled() => Err(Refusal::Closing),
    };
    match admitted {
        Ok(admitted) => Some(Box::new(session(arriving, admitted, gate))),
        Err(refusal) => {
            gate.metrics.count_refusal(refusal);
            arriving.refuse(refusal).await;
            None
        }
    }
}

impl Arriving {
    async fn admit<P: Producer>(&mut self, gate: &Arc<Gate<P>>) -> Result<Admitted, Refusal> {
        let packet = self.read_connect().await?;
        self.version = match greeting(&packet).map_err(Refusal::Violation)? {
            Greeting::Served(version) => version,
            Greeting::TooOld => return Err(Refusal::Version),
            Greeting::TooNew => {
                self.version = Version::V5;
                return Err(Refusal::Version);
            }
        };
        let connect = Connect::read(&packet, self.version).map_err(Refusal::Violation)?;
        check(&connect)?;
        let (client_id, is_assigned) = client_id(&connect, self.version)?;
        let keep_alive = self.keep_alive(&connect, gate.limits.max_keep_alive);
        let proven = prove(&connect, self.certified.as_deref(), gate).await?;
        check_will(&connect, &proven, &gate.limits)?;
        let standing = Standing::of(&proven, self.certified.take());
        let place = enter(client_id.clone(), keep_alive, &proven, standing, gate).await?;
        let expiry = connect.session_expiry.min(gate.limits.max_session_expiry);
        let terms = Terms {
            session_expiry: (connect.session_expiry != expiry).then_some(expiry),
            receive_maximum: gate.limits.max_in_flight,
            maximum_packet_size: u32::try_from(gate.limits.max_packet()).unwrap_or(u32::MAX),
            topic_alias_maximum: gate.limits.max_topic_aliases,
            assigned_client_id: is_assigned.then_some(&client_id),
            keep_alive: (keep_alive != connect.keep_alive).then_some(keep_alive),
        };
        let mut connack = BytesMut::new();
        if connect.clean_start {
            begin_anew(&place.client, gate).await?;
        } else {
            settle(&place.client, gate).await?;
        }
        // Nothing is awaited from here on, so that what is taken here gets into the session.
        let Taken { absence, due, over } = gate.kept.take(&place.client, gate.sessions.now());
        gate.execute(due);
        gate.bury(over);
        let number = absence.as_ref().map(|absence| absence.number);
        let older = absence.and_then(Absence::resume);
        // It has lost something, and is over.
        gate.bury(number.filter(|_| older.is_none()).map(|number| Over { number, testament: None }));
        accept(&mut connack, self.version, older.is_some(), &terms);
        let will = connect.will.as_ref().map(|will| Box::new(Will::new(will)));
        let Connect { maximum_packet_size, receive_maximum, .. } = connect;
        Ok(Admitted { proven, place, connack, maximum_packet_size, receive_maximum, expiry, older, will })
    }

    /// Reads until CONNECT is whole. What came behind it stays in `unread`.
    async fn read_connect(&mut self) -> Result<Vec<u8>, Refusal> {
        let room = Room { payload: 0, packet: usize::MAX };
        loop {
            if self.unread.first().is_some_and(|first| *first != CONNECT_FIRST_BYTE) {
                return Err(Refusal::Violation(Violation::Order));
            }
            let front = front(&self.unread, Version::V311, room).map_err(Refusal::Violation)?;
            if let Front::Whole(Packet::Connect(_), len) = front {
                let behind = self.unread.split_off(len);
                return Ok(std::mem::replace(&mut self.unread, behind));
            }
            let mut buffer = [0; READ];
            match std::future::poll_fn(|cx| self.transport.poll_read(cx, &mut buffer)).await {
                Ok(read @ 1..) => self.unread.extend_from_slice(&buffer[..read]),
                _ => return Err(Refusal::Lost),
            }
        }
    }

    /// Seconds of silence that are allowed for.
    fn keep_alive(&self, connect: &Connect<'_>, max: u16) -> u16 {
        match (self.version, connect.keep_alive) {
            (Version::V5, 0) => max,
            (Version::V5, asked) if max > 0 => asked.min(max),
            (_, asked) => asked,
        }
    }

    async fn refuse(mut self, refusal: Refusal) {
        let answer = match self.version {
            Version::V311 => refusal.return_code().map(refuse_v311),
            Version::V5 => refusal.code().map(refuse_v5),
        };
        let Some(mut answer) = answer else { return self.transport.finish().await };
        let written = std::future::poll_fn(|cx| self.transport.poll_write_all(cx, &mut answer)).await;
        match written {
            Ok(()) => {
                self.transport.finish().await;
                self.transport.linger().await;
            }
            Err(error) => tracing::debug!(%error, "nobody there to read the refusal"),
        }
    }
}

/// Asks for what is not served.
fn check(connect: &Connect<'_>) -> Result<(), Refusal> {
    if connect.has_method {
        return Err(Refusal::Method);
    }
    if connect.maximum_packet_size < MIN_PACKET_SIZE {
        return Err(Refusal::PacketSize);
    }
    Ok(())
}

/// Nobody speaks for somebody else, also when gone.
fn check_will(connect: &Connect<'_>, proven: &Proven, limits: &Limits) -> Result<(), Refusal> {
    let Some(will) = &connect.will else { return Ok(()) };
    if !limits.allows_topic(will.topic) {
        return Err(Refusal::Violation(Violation::TopicLimit));
    }
    if is_foreign(&proven.device.id, will.topic) || proven.role != Role::Device {
        Err(Refusal::Will)
    } else {
        Ok(())
    }
}

/// The client's name, and whether we gave it. MQTT 3.1.1, 3.1.3.1: without one, only a session that ends with the
/// connection is to be had; MQTT 5 tells the client the name, and it may come back under it.
fn client_id(connect: &Connect<'_>, version: Version) -> Result<(Name, bool), Refusal> {
    match connect.client_id {
        "" if version == Version::V5 || connect.clean_start => Ok((assigned_client_id()?, true)),
        "" => Err(Refusal::ClientId),
        id if id.len() > MAX_CLIENT_ID => Err(Refusal::ClientId),
        id => Ok((Name::new(id), false)),
    }
}

/// A name that nobody has, because nobody can guess it.
fn assigned_client_id() -> Result<Name, Refusal> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|_| Refusal::Denied(Denial::Unavailable))?;
    Ok(smol_str::format_smolstr!("auto-{:032x}", u128::from_be_bytes(random)))
}

/// By the certificate when it has shown one, else by the password.
async fn prove<P: Producer>(
    connect: &Connect<'_>,
    certified: Option<&Certified>,
    gate: &Gate<P>,
) -> Result<Proven, Refusal> {
    let password = connect.password.map(std::str::from_utf8);
    let proven = match (certified, connect.user, password) {
        (Some(certified), user, _) => gate.roster.prove_by_certificate(user, certified).await,
        (None, Some(user), Some(Ok(password))) => gate.roster.prove(user, password).await,
        (None, ..) => return Err(Refusal::Denied(Denial::Credentials)),
    };
    proven.map_err(|denial| {
        let named = certified.and_then(|certified| certified.name.as_deref());
        gate.tell_denial(connect.user.or(named).unwrap_or_default(), denial);
        Refusal::Denied(denial)
    })
}

/// Takes a place among the sessions, after whoever had it.
async fn enter<P: Producer>(
    client_id: Name,
    keep_alive: u16,
    proven: &Proven,
    standing: Standing,
    gate: &Gate<P>,
) -> Result<Place, Refusal> {
    if proven.role == Role::Device {
        gate.announce(std::slice::from_ref(&proven.device)).await.map_err(|_| Refusal::Closing)?;
    }
    let client = Client { device: proven.device.id.clone(), id: client_id };
    let (place, older) = gate.sessions.enter(client, keep_alive, standing);
    if let Some(older) = older {
        older.until_over().await;
    }
    // Who lost the right meanwhile was not among the sessions that were cut for it.
    if !gate.roster.holds(&proven.device.id, proven.fingerprint) || !place.control.is_certificate_good() {
        return Err(Refusal::Denied(Denial::Disabled));
    }
    Ok(place)
}

/// Ends the session that the client no longer wants. It is told when that is durable: a session that came back after a
/// restart would take new messages of QoS 2 for its own.
async fn begin_anew<P: Producer>(client: &Client, gate: &Arc<Gate<P>>) -> Result<(), Refusal> {
    let Some(Over { number, testament }) = gate.kept.remove(client) else { return Ok(()) };
    gate.execute(testament);
    let removal = vec![Note::RemoveUnder { prefix: key::session(number) }];
    gate.note(removal).await.map_err(|Closed| Refusal::Closing)
}

/// Finds out which messages are durable whose append was given up.
async fn settle<P: Producer>(client: &Client, gate: &Gate<P>) -> Result<(), Refusal> {
    let Some(number) = gate.kept.in_doubt(client) else { return Ok(()) };
    let noted = gate.store.notes(&key::all_received(number)).await.map_err(|error| {
        tracing::warn!(%error, "the sessions can't be read: a client is to try again");
        Refusal::Denied(Denial::Unavailable)
    })?;
    let ids = noted.pairs.iter().filter_map(|(key, _)| match About::of(key) {
        Some(About::Received { packet_id, .. }) => Some(packet_id),
        _ => None,
    });
    gate.kept.settle(client, Received::of_durable(ids));
    Ok(())
}

fn session<P: Producer>(arriving: Arriving, admitted: Admitted, gate: Arc<Gate<P>>) -> Session<P> {
    let Proven { device: Device { id, family, .. }, crs, role, .. } = admitted.proven;
    let partition = |topic| partition_of(id.as_bytes(), gate.log.partitions(topic));
    let device = Sender {
        telemetry_partition: partition(Topic::Telemetry),
        quarantine_partition: partition(Topic::Quarantine),
        is_device: role == Role::Device,
        may_be_shed: gate.shed.concerns(family),
        crs,
        id,
    };
    tracing::debug!(device = %device.id, version = ?arriving.version, "connected");
    let bucket = gate.rates.bucket(&device.id);
    let (number, received, subscriber) = match admitted.older {
        Some(Absence { number, received, subscriber }) => (Some(number), received, subscriber),
        None => ((admitted.expiry > 0).then(|| gate.numbers.next()), Received::default(), None),
    };
    let mut session = Session {
        transport: arriving.transport,
        place: admitted.place,
        device,
        version: arriving.version,
        aliases: Aliases::default(),
        maximum_packet_size: admitted.maximum_packet_size,
        receive_maximum: admitted.receive_maximum,
        expiry: admitted.expiry,
        unread: arriving.unread,
        oversized: None,
        outbox: admitted.connack,
        ledger: Ledger::resume(received, number),
        number,
        subscriber,
        will: admitted.will,
        is_stalled: false,
        bucket,
        published: 0,
        pause: None,
        has_finished: false,
        ending: None,
        deadline: None,
        is_told: false,
        gate,
    };
    session.begin();
    session
}
