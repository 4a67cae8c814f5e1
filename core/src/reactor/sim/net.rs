//! The network of a simulated world: reliable streams over links that delay, split, hold back and break.
//!
//! Hosts have the addresses `10.0.x.y` ([`host_ip`]); loopback addresses stay on their host. A partition holds segments
//! back, one way, until it is healed; a host without power answers nothing.
//!
//! Invariants:
//! - Bytes of one direction arrive in order, once, or the connection breaks.
//! - A send takes no more than the peer's buffer has room for, so a reader that stands still stops its writer.
//! - Nothing here acts by itself: what takes time is handed out as an event, what is done as a completion.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use bytes::Bytes;

use super::clock::{Clockwork, fingerprint};
use super::endpoint::{Endpoint, Stage, Waiting};
use crate::reactor::{Completion, Handle, Op, Token};

const FIRST_SOCKET_HANDLE: i32 = 1 << 20;
const FIRST_EPHEMERAL_PORT: u16 = 40_000;
/// A connection request that met a full backlog is tried again after this time.
const SYN_RETRY_NS: u64 = 1_000_000_000;

/// How a simulated network behaves. Times in virtual nanoseconds, chances of 1,000.
#[derive(Debug, Clone)]
pub struct SimNetConfig {
    /// Shortest and longest way of a segment.
    pub delay_ns: (u64, u64),
    /// Bytes in a segment at most.
    pub segment_bytes_max: usize,
    /// Bytes under way or unread per direction; then sends wait.
    pub socket_buffer_bytes: usize,
    /// Provided buffers per driver; then `ENOBUFS`.
    pub receive_buffers: usize,
    /// Bytes in a provided buffer.
    pub receive_buffer_bytes: usize,
    /// Connections that wait to be accepted.
    pub backlog: usize,
    /// A connect or a send to a host that does not answer fails after this time.
    pub timeout_ns: u64,
    /// Sends that take only a part.
    pub short_per_mille: u32,
    /// Sends that break the connection.
    pub reset_per_mille: u32,
    /// Multishot operations that end early and have to be submitted again.
    pub rearm_per_mille: u32,
}

impl Default for SimNetConfig {
    fn default() -> Self {
        Self {
            delay_ns: (10_000, 200_000),
            segment_bytes_max: 16_384,
            socket_buffer_bytes: 256 * 1_024,
            receive_buffers: 64,
            receive_buffer_bytes: 16_384,
            backlog: 128,
            timeout_ns: 15_000_000_000,
            short_per_mille: 50,
            reset_per_mille: 0,
            rearm_per_mille: 50,
        }
    }
}

/// The address of a host.
pub fn host_ip(host: u32) -> IpAddr {
    let [_, _, high, low] = (host + 1).to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(10, 0, high, low))
}

/// What travels between two sockets.
#[derive(Debug)]
pub(super) enum Segment {
    Data(Vec<u8>),
    Fin,
    Reset,
    Accepted,
    Refused,
}

/// Something that happens later.
#[derive(Debug)]
pub(super) enum NetEvent {
    Syn { client: i32, to: SocketAddr, hosts: (u32, u32) },
    Arrive { from: i32, to: i32, hosts: (u32, u32), segment: Segment },
    Timeout { socket: i32, connecting: bool },
}

/// The network's state.
#[derive(Debug)]
pub(super) struct Net {
    pub(super) clock: Rc<Clockwork>,
    pub(super) config: SimNetConfig,
    pub(super) endpoints: BTreeMap<i32, Endpoint>,
    listeners: BTreeMap<(u32, u16), i32>,
    operations: BTreeMap<(usize, Token), i32>,
    next_handle: i32,
    next_port: u16,
    /// Receive buffers in use, per driver.
    pub(super) lent: Vec<Arc<AtomicUsize>>,
    down: BTreeSet<u32>,
    blocked: BTreeSet<(u32, u32)>,
    held: Vec<NetEvent>,
    /// To be scheduled by the world: virtual time and event.
    pub(super) later: Vec<(u64, NetEvent)>,
    /// To be reported by drivers.
    pub(super) done: Vec<(usize, Completion)>,
}

pub(super) fn error(code: i32) -> io::Error {
    io::Error::from_raw_os_error(code)
}

