//! Whole reactors in a simulated world: an echo server under faults, writers that lose data or not, one hash per seed.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;

use super::{Crash, DirectoryModel, SimConfig, SimNetConfig, SimWorld};
use crate::reactor::{Disk, File, LeasedFiles, OpenMode, Parts, Reactor, Socket};

const PORT: u16 = 9_092;
const SECONDS: Duration = Duration::from_secs(60);

fn parts(bytes: Vec<u8>) -> Parts {
    Parts::from_iter([Bytes::from(bytes)])
}

fn address(host: u32) -> SocketAddr {
    SocketAddr::new(super::host_ip(host), PORT)
}

async fn echo(socket: Socket) -> io::Result<()> {
    loop {
        let received = socket.receive().await?;
        if received.is_empty() {
            return Ok(());
        }
        socket.send_all(Parts::from_iter([received])).await?;
    }
}

fn start_echo(reactor: &Reactor) {
    let mut listener = reactor.listen(SocketAddr::from(([0, 0, 0, 0], PORT))).expect("the port is free");
    let inner = reactor.clone();
    reactor.spawn(async move {
        while let Ok(socket) = listener.accept().await {
            inner.spawn(async move {
                let _ended = echo(socket).await;
            });
        }
    });
}

/// Sends `count` bytes in pieces while it reads them back; the bytes that came back.
async fn converse(reactor: &Reactor, peer: SocketAddr, count: usize) -> io::Result<Vec<u8>> {
    let socket = reactor.connect(peer).await?;
    let sender = socket.clone();
    let sent: Vec<u8> = (0..count).map(|n| (n * 7 % 251) as u8).collect();
    let failed = Rc::new(Cell::new(false));
    let seen = Rc::clone(&failed);
    reactor.spawn(async move {
        for piece in sent.chunks(5_000) {
            seen.set(seen.get() || sender.send_all(parts(piece.to_vec())).await.is_err());
        }
    });
    let mut back = Vec::new();
    while back.len() < count {
        let received = if count.is_multiple_of(2) {
            socket.receive().await?
        } else {
            let (result, mut buffer) = socket.receive_into(vec![0; 3_000.min(count - back.len())], 0, true).await;
            buffer.truncate(result? as usize);
            Bytes::from(buffer)
        };
        if received.is_empty() || failed.get() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        back.extend_from_slice(&received);
    }
    Ok(back)
}

/// Several clients against one echo server; how many got everything back, and the trace.
fn run_echo(seed: u64, net: SimNetConfig, disturb: impl Fn(&SimWorld)) -> (usize, usize, u64) {
    let world = SimWorld::new(seed, SimConfig { net, ..SimConfig::default() });
    start_echo(&world.reactor(0, 0));
    let (good, bad) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    for client in 0..3 {
        let reactor = world.reactor(1, client);
        let (good, bad, inner) = (Rc::clone(&good), Rc::clone(&bad), reactor.clone());
        let count = 12_000 + client as usize;
        reactor.spawn(async move {
            match converse(&inner, address(0), count).await {
                Ok(back) => {
                    assert!(back.iter().enumerate().all(|(n, &byte)| byte == (n * 7 % 251) as u8), "seed {seed}");
                    good.set(good.get() + 1);
                }
                Err(_) => bad.set(bad.get() + 1),
            }
        });
    }
    world.run_for(Duration::from_micros(300));
    disturb(&world);
    world.run_until(SECONDS, || good.get() + bad.get() == 3);
    (good.get(), bad.get(), world.trace_hash())
}

#[test]
fn an_echo_comes_back_whole_in_order_and_the_same_run_for_the_same_seed() {
    let mut hashes = std::collections::BTreeSet::new();
    for seed in 0..200 {
        let net = SimNetConfig { receive_buffers: 2, socket_buffer_bytes: 20_000, ..SimNetConfig::default() };
        let first = run_echo(seed, net.clone(), |_| ());
        assert_eq!((first.0, first.1), (3, 0), "seed {seed}");
        assert_eq!(first, run_echo(seed, net, |_| ()), "seed {seed}");
        hashes.insert(first.2);
    }
    assert_eq!(hashes.len(), 200, "each seed is another run");
}

