//! What this machine can do at best, measured in the same run: the figure that stands beside each result in percent.
//!
//! Plain code without a broker: sockets, files, memory. Each probe takes about a second.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use crate::cores::Cores;
use crate::stats::median;

/// How long a probe runs.
const PROBE: Duration = Duration::from_millis(800);
/// One piece of a stream or a file.
const PIECE: usize = 256 << 10;
/// A small request or its answer.
const SMALL: usize = 170;
/// Requests of a connection that does nothing else, as many as in the load of connections.
const ECHOES: usize = 2;
/// Who connects at a time.
const CLIENTS: usize = 4;
/// A block that every disk can write directly.
const BLOCK: usize = 4096;
/// What a probe leaves on the disk at most.
const FILE_BYTES_MAX: u64 = 1 << 30;
/// More than the caches hold.
const MEMORY_BYTES: usize = 64 << 20;

/// Rates in 10^6 bytes per second, costs in CPU seconds per 10^9 bytes, waits in microseconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// One TCP stream over loopback.
    pub loopback_mb_per_s: f64,
    /// CPU of its receiver.
    pub receive_s_per_gb: f64,
    /// CPU of its sender.
    pub send_s_per_gb: f64,
    /// A small request and its answer, one at a time.
    pub echo_p50_us: f64,
    /// CPU of the side that answers.
    pub echo_us_per_request: f64,
    /// CPU of who accepts a connection, echoes two small requests and closes it, for four clients at a time.
    pub connection_us: f64,
    /// Into the page cache of a new file.
    pub cached_write_mb_per_s: f64,
    /// CPU of it.
    pub cached_write_s_per_gb: f64,
    /// Past the page cache.
    pub direct_write_mb_per_s: f64,
    /// CPU of it.
    pub direct_write_s_per_gb: f64,
    /// 4 KiB into space that is written already, and on the disk when it returns.
    pub synced_write_p50_us: f64,
    /// CRC-32C of what is in no cache.
    pub crc_mb_per_s: f64,
    /// A copy of what is in no cache.
    pub copy_mb_per_s: f64,
}

impl Limits {
    /// Measures them, the broker's side on the broker's cores, files in `folder`.
    pub fn measure(broker: &Cores, loadgen: &Cores, folder: &Path) -> io::Result<Self> {
        let own = Cores::of_this_machine()?;
        let mut limits = Self::default();
        let measured = limits
            .stream(broker, loadgen)
            .and_then(|()| limits.echo(broker, loadgen))
            .and_then(|()| limits.connections(broker, loadgen))
            .and_then(|()| limits.files(folder));
        limits.memory();
        own.bind()?;
        measured.map(|()| limits)
    }

    /// Names, values and units for tables.
    pub fn rows(&self) -> [(&'static str, f64, &'static str); 13] {
        [
            ("loopback, one stream", self.loopback_mb_per_s, "MB/s"),
            ("CPU to receive", self.receive_s_per_gb, "s/GB"),
            ("CPU to send", self.send_s_per_gb, "s/GB"),
            ("bare echo p50", self.echo_p50_us, "us"),
            ("bare echo CPU", self.echo_us_per_request, "us/request"),
            ("bare connection with two echoes, CPU", self.connection_us, "us"),
            ("write to the page cache", self.cached_write_mb_per_s, "MB/s"),
            ("CPU of it", self.cached_write_s_per_gb, "s/GB"),
            ("direct write", self.direct_write_mb_per_s, "MB/s"),
            ("CPU of it", self.direct_write_s_per_gb, "s/GB"),
            ("synced 4 KiB write p50", self.synced_write_p50_us, "us"),
            ("CRC-32C", self.crc_mb_per_s, "MB/s"),
            ("memory copy", self.copy_mb_per_s, "MB/s"),
        ]
    }

    /// The better of two measurements, one before and one after what they are a limit for.
    pub fn best(&self, other: &Self) -> Self {
        Self {
            loopback_mb_per_s: self.loopback_mb_per_s.max(other.loopback_mb_per_s),
            receive_s_per_gb: self.receive_s_per_gb.min(other.receive_s_per_gb),
            send_s_per_gb: self.send_s_per_gb.min(other.send_s_per_gb),
            echo_p50_us: self.echo_p50_us.min(other.echo_p50_us),
            echo_us_per_request: self.echo_us_per_request.min(other.echo_us_per_request),
            connection_us: self.connection_us.min(other.connection_us),
            cached_write_mb_per_s: self.cached_write_mb_per_s.max(other.cached_write_mb_per_s),
            cached_write_s_per_gb: self.cached_write_s_per_gb.min(other.cached_write_s_per_gb),
            direct_write_mb_per_s: self.direct_write_mb_per_s.max(other.direct_write_mb_per_s),
            direct_write_s_per_gb: self.direct_write_s_per_gb.min(other.direct_write_s_per_gb),
            synced_write_p50_us: self.synced_write_p50_us.min(other.synced_write_p50_us),
            crc_mb_per_s: self.crc_mb_per_s.max(other.crc_mb_per_s),
            copy_mb_per_s: self.copy_mb_per_s.max(other.copy_mb_per_s),
        }
    }

