//! The brokers that are measured: how each is started, made ready, and stopped.

mod kafka;
mod ringlog;

use std::fmt;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;

pub use kafka::{Jars, VERSION as KAFKA_VERSION, start_node as start_kafka_node};

use crate::build::Programs;
use crate::cores::Cores;
use crate::process::Process;
use crate::scenario::{Class, Scenario};
use crate::wire;

/// A broker that does not answer for so long after its start never will.
const READY_MAX: Duration = Duration::from_secs(120);
/// How often it is asked.
const READY_LOOK: Duration = Duration::from_millis(5);
/// What a clean stop may take.
const STOP_MAX: Duration = Duration::from_secs(60);

/// Which broker.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// The broker of this checkout, one process per class.
    Ringlog,
    /// Another build of it.
    Base,
    /// Apache Kafka as it comes.
    Kafka,
    /// Apache Kafka that flushes every message before it acknowledges.
    KafkaFsync,
    /// The load generator's own target that keeps nothing: shows what the client can do.
    Sink,
    /// Something that runs already.
    Address(String),
}

impl Target {
    /// As typed and as shown.
    pub fn name(&self) -> &str {
        match self {
            Self::Ringlog => "ringlog",
            Self::Base => "base",
            Self::Kafka => "kafka",
            Self::KafkaFsync => "kafka-fsync",
            Self::Sink => "sink",
            Self::Address(address) => address,
        }
    }

    /// As shown.
    pub fn title(&self) -> String {
        match self {
            Self::Ringlog => "Ringlog".to_owned(),
            Self::Base => "Ringlog, base".to_owned(),
            Self::Kafka => format!("Kafka {KAFKA_VERSION}"),
            Self::KafkaFsync => format!("Kafka {KAFKA_VERSION}, flushing each message"),
            Self::Sink => "Sink".to_owned(),
            Self::Address(address) => address.clone(),
        }
    }

    /// Whether it can promise this. What an address promises only its owner knows, so it is shown in each.
    pub fn has_class(&self, class: Class) -> bool {
        match self {
            Self::Ringlog | Self::Base | Self::Sink | Self::Address(_) => true,
            Self::Kafka => class == Class::PageCache,
            Self::KafkaFsync => class == Class::Sync,
        }
    }

    /// The processes that a run in these classes needs: the class may be a setting of the process.
    pub fn lives(&self, classes: &[Class]) -> Vec<Option<Class>> {
        match self {
            Self::Ringlog | Self::Base => classes.iter().copied().map(Some).collect(),
            _ => vec![None],
        }
    }

    /// Whether it is compiled while it runs.
    pub fn is_jvm(&self) -> bool {
        matches!(self, Self::Kafka | Self::KafkaFsync)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "ringlog" => Ok(Self::Ringlog),
            "kafka" => Ok(Self::Kafka),
            "kafka-fsync" => Ok(Self::KafkaFsync),
            _ if text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok()) => {
                Ok(Self::Address(text.to_owned()))
            }
            _ => Err(format!("`{text}` is no target: write ringlog, kafka, kafka-fsync or HOST:PORT")),
        }
    }
}

/// What every start needs.
#[derive(Debug)]
pub struct Ground<'a> {
    /// Settings of the brokers.
    pub scenario: &'a Scenario,
    /// The programs.
    pub programs: &'a Programs,
    /// A fresh folder for data and output.
    pub folder: &'a Path,
    /// The cores of a broker.
    pub cores: &'a Cores,
    /// What stands before Ringlog's program on its command line: an instrument, or nothing.
    pub wrapper: &'a [String],
}

/// A broker that answers.
#[derive(Debug)]
pub struct Running {
    /// Which one.
    pub target: Target,
    /// The class that it was started for; nothing if it is not a setting of its process.
    pub class: Option<Class>,
    /// Where.
    pub bootstrap: String,
    /// From the start of the process to the first answer; nothing for an address.
    pub ready_after: Option<Duration>,
    /// How it was started.
    pub command: String,
    /// Its settings, as text.
    pub config: String,
    process: Option<Process>,
}