impl Net {
    pub(super) fn new(clock: Rc<Clockwork>, config: SimNetConfig) -> Self {
        Self {
            clock,
            config,
            endpoints: BTreeMap::new(),
            listeners: BTreeMap::new(),
            operations: BTreeMap::new(),
            next_handle: FIRST_SOCKET_HANDLE,
            next_port: FIRST_EPHEMERAL_PORT,
            lent: Vec::new(),
            down: BTreeSet::new(),
            blocked: BTreeSet::new(),
            held: Vec::new(),
            later: Vec::new(),
            done: Vec::new(),
        }
    }

    pub(super) fn config_mut(&mut self) -> &mut SimNetConfig {
        &mut self.config
    }

    /// A further driver; they are numbered from 0.
    pub(super) fn add_driver(&mut self) {
        self.lent.push(Arc::default());
    }

    fn insert(&mut self, endpoint: Endpoint) -> i32 {
        let handle = self.next_handle;
        self.next_handle += 1;
        self.endpoints.insert(handle, endpoint);
        handle
    }

    fn endpoint(&mut self, socket: Handle) -> io::Result<&mut Endpoint> {
        self.endpoints.get_mut(&socket.0).ok_or_else(|| error(libc::EBADF))
    }

    fn fresh_port(&mut self) -> u16 {
        let port = self.next_port;
        self.next_port = self.next_port.checked_add(1).unwrap_or(FIRST_EPHEMERAL_PORT);
        port
    }

    pub(super) fn listen(&mut self, host: u32, mut address: SocketAddr) -> io::Result<Handle> {
        if address.port() == 0 {
            address.set_port(self.fresh_port());
        }
        if self.listeners.contains_key(&(host, address.port())) {
            return Err(error(libc::EADDRINUSE));
        }
        if !(address.ip().is_unspecified() || address.ip().is_loopback() || address.ip() == host_ip(host)) {
            return Err(error(libc::EADDRNOTAVAIL));
        }
        let handle = self.insert(Endpoint::new(host, address, Stage::Listening));
        self.listeners.insert((host, address.port()), handle);
        Ok(Handle(handle))
    }

    pub(super) fn socket(&mut self, host: u32) -> Handle {
        let local = SocketAddr::new(host_ip(host), self.fresh_port());
        Handle(self.insert(Endpoint::new(host, local, Stage::Fresh)))
    }

    pub(super) fn local_address(&self, socket: Handle) -> io::Result<SocketAddr> {
        self.endpoints.get(&socket.0).map(|endpoint| endpoint.local).ok_or_else(|| error(libc::EBADF))
    }

    pub(super) fn peer_address(&self, socket: Handle) -> io::Result<SocketAddr> {
        let endpoint = self.endpoints.get(&socket.0).ok_or_else(|| error(libc::EBADF))?;
        let (peer, _) = endpoint.peer.ok_or_else(|| error(libc::ENOTCONN))?;
        self.local_address(Handle(peer))
    }

    pub(super) fn finish(&mut self, waiting: Waiting, result: io::Result<u32>, bytes: Bytes) {
        self.operations.remove(&(waiting.driver, waiting.token));
        self.done.push(waiting.finish(result, bytes));
    }

    /// Starts an operation on a socket.
    pub(super) fn submit(&mut self, driver: usize, token: Token, op: Op) {
        let waiting = Waiting { driver, token, op };
        let socket = match waiting.op {
            Op::Accept { listener } => listener,
            Op::Connect { socket, .. }
            | Op::RecvMany { socket }
            | Op::Recv { socket, .. }
            | Op::Send { socket, .. }
            | Op::PollWritable { socket } => socket,
            _ => return self.finish(waiting, Err(error(libc::EINVAL)), Bytes::new()),
        };
        let Some(endpoint) = self.endpoints.get_mut(&socket.0) else {
            return self.finish(waiting, Err(error(libc::EBADF)), Bytes::new());
        };
        let listens = endpoint.stage == Stage::Listening;
        let connects = match waiting.op {
            Op::Connect { peer, .. } => Some(peer),
            _ => None,
        };
        let (place, wrong_stage) = match waiting.op {
            Op::Accept { .. } => (&mut endpoint.accept, (!listens).then_some(libc::EINVAL)),
            Op::Connect { .. } => (&mut endpoint.connect, (endpoint.stage != Stage::Fresh).then_some(libc::EISCONN)),
            Op::Send { .. } => (&mut endpoint.send, (endpoint.stage != Stage::Open).then_some(libc::ENOTCONN)),
            Op::PollWritable { .. } => (&mut endpoint.writable, listens.then_some(libc::EINVAL)),
            _ => (&mut endpoint.receive, (endpoint.stage != Stage::Open).then_some(libc::ENOTCONN)),
        };
        if let Some(code) = wrong_stage {
            return self.finish(waiting, Err(error(code)), Bytes::new());
        }
        assert!(place.is_none(), "one operation of a kind at a time on a socket (seed {})", self.clock.seed());
        *place = Some(waiting);
        self.operations.insert((driver, token), socket.0);
        match connects {
            Some(peer) => self.start_connect(socket.0, peer),
            None => self.progress(socket.0),
        }
    }

