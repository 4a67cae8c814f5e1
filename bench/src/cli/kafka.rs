//! `ringlog-bench kafka`: the same Apache Kafka that Ringlog is compared with, for one's own trials.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::{Args, Subcommand};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use super::show;
use crate::cores::Cores;
use crate::target::{FLUSH_EACH, Jars, KAFKA_VERSION, Target, start_kafka_node};

/// What a clean stop may take.
const STOP_MAX: Duration = Duration::from_secs(60);
/// How often its end is looked for.
const STOP_LOOK: Duration = Duration::from_millis(50);
/// Holds the process number of what `start` left running.
const PID_FILE: &str = "kafka.pid";

#[derive(Debug, Subcommand)]
pub enum KafkaCommand {
    /// Lets Maven fetch the pinned jars into the cache
    Install,
    /// Prints the folder of the jars
    Path,
    /// Formats and starts one node, and leaves it running
    Start(Start),
    /// Ends the node that `start` left running
    Stop {
        /// Where it was started
        #[arg(long, default_value = "kafka-node")]
        folder: PathBuf,
    },
}

#[derive(Debug, Args)]
pub struct Start {
    /// A new folder for its data and output
    #[arg(long, default_value = "kafka-node")]
    folder: PathBuf,
    /// Where it listens; its controller takes the port behind it
    #[arg(long, default_value_t = 9092)]
    port: u16,
    /// The maximum heap
    #[arg(long, default_value = "1g")]
    heap: String,
    /// Flush each message before it is acknowledged
    #[arg(long)]
    fsync: bool,
}

/// Does what was asked for.
pub fn run(command: &KafkaCommand) -> anyhow::Result<ExitCode> {
    match command {
        KafkaCommand::Install => show(format_args!("Kafka {KAFKA_VERSION}: {}", Jars::find()?.0.display())),
        KafkaCommand::Path => show(Jars::find()?.0.display()),
        KafkaCommand::Start(flags) => start(flags)?,
        KafkaCommand::Stop { folder } => stop(folder)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn start(flags: &Start) -> anyhow::Result<()> {
    fs::create_dir(&flags.folder).with_context(|| format!("{} must be new", flags.folder.display()))?;
    let folder = flags.folder.canonicalize()?;
    let (target, settings) = match flags.fsync {
        true => (Target::KafkaFsync, vec![FLUSH_EACH]),
        false => (Target::Kafka, Vec::new()),
    };
    let controller_port = flags.port.checked_add(1).context("no port behind it")?;
    let ports = [flags.port, controller_port];
    for port in ports {
        // Whoever answers there would be taken for the node.
        TcpListener::bind(("127.0.0.1", port)).with_context(|| format!("port {port}"))?;
    }
    let node = start_kafka_node(&target, &folder, ports, &settings, &flags.heap, &Cores::of_this_machine()?)?;
    let pid = node.pid().context("it has a process")?;
    fs::write(folder.join(PID_FILE), pid.to_string())?;
    show(format_args!("Kafka {KAFKA_VERSION} answers on {}, process {pid}", node.bootstrap));
    node.detach();
    Ok(())
}

fn stop(folder: &Path) -> anyhow::Result<()> {
    let file = folder.join(PID_FILE);
    let text = fs::read_to_string(&file).with_context(|| format!("{} cannot be read", file.display()))?;
    let pid = text.trim().parse::<i32>().ok().and_then(Pid::from_raw).context("no process number in it")?;
    // The number may belong to another program by now.
    let command = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    anyhow::ensure!(command.contains("kafka.Kafka"), "process {pid} is no Kafka any more");
    kill_process(pid, Signal::TERM)?;
    let until = Instant::now() + STOP_MAX;
    while test_kill_process(pid).is_ok() {
        anyhow::ensure!(Instant::now() < until, "process {pid} does not end");
        thread::sleep(STOP_LOOK);
    }
    fs::remove_file(file)?;
    show("stopped");
    Ok(())
}
