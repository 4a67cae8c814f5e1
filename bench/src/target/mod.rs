//! The brokers that are measured: how each is started, made ready, and stopped.

mod kafka;
mod ringlog;

use std::fmt;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;

pub use kafka::{FLUSH_EACH, Jars, VERSION as KAFKA_VERSION, start_node as start_kafka_node};

use crate::build::Programs;
use crate::cores::Cores;
use crate::measure::page_cache_mib;
use crate::process::Process;
use crate::scenario::{Class, Scenario};
use crate::wire;

/// A broker that does not answer for so long after its start never will: Kafka recovers many partitions for minutes.
const READY_MAX: Duration = Duration::from_secs(600);
/// How often it is asked: often enough for a start of a few milliseconds.
const READY_LOOK: Duration = Duration::from_millis(1);
/// Where each broker keeps its data, in its folder.
const DATA_FOLDER: &str = "data";
/// What a clean stop may take.
const STOP_MAX: Duration = Duration::from_secs(60);

/// Which broker.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// The broker of this checkout, one process per class.
    Ringlog,
    /// The same with one shard, however many cores it may use.
    RinglogOneShard,
    /// Another build of it.
    Base,
    /// Apache Kafka as it comes.
    Kafka,
    /// Apache Kafka with what its documentation names for production.
    KafkaTuned,
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
            Self::RinglogOneShard => "ringlog-1-shard",
            Self::Base => "base",
            Self::Kafka => "kafka",
            Self::KafkaTuned => "kafka-tuned",
            Self::KafkaFsync => "kafka-fsync",
            Self::Sink => "sink",
            Self::Address(address) => address,
        }
    }

    /// As shown.
    pub fn title(&self) -> String {
        match self {
            Self::Ringlog => "Ringlog".to_owned(),
            Self::RinglogOneShard => "Ringlog, one shard".to_owned(),
            Self::Base => "Ringlog, base".to_owned(),
            Self::Kafka => format!("Kafka {KAFKA_VERSION}"),
            Self::KafkaTuned => format!("Kafka {KAFKA_VERSION}, tuned"),
            Self::KafkaFsync => format!("Kafka {KAFKA_VERSION}, flushing each message"),
            Self::Sink => "Sink".to_owned(),
            Self::Address(address) => address.clone(),
        }
    }

    /// Whether it can promise this. What an address promises only its owner knows, so it is shown in each.
    pub fn has_class(&self, class: Class) -> bool {
        match self {
            Self::Ringlog | Self::RinglogOneShard | Self::Base | Self::Sink | Self::Address(_) => true,
            Self::Kafka | Self::KafkaTuned => class == Class::PageCache,
            Self::KafkaFsync => class == Class::Sync,
        }
    }

    /// The processes that a run in these classes needs: the class may be a setting of the process.
    pub fn lives(&self, classes: &[Class]) -> Vec<Option<Class>> {
        match self {
            target if target.is_ringlog() => classes.iter().copied().map(Some).collect(),
            _ => vec![None],
        }
    }

    /// Whether it is a build of this broker, started here.
    pub fn is_ringlog(&self) -> bool {
        matches!(self, Self::Ringlog | Self::RinglogOneShard | Self::Base)
    }

    /// Whether it is compiled while it runs.
    pub fn is_jvm(&self) -> bool {
        matches!(self, Self::Kafka | Self::KafkaTuned | Self::KafkaFsync)
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
            "ringlog-1-shard" => Ok(Self::RinglogOneShard),
            "kafka" => Ok(Self::Kafka),
            "kafka-tuned" => Ok(Self::KafkaTuned),
            "kafka-fsync" => Ok(Self::KafkaFsync),
            _ if text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok()) => {
                Ok(Self::Address(text.to_owned()))
            }
            _ => Err(format!(
                "`{text}` is no target: write ringlog, ringlog-1-shard, kafka, kafka-tuned, kafka-fsync or HOST:PORT"
            )),
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

/// How a process is started, as often as it takes.
#[derive(Debug)]
struct Launch {
    program: PathBuf,
    arguments: Vec<String>,
    cores: Cores,
    /// Takes its output.
    folder: PathBuf,
    /// Where it will answer.
    bootstrap: String,
}

/// How a broker's life ends before it is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// SIGTERM.
    Stop,
    /// SIGKILL.
    Kill,
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
    /// Nothing for an address.
    own: Option<(Launch, Process)>,
}

impl Launch {
    /// Starts the process and waits for its first answer, which came after so long.
    fn start(&self, target: &Target) -> anyhow::Result<(Process, Duration)> {
        let started = Instant::now();
        let mut command = Command::new(&self.program);
        let mut process = Process::start(command.args(&self.arguments), &self.cores, &self.folder.join("output.log"))?;
        loop {
            if let Some(status) = process.ended()? {
                anyhow::bail!("{target} ended at its start, {status}:\n{}", process.tail());
            }
            if wire::is_ready(&self.bootstrap) {
                return Ok((process, started.elapsed()));
            }
            let waited = started.elapsed();
            anyhow::ensure!(waited < READY_MAX, "{target} did not answer for {waited:.0?}:\n{}", process.tail());
            thread::sleep(READY_LOOK);
        }
    }