    /// Ends a waiting operation early. One that has ended already is not found.
    pub(super) fn cancel(&mut self, driver: usize, token: Token) {
        let Some(socket) = self.operations.get(&(driver, token)).copied() else { return };
        let Some(endpoint) = self.endpoints.get_mut(&socket) else { return };
        let received = endpoint.received;
        let place = endpoint
            .waiting_mut()
            .into_iter()
            .find(|place| place.as_ref().is_some_and(|waiting| (waiting.driver, waiting.token) == (driver, token)));
        if let Some(waiting) = place.and_then(Option::take) {
            let partly = matches!(waiting.op, Op::Recv { .. }) && received > 0;
            let result = if partly { Ok(received as u32) } else { Err(error(libc::ECANCELED)) };
            if partly {
                self.endpoints.entry(socket).and_modify(|endpoint| endpoint.received = 0);
            }
            self.finish(waiting, result, Bytes::new());
        }
    }

    fn start_connect(&mut self, client: i32, to: SocketAddr) {
        let Some(endpoint) = self.endpoints.get_mut(&client) else { return };
        endpoint.stage = Stage::Connecting;
        let from_host = endpoint.host;
        let to_host = match to.ip() {
            IpAddr::V4(ip) if !ip.is_loopback() && !ip.is_unspecified() => {
                let [_, _, high, low] = ip.octets();
                u32::from(u16::from_be_bytes([high, low])).wrapping_sub(1)
            }
            _ => from_host,
        };
        self.after_delay(NetEvent::Syn { client, to, hosts: (from_host, to_host) });
        let timeout = self.clock.now().0 + self.config.timeout_ns;
        self.later.push((timeout, NetEvent::Timeout { socket: client, connecting: true }));
    }

    fn after_delay(&mut self, event: NetEvent) {
        let (low, high) = self.config.delay_ns;
        self.later.push((self.clock.now().0 + self.clock.between(low, high), event));
    }

    /// Puts a segment on its way, behind those before it.
    fn transmit(&mut self, from: i32, segment: Segment) {
        let (low, high) = self.config.delay_ns;
        let at = self.clock.now().0 + self.clock.between(low, high);
        let Some(endpoint) = self.endpoints.get_mut(&from) else { return };
        let Some((to, to_host)) = endpoint.peer else { return };
        endpoint.last_arrival = endpoint.last_arrival.max(at);
        let event = NetEvent::Arrive { from, to, hosts: (endpoint.host, to_host), segment };
        self.later.push((endpoint.last_arrival, event));
    }

    /// Takes bytes into the stream, in segments of the seed's choice.
    pub(super) fn transmit_data(&mut self, from: i32, bytes: &[u8]) {
        if let Some(endpoint) = self.endpoints.get_mut(&from) {
            endpoint.unread_by_peer += bytes.len();
        }
        let largest = match self.clock.below(4) {
            0 => self.config.segment_bytes_max.min(bytes.len().div_ceil(8).max(1)),
            _ => self.config.segment_bytes_max,
        };
        let mut rest = bytes;
        while !rest.is_empty() {
            let len = (self.clock.between(1, largest as u64) as usize).min(rest.len());
            self.transmit(from, Segment::Data(rest[..len].to_vec()));
            rest = &rest[len..];
        }
        if self.clock.chance(self.config.reset_per_mille) {
            self.break_connection(from);
        }
    }

    /// Both sides see a reset, after what is on its way or not.
    pub(super) fn break_connection(&mut self, socket: i32) {
        self.transmit(socket, Segment::Reset);
        self.fail(socket, libc::ECONNRESET);
    }

