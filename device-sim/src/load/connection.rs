//! One connection of a flood.

use super::ledger::Ledger;
use super::packet::{DISCONNECT, PING, Template, connect};
use super::{LoadConfig, LoadError, LoadReport};
use crate::run::Clock;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

/// A device of the flood.
pub struct Connection {
    config: Arc<LoadConfig>,
    number: usize,
    start: Instant,
    clock: Clock,
    ledger: Option<Arc<Ledger>>,
    template: Template,
    in_flight: VecDeque<Sent>,
    next: u64,
    next_packet: u16,
    acknowledged: Vec<u64>,
    report: LoadReport,
}

/// A message that waits for its acknowledgement.
#[derive(Clone, Copy)]
struct Sent {
    packet: u16,
    sequence: u64,
    time: i64,
    at: Instant,
}

/// How long to wait for what is in flight when the time is over.
const GRACE: Duration = Duration::from_secs(10);
/// How long a broker may take to open a session.
const PATIENCE: Duration = Duration::from_secs(20);

impl Connection {
    /// A connection that has sent nothing yet.
    pub fn new(
        config: Arc<LoadConfig>,
        number: usize,
        start: Instant,
        clock: Clock,
        ledger: Option<Arc<Ledger>>,
    ) -> Connection {
        let device = config.users.get(number).map_or("", |(device, _)| device.as_str());
        let template = Template::new(device, config.epoch, config.payload);
        let report = LoadReport { payload: template.payload_len(), ..LoadReport::default() };
        let in_flight = VecDeque::with_capacity(config.in_flight);
        let (next, next_packet, acknowledged) = (0, 1, Vec::new());
        Connection {
            config,
            number,
            start,
            clock,
            ledger,
            template,
            in_flight,
            next,
            next_packet,
            acknowledged,
            report,
        }
    }

    /// Floods until the time is over or `stop`.
    pub async fn run(mut self, stop: CancellationToken) -> Result<LoadReport, LoadError> {
        let end = self.start + self.config.duration;
        loop {
            let ended = self.session(end, &stop).await;
            let is_over = Instant::now() >= end + GRACE || stop.is_cancelled();
            match ended {
                Ok(()) => break,
                Err(_) if self.config.reconnect && !is_over => self.report.lost += 1,
                Err(_) if self.config.reconnect => break,
                Err(cause) => return Err(LoadError::Lost { device: self.device().to_string(), cause }),
            }
            sleep(Duration::from_millis(50)).await;
        }
        self.report.unacknowledged = self.in_flight.len() as u64;
        Ok(self.report)
    }

    async fn session(&mut self, end: Instant, stop: &CancellationToken) -> io::Result<()> {
        let mut socket = timeout(PATIENCE, self.open()).await.map_err(io::Error::other)??;
        let mut out = Vec::new();
        self.resend(&mut out);
        let (mut buffer, mut filled) = ([0; 4_096], 0);
        loop {
            let is_sending = Instant::now() < end && !stop.is_cancelled();
            if is_sending {
                self.fill(&mut out);
            } else if self.in_flight.is_empty() || Instant::now() >= end + GRACE {
                return socket.write_all(&DISCONNECT).await;
            }
            socket.write_all(&out).await?;
            out.clear();
            tokio::select! {
                read = socket.read(&mut buffer[filled..]) => match read? {
                    0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                    length => filled = self.take(&mut buffer, filled + length)?,
                },
                () = self.until_next(end), if is_sending => {}
                () = stop.cancelled(), if is_sending => {}
                () = sleep_until(end + GRACE), if !is_sending => {}
                () = sleep(Duration::from_secs(30)) => out.extend(PING),
            }
        }
    }

    async fn open(&self) -> io::Result<TcpStream> {
        let mut socket = TcpStream::connect((self.config.host.as_str(), self.config.port)).await?;
        socket.set_nodelay(true)?;
        let password = self.config.users.get(self.number).and_then(|(_, password)| password.as_deref());
        socket.write_all(&connect(self.device(), password)).await?;
        let mut answer = [0; 4];
        socket.read_exact(&mut answer).await?;
        match answer {
            [0x20, 2, _, 0] => Ok(socket),
            [0x20, 2, _, code] => {
                Err(io::Error::other(format!("the broker refused the connection with code {code}")))
            }
            _ => Err(io::Error::other("the broker's answer is no CONNACK")),
        }
    }

    fn device(&self) -> &str {
        self.config.users.get(self.number).map_or("", |(device, _)| device)
    }

    /// Everything in flight once more, under the sequences it had.
    fn resend(&mut self, out: &mut Vec<u8>) {
        let at = Instant::now();
        for sent in &mut self.in_flight {
            sent.at = at;
            self.template.write(out, sent.packet, sent.sequence, sent.time);
        }
        self.report.resent += self.in_flight.len() as u64;
    }

    /// As many new messages as there is room and rate for.
    fn fill(&mut self, out: &mut Vec<u8>) {
        let (at, time) = (Instant::now(), (self.clock)());
        let room = (self.config.in_flight - self.in_flight.len()) as u64;
        for _ in 0..room.min(self.allowed(at)) {
            let (packet, sequence) = (self.next_packet, self.next);
            self.template.write(out, packet, sequence, time);
            self.in_flight.push_back(Sent { packet, sequence, time, at });
            self.next += 1;
            self.next_packet = packet.checked_add(1).unwrap_or(1);
        }
    }

    /// Messages that the rate allows by now.
    fn allowed(&self, at: Instant) -> u64 {
        let Some(rate) = self.rate() else { return u64::MAX };
        (((at - self.start).as_secs_f64() * rate) as u64).saturating_sub(self.next)
    }

    /// Until the rate allows another message; for ever when the room is what is missing.
    async fn until_next(&self, end: Instant) {
        match self.rate() {
            Some(rate) if self.in_flight.len() < self.config.in_flight => {
                let due = Duration::from_secs_f64(((self.next + 1) as f64 / rate).min(1e9));
                sleep_until((self.start + due).min(end)).await;
            }
            _ => sleep_until(end).await,
        }
    }

    fn rate(&self) -> Option<f64> {
        self.config.rate.map(|rate| rate / self.config.users.len() as f64)
    }

    /// Reads the packets in `buffer[..filled]`; returns how many bytes of an unfinished one remain at its start.
    fn take(&mut self, buffer: &mut [u8], filled: usize) -> io::Result<usize> {
        let (now, mut at) = (Instant::now(), 0);
        while let Some([kind, length, rest @ ..]) = buffer.get(at..filled) {
            let Some(body) = rest.get(..usize::from(*length)) else { break };
            match (kind, body) {
                (0x40, [high, low]) => self.acknowledge(u16::from_be_bytes([*high, *low]), now)?,
                (0xd0, []) => {}
                _ => return Err(io::Error::other("the broker sent neither PUBACK nor PINGRESP")),
            }
            at += 2 + body.len();
        }
        buffer.copy_within(at..filled, 0);
        self.report.elapsed = now - self.start;
        if let Some(ledger) = &self.ledger {
            ledger.note(self.device(), &self.acknowledged);
        }
        self.acknowledged.clear();
        Ok(filled - at)
    }

    fn acknowledge(&mut self, packet: u16, now: Instant) -> io::Result<()> {
        let place = self.in_flight.iter().position(|sent| sent.packet == packet);
        let Some(sent) = place.and_then(|place| self.in_flight.remove(place)) else {
            return Err(io::Error::other("the broker acknowledged what it was not sent"));
        };
        self.report.acknowledged += 1;
        self.report.latency.record(now - sent.at);
        self.acknowledged.push(sent.sequence);
        Ok(())
    }
}
