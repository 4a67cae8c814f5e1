//! Streams of the simulated network: what an endpoint's waiting operations can do now.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::endpoint::{Lent, Stage, Waiting};
use super::net::{Net, error};
use crate::reactor::{Op, Parts};

impl Net {
    /// The peer has read: its writer may go on.
    pub(super) fn freed(&mut self, writer: i32, count: usize) {
        if let Some(endpoint) = self.endpoints.get_mut(&writer) {
            endpoint.unread_by_peer = endpoint.unread_by_peer.saturating_sub(count);
            self.progress_send(writer);
        }
    }

    /// Ends what can end on a socket.
    pub(super) fn progress(&mut self, socket: i32) {
        self.progress_accept(socket);
        self.progress_connect(socket);
        self.progress_receive(socket);
        self.progress_send(socket);
    }

    fn progress_accept(&mut self, listener: i32) {
        while let Some(endpoint) = self.endpoints.get_mut(&listener) {
            if endpoint.accept.is_none() {
                return;
            }
            let Some(accepted) = endpoint.backlog.pop_front() else { return };
            if self.clock.chance(self.config.rearm_per_mille) {
                if let Some(waiting) = endpoint.accept.take() {
                    self.finish(waiting, Ok(accepted as u32), Bytes::new());
                }
            } else if let Some(waiting) = &endpoint.accept {
                self.done.push(waiting.report(accepted as u32, Bytes::new()));
            }
        }
    }

    fn progress_connect(&mut self, socket: i32) {
        let Some(endpoint) = self.endpoints.get_mut(&socket) else { return };
        let result = match (endpoint.failure, endpoint.stage) {
            (Some(code), _) => Err(error(code)),
            (None, Stage::Open) => Ok(0),
            _ => return,
        };
        if let Some(waiting) = endpoint.connect.take() {
            endpoint.failure = None;
            self.finish(waiting, result, Bytes::new());
        }
    }

    fn progress_receive(&mut self, socket: i32) {
        while let Some(endpoint) = self.endpoints.get_mut(&socket) {
            let Some(mut waiting) = endpoint.receive.take() else { return };
            let peer = endpoint.peer;
            if endpoint.inbox.is_empty() && (endpoint.failure.is_some() || endpoint.inbox_ended) {
                let received = std::mem::take(&mut endpoint.received);
                let result = match endpoint.failure {
                    Some(code) if received == 0 => {
                        endpoint.failure = None;
                        Err(error(code))
                    }
                    _ => Ok(received as u32),
                };
                return self.finish(waiting, result, Bytes::new());
            }
            let taken = match &mut waiting.op {
                Op::Recv { buffer, filled, all, .. } => {
                    let start = *filled + endpoint.received;
                    let bytes = endpoint.take(buffer.len() - start);
                    buffer[start..start + bytes.len()].copy_from_slice(&bytes);
                    endpoint.received += bytes.len();
                    let full = start + bytes.len() == buffer.len();
                    if full || (endpoint.received > 0 && !*all) {
                        let received = std::mem::take(&mut endpoint.received);
                        self.finish(waiting, Ok(received as u32), Bytes::new());
                    } else {
                        endpoint.receive = Some(waiting);
                    }
                    bytes.len()
                }
                _ if endpoint.inbox.is_empty() => {
                    endpoint.receive = Some(waiting);
                    0
                }
                _ => self.lend(socket, waiting),
            };
            if let Some((peer, _)) = peer {
                self.freed(peer, taken);
            }
            if taken == 0 {
                return;
            }
        }
    }

    /// Fills one provided buffer, or says that there is none. Returns the bytes taken from the inbox.
    fn lend(&mut self, socket: i32, waiting: Waiting) -> usize {
        let in_use = Arc::clone(&self.lent[waiting.driver]);
        if in_use.load(Ordering::Relaxed) >= self.config.receive_buffers {
            self.clock.note("enobufs", &[socket as u64]);
            self.finish(waiting, Err(error(libc::ENOBUFS)), Bytes::new());
            return 0;
        }
        let again = !self.clock.chance(self.config.rearm_per_mille);
        let Some(endpoint) = self.endpoints.get_mut(&socket) else { return 0 };
        let bytes = endpoint.take(self.config.receive_buffer_bytes);
        let count = bytes.len();
        let bytes = Lent::lend(bytes, &in_use);
        if again {
            self.done.push(waiting.report(count as u32, bytes));
            endpoint.receive = Some(waiting);
        } else {
            self.finish(waiting, Ok(count as u32), bytes);
        }
        count
    }

    fn progress_send(&mut self, socket: i32) {
        let Some(endpoint) = self.endpoints.get_mut(&socket) else { return };
        let room = self.config.socket_buffer_bytes.saturating_sub(endpoint.unread_by_peer);
        let broken = endpoint.send_ended.then(|| endpoint.failure.take().unwrap_or(libc::EPIPE));
        if room == 0 && broken.is_none() {
            return;
        }
        if endpoint.stage == Stage::Open
            && let Some(waiting) = endpoint.writable.take()
        {
            self.finish(waiting, Ok(0), Bytes::new());
        }
        let Some(endpoint) = self.endpoints.get_mut(&socket) else { return };
        let Some(waiting) = endpoint.send.take() else {
            // Nobody was told: the failure stays for the next operation.
            endpoint.failure = broken.filter(|&code| code != libc::EPIPE);
            return;
        };
        if let Some(code) = broken {
            return self.finish(waiting, Err(error(code)), Bytes::new());
        }
        let Op::Send { parts, .. } = &waiting.op else { return };
        let bytes = gather(parts, room);
        let count = self.shorten(bytes.len());
        self.finish(waiting, Ok(count as u32), Bytes::new());
        self.transmit_data(socket, &bytes[..count]);
    }

    pub(super) fn shorten(&self, count: usize) -> usize {
        if count > 1 && self.clock.chance(self.config.short_per_mille) {
            self.clock.between(1, count as u64 - 1) as usize
        } else {
            count
        }
    }
}

fn gather(parts: &Parts, room: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in parts {
        bytes.extend_from_slice(&part[..part.len().min(room - bytes.len())]);
    }
    bytes
}