    fn fail(&mut self, socket: i32, code: i32) {
        if let Some(endpoint) = self.endpoints.get_mut(&socket) {
            endpoint.failure = Some(code);
            endpoint.peer = None;
            endpoint.inbox_ended = true;
            endpoint.send_ended = true;
            self.progress(socket);
        }
    }

    /// Lets one event happen.
    pub(super) fn happen(&mut self, event: NetEvent) {
        let hosts = match &event {
            NetEvent::Syn { hosts, .. } | NetEvent::Arrive { hosts, .. } => Some(*hosts),
            NetEvent::Timeout { .. } => None,
        };
        if hosts.is_some_and(|hosts| self.blocked.contains(&hosts)) {
            self.held.push(event);
            return;
        }
        match event {
            NetEvent::Syn { client, to, hosts } => self.on_syn(client, to, hosts),
            NetEvent::Arrive { from, to, hosts, segment } => self.on_segment(from, to, hosts, segment),
            NetEvent::Timeout { socket, connecting } => {
                let stage = self.endpoints.get(&socket).map(|endpoint| endpoint.stage);
                if stage == Some(if connecting { Stage::Connecting } else { Stage::Open }) {
                    self.clock.note("timeout", &[socket as u64]);
                    self.fail(socket, libc::ETIMEDOUT);
                }
            }
        }
    }

    fn on_syn(&mut self, client: i32, to: SocketAddr, hosts: (u32, u32)) {
        if self.down.contains(&hosts.1) || !self.endpoints.contains_key(&client) {
            return;
        }
        self.clock.note("syn", &[client as u64, u64::from(to.port())]);
        let back = (hosts.1, hosts.0);
        let Some(&listener) = self.listeners.get(&(hosts.1, to.port())) else {
            let segment = Segment::Refused;
            return self.after_delay(NetEvent::Arrive { from: 0, to: client, hosts: back, segment });
        };
        let waiting = self.endpoints.get(&listener).map_or(0, |endpoint| endpoint.backlog.len());
        if waiting >= self.config.backlog {
            let retry = self.clock.now().0 + SYN_RETRY_NS;
            return self.later.push((retry, NetEvent::Syn { client, to, hosts }));
        }
        let mut accepted = Endpoint::new(hosts.1, SocketAddr::new(host_ip(hosts.1), to.port()), Stage::Open);
        accepted.peer = Some((client, hosts.0));
        let accepted = self.insert(accepted);
        self.transmit(accepted, Segment::Accepted);
        if let Some(endpoint) = self.endpoints.get_mut(&listener) {
            endpoint.backlog.push_back(accepted);
        }
        self.progress(listener);
    }

    fn on_segment(&mut self, from: i32, to: i32, hosts: (u32, u32), segment: Segment) {
        if self.down.contains(&hosts.1) {
            let timeout = self.clock.now().0 + self.config.timeout_ns;
            return self.later.push((timeout, NetEvent::Timeout { socket: from, connecting: false }));
        }
        let Some(endpoint) = self.endpoints.get_mut(&to) else {
            if !matches!(segment, Segment::Reset) && self.endpoints.contains_key(&from) {
                let segment = Segment::Reset;
                self.after_delay(NetEvent::Arrive { from: to, to: from, hosts: (hosts.1, hosts.0), segment });
            }
            return;
        };
        match segment {
            Segment::Data(bytes) => {
                self.clock.note("data", &[to as u64, fingerprint(&bytes)]);
                if endpoint.inbox_ended {
                    self.freed(from, bytes.len());
                } else {
                    endpoint.inbox.extend(bytes);
                }
            }
            Segment::Fin => {
                self.clock.note("fin", &[to as u64]);
                endpoint.inbox_ended = true;
            }
            Segment::Reset => {
                self.clock.note("reset", &[to as u64]);
                return self.fail(to, libc::ECONNRESET);
            }
            Segment::Refused => {
                self.clock.note("refused", &[to as u64]);
                return self.fail(to, libc::ECONNREFUSED);
            }
            Segment::Accepted if endpoint.stage == Stage::Connecting => {
                self.clock.note("connected", &[to as u64]);
                endpoint.stage = Stage::Open;
                endpoint.peer = Some((from, hosts.0));
            }
            Segment::Accepted => {}
        }
        self.progress(to);
    }

