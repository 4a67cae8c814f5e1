//! What is known of each socket: whether it would block, and which operations wait for it.
//!
//! Invariant: a direction that blocks has an edge coming. It was watched when a call found it exhausted, so what makes
//! it ready later is reported; until then nothing is tried.

use rustix::event::epoll::EventFlags;

use crate::reactor::{Handle, Token};

/// What an operation does to its socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// Accepts or receives.
    Read,
    /// Connects or sends.
    Write,
}

/// One direction of a socket. A new one does not block: it is tried, which is how its state is learnt.
#[derive(Debug, Default)]
struct Side {
    blocks: bool,
    waiting: Option<Token>,
}

#[derive(Debug, Default)]
struct Socket {
    watched: bool,
    /// The peer has ended its side, or the connection has failed: a receive always gets an answer.
    hung_up: bool,
    read: Side,
    write: Side,
}

impl Socket {
    fn side(&mut self, direction: Direction) -> &mut Side {
        match direction {
            Direction::Read => &mut self.read,
            Direction::Write => &mut self.write,
        }
    }
}

/// By descriptor.
#[derive(Debug, Default)]
pub(super) struct Sockets(Vec<Socket>);

impl Sockets {
    fn entry(&mut self, socket: Handle) -> &mut Socket {
        let index = usize::try_from(socket.0).expect("a descriptor is not negative");
        if index >= self.0.len() {
            self.0.resize_with(index + 1, Socket::default);
        }
        &mut self.0[index]
    }

    pub(super) fn blocks(&mut self, socket: Handle, direction: Direction) -> bool {
        self.entry(socket).side(direction).blocks
    }

    /// Whether a receive that took less than it could has taken all there was. After the peer's end it has not: the
    /// end itself is still there, and is not reported again.
    pub(super) fn short_is_all(&mut self, socket: Handle) -> bool {
        !self.entry(socket).hung_up
    }

    /// A call took all there was. Returns whether the socket has to be watched from now on.
    pub(super) fn exhausted(&mut self, socket: Handle, direction: Direction) -> bool {
        let socket = self.entry(socket);
        socket.side(direction).blocks = true;
        !std::mem::replace(&mut socket.watched, true)
    }

    /// The operation goes on when the socket is ready.
    pub(super) fn wait(&mut self, socket: Handle, direction: Direction, token: Token) {
        let before = self.entry(socket).side(direction).waiting.replace(token);
        assert!(before.is_none_or(|before| before == token), "one operation per direction of a socket");
    }

    /// The operation waits no more.
    pub(super) fn forget(&mut self, socket: Handle, direction: Direction, token: Token) {
        let waiting = &mut self.entry(socket).side(direction).waiting;
        if *waiting == Some(token) {
            *waiting = None;
        }
    }

    /// Takes in an event; who can go on.
    pub(super) fn ready(&mut self, socket: Handle, flags: EventFlags) -> impl Iterator<Item = Token> + use<> {
        let broken = flags.intersects(EventFlags::HUP | EventFlags::ERR);
        let socket = self.entry(socket);
        socket.hung_up |= broken || flags.contains(EventFlags::RDHUP);
        let mut woken = [None; 2];
        if socket.hung_up || flags.contains(EventFlags::IN) {
            socket.read.blocks = false;
            woken[0] = socket.read.waiting.take();
        }
        if broken || flags.contains(EventFlags::OUT) {
            socket.write.blocks = false;
            woken[1] = socket.write.waiting.take();
        }
        woken.into_iter().flatten()
    }

    /// The descriptor is closed or given away: the next one of its number is new. Returns whether it was watched.
    pub(super) fn remove(&mut self, socket: Handle) -> bool {
        let socket = std::mem::take(self.entry(socket));
        assert!(socket.read.waiting.is_none() && socket.write.waiting.is_none(), "nothing is in flight on it");
        socket.watched
    }

    /// Nothing waits any more.
    pub(super) fn forget_all(&mut self) {
        for socket in &mut self.0 {
            (socket.read.waiting, socket.write.waiting) = (None, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOCKET: Handle = Handle(7);
    const RECEIVE: Token = Token { slot: 1, generation: 0 };
    const SEND: Token = Token { slot: 2, generation: 0 };

    fn blocked() -> Sockets {
        let mut sockets = Sockets::default();
        assert!(sockets.exhausted(SOCKET, Direction::Read), "has to be watched");
        assert!(!sockets.exhausted(SOCKET, Direction::Write), "is watched");
        sockets.wait(SOCKET, Direction::Read, RECEIVE);
        sockets.wait(SOCKET, Direction::Write, SEND);
        sockets
    }

    #[test]
    fn an_event_wakes_the_directions_it_is_about() {
        let mut sockets = blocked();
        assert_eq!(sockets.ready(SOCKET, EventFlags::OUT).collect::<Vec<_>>(), [SEND]);
        assert!(sockets.blocks(SOCKET, Direction::Read) && !sockets.blocks(SOCKET, Direction::Write));
        assert_eq!(sockets.ready(SOCKET, EventFlags::IN | EventFlags::OUT).collect::<Vec<_>>(), [RECEIVE]);
        assert_eq!(blocked().ready(SOCKET, EventFlags::HUP).collect::<Vec<_>>(), [RECEIVE, SEND]);
    }

    #[test]
    fn the_peers_end_is_behind_the_last_bytes() {
        let mut sockets = blocked();
        assert!(sockets.short_is_all(SOCKET));
        assert_eq!(sockets.ready(SOCKET, EventFlags::IN | EventFlags::RDHUP).collect::<Vec<_>>(), [RECEIVE]);
        assert!(!sockets.short_is_all(SOCKET));
    }

    #[test]
    fn the_next_socket_of_a_number_is_new() {
        let mut sockets = blocked();
        sockets.forget(SOCKET, Direction::Read, RECEIVE);
        sockets.forget(SOCKET, Direction::Write, SEND);
        assert!(sockets.remove(SOCKET));
        assert!(!sockets.blocks(SOCKET, Direction::Read));
        assert!(!sockets.remove(SOCKET), "not watched");
    }
}