impl Running {
    /// Starts a broker in a fresh directory on a free port and waits until it answers. With a class, Ringlog has it for
    /// everything, also for what consumer groups commit.
    pub fn start(target: &Target, class: Option<Class>, ground: &Ground<'_>) -> anyhow::Result<Self> {
        let name = target.name();
        let folder = ground.folder.join(class.map_or_else(|| name.to_owned(), |class| format!("{name}-{class}")));
        std::fs::create_dir_all(&folder)?;
        match target {
            Target::Ringlog => ringlog::start(target, class, &ground.programs.ringlog, ground, &folder),
            Target::Base => {
                let program = ground.programs.base.as_deref().context("there is no base")?;
                ringlog::start(target, class, program, ground, &folder)
            }
            Target::Kafka => kafka::start(target, ground, &folder, &[]),
            Target::KafkaFsync => kafka::start(target, ground, &folder, &[("log.flush.interval.messages", "1")]),
            Target::Sink => ringlog::start_sink(ground, &folder),
            Target::Address(address) => {
                anyhow::ensure!(wire::is_ready(address), "{address} does not answer ApiVersions");
                Ok(Self {
                    target: target.clone(),
                    class: None,
                    bootstrap: address.clone(),
                    ready_after: None,
                    command: String::new(),
                    config: String::new(),
                    process: None,
                })
            }
        }
    }

    /// Waits for the first answer of a process that was just started.
    fn when_ready(
        target: &Target,
        bootstrap: String,
        mut process: Process,
        started: Instant,
        command: String,
        config: String,
    ) -> anyhow::Result<Self> {
        loop {
            if let Some(status) = process.ended()? {
                anyhow::bail!("{target} ended at its start, {status}:\n{}", process.tail());
            }
            if wire::is_ready(&bootstrap) {
                break;
            }
            let waited = started.elapsed();
            anyhow::ensure!(waited < READY_MAX, "{target} did not answer for {waited:.0?}:\n{}", process.tail());
            thread::sleep(READY_LOOK);
        }
        let ready_after = Some(started.elapsed());
        Ok(Self {
            target: target.clone(),
            class: None,
            bootstrap,
            ready_after,
            command,
            config,
            process: Some(process),
        })
    }

    /// Whether its figures in this class mean what the class says.
    pub fn serves(&self, class: Class) -> bool {
        self.target.has_class(class) && self.class.is_none_or(|own| own == class)
    }

    /// As shown.
    pub fn title(&self) -> String {
        let title = self.target.title();
        self.class.map_or_else(|| title.clone(), |class| format!("{title}, {class}"))
    }

    /// Its process, when it was started here.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::pid)
    }

    /// An error with its last words once it is no longer alive.
    pub fn check_alive(&mut self) -> anyhow::Result<()> {
        let Some(process) = &mut self.process else { return Ok(()) };
        match process.ended().context("ask after a process")? {
            Some(status) => anyhow::bail!("{} ended, {status}:\n{}", self.target, process.tail()),
            None => Ok(()),
        }
    }

    /// A clean stop within a bound. True if that was enough.
    pub fn stop(self) -> std::io::Result<bool> {
        self.process.map_or(Ok(true), |process| process.stop(STOP_MAX))
    }

    /// Leaves it running when this program ends.
    pub fn detach(self) {
        if let Some(process) = self.process {
            process.detach();
        }
    }
}

/// Ports of the loopback interface that nobody listens on.
fn free_ports<const N: usize>() -> std::io::Result<[u16; N]> {
    // All are held until the last is known, so that they differ.
    let listeners = [(); N].map(|()| TcpListener::bind("127.0.0.1:0"));
    let mut ports = [0; N];
    for (port, listener) in ports.iter_mut().zip(listeners) {
        *port = listener?.local_addr()?.port();
    }
    Ok(ports)
}

/// A command as one would type it, its program by name only.
fn typed(cores: &Cores, program: &Path, arguments: &[String]) -> String {
    let name = program.file_name().map_or_else(PathBuf::new, PathBuf::from);
    let quoted = arguments.iter().map(|argument| match argument.contains([' ', '*', '"', '$']) {
        true => format!("'{argument}'"),
        false => argument.clone(),
    });
    format!("taskset -c {cores} {} {}", name.display(), quoted.collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read() {
        for name in ["ringlog", "kafka", "kafka-fsync", "broker.example:9092", "[::1]:9092"] {
            assert_eq!(name.parse::<Target>().unwrap().name(), name);
        }
        for bad in ["", "redpanda", ":9092", "host:", "host:99999"] {
            assert!(bad.parse::<Target>().is_err(), "{bad}");
        }
    }

    #[test]
    fn classes_are_not_mixed() {
        let kafka_classes =
            [Target::Kafka, Target::KafkaFsync].map(|target| Class::ALL.map(|class| target.has_class(class)));
        assert_eq!(kafka_classes, [[true, false], [false, true]]);
    }

    #[test]
    fn free_ports_differ() {
        let [one, other] = free_ports::<2>().unwrap();
        assert!(one != other && one != 0);
    }

    #[test]
    fn commands_can_be_typed() {
        let command =
            typed(&Cores::of_this_machine().unwrap(), Path::new("/x/y/java"), &["-cp".into(), "lib/*".into()]);
        assert!(command.ends_with("java -cp 'lib/*'"), "{command}");
    }
}