    fn stream(&mut self, broker: &Cores, loadgen: &Cores) -> io::Result<()> {
        let (mut near, far) = pair()?;
        let (there, back) = thread::scope(|scope| {
            let receiver = scope.spawn(move || receive(far, broker));
            let sent = loadgen.bind().and_then(|()| Work::of(|| send_until(&mut near, PROBE)));
            drop(near);
            (sent, receiver.join())
        });
        let (sent, bytes) = there?;
        let (received, _) = back.map_err(|_| io::Error::other("a probe panicked"))??;
        self.loopback_mb_per_s = sent.mb_per_s(bytes);
        self.send_s_per_gb = sent.s_per_gb(bytes);
        self.receive_s_per_gb = received.s_per_gb(bytes);
        Ok(())
    }

    fn echo(&mut self, broker: &Cores, loadgen: &Cores) -> io::Result<()> {
        let (mut near, mut far) = pair()?;
        let (waits, answered) = thread::scope(|scope| {
            let answerer = scope.spawn(move || {
                broker.bind()?;
                Work::of(|| {
                    let mut frame = [0; SMALL];
                    let mut count = 0_u64;
                    while far.read_exact(&mut frame).is_ok() && far.write_all(&frame).is_ok() {
                        count += 1;
                    }
                    Ok(count)
                })
            });
            let waits = loadgen.bind().and_then(|()| {
                repeat(|| {
                    let mut frame = [7; SMALL];
                    near.write_all(&frame)?;
                    near.read_exact(&mut frame)
                })
            });
            drop(near);
            (waits, answerer.join())
        });
        let (work, count) = answered.map_err(|_| io::Error::other("a probe panicked"))??;
        self.echo_p50_us = median(&waits?).unwrap_or_default() * 1e6;
        self.echo_us_per_request = work.cpu_s * 1e6 / count.max(1) as f64;
        Ok(())
    }

    fn connections(&mut self, broker: &Cores, loadgen: &Cores) -> io::Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let accepted = thread::scope(|scope| {
            // With its end the listener is gone, and so are the clients.
            let accepter = scope.spawn(move || {
                broker.bind()?;
                let began = Instant::now();
                Work::of(|| {
                    let mut count = 0_u64;
                    while began.elapsed() < PROBE {
                        let (mut far, _) = listener.accept()?;
                        far.set_nodelay(true)?;
                        let mut frame = [0; SMALL];
                        for _ in 0..ECHOES {
                            far.read_exact(&mut frame)?;
                            far.write_all(&frame)?;
                        }
                        while far.read(&mut frame)? > 0 {}
                        count += 1;
                    }
                    Ok(count)
                })
            });
            let clients = [(); CLIENTS].map(|()| {
                scope.spawn(|| {
                    loadgen.bind()?;
                    loop {
                        connect_and_echo(address)?;
                    }
                })
            });
            let _: Vec<thread::Result<io::Result<()>>> = clients.into_iter().map(|client| client.join()).collect();
            // If they failed before it had enough, it waits for another one.
            let _ = TcpStream::connect(address);
            accepter.join()
        });
        let (work, count) = accepted.map_err(|_| io::Error::other("a probe panicked"))??;
        self.connection_us = work.cpu_s * 1e6 / count.max(1) as f64;
        Ok(())
    }

    fn files(&mut self, folder: &Path) -> io::Result<()> {
        let buffer = vec![7; PIECE];
        let path = folder.join("probe");
        let cached = File::create(&path)?;
        let (work, bytes) = Work::of(|| write_until(&cached, &buffer))?;
        self.cached_write_mb_per_s = work.mb_per_s(bytes);
        self.cached_write_s_per_gb = work.s_per_gb(bytes);
        cached.sync_data()?;

        // Direct writes ask for aligned memory: a slice of a buffer that has a block to spare.
        let roomy = vec![7; PIECE + BLOCK];
        let aligned = &roomy[roomy.as_ptr().align_offset(BLOCK)..][..PIECE];
        let direct = OpenOptions::new().write(true).custom_flags(OFlags::DIRECT.bits().cast_signed()).open(&path)?;
        let (work, bytes) = Work::of(|| write_until(&direct, aligned))?;
        self.direct_write_mb_per_s = work.mb_per_s(bytes);
        self.direct_write_s_per_gb = work.s_per_gb(bytes);

        let synced = (OFlags::DIRECT | OFlags::DSYNC).bits().cast_signed();
        let synced = OpenOptions::new().write(true).custom_flags(synced).open(&path)?;
        let mut position = 0;
        let waits = repeat(|| {
            synced.write_all_at(&aligned[..BLOCK], position)?;
            position = (position + BLOCK as u64) % (PIECE as u64);
            Ok(())
        })?;
        self.synced_write_p50_us = median(&waits).unwrap_or_default() * 1e6;
        std::fs::remove_file(&path)
    }

    fn memory(&mut self) {
        let (from, mut to) = (vec![7_u8; MEMORY_BYTES], vec![1_u8; MEMORY_BYTES]);
        let mut crc = 0;
        let crcs = timed(|| crc ^= ringlog_core::record::crc32c(&from));
        let copies = timed(|| to.copy_from_slice(&from));
        std::hint::black_box((crc, to));
        self.crc_mb_per_s = MEMORY_BYTES as f64 / 1e6 / crcs;
        self.copy_mb_per_s = MEMORY_BYTES as f64 / 1e6 / copies;
    }
}

