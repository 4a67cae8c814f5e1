//! Apache Kafka: its jars from Maven, one combined node, formatted and started the way Kafka's own scripts do it.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context;

use super::{DATA_FOLDER, Ground, Launch, Running, Target, free_ports};
use crate::cores::Cores;
use crate::process::Process;

/// The version that `bench/targets/kafka/pom.xml` pins.
pub const VERSION: &str = "4.3.1";
const POM: &str = include_str!("../../targets/kafka/pom.xml");
const LOG4J: &str = include_str!("../../targets/kafka/log4j2.properties");
/// What formatting may take.
const FORMAT_MAX: Duration = Duration::from_secs(60);
/// What Maven may take.
const INSTALL_MAX: Duration = Duration::from_secs(600);
/// Makes an ack of Kafka's mean that the record is on the disk.
pub const FLUSH_EACH: (&str, &str) = ("log.flush.interval.messages", "1");
/// Written last into the cache: without it the copy did not end.
const COMPLETE: &str = "complete";
/// As in Kafka's `kafka-run-class.sh` and `kafka-server-start.sh`.
const JVM: [&str; 7] = [
    "-server",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent",
    "-XX:MaxInlineLevel=15",
    "-Djava.awt.headless=true",
];

/// What Kafka's documentation names as typical arguments of a production broker (Operations, Java Version:
/// <https://kafka.apache.org/40/operations/java-version>), beside those of its scripts.
const TUNED_JVM: [&str; 4] = [
    "-XX:MetaspaceSize=96m",
    "-XX:G1HeapRegionSize=16M",
    "-XX:MinMetaspaceFreeRatio=50",
    "-XX:MaxMetaspaceFreeRatio=80",
];
/// From the same page.
const TUNED_HEAP: &str = "6g";
/// The documentation says to raise them (Operations, Hardware and OS), and not to what.
const TUNED_SOCKET_BUFFER_BYTES: u32 = 1 << 20;
/// Kafka's defaults, which are for any machine.
const NETWORK_THREADS_MIN: usize = 3;
const IO_THREADS_MIN: usize = 8;

/// Why there is no Kafka here, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum Unavailable {
    /// No JVM.
    #[error("no Java here: install a JDK 17 or newer (Debian: openjdk-17-jre-headless)")]
    NoJava,
    /// No Maven, and no Kafka either.
    #[error("no Kafka and no Maven here: install Maven 3, or unpack Kafka {VERSION} and set KAFKA_HOME")]
    NoMaven,
    /// The jars did not come.
    #[error("Maven could not resolve Kafka {VERSION}: {0}")]
    NotResolved(String),
    /// The folder that the user named holds no Kafka.
    #[error("KAFKA_HOME: {0} holds no jars")]
    NotThere(PathBuf),
    /// Something of the system.
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

/// A folder with Kafka's jars.
#[derive(Debug, Clone)]
pub struct Jars(pub PathBuf);

impl Jars {
    /// From `KAFKA_HOME`, from the cache, or by Maven into the cache.
    pub fn find() -> Result<Self, Unavailable> {
        if !succeeds(Command::new("java").arg("-version")) {
            return Err(Unavailable::NoJava);
        }
        if let Some(home) = std::env::var_os("KAFKA_HOME") {
            let libs = PathBuf::from(home).join("libs");
            let has_jars = fs::read_dir(&libs).is_ok_and(|mut entries| entries.next().is_some());
            return if has_jars { Ok(Self(libs)) } else { Err(Unavailable::NotThere(libs)) };
        }
        let cache = cache();
        if cache.join(COMPLETE).exists() { Ok(Self(cache.join("lib"))) } else { Self::install(&cache) }
    }

    fn install(cache: &Path) -> Result<Self, Unavailable> {
        if !succeeds(Command::new("mvn").arg("-version")) {
            return Err(Unavailable::NoMaven);
        }
        fs::create_dir_all(cache)?;
        fs::write(cache.join("pom.xml"), POM)?;
        let mut maven = Command::new("mvn");
        maven.current_dir(cache).args(["-B", "-q", "dependency:copy-dependencies", "-DoutputDirectory=lib"]);
        let mut process = Process::start(&mut maven, &Cores::of_this_machine()?, &cache.join("maven.log"))?;
        match process.wait(INSTALL_MAX)? {
            Some(status) if status.success() => {
                fs::write(cache.join(COMPLETE), VERSION)?;
                Ok(Self(cache.join("lib")))
            }
            Some(_) => Err(Unavailable::NotResolved(process.tail())),
            None => Err(Unavailable::NotResolved(format!("no end after {INSTALL_MAX:?}"))),
        }
    }

    fn class_path(&self) -> String {
        format!("{}/*", self.0.display())
    }
}

/// `$XDG_CACHE_HOME/ringlog-bench/kafka-VERSION`.
fn cache() -> PathBuf {
    let base = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let base = base.or_else(|| std::env::home_dir().map(|home| home.join(".cache"))).unwrap_or_else(std::env::temp_dir);
    base.join("ringlog-bench").join(format!("kafka-{VERSION}"))
}