#[test]
fn resets_are_seen_and_never_corrupt() {
    let net = SimNetConfig { reset_per_mille: 20, ..SimNetConfig::default() };
    let runs: Vec<_> = (0..50).map(|seed| run_echo(seed, net.clone(), |_| ())).collect();
    assert!(runs.iter().any(|run| run.0 > 0) && runs.iter().any(|run| run.1 > 0));
}

#[test]
fn a_partition_holds_back_and_heals_a_killed_server_resets_a_dead_one_times_out() {
    let mut timed_out = 0;
    for seed in 0..10 {
        let (good, ..) = run_echo(seed, SimNetConfig::default(), |world| {
            world.partition(0, 1);
            world.run_for(Duration::from_secs(1));
            world.heal_all();
        });
        assert_eq!(good, 3, "seed {seed}");
        let (good, bad, _) = run_echo(seed, SimNetConfig::default(), |world| world.crash(0, Crash::Process));
        assert!(bad > 0 && good + bad == 3, "seed {seed}: somebody still waits");
        // Who only waits for bytes never learns that the other side lost its power: a half-open connection.
        let (good, bad, _) = run_echo(seed, SimNetConfig::default(), |world| world.crash(0, Crash::Power));
        assert!(good < 3, "seed {seed}");
        timed_out += bad;
        let (_, bad, _) = run_echo(seed, SimNetConfig::default(), |world| world.reset_connections(1, 0));
        assert!(bad > 0, "seed {seed}");
    }
    assert!(timed_out > 0);
}

#[test]
fn nobody_listens_nobody_answers() {
    let world = SimWorld::new(1, SimConfig::default());
    let client = Reactor::new(world.driver(1, 0));
    let refused = client.block_on(client.connect(address(0))).map(|_| ());
    assert_eq!(refused.map_err(|error| error.kind()), Err(io::ErrorKind::ConnectionRefused));
    world.crash(0, Crash::Power);
    let silent = client.block_on(client.connect(address(0))).map(|_| ());
    assert_eq!(silent.map_err(|error| error.kind()), Err(io::ErrorKind::TimedOut));
    assert!(world.now().0 > 15_000_000_000);
}

#[test]
fn a_file_is_sent_to_a_slow_reader_and_an_end_of_sending_is_not_a_close() {
    for seed in 0..20 {
        let net = SimNetConfig { socket_buffer_bytes: 4_000, ..SimNetConfig::default() };
        let world = SimWorld::new(seed, SimConfig { net, ..SimConfig::default() });
        let server = world.reactor(0, 0);
        let mut listener = server.listen(address(0)).expect("the port is free");
        let inner = server.clone();
        server.spawn(async move {
            let socket = listener.accept().await.expect("a client comes");
            let request = socket.receive().await.expect("it asks");
            let end = if request.ends_with(b"?") { socket.receive().await } else { Ok(Bytes::new()) };
            assert!(end.expect("its side ended in order").is_empty());
            let disk = inner.disk();
            let file = File::open(&disk, Path::new("/a"), OpenMode::READ_WRITE).expect("a healthy disk");
            file.write_all_at(0, &[9; 30_000]).expect("a healthy disk");
            socket.sendfile_all(&LeasedFiles::default().range(&file, 100, 29_000)).await.expect("the client reads");
        });
        let client = world.reactor(1, 0);
        let got = Rc::new(RefCell::new(Vec::new()));
        let (sink, inner, asked) = (Rc::clone(&got), client.clone(), Rc::new(Cell::new(false)));
        let told = Rc::clone(&asked);
        client.spawn(async move {
            let socket = inner.connect(address(0)).await.expect("it listens");
            socket.send_all(parts(vec![b'?'])).await.expect("it reads");
            told.set(true);
            while let Ok(bytes) = socket.receive().await
                && !bytes.is_empty()
            {
                sink.borrow_mut().extend_from_slice(&bytes);
                inner.sleep(Duration::from_millis(1)).await;
            }
            sink.borrow_mut().push(0);
        });
        assert!(world.run_until(SECONDS, || asked.get()), "seed {seed}");
        world.end_sending(1, 0);
        assert!(world.run_until(SECONDS, || got.borrow().last() == Some(&0)), "seed {seed}");
        assert_eq!(got.borrow().len(), 29_001, "seed {seed}");
    }
}

