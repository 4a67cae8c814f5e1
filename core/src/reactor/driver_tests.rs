//! The reactor on each of the real drivers, over loopback and temporary directories.
#![expect(clippy::disallowed_methods, reason = "tests play the other threads")]

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::mpsc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;

use super::{File, IoConfig, IoDriver, IoStatsReader, LeasedFiles, Listener, OpenMode, Parts, Reactor, Socket};
use crate::buffer::AlignedBuffer;

/// Each test runs on both drivers.
macro_rules! on_both_drivers {
    ($($test:ident)*) => {
        mod on_io_uring {
            $(#[test] fn $test() { super::$test(super::IoDriver::Uring); })*
        }
        mod on_epoll {
            $(#[test] fn $test() { super::$test(super::IoDriver::Epoll); })*
        }
    };
}

on_both_drivers! {
    echo_of_one_byte_to_eight_mebibytes
    a_tiny_pool_runs_out_and_goes_on
    a_buffer_dropped_on_another_thread_feeds_a_sleeping_ring
    a_paused_connection_leaves_the_buffers_to_others
    more_operations_in_one_turn_than_the_queue_has_entries
    receive_into_takes_what_the_stream_has_and_waits_for_the_rest
    a_reset_by_the_peer_is_an_error_of_both_directions
    dropped_futures_leave_the_memory_to_the_kernel_until_it_is_done
    close_with_operations_in_flight_ends_them_and_the_connection
    the_driver_ends_while_everything_is_in_flight
    direct_durable_writes
    a_file_is_removed_or_said_to_be_missing
    sendfile_waits_for_a_slow_reader_and_receives_go_on
    asleep_it_makes_no_call_and_any_thread_can_wake_it
    timers_fire_in_order_and_the_end_of_a_turn_comes_after_its_tasks
    an_alarm_that_is_set_to_an_earlier_time_while_the_driver_sleeps_rings_then
    a_connection_is_handed_to_the_reactor_of_another_thread
    a_slow_receiver_pauses_its_stream_and_loses_nothing
    a_flood_of_connections_overflows_the_completion_queue_and_all_are_accepted
    dropped_without_stop_it_ends_what_is_in_flight_first
    large_frames_in_a_row_stop_no_stream_and_small_ones_get_it_back
}

fn reactor_with(io: IoDriver, config: IoConfig) -> (Reactor, IoStatsReader) {
    let (driver, stats) = io.start_counted(config).expect("io_uring is allowed where tests run");
    (Reactor::new(driver), stats)
}

fn reactor(io: IoDriver) -> Reactor {
    reactor_with(io, IoConfig::default()).0
}

fn listen(reactor: &Reactor) -> Listener {
    reactor.listen("127.0.0.1:0".parse().unwrap()).unwrap()
}

/// A connection with both ends in the reactor.
fn pair(reactor: &Reactor) -> (Socket, Socket) {
    let mut listener = listen(reactor);
    reactor.block_on(async {
        let client = reactor.connect(listener.local_address()).await.unwrap();
        (client, listener.accept().await.unwrap())
    })
}

/// A connection whose other end is a plain blocking socket.
fn plain_pair(reactor: &Reactor) -> (TcpStream, Socket) {
    let mut listener = listen(reactor);
    let client = TcpStream::connect(listener.local_address()).unwrap();
    (client, reactor.block_on(listener.accept()).unwrap())
}

fn one(bytes: impl Into<Bytes>) -> Parts {
    Parts::from_iter([bytes.into()])
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|index| (index * 31 + index / 251) as u8).collect()
}

/// Turns until `done`, at most for a few seconds.
fn turn_until(reactor: &Reactor, done: impl Fn() -> bool) {
    for _ in 0..3_000 {
        if done() {
            return;
        }
        reactor.block_on(reactor.sleep(Duration::from_millis(1)));
    }
    panic!("it did not happen");
}

/// The future's value, if it is there at once.
async fn poll_once<F: Future>(mut future: Pin<&mut F>) -> Option<F::Output> {
    poll_fn(|context| {
        let polled = future.as_mut().poll(context);
        Poll::Ready(match polled {
            Poll::Ready(value) => Some(value),
            Poll::Pending => None,
        })
    })
    .await
}

async fn echo(socket: Socket) {
    while let Ok(bytes) = socket.receive().await {
        if bytes.is_empty() || socket.send_all(one(bytes)).await.is_err() {
            return;
        }
    }
}

fn check_echo(reactor: &Reactor, len: usize) {
    let (client, server) = pair(reactor);
    reactor.spawn(echo(server));
    let sent = Bytes::from(pattern(len));
    let sender = client.clone();
    let parts = Parts::from_iter([sent.slice(..len / 2), sent.slice(len / 2..)]);
    reactor.spawn(async move { sender.send_all(parts).await.unwrap() });
    let received = reactor.block_on(async {
        let mut received = Vec::new();
        while received.len() < len {
            received.extend_from_slice(&client.receive().await.unwrap());
        }
        received
    });
    assert!(received == sent, "{len} bytes came back changed");
}

fn echo_of_one_byte_to_eight_mebibytes(io: IoDriver) {
    let reactor = reactor(io);
    for len in [1, 2_047, 2_049, 65_536, 1 << 20, 8 << 20] {
        check_echo(&reactor, len);
    }
    turn_until(&reactor, || reactor.operations_count() == 0);
}

fn a_tiny_pool_runs_out_and_goes_on(io: IoDriver) {
    let config = IoConfig { entries: 8, buffers: 2, buffer_size: 4096 };
    let (reactor, stats) = reactor_with(io, config);
    check_echo(&reactor, 1 << 20);
    assert!(stats.read().buffers_exhausted > 0);
}

fn a_buffer_dropped_on_another_thread_feeds_a_sleeping_ring(io: IoDriver) {
    let config = IoConfig { entries: 8, buffers: 1, buffer_size: 4096 };
    let (reactor, _) = reactor_with(io, config);
    let (mut client, server) = plain_pair(&reactor);
    client.write_all(&pattern(8192)).unwrap();
    let first = reactor.block_on(server.receive()).unwrap();
    assert_eq!(first.len(), 4096);
    let thread = std::thread::scope(|scope| {
        scope.spawn(move || {
            std::thread::sleep(Duration::from_millis(50));
            drop(first);
        });
        reactor.block_on(server.receive()).unwrap()
    });
    assert_eq!(thread.len(), 4096);
}

fn a_paused_connection_leaves_the_buffers_to_others(io: IoDriver) {
    let config = IoConfig { entries: 8, buffers: 2, buffer_size: 4096 };
    let (reactor, _) = reactor_with(io, config);
    let ((mut greedy, paused), (mut other, served)) = (plain_pair(&reactor), plain_pair(&reactor));
    greedy.write_all(&pattern(16_384)).unwrap();
    let first = reactor.block_on(paused.receive()).unwrap();
    reactor.block_on(paused.pause_receiving());
    let first = Bytes::copy_from_slice(&first);
    other.write_all(&pattern(4096)).unwrap();
    assert_eq!(reactor.block_on(served.receive()).unwrap().len(), 4096);
    let mut received = first.to_vec();
    while received.len() < 16_384 {
        received.extend_from_slice(&reactor.block_on(paused.receive()).unwrap());
    }
    assert!(received == pattern(16_384));
}

fn more_operations_in_one_turn_than_the_queue_has_entries(io: IoDriver) {
    let (reactor, _) = reactor_with(io, IoConfig { entries: 4, buffers: 4, buffer_size: 4096 });
    let dir = tempfile::tempdir().unwrap();
    let file = File::open(&reactor.disk(), &dir.path().join("f"), OpenMode::READ_WRITE).unwrap();
    let writes: Vec<_> =
        (0..100_u64).map(|index| reactor.write(&file, index * 8, one(index.to_be_bytes().to_vec()), false)).collect();
    reactor.block_on(async {
        for write in writes {
            assert_eq!(write.await.0.unwrap(), 8);
        }
    });
    let mut bytes = [0; 8];
    file.read_at(99 * 8, &mut bytes).unwrap();
    assert_eq!(u64::from_be_bytes(bytes), 99);
}

fn receive_into_takes_what_the_stream_has_and_waits_for_the_rest(io: IoDriver) {
    let reactor = reactor(io);
    let (client, server) = pair(&reactor);
    let sent = Bytes::from(pattern(1 << 20));
    let (sender, parts) = (client.clone(), one(sent.clone()));
    reactor.spawn(async move { sender.send_all(parts).await.unwrap() });
    reactor.block_on(async {
        let head = server.receive().await.unwrap();
        let mut buffer = vec![0; sent.len() - 10];
        buffer[..head.len()].copy_from_slice(&head);
        let (result, buffer) = server.receive_into(buffer, head.len(), true).await;
        assert_eq!(result.unwrap() as usize, buffer.len() - head.len());
        assert!(buffer == sent[..buffer.len()]);
        let mut tail = Vec::new();
        while tail.len() < 10 {
            tail.extend_from_slice(&server.receive().await.unwrap());
        }
        assert!(tail == sent[sent.len() - 10..]);
        client.shutdown();
        assert!(server.receive().await.unwrap().is_empty());
        assert!(server.receive().await.unwrap().is_empty(), "the end stays the end");
        assert_eq!(server.receive_into(vec![0; 4], 0, true).await.0.unwrap(), 0);
    });
}

fn a_reset_by_the_peer_is_an_error_of_both_directions(io: IoDriver) {
    let reactor = reactor(io);
    let (client, server) = plain_pair(&reactor);
    socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
    let waiting = server.clone();
    let seen = Rc::new(RefCell::new(None));
    let result = Rc::clone(&seen);
    reactor.spawn(async move { *result.borrow_mut() = Some(waiting.receive().await) });
    reactor.block_on(reactor.yield_now());
    drop(client);
    turn_until(&reactor, || seen.borrow().is_some());
    assert_eq!(seen.take().unwrap().unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    let failed = reactor.block_on(server.send_all(one(pattern(10)))).unwrap_err();
    assert_eq!(failed.kind(), io::ErrorKind::BrokenPipe);
    let refused = listen(&reactor).local_address();
    assert!(reactor.block_on(reactor.connect(refused)).is_err());
}

fn dropped_futures_leave_the_memory_to_the_kernel_until_it_is_done(io: IoDriver) {
    let reactor = reactor(io);
    let (mut client, server) = plain_pair(&reactor);
    // A send that the peer does not read.
    struct Owner(Vec<u8>, std::sync::Arc<std::sync::atomic::AtomicBool>);
    impl AsRef<[u8]> for Owner {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }
    impl Drop for Owner {
        fn drop(&mut self) {
            self.1.store(true, std::sync::atomic::Ordering::SeqCst);
        }
    }
    let freed = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let send = loop {
        freed.store(false, std::sync::atomic::Ordering::SeqCst);
        let owner = Owner(vec![1; 32 << 20], std::sync::Arc::clone(&freed));
        let mut send = Box::pin(server.send(one(Bytes::from_owner(owner)), false));
        let mut is_waiting = || reactor.block_on(poll_once(send.as_mut())).is_none();
        // A driver may end a send with what the socket took; the next one has to wait.
        if is_waiting() && {
            reactor.block_on(reactor.sleep(Duration::from_millis(20)));
            is_waiting()
        } {
            break send;
        }
    };
    drop(send);
    assert!(!freed.load(std::sync::atomic::Ordering::SeqCst), "cancelled is not yet completed");
    turn_until(&reactor, || freed.load(std::sync::atomic::Ordering::SeqCst));
    // A receive into own memory, dropped before anything came; what comes then is for the next one.
    let mut receive = Box::pin(server.receive_into(vec![0; 100], 0, true));
    reactor.block_on(async {
        assert!(poll_once(receive.as_mut()).await.is_none());
        reactor.sleep(Duration::from_millis(5)).await;
    });
    drop(receive);
    turn_until(&reactor, || reactor.operations_count() == 0);
    client.write_all(b"late").unwrap();
    assert_eq!(reactor.block_on(server.receive()).unwrap(), "late");
}

fn close_with_operations_in_flight_ends_them_and_the_connection(io: IoDriver) {
    let reactor = reactor(io);
    let (mut client, server) = plain_pair(&reactor);
    let ended = Rc::new(Cell::new(0));
    let (waiting, count) = (server.clone(), Rc::clone(&ended));
    reactor.spawn(async move {
        assert!(waiting.receive().await.unwrap().is_empty());
        count.set(count.get() + 1);
    });
    let (sending, count) = (server.clone(), Rc::clone(&ended));
    reactor.spawn(async move {
        assert!(sending.send_all(one(vec![1; 32 << 20])).await.is_err());
        count.set(count.get() + 1);
    });
    reactor.block_on(reactor.sleep(Duration::from_millis(10)));
    server.shutdown();
    drop(server);
    turn_until(&reactor, || ended.get() == 2 && reactor.operations_count() == 0);
    client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let mut rest = Vec::new();
    let _ = client.read_to_end(&mut rest);
    assert!(rest.len() < 32 << 20);
}

fn the_driver_ends_while_everything_is_in_flight(io: IoDriver) {
    let reactor = reactor(io);
    let (client, server) = plain_pair(&reactor);
    let mut listener = listen(&reactor);
    let address = listener.local_address();
    reactor.spawn(async move { while listener.accept().await.is_ok() {} });
    let waiting = server.clone();
    reactor.spawn(async move { _ = waiting.receive().await });
    reactor.spawn(async move { _ = server.send_all(one(vec![1; 32 << 20])).await });
    reactor.block_on(reactor.sleep(Duration::from_millis(5)));
    let _unaccepted = TcpStream::connect(address).unwrap();
    assert_eq!(reactor.tasks_count(), 3);
    assert_eq!(reactor.stop(Duration::from_secs(10)).unwrap(), 0);
    drop((reactor, client));
    assert!(TcpStream::connect(address).is_err(), "the listener is closed");
}

fn direct_durable_writes(io: IoDriver) {
    let reactor = reactor(io);
    // The temporary directory may be memory, which knows no direct I/O.
    let dir = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
    let path = dir.path().join("direct");
    let mode = OpenMode { direct: true, ..OpenMode::READ_WRITE };
    let file = match File::open(&reactor.disk(), &path, mode) {
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => return,
        file => file.unwrap(),
    };
    let block = |byte: u8, pages: usize| {
        let mut buffer = AlignedBuffer::zeroed(pages * 4096);
        buffer.fill(byte);
        buffer.freeze()
    };
    let parts = Parts::from_iter([block(1, 2), block(2, 1)]);
    let both = reactor.write(&file, 0, parts, true);
    let third = reactor.write(&file, 3 * 4096, one(block(3, 1)), true);
    reactor.block_on(async {
        assert_eq!(both.await.0.unwrap(), 3 * 4096);
        assert_eq!(third.await.0.unwrap(), 4096);
        let (result, _) = reactor.write(&file, 1, one(Bytes::from_static(b"x")), true).await;
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::InvalidInput, "not aligned");
        reactor.sync(&file).await.unwrap();
        let buffered = File::open(&reactor.disk(), &path, OpenMode::READ).unwrap();
        reactor.read_ahead(&buffered, 0, 4096).await.unwrap();
        let (result, bytes) = reactor.read(&buffered, 4096, vec![0; 4 * 4096]).await;
        assert_eq!(result.unwrap(), 3 * 4096);
        assert_eq!((bytes[0], bytes[4096], bytes[2 * 4096]), (1, 2, 3));
    });
}

fn a_file_is_removed_or_said_to_be_missing(io: IoDriver) {
    let (reactor, dir) = (reactor(io), tempfile::tempdir().unwrap());
    let [there, missing] = ["there", "missing"].map(|name| dir.path().join(name));
    std::fs::write(&there, [1; 100]).unwrap();
    reactor.block_on(async {
        reactor.remove_file(&there).await.unwrap();
        assert_eq!(reactor.remove_file(&missing).await.unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(reactor.remove_file(Path::new("a\0b")).await.unwrap_err().kind(), io::ErrorKind::InvalidInput);
        assert!(reactor.remove_file(dir.path()).await.is_err(), "a folder stays");
    });
    assert!(!there.exists() && dir.path().exists());
}

fn sendfile_waits_for_a_slow_reader_and_receives_go_on(io: IoDriver) {
    let reactor = reactor(io);
    let (mut client, server) = plain_pair(&reactor);
    let dir = tempfile::tempdir().unwrap();
    let file = File::open(&reactor.disk(), &dir.path().join("f"), OpenMode::READ_WRITE).unwrap();
    let content = pattern(16 << 20);
    file.write_all_at(0, &content).unwrap();
    let got = Rc::new(RefCell::new(Vec::new()));
    let (receiving, seen) = (server.clone(), Rc::clone(&got));
    reactor.spawn(async move {
        let bytes = receiving.receive().await.unwrap();
        seen.borrow_mut().extend_from_slice(&bytes);
    });
    let reader = std::thread::spawn(move || {
        let mut all = vec![0; 16 << 20];
        std::thread::sleep(Duration::from_millis(20));
        client.read_exact(&mut all[..1000]).unwrap();
        client.write_all(b"meanwhile").unwrap();
        client.read_exact(&mut all[1000..]).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        all
    });
    let mut leased = LeasedFiles::default();
    reactor.block_on(server.sendfile_all(&leased.range(&file, 0, 16 << 20))).unwrap();
    assert!(reader.join().unwrap() == content);
    turn_until(&reactor, || &*got.borrow() == b"meanwhile");
    let short = reactor.block_on(server.sendfile_all(&leased.range(&file, 16 << 20, 1))).unwrap_err();
    assert_eq!(short.kind(), io::ErrorKind::UnexpectedEof);
}

fn asleep_it_makes_no_call_and_any_thread_can_wake_it(io: IoDriver) {
    let (reactor, stats) = reactor_with(io, IoConfig::default());
    let (_client, server) = plain_pair(&reactor);
    reactor.spawn(async move { _ = server.receive().await });
    reactor.block_on(reactor.yield_now());
    reactor.turn(false).unwrap();
    let (turns, waits) = (reactor.turns(), stats.read().waits);
    let waker = reactor.waker();
    let thread = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        waker.wake();
        waker
    });
    reactor.turn(true).unwrap();
    let waker = thread.join().unwrap();
    assert_eq!(reactor.turns(), turns + 1);
    assert_eq!(stats.read().waits, waits + 1, "one call for 300 ms of sleep");
    assert_eq!(stats.read().wakes, 1);
    // Woken before it sleeps, and many times at once: one sleep ends.
    waker.wake();
    waker.wake();
    reactor.turn(true).unwrap();
    assert_eq!(stats.read().wakes, 2);
    // A turn with nothing to do makes no call of io_uring at all, once the wake-up is armed again; epoll has to ask.
    reactor.turn(false).unwrap();
    let waits = stats.read().waits;
    reactor.turn(false).unwrap();
    let calls = match io {
        IoDriver::Uring => 0,
        IoDriver::Epoll => 1,
    };
    assert_eq!(stats.read().waits, waits + calls);
    drop(reactor);
    waker.wake();
}