fn succeeds(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

/// The settings of a combined node of its own.
fn properties(folder: &Path, [port, controller_port]: [u16; 2], settings: &[(&str, &str)]) -> String {
    let mut text = format!(
        "process.roles=broker,controller\n\
         node.id=1\n\
         listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}\n\
         controller.listener.names=CONTROLLER\n\
         inter.broker.listener.name=PLAINTEXT\n\
         listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT\n\
         controller.quorum.bootstrap.servers=127.0.0.1:{controller_port}\n\
         log.dirs={}\n\
         offsets.topic.replication.factor=1\n\
         transaction.state.log.replication.factor=1\n\
         transaction.state.log.min.isr=1\n\
         share.coordinator.state.topic.replication.factor=1\n\
         share.coordinator.state.topic.min.isr=1\n",
        folder.join(DATA_FOLDER).display(),
    );
    for (key, value) in settings {
        let _ = writeln!(text, "{key}={value}");
    }
    text
}

/// Writes the settings into `folder` and formats the data directory that they name.
fn format(jars: &Jars, folder: &Path, ports: [u16; 2], settings: &[(&str, &str)]) -> anyhow::Result<String> {
    let properties = properties(folder, ports, settings);
    fs::write(folder.join("server.properties"), &properties)?;
    fs::write(folder.join("log4j2.properties"), LOG4J)?;
    let mut java = Command::new("java");
    java.arg(format!("-Dlog4j2.configurationFile={}", folder.join("log4j2.properties").display()));
    java.arg("-cp").arg(jars.class_path()).arg("kafka.tools.StorageTool");
    // Any 16 bytes in base64 are an id.
    java.args(["format", "--standalone", "-t", "cmluZ2xvZy1iZW5jaC0wMQ", "-c"]).arg(folder.join("server.properties"));
    let mut process = Process::start(&mut java, &Cores::of_this_machine()?, &folder.join("format.log"))?;
    let status = process.wait(FORMAT_MAX)?.context("formatting did not end")?;
    anyhow::ensure!(status.success(), "Kafka cannot be formatted:\n{}", process.tail());
    Ok(properties)
}

/// The arguments of `java` for a broker that was formatted in `folder`.
fn command(target: &Target, jars: &Jars, folder: &Path, heap: &str) -> Vec<String> {
    let mut arguments = vec![format!("-Xms{heap}"), format!("-Xmx{heap}")];
    arguments.extend(JVM.map(str::to_owned));
    if *target == Target::KafkaTuned {
        arguments.extend(TUNED_JVM.map(str::to_owned));
    }
    arguments.push(format!("-Dlog4j2.configurationFile={}", folder.join("log4j2.properties").display()));
    arguments.extend(["-cp".to_owned(), jars.class_path(), "kafka.Kafka".to_owned()]);
    arguments.push(folder.join("server.properties").display().to_string());
    arguments
}

/// What [`Target::KafkaTuned`] sets: as many network threads as cores and twice as many for requests, where that is more
/// than by default, and larger socket buffers.
fn tuned(cores: usize) -> [(&'static str, String); 4] {
    [
        ("num.network.threads", cores.max(NETWORK_THREADS_MIN).to_string()),
        ("num.io.threads", (2 * cores).max(IO_THREADS_MIN).to_string()),
        ("socket.send.buffer.bytes", TUNED_SOCKET_BUFFER_BYTES.to_string()),
        ("socket.receive.buffer.bytes", TUNED_SOCKET_BUFFER_BYTES.to_string()),
    ]
}

/// The scenario's settings stand over those of the tuning, and those of the class over all.
pub(super) fn start(target: &Target, ground: &Ground<'_>, folder: &Path) -> anyhow::Result<Running> {
    let is_tuned = *target == Target::KafkaTuned;
    let tuned = is_tuned.then(|| tuned(ground.cores.count()));
    let tuned = tuned.iter().flatten().map(|(key, value)| (*key, value.as_str()));
    let own = ground.scenario.kafka.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let class = (*target == Target::KafkaFsync).then_some(FLUSH_EACH);
    let settings: Vec<(&str, &str)> = tuned.chain(own).chain(class).collect();
    let heap = if is_tuned { TUNED_HEAP } else { &ground.scenario.kafka_heap };
    start_node(target, folder, free_ports()?, &settings, heap, ground.cores)
}

/// Formats and starts one node with its data in `folder`.
pub fn start_node(
    target: &Target,
    folder: &Path,
    ports: [u16; 2],
    settings: &[(&str, &str)],
    heap: &str,
    cores: &Cores,
) -> anyhow::Result<Running> {
    let jars = Jars::find()?;
    let config = format(&jars, folder, ports, settings)?;
    let launch = Launch {
        program: "java".into(),
        arguments: command(target, &jars, folder, heap),
        cores: cores.clone(),
        folder: folder.to_owned(),
        bootstrap: format!("127.0.0.1:{}", ports[0]),
    };
    Running::launch(target, launch, config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pom_pins_this_version() {
        assert!(POM.contains(&format!("<kafka.version>{VERSION}</kafka.version>")));
    }

    #[test]
    fn a_tuned_kafka_has_what_its_documentation_names() {
        let jars = Jars(PathBuf::from("j"));
        let has =
            |target: Target, flag: &str| command(&target, &jars, Path::new("d"), "6g").iter().any(|own| own == flag);
        assert!(has(Target::KafkaTuned, "-XX:G1HeapRegionSize=16M") && has(Target::KafkaTuned, "-Xmx6g"));
        assert!(!has(Target::Kafka, "-XX:G1HeapRegionSize=16M"));
        let threads = |cores| tuned(cores).into_iter().take(2).map(|(_, count)| count).collect::<Vec<_>>();
        assert_eq!(
            (threads(1), threads(16)),
            (vec!["3".to_owned(), "8".to_owned()], vec!["16".to_owned(), "32".to_owned()])
        );
    }

    #[test]
    fn settings_of_the_class_come_last() {
        let text = properties(Path::new("d"), [1, 2], &[("log.flush.interval.messages", "1")]);
        assert!(text.contains("listeners=PLAINTEXT://127.0.0.1:1,CONTROLLER://127.0.0.1:2\n"));
        assert!(text.ends_with("log.flush.interval.messages=1\n"));
    }
}