    /// Bytes that a non-blocking send takes now.
    pub(super) fn room(&mut self, socket: Handle) -> io::Result<usize> {
        let buffer_bytes = self.config.socket_buffer_bytes;
        let endpoint = self.endpoint(socket)?;
        if endpoint.send_ended || endpoint.stage != Stage::Open {
            return Err(error(endpoint.failure.take().unwrap_or(libc::EPIPE)));
        }
        match buffer_bytes.saturating_sub(endpoint.unread_by_peer) {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            room => Ok(room),
        }
    }

    /// A non-blocking send of a part of `bytes`, which fit.
    pub(super) fn push(&mut self, socket: Handle, bytes: &[u8]) -> usize {
        let count = self.shorten(bytes.len());
        self.transmit_data(socket.0, &bytes[..count]);
        count
    }

    /// Ends our side only; the peer may go on sending.
    pub(super) fn end_sending(&mut self, socket: i32) {
        if let Some(endpoint) = self.endpoints.get_mut(&socket)
            && !std::mem::replace(&mut endpoint.send_ended, true)
        {
            self.transmit(socket, Segment::Fin);
        }
    }

    pub(super) fn shutdown(&mut self, socket: Handle) {
        self.end_sending(socket.0);
        if let Some(endpoint) = self.endpoints.get_mut(&socket.0) {
            let (dropped, peer) = (endpoint.inbox.len(), endpoint.peer);
            endpoint.inbox.clear();
            endpoint.inbox_ended = true;
            if let Some((peer, _)) = peer {
                self.freed(peer, dropped);
            }
            self.progress(socket.0);
        }
    }

    pub(super) fn close(&mut self, socket: Handle) {
        let Some(endpoint) = self.endpoints.get_mut(&socket.0) else { return };
        let unread = !endpoint.inbox.is_empty();
        let waiting: Vec<Waiting> = endpoint.waiting_mut().into_iter().filter_map(Option::take).collect();
        let backlog = std::mem::take(&mut endpoint.backlog);
        let listened = (endpoint.stage == Stage::Listening).then_some((endpoint.host, endpoint.local.port()));
        if unread {
            self.transmit(socket.0, Segment::Reset);
        } else {
            self.end_sending(socket.0);
        }
        self.endpoints.remove(&socket.0);
        for waiting in waiting {
            self.finish(waiting, Err(error(libc::ECANCELED)), Bytes::new());
        }
        for accepted in backlog {
            self.close(Handle(accepted));
        }
        if let Some(key) = listened {
            self.listeners.remove(&key);
        }
    }

    /// A host's processes are gone. With `silent` (no power) nobody is told, and it answers nothing until it is back.
    pub(super) fn end_host(&mut self, host: u32, silent: bool) {
        let sockets: Vec<i32> =
            self.endpoints.iter().filter(|(_, endpoint)| endpoint.host == host).map(|(&socket, _)| socket).collect();
        for socket in sockets {
            if silent && let Some(endpoint) = self.endpoints.get_mut(&socket) {
                endpoint.peer = None;
            }
            self.close(Handle(socket));
        }
        if silent {
            self.down.insert(host);
        }
    }

    pub(super) fn start_host(&mut self, host: u32) {
        self.down.remove(&host);
    }

    /// Holds segments of one direction back.
    pub(super) fn block(&mut self, from: u32, to: u32) {
        self.blocked.insert((from, to));
    }

    /// Lets the segments of one direction go on, in their order.
    pub(super) fn unblock(&mut self, from: u32, to: u32) {
        self.blocked.remove(&(from, to));
        let now = self.clock.now().0 + self.config.delay_ns.0;
        for event in std::mem::take(&mut self.held) {
            match &event {
                NetEvent::Syn { hosts, .. } | NetEvent::Arrive { hosts, .. } if *hosts == (from, to) => {
                    self.later.push((now, event));
                }
                _ => self.held.push(event),
            }
        }
    }

    pub(super) fn blocked(&self) -> Vec<(u32, u32)> {
        self.blocked.iter().copied().collect()
    }

    /// Open connections between two hosts: the socket at the first.
    pub(super) fn connections(&self, from: u32, to: u32) -> Vec<i32> {
        let joins = |endpoint: &Endpoint| endpoint.host == from && endpoint.peer.is_some_and(|(_, host)| host == to);
        self.endpoints.iter().filter(|(_, endpoint)| joins(endpoint)).map(|(&socket, _)| socket).collect()
    }
}