fn an_alarm_that_is_set_to_an_earlier_time_while_the_driver_sleeps_rings_then(io: IoDriver) {
    let reactor = reactor(io);
    let rung = Rc::new(Cell::new(0));
    let count = Rc::clone(&rung);
    let alarm = reactor.alarm(move || count.set(count.get() + 1));
    let after = |millis: u64| super::Instant(reactor.now().0 + millis * 1_000_000);
    alarm.set(after(3_600_000));
    reactor.block_on(reactor.sleep(Duration::from_millis(2)));
    assert_eq!(rung.get(), 0);
    alarm.set(after(2));
    turn_until(&reactor, || rung.get() == 1);
}

fn timers_fire_in_order_and_the_end_of_a_turn_comes_after_its_tasks(io: IoDriver) {
    let reactor = reactor(io);
    let order = Rc::new(RefCell::new(Vec::new()));
    let note = |what: &'static str| {
        let order = Rc::clone(&order);
        move || order.borrow_mut().push(what)
    };
    for (millis, what) in [(30, "c"), (10, "a"), (20, "b"), (20, "b2")] {
        let (sleep, note) = (reactor.sleep(Duration::from_millis(millis)), note(what));
        reactor.spawn(async move {
            sleep.await;
            note();
        });
    }
    reactor.at_turn_end(note("end"));
    let first = note("task");
    reactor.spawn(async move { first() });
    let before = reactor.now();
    let dropped = reactor.sleep(Duration::from_secs(3600));
    drop(dropped);
    reactor.block_on(reactor.sleep(Duration::from_millis(40)));
    // On a machine that stood still, all were due at once with this one.
    turn_until(&reactor, || order.borrow().len() == 6);
    assert_eq!(*order.borrow(), ["task", "end", "a", "b", "b2", "c"]);
    assert!(reactor.now().0 - before.0 >= 40_000_000);
    assert!(reactor.turns() < 20, "sleeps, does not spin");
}