/// A writer acks a record when its write completes; how many acked ones were lost at a power cut.
fn run_writer(seed: u64, durable: bool) -> usize {
    let mut config = SimConfig::default();
    config.disk.directories = DirectoryModel::Strict;
    config.disk.short_per_mille = 100;
    let world = SimWorld::new(seed, config);
    let reactor = world.reactor(0, 0);
    let acked = Rc::new(RefCell::new(Vec::new()));
    let (acks, inner) = (Rc::clone(&acked), reactor.clone());
    reactor.spawn(async move {
        let disk = inner.disk();
        let file = File::open(&disk, Path::new("/log"), OpenMode::READ_WRITE).expect("a healthy disk");
        disk.sync_dir(Path::new("/")).expect("a healthy disk");
        for record in 0..u64::MAX {
            let bytes = vec![record as u8 + 1; 700];
            let mut done = 0;
            while done < bytes.len() {
                let rest = parts(bytes[done..].to_vec());
                let (written, _) = inner.write(&file, record * 700 + done as u64, rest, durable).await;
                let Ok(written) = written else { return };
                done += written as usize;
            }
            acks.borrow_mut().push(record);
        }
    });
    world.run_for(Duration::from_micros(2_000 + seed * 100));
    drop(reactor);
    world.crash(0, Crash::Power);
    let disk: Rc<dyn Disk> = world.disk(0);
    let bytes = crate::reactor::read_file(&disk, Path::new("/log")).unwrap_or_default();
    let is_there = |record: u64| {
        let start = record as usize * 700;
        bytes.get(start..start + 700).is_some_and(|found| found.iter().all(|&byte| byte == record as u8 + 1))
    };
    acked.take().into_iter().filter(|&record| !is_there(record)).count()
}

#[test]
fn planted_bug_a_writer_without_dsync_loses_acked_records_one_with_it_never() {
    assert!((0..60).any(|seed| run_writer(seed, false) > 0), "the power cut is too kind");
    for seed in 0..60 {
        assert_eq!(run_writer(seed, true), 0, "seed {seed}");
    }
}

#[test]
fn out_of_order_completions_and_late_writes_of_a_dead_process() {
    let mut reordered = false;
    for seed in 0..30 {
        let world = SimWorld::new(seed, SimConfig::default());
        let reactor = Reactor::new(world.driver(0, 0));
        let disk = reactor.disk();
        let file = File::open(&disk, Path::new("/a"), OpenMode::READ_WRITE).expect("a healthy disk");
        let order = Rc::new(RefCell::new(Vec::new()));
        for n in 0..4_u64 {
            let (write, order) = (reactor.write(&file, n * 512, parts(vec![1; 512]), false), Rc::clone(&order));
            reactor.spawn(async move {
                let _result = write.await;
                order.borrow_mut().push(n);
            });
        }
        reactor.block_on(reactor.sleep(Duration::from_millis(10)));
        reordered |= *order.borrow() != [0, 1, 2, 3];
        world.crash(0, Crash::Process);
        assert!(file.write_all_at(0, &[2; 10]).is_err(), "the old process is dead");
        let new: Rc<dyn Disk> = world.disk(0);
        assert_eq!(crate::reactor::read_file(&new, Path::new("/a")).expect("kept"), [1; 2_048]);
    }
    assert!(reordered);
}

#[test]
fn timers_run_in_virtual_time_and_a_wake_ends_a_sleep() {
    let world = SimWorld::new(1, SimConfig::default());
    let sleeper = world.reactor(0, 0);
    let done = Rc::new(Cell::new(false));
    let (told, inner) = (Rc::clone(&done), sleeper.clone());
    sleeper.spawn(async move {
        inner.sleep(Duration::from_secs(3_600)).await;
        told.set(true);
    });
    assert!(world.run_until(Duration::from_secs(4_000), || done.get()));
    assert!(world.now().0 >= 3_600_000_000_000);
    world.set_wall_clock_skew_ms(0, -5_000);
    let other = Reactor::new(world.driver(1, 0));
    other.turn(false).expect("it works");
    let answer = world.block_on(&sleeper, SECONDS, std::future::ready(42));
    assert_eq!(answer, 42, "a reactor that is not attached holds nobody up");
    assert_eq!(other.wall_clock_ms() - sleeper.wall_clock_ms(), 5_000);
    let turns = sleeper.turns();
    world.run_for(Duration::from_secs(1));
    let idle_turns = sleeper.turns() - turns;
    sleeper.waker().wake();
    world.run_for(Duration::from_secs(1));
    assert!(idle_turns < 5, "{idle_turns}");
}
