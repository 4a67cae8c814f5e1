//! Connections over both real drivers: answers in request order, large frames, bad lengths, bounds.

use std::cell::RefCell;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ringlog_core::reactor::{IoConfig, IoDriver, Reactor};
use ringlog_server::net::{Budget, Connection, ConnectionLimits, FrameHandler, FramePool, Responder, accept_loop};

const FRAME_BYTES_MAX: usize = 8 << 20;
const CONNECTION_BYTES_MAX: usize = 1 << 20;
const SHARD_BYTES_MAX: usize = 16 << 20;
const MUTED: Duration = Duration::from_millis(300);

/// Echoes each frame; holds back frames that begin with `w` until one that begins with `g` comes.
struct Echo {
    waiting: RefCell<Vec<(Bytes, Responder)>>,
}

impl FrameHandler for Echo {
    fn handle(&self, frame: Bytes, responder: Responder) {
        match frame.first() {
            Some(b'w') => self.waiting.borrow_mut().push((frame, responder)),
            Some(b'g') => {
                answer(frame, responder);
                for (frame, responder) in self.waiting.take() {
                    answer(frame, responder);
                }
            }
            Some(b'c') => responder.close(),
            Some(b'0') => responder.none(),
            Some(b'm') => {
                responder.mute(MUTED);
                answer(frame, responder);
            }
            _ => answer(frame, responder),
        }
    }
}

fn answer(frame: Bytes, responder: Responder) {
    let length = Bytes::copy_from_slice(&(frame.len() as i32).to_be_bytes());
    responder.send([length.into(), frame.into()].into_iter().collect());
}

fn with_server(client: impl FnOnce(SocketAddr) + Clone + Send + 'static) {
    IoDriver::ALL.into_iter().for_each(|driver| with_server_on(driver, client.clone()));
}

fn with_server_on(driver: IoDriver, client: impl FnOnce(SocketAddr) + Send + 'static) {
    let reactor = Reactor::new(driver.start(IoConfig::default()).expect("io_uring is there"));
    let listener = reactor.listen("127.0.0.1:0".parse().expect("an address")).expect("a port is free");
    let address = listener.local_address();
    let handler: Rc<dyn FrameHandler> = Rc::new(Echo { waiting: RefCell::default() });
    let serving = reactor.clone();
    let (shard, pool) = (Budget::new(SHARD_BYTES_MAX), FramePool::new(16 << 20));
    let serve = move |socket| {
        let limits = ConnectionLimits {
            frame_bytes_max: FRAME_BYTES_MAX,
            budget: shard.within(CONNECTION_BYTES_MAX),
            pool: pool.clone(),
            meters: Rc::default(),
        };
        Connection::start(&serving, socket, limits, Rc::clone(&handler));
    };
    reactor.spawn(accept_loop(reactor.clone(), listener, || Duration::ZERO, serve));
    let client = std::thread::Builder::new().spawn(move || client(address)).expect("a thread starts");
    reactor.block_on(async {
        while !client.is_finished() {
            reactor.sleep(Duration::from_millis(5)).await;
        }
    });
    client.join().expect("the client saw what it expected");
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("the server listens");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout can be set");
    stream
}

fn send(stream: &mut TcpStream, frame: &[u8]) {
    stream.write_all(&(frame.len() as i32).to_be_bytes()).expect("sent");
    stream.write_all(frame).expect("sent");
}

fn receive(stream: &mut TcpStream) -> Vec<u8> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).expect("an answer");
    let mut frame = vec![0; i32::from_be_bytes(length) as usize];
    stream.read_exact(&mut frame).expect("a whole answer");
    frame
}

#[test]
fn answers_leave_in_request_order() {
    with_server(|address| {
        let mut stream = connect(address);
        for frame in [&b"w1"[..], b"x2", b"0", b"w3", b"g4", b"x5"] {
            send(&mut stream, frame);
        }
        for expected in [&b"w1"[..], b"x2", b"w3", b"g4", b"x5"] {
            assert_eq!(receive(&mut stream), expected);
        }
    });
}

#[test]
fn a_muted_connection_is_answered_and_then_not_read_from() {
    with_server(|address| {
        let (mut muted, mut other) = (connect(address), connect(address));
        #[expect(clippy::disallowed_methods, reason = "the client is no part of the broker")]
        let began = Instant::now();
        send(&mut muted, b"m");
        assert_eq!(receive(&mut muted), b"m");
        send(&mut muted, b"x");
        send(&mut other, b"x");
        assert_eq!(receive(&mut other), b"x");
        assert_eq!(receive(&mut muted), b"x");
        // The reactor's time is that of the turn, which may have begun a little before.
        assert!(began.elapsed() > MUTED * 2 / 3, "{:?}", began.elapsed());
    });
}

#[test]
fn large_frames_come_back_whole() {
    with_server(|address| {
        let mut stream = connect(address);
        for size in [1, 1_000, 33_000, 100_000, 1_048_576, 8 << 20, 70_000] {
            let frame: Vec<u8> = (0..size).map(|byte| b'x' + (byte % 3) as u8).collect();
            let mut sender = stream.try_clone().expect("cloned");
            let sent = frame.clone();
            let sending = std::thread::Builder::new().spawn(move || send(&mut sender, &sent)).expect("a thread starts");
            assert!(receive(&mut stream) == frame, "frame of {size}");
            sending.join().expect("sent");
        }
    });
}

#[test]
fn bad_lengths_and_unanswerable_requests_close_the_connection() {
    with_server(|address| {
        for bytes in [&(-1i32).to_be_bytes()[..], &i32::MAX.to_be_bytes(), &[0, 0, 0, 1, b'c']] {
            let mut stream = connect(address);
            stream.write_all(bytes).expect("sent");
            let mut rest = Vec::new();
            // Closing with unread bytes may arrive as a reset.
            let _ = stream.read_to_end(&mut rest);
            assert!(rest.is_empty());
        }
        let mut stream = connect(address);
        send(&mut stream, b"xstill there");
        assert_eq!(receive(&mut stream), b"xstill there");
    });
}

#[test]
fn a_peer_that_never_reads_is_not_read_from_beyond_the_bound() {
    with_server(|address| {
        let mut stream = connect(address);
        stream.set_write_timeout(Some(Duration::from_millis(500))).expect("a timeout can be set");
        let frame = vec![b'x'; 256 << 10];
        let mut sent = 0;
        while sent < 512
            && stream.write_all(&(frame.len() as i32).to_be_bytes()).and_then(|()| stream.write_all(&frame)).is_ok()
        {
            sent += 1;
        }
        assert!(sent < 512, "the server stopped reading");
    });
}