fn a_connection_is_handed_to_the_reactor_of_another_thread(io: IoDriver) {
    let reactor = reactor(io);
    let (mut client, server) = plain_pair(&reactor);
    client.write_all(b"hello").unwrap();
    let (sender, receiver) = mpsc::channel();
    let other = std::thread::spawn(move || {
        let reactor = self::reactor(io);
        let socket = reactor.adopt(receiver.recv().unwrap());
        reactor.block_on(async {
            let bytes = socket.receive().await.unwrap();
            socket.send_all(one(bytes)).await.unwrap();
        });
    });
    sender.send(server.into_handle()).unwrap();
    let mut answer = [0; 5];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"hello");
    other.join().unwrap();
}

fn a_slow_receiver_pauses_its_stream_and_loses_nothing(io: IoDriver) {
    let (reactor, stats) = reactor_with(io, IoConfig { entries: 64, buffers: 64, buffer_size: 4096 });
    let (client, server) = pair(&reactor);
    let sent = Bytes::from(pattern(2 << 20));
    let (sender, parts) = (client.clone(), one(sent.clone()));
    reactor.spawn(async move { sender.send_all(parts).await.unwrap() });
    let mut received = reactor.block_on(server.receive()).unwrap().to_vec();
    reactor.block_on(reactor.sleep(Duration::from_millis(50)));
    // The stream has stopped by itself: other connections go on while it stands.
    let completions = stats.read().completions;
    check_echo(&reactor, 100_000);
    assert!(stats.read().completions > completions);
    reactor.block_on(async {
        while received.len() < sent.len() {
            received.extend_from_slice(&server.receive().await.unwrap());
        }
    });
    assert!(received == sent);
}