    /// As one would type it, the program by name only.
    fn typed(&self) -> String {
        let name = self.program.file_name().map_or_else(PathBuf::new, PathBuf::from);
        let quoted = self.arguments.iter().map(|argument| match argument.contains([' ', '*', '"', '$']) {
            true => format!("'{argument}'"),
            false => argument.clone(),
        });
        format!("taskset -c {} {} {}", self.cores, name.display(), quoted.collect::<Vec<_>>().join(" "))
    }
}

impl Running {
    /// Starts a broker in a fresh directory on a free port and waits until it answers. With a class, Ringlog has it for
    /// everything, also for what consumer groups commit.
    pub fn start(target: &Target, class: Option<Class>, ground: &Ground<'_>) -> anyhow::Result<Self> {
        let name = target.name();
        let folder = ground.folder.join(class.map_or_else(|| name.to_owned(), |class| format!("{name}-{class}")));
        std::fs::create_dir_all(&folder)?;
        match target {
            Target::Ringlog | Target::RinglogOneShard => {
                ringlog::start(target, class, &ground.programs.ringlog, ground, &folder)
            }
            Target::Base => {
                let program = ground.programs.base.as_deref().context("there is no base")?;
                ringlog::start(target, class, program, ground, &folder)
            }
            Target::Kafka | Target::KafkaTuned | Target::KafkaFsync => kafka::start(target, ground, &folder),
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
                    own: None,
                })
            }
        }
    }

    fn launch(target: &Target, launch: Launch, config: String) -> anyhow::Result<Self> {
        let (process, ready_after) = launch.start(target)?;
        Ok(Self {
            target: target.clone(),
            class: None,
            bootstrap: launch.bootstrap.clone(),
            ready_after: Some(ready_after),
            command: launch.typed(),
            config,
            own: Some((launch, process)),
        })
    }

    /// Ends it and starts it again on what it left, in the same place. From the new start to the first answer; nothing
    /// for an address, which is left alone.
    pub fn restart(&mut self, end: End) -> anyhow::Result<Option<Duration>> {
        let Some((launch, process)) = self.own.take() else { return Ok(None) };
        match end {
            End::Stop => anyhow::ensure!(process.stop(STOP_MAX)?, "{} did not stop in {STOP_MAX:?}", self.target),
            End::Kill => drop(process),
        }
        let (process, ready_after) = launch.start(&self.target)?;
        self.own = Some((launch, process));
        Ok(Some(ready_after))
    }

    /// Where its files are, when it was started here.
    pub fn data_folder(&self) -> Option<PathBuf> {
        self.own.as_ref().map(|(launch, _)| launch.folder.join(DATA_FOLDER))
    }

    /// Mebibytes of the files in its data directory.
    pub fn data_mib(&self) -> Option<f64> {
        Some(bytes_below(&self.data_folder()?) as f64 / (1 << 20) as f64)
    }

    /// Mebibytes of the page cache that the files in its data directory hold; nothing where it cannot be measured.
    pub fn page_cache_mib(&self) -> Option<f64> {
        page_cache_mib(&self.data_folder()?)
    }

    /// Drops its files from the page cache, as far as they are written; what it maps stays. Says why it cannot.
    pub fn drop_from_page_cache(&self) -> Result<(), String> {
        let folder = self.data_folder().ok_or("a broker that was not started here keeps its page cache")?;
        drop_below(&folder).map_err(|error| format!("the page cache cannot be dropped: {error}"))
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
        self.own.as_ref().map(|(_, process)| process.pid())
    }

    /// An error with its last words once it is no longer alive.
    pub fn check_alive(&mut self) -> anyhow::Result<()> {
        let Some((_, process)) = &mut self.own else { return Ok(()) };
        match process.ended().context("ask after a process")? {
            Some(status) => anyhow::bail!("{} ended, {status}:\n{}", self.target, process.tail()),
            None => Ok(()),
        }
    }

    /// A clean stop within a bound. True if that was enough.
    pub fn stop(self) -> std::io::Result<bool> {
        self.own.map_or(Ok(true), |(_, process)| process.stop(STOP_MAX))
    }

    /// Leaves it running when this program ends.
    pub fn detach(self) {
        if let Some((_, process)) = self.own {
            process.detach();
        }
    }
}

/// Bytes of all files below a folder. What goes away meanwhile counts nothing.
fn bytes_below(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let bytes = entries.map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => bytes_below(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    });
    bytes.sum()
}

/// Files that go away meanwhile are dropped anyway.
fn drop_below(folder: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)?.flatten() {
        let path = entry.path();
        if path.is_dir() {
            drop_below(&path)?;
        } else if let Ok(file) = std::fs::File::open(&path) {
            rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
        }
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read() {
        for name in ["ringlog", "kafka", "kafka-tuned", "kafka-fsync", "broker.example:9092", "[::1]:9092"] {
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
        let launch = Launch {
            program: "/x/y/java".into(),
            arguments: vec!["-cp".into(), "lib/*".into()],
            cores: Cores::of_this_machine().unwrap(),
            folder: PathBuf::new(),
            bootstrap: String::new(),
        };
        assert!(launch.typed().ends_with(" java -cp 'lib/*'"), "{}", launch.typed());
    }
}
