//! The program `ringlog` from outside, for tests.
#![allow(dead_code, reason = "each test file uses a part of this")]

pub mod client;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// Options for a listener that takes nobody's port.
pub const ANY_PORT: [&str; 2] = ["--override", "listeners=PLAINTEXT://127.0.0.1:0"];

/// A broker in a process of its own; killed when dropped.
pub struct Broker {
    process: Child,
    /// Kept open as a terminal would be.
    _stdout: BufReader<ChildStdout>,
    /// Where each listener listens.
    pub addresses: Vec<SocketAddr>,
    /// What its shards run on.
    pub io_driver: String,
    /// Where the HTTP side listens.
    pub http: Option<SocketAddr>,
}

impl Broker {
    /// Starts, and waits for the banner.
    pub fn start(folder: &Path, arguments: &[&str]) -> Self {
        let mut command = command(folder, arguments);
        command.stderr(Stdio::null());
        Self::run(command)
    }

    /// Runs a command that starts a broker, and waits for the banner.
    pub fn run(mut command: Command) -> Self {
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut banner = String::new();
        let mut stdout = BufReader::new(process.stdout.take().unwrap());
        stdout.read_line(&mut banner).unwrap();
        // `Ringlog ... | node 1 | 2 shard(s) on io_uring | DIRECTORY | http://HOST:PORT | NAME://HOST:PORT, NAME://HOST:PORT`
        let listening = banner.trim().rsplit(" | ").next().unwrap();
        let address = |listener: &str| listener.split_once("://")?.1.parse().ok();
        let addresses = listening.split(", ").map(|listener| address(listener).unwrap_or_else(|| panic!("{banner}")));
        let http = banner.split(" | ").find_map(|part| part.strip_prefix("http://")?.parse().ok());
        let io_driver =
            banner.split(" | ").find_map(|part| part.split_once(" shard(s) on ")).expect("the driver").1.into();
        Self { io_driver, http, addresses: addresses.collect(), _stdout: stdout, process }
    }

    /// Where it writes its log, if its command pipes it.
    pub fn take_stderr(&mut self) -> ChildStderr {
        self.process.stderr.take().unwrap()
    }

    /// Sends SIGTERM.
    pub fn signal_stop(&self) {
        kill_process(Pid::from_child(&self.process), Signal::TERM).unwrap();
    }

    /// Sends SIGTERM; the exit code.
    pub fn stop(mut self) -> Option<i32> {
        self.signal_stop();
        self.process.wait().unwrap().code()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The program, with two shards.
pub fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringlog"));
    command.current_dir(folder).args(arguments).args(["--shards", "2"]).stdin(Stdio::null());
    command
}

/// Sends one request frame on a connection of its own and returns the answer.
pub fn ask(address: SocketAddr, request: &[u8]) -> Vec<u8> {
    ask_on(&mut TcpStream::connect(address).unwrap(), request)
}

/// Sends one request frame and returns the answer.
pub fn ask_on(stream: &mut TcpStream, request: &[u8]) -> Vec<u8> {
    stream.write_all(&(request.len() as i32).to_be_bytes()).unwrap();
    stream.write_all(request).unwrap();
    let mut length = [0; 4];
    stream.read_exact(&mut length).unwrap();
    let mut answer = vec![0; i32::from_be_bytes(length) as usize];
    stream.read_exact(&mut answer).unwrap();
    answer
}