fn a_flood_of_connections_overflows_the_completion_queue_and_all_are_accepted(io: IoDriver) {
    let (reactor, _) = reactor_with(io, IoConfig { entries: 4, buffers: 4, buffer_size: 4096 });
    let mut listener = listen(&reactor);
    let address = listener.local_address();
    let clients: Vec<_> = (0..100).map(|_| TcpStream::connect(address).unwrap()).collect();
    let mut sockets = Vec::new();
    for _ in &clients {
        sockets.push(reactor.block_on(listener.accept()).unwrap());
    }
    for (index, mut client) in clients.into_iter().enumerate() {
        client.write_all(&[index as u8]).unwrap();
    }
    for (index, socket) in sockets.iter().enumerate() {
        assert_eq!(reactor.block_on(socket.receive()).unwrap()[..], [index as u8]);
    }
}

fn dropped_without_stop_it_ends_what_is_in_flight_first(io: IoDriver) {
    let reactor = reactor(io);
    let (mut client, server) = plain_pair(&reactor);
    let parts = one(vec![1; 32 << 20]);
    // Started and never submitted to the kernel: it must not meet the descriptor's next owner.
    drop(server.send(parts, false));
    drop((server, reactor));
    client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let mut rest = Vec::new();
    let _ = client.read_to_end(&mut rest);
    assert!(rest.len() < 32 << 20);
}

