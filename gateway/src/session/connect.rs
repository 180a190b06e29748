//! From an accepted socket to a session: CONNECT, identity, take-over, CONNACK.

use super::ending::Refusal;
use super::ledger::Ledger;
use super::{Sender, Session};
use crate::gateway::Gate;
use crate::identity::{Denial, Proven};
use crate::packet::{Front, Greeting, Packet, Violation, front, greeting};
use crate::sessions::{Client, Place};
use crate::transport::Transport;
use bytes::BytesMut;
use records::{Name, Producer, Topic, partition_of};
use rumqttc::mqttbytes::v4::{ConnAck, Connect, ConnectReturnCode};
use std::sync::Arc;

/// Longest client id that is kept; the standard asks for 23 bytes at least.
const MAX_CLIENT_ID: usize = 1024;

/// Type and flags of CONNECT: whoever begins with anything else is not waited for.
const CONNECT_FIRST_BYTE: u8 = 0x10;

/// One read while connecting: most CONNECT packets are shorter.
const READ: usize = 512;

/// Makes a session; or counts why not, and tells the client by CONNACK where MQTT has a code for it.
pub(super) async fn connect<P: Producer>(
    mut transport: Transport,
    gate: Arc<Gate<P>>,
) -> Option<Box<Session<P>>> {
    let mut unread = Vec::new();
    let greeted = tokio::select! {
        greeted = greet(&mut transport, &mut unread, &gate) => greeted,
        () = tokio::time::sleep(gate.limits.connect_timeout) => Err(Refusal::Timeout),
        () = gate.stop.cancelled() => Err(Refusal::Closing),
    };
    match greeted {
        Ok((proven, place)) => Some(Box::new(session(transport, gate, proven, place, unread))),
        Err(refusal) => {
            gate.metrics.count_refusal(refusal);
            refuse(transport, refusal).await;
            None
        }
    }
}

async fn greet<P: Producer>(
    transport: &mut Transport,
    unread: &mut Vec<u8>,
    gate: &Gate<P>,
) -> Result<(Proven, Place), Refusal> {
    let connect = read_connect(transport, unread).await?;
    let client_id = client_id(&connect, gate)?;
    let login = connect.login.ok_or(Refusal::Denied(Denial::Credentials))?;
    let proven = gate.roster.prove(&login.username, &login.password).await.map_err(|denial| {
        gate.tell_denial(&login.username, denial);
        Refusal::Denied(denial)
    })?;
    gate.announce(std::slice::from_ref(&proven.device)).await.map_err(|_| Refusal::Closing)?;
    let client = Client { device: proven.device.id.clone(), id: client_id };
    let (place, older) = gate.sessions.enter(client, connect.keep_alive, proven.fingerprint);
    if let Some(older) = older {
        older.until_over().await;
    }
    // Whoever was disabled since the password was checked was not among the sessions that were cut for it.
    if gate.roster.current_fingerprint(&proven.device.id) != Some(proven.fingerprint) {
        return Err(Refusal::Denied(Denial::Disabled));
    }
    Ok((proven, place))
}

/// Reads until CONNECT is whole. What came behind it stays in `unread`.
async fn read_connect(transport: &mut Transport, unread: &mut Vec<u8>) -> Result<Connect, Refusal> {
    loop {
        if unread.first().is_some_and(|first| *first != CONNECT_FIRST_BYTE) {
            return Err(Refusal::Violation(Violation::Order));
        }
        if let Front::Whole(Packet::Connect(packet), len) = front(unread, 0).map_err(Refusal::Violation)? {
            let Greeting::V4(connect) = greeting(packet).map_err(Refusal::Violation)? else {
                return Err(Refusal::Version);
            };
            unread.drain(..len);
            return Ok(connect);
        }
        let mut buffer = [0; READ];
        let read = std::future::poll_fn(|cx| transport.poll_read(cx, &mut buffer)).await;
        match read {
            Ok(read @ 1..) => unread.extend_from_slice(&buffer[..read]),
            _ => return Err(Refusal::Lost),
        }
    }
}

/// MQTT 3.1.1, 3.1.3.1: an empty id is for a session that ends with the connection, and gets a name of its own.
/// No client can choose that name: it holds U+0000.
fn client_id<P: Producer>(connect: &Connect, gate: &Gate<P>) -> Result<Name, Refusal> {
    match connect.client_id.as_str() {
        "" if connect.clean_session => Ok(smol_str::format_smolstr!("\0{}", gate.next_number())),
        "" => Err(Refusal::ClientId),
        id if id.len() > MAX_CLIENT_ID => Err(Refusal::ClientId),
        id => Ok(Name::new(id)),
    }
}

fn session<P: Producer>(
    transport: Transport,
    gate: Arc<Gate<P>>,
    proven: Proven,
    place: Place,
    unread: Vec<u8>,
) -> Session<P> {
    let partition = |topic| partition_of(proven.device.id.as_bytes(), gate.log.partitions(topic));
    let sender = Sender {
        telemetry_partition: partition(Topic::Telemetry),
        quarantine_partition: partition(Topic::Quarantine),
        crs: proven.crs,
        id: proven.device.id,
    };
    tracing::debug!(device = %sender.id, "connected");
    Session {
        transport,
        place,
        device: sender,
        unread,
        oversized: None,
        outbox: connack(ConnectReturnCode::Success),
        ledger: Ledger::default(),
        is_stalled: false,
        ending: None,
        deadline: None,
        gate,
    }
}

async fn refuse(mut transport: Transport, refusal: Refusal) {
    let Some(code) = return_code(refusal) else { return transport.close().await };
    let mut answer = connack(code);
    let written = std::future::poll_fn(|cx| transport.poll_write_all(cx, &mut answer)).await;
    match written {
        Ok(()) => transport.close_after_answer().await,
        Err(error) => tracing::debug!(%error, "nobody there to read the refusal"),
    }
}

/// What CONNACK says (MQTT 3.1.1, table 3.1); `None` closes without a word.
fn return_code(refusal: Refusal) -> Option<ConnectReturnCode> {
    match refusal {
        Refusal::Version => Some(ConnectReturnCode::RefusedProtocolVersion),
        Refusal::ClientId => Some(ConnectReturnCode::BadClientId),
        Refusal::Denied(Denial::Unavailable) => Some(ConnectReturnCode::ServiceUnavailable),
        Refusal::Denied(Denial::Credentials) => Some(ConnectReturnCode::BadUserNamePassword),
        Refusal::Denied(Denial::Disabled) => Some(ConnectReturnCode::NotAuthorized),
        Refusal::Full | Refusal::Timeout | Refusal::Lost | Refusal::Violation(_) | Refusal::Closing => None,
    }
}

/// Session present is always 0: no session outlives its connection, as there are no subscriptions to keep.
fn connack(code: ConnectReturnCode) -> BytesMut {
    let mut bytes = BytesMut::with_capacity(4);
    ConnAck::new(code, false).write(&mut bytes).expect("a CONNACK is always 4 bytes");
    bytes
}