/// Time and CPU time of the calling thread.
#[derive(Debug, Clone, Copy)]
struct Work {
    elapsed_s: f64,
    cpu_s: f64,
}

impl Work {
    fn of<T>(work: impl FnOnce() -> io::Result<T>) -> io::Result<(Self, T)> {
        let (began, cpu) = (Instant::now(), thread_cpu_s());
        let result = work()?;
        Ok((Self { elapsed_s: began.elapsed().as_secs_f64(), cpu_s: thread_cpu_s() - cpu }, result))
    }

    fn mb_per_s(&self, bytes: u64) -> f64 {
        bytes as f64 / 1e6 / self.elapsed_s
    }

    fn s_per_gb(&self, bytes: u64) -> f64 {
        self.cpu_s / (bytes.max(1) as f64 / 1e9)
    }
}

fn thread_cpu_s() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn pair() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let near = TcpStream::connect(listener.local_addr()?)?;
    let (far, _) = listener.accept()?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    Ok((near, far))
}

fn connect_and_echo(address: SocketAddr) -> io::Result<()> {
    let mut near = TcpStream::connect(address)?;
    near.set_nodelay(true)?;
    let mut frame = [7; SMALL];
    for _ in 0..ECHOES {
        near.write_all(&frame)?;
        near.read_exact(&mut frame)?;
    }
    Ok(())
}

fn receive(mut from: TcpStream, cores: &Cores) -> io::Result<(Work, u64)> {
    cores.bind()?;
    let mut buffer = vec![0; PIECE];
    Work::of(|| {
        let mut bytes = 0;
        loop {
            match from.read(&mut buffer)? {
                0 => return Ok(bytes),
                count => bytes += count as u64,
            }
        }
    })
}

fn send_until(to: &mut TcpStream, after: Duration) -> io::Result<u64> {
    let buffer = vec![7; PIECE];
    let began = Instant::now();
    let mut bytes = 0;
    while began.elapsed() < after {
        to.write_all(&buffer)?;
        bytes += PIECE as u64;
    }
    Ok(bytes)
}

fn write_until(file: &File, buffer: &[u8]) -> io::Result<u64> {
    let began = Instant::now();
    let mut bytes = 0;
    while began.elapsed() < PROBE && bytes < FILE_BYTES_MAX {
        file.write_all_at(buffer, bytes)?;
        bytes += buffer.len() as u64;
    }
    Ok(bytes)
}

/// How long each call took, in seconds.
fn repeat(mut call: impl FnMut() -> io::Result<()>) -> io::Result<Vec<f64>> {
    let began = Instant::now();
    let mut waits = Vec::new();
    while began.elapsed() < PROBE {
        let call_began = Instant::now();
        call()?;
        waits.push(call_began.elapsed().as_secs_f64());
    }
    Ok(waits)
}

/// The shortest of a few calls, in seconds.
fn timed(mut call: impl FnMut()) -> f64 {
    let times = (0..5).map(|_| {
        let began = Instant::now();
        call();
        began.elapsed().as_secs_f64()
    });
    times.fold(f64::INFINITY, f64::min)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_better_end_is_taken_of_each() {
        let one = Limits { loopback_mb_per_s: 1.0, send_s_per_gb: 5.0, ..Limits::default() };
        let other = Limits { loopback_mb_per_s: 2.0, send_s_per_gb: 3.0, ..Limits::default() };
        let best = one.best(&other);
        assert_eq!((best.loopback_mb_per_s, best.send_s_per_gb), (2.0, 3.0));
    }

    #[test]
    fn work_is_counted_per_byte() {
        let work = Work { elapsed_s: 2.0, cpu_s: 1.0 };
        assert_eq!((work.mb_per_s(4_000_000), work.s_per_gb(500_000_000)), (2.0, 2.0));
    }
}