fn large_frames_in_a_row_stop_no_stream_and_small_ones_get_it_back(io: IoDriver) {
    let (reactor, stats) = reactor_with(io, IoConfig::default());
    let (mut client, server) = plain_pair(&reactor);
    let frame = pattern(1 << 20);
    let sent = frame.clone();
    let writer = std::thread::spawn(move || {
        for _ in 0..20 {
            client.write_all(&sent).unwrap();
        }
        for _ in 0..20 {
            client.write_all(b"small").unwrap();
        }
    });
    reactor.block_on(async {
        for index in 0..20 {
            if index == 10 {
                // A receive that is given up loses nothing.
                assert!(poll_once(std::pin::pin!(server.receive())).await.is_none());
            }
            let before = stats.read();
            let head = server.receive().await.unwrap();
            let mut buffer = vec![0; frame.len()];
            buffer[..head.len()].copy_from_slice(&head);
            let (result, buffer) = server.receive_into(buffer, head.len(), true).await;
            assert_eq!(result.unwrap() as usize, frame.len() - head.len());
            assert!(buffer == frame);
            assert!(index == 0 || stats.read().completions - before.completions <= 4);
        }
        let mut small = Vec::new();
        while small.len() < 100 {
            small.extend_from_slice(&server.receive().await.unwrap());
        }
        assert_eq!(small, b"small".repeat(20));
    });
    writer.join().unwrap();
}
