//! The configuration as it is meant: checked, with defaults, nothing left to interpret.

mod not_there;
mod notices;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use self::not_there::refuse_what_is_not_there;
pub use self::not_there::what_is_not_there_at_runtime;
use self::notices::notices;
use super::connections::ConnectionsMax;
use super::definitions::broker_config;
use super::environment::Environment;
use super::groups::GroupSettings;
use super::listeners::{self, Endpoint, HttpListener, Listener};
use super::values::{Values, parse_size, split_list};
use super::{BrokerOptions, ConfigErrors, FormatOptions, Loggers, MetadataLogConfig, Notice, Origin, Properties};

/// What an ack promises. Never compared with each other in a benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// Survives a power cut.
    #[default]
    Sync,
    /// Handed to the operating system, as in Kafka.
    PageCache,
}

impl Durability {
    /// The value of `ringlog.durability`.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "sync" => Some(Self::Sync),
            "page-cache" => Some(Self::PageCache),
            _ => None,
        }
    }

    /// The other way round.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sync => "sync",
            Self::PageCache => "page-cache",
        }
    }
}

/// How shards reach sockets and files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Io {
    /// io_uring where it is allowed, else epoll.
    #[default]
    Auto,
    /// io_uring, or no start.
    Uring,
    /// epoll and threads for files.
    Epoll,
}

/// Whether an empty data directory becomes a new cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FormatPolicy {
    /// Only by `ringlog format`: an empty mount point must not become a new cluster.
    Refuse,
    /// No file was named, or `--format` was given.
    IfEmpty,
}

/// How the broker's own log is written to standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// The quorum that the file describes: this node alone, in one of Kafka's two forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quorum {
    /// The voter is in the metadata log (`controller.quorum.bootstrap.servers`, `format --standalone`).
    Dynamic,
    /// The voter is in the file (`controller.quorum.voters`).
    Static,
}

/// The configuration of one broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `node.id`.
    pub node_id: i32,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// The data directory.
    pub log_dir: PathBuf,
    /// What to do when it is empty.
    pub format: FormatPolicy,
    /// Of a directory that is formatted; `None` is a new one.
    pub cluster_id: Option<String>,
    /// Whether transactions that Kafka had not ended may stay open.
    pub accept_open_transactions: bool,
    /// `listeners` without the controller's.
    pub listeners: Vec<Listener>,
    /// One for each of `listeners`, in the same order.
    pub advertised_listeners: Vec<Endpoint>,
    /// `inter.broker.listener.name`.
    pub inter_broker_listener: String,
    /// Recorded in the metadata; nothing listens there, since this node is its own quorum.
    pub controller_listener: Endpoint,
    /// Where the voter of the quorum is named.
    pub quorum: Quorum,
    /// `num.partitions`.
    pub num_partitions: i32,
    /// `default.replication.factor`.
    pub default_replication_factor: i16,
    /// `auto.create.topics.enable`.
    pub auto_create_topics: bool,
    /// `delete.topic.enable`.
    pub delete_topics: bool,
    /// `ringlog.durability`.
    pub durability: Durability,
    /// How the metadata log is cut into segments and snapshots.
    pub metadata_log: MetadataLogConfig,
    /// Of consumer groups.
    pub groups: Arc<GroupSettings>,
    /// `socket.request.max.bytes`.
    pub socket_request_max_bytes: u32,
    /// `fetch.max.bytes`.
    pub fetch_max_bytes: u32,
    /// `max.incremental.fetch.session.cache.slots`.
    pub fetch_session_slots: u32,
    /// `producer.id.expiration.ms` and `producer.id.expiration.check.interval.ms`.
    pub producer_expiry: (Duration, Duration),
    /// `quota.window.num` and `quota.window.size.seconds`.
    pub quota_windows: (u32, Duration),
    /// Limits on connections, as the file has them.
    pub connections_max: ConnectionsMax,
    /// `connections.max.idle.ms`; `None` is never.
    pub connections_max_idle: Option<Duration>,
    /// `--shards`, `ringlog.shards`; `None` is one per core.
    pub shards: Option<u16>,
    /// `--memory`, `ringlog.memory`, in bytes; `None` leaves it to the broker.
    pub memory: Option<u64>,
    /// `ringlog.io`.
    pub io: Io,
    /// `ringlog.http.listener`; `None` is nowhere.
    pub http: Option<HttpListener>,
    /// `ringlog.metrics.partitions`.
    pub metrics_of_partitions: bool,
    /// `ringlog.log.format`.
    pub log_format: LogFormat,
    /// What is logged where `RUST_LOG` does not say it.
    pub log_level: Option<String>,
    /// Levels of the broker's own log, while it runs.
    pub loggers: Loggers,
    /// `ringlog.internal.commit.log.file.blocks`: size of each of a shard's commit log files, in 4,096 bytes.
    pub commit_log_file_blocks: u32,
    /// `log.retention.check.interval.ms`.
    pub retention_check_interval: Duration,
    /// All keys as they were given; topics fall back on them.
    pub properties: Properties,
}

/// Settings, and what the user should know about them.
type Accepted = (Settings, Vec<Notice>);

/// A key of the command line.
type GivenKey<'a> = (&'a str, String, Origin);

fn overrides(pairs: &[(String, String)]) -> Vec<GivenKey<'_>> {
    pairs.iter().map(|(key, value)| (key.as_str(), value.clone(), Origin::Override)).collect()
}

impl Settings {
    /// The settings of a broker that is started with `options`.
    pub fn from_options(options: &BrokerOptions) -> Result<Accepted, ConfigErrors> {
        let mut on_command_line = overrides(&options.overrides);
        let shards = options.shards.map(|shards| ("ringlog.shards", shards.to_string(), Origin::Option("--shards")));
        let memory = options.memory.map(|memory| ("ringlog.memory", memory.to_string(), Origin::Option("--memory")));
        on_command_line.extend(shards.into_iter().chain(memory));
        let (mut settings, notices) = Self::read(options.properties_file(), &on_command_line)?;
        settings.accept_open_transactions = options.accept_open_transactions;
        if options.format {
            settings.format = FormatPolicy::IfEmpty;
        }
        Ok((settings, notices))
    }

    /// The settings for `ringlog format`.
    pub fn from_format_options(options: &FormatOptions) -> Result<Accepted, ConfigErrors> {
        let (mut settings, notices) = Self::read(options.config.as_ref(), &overrides(&options.overrides))?;
        settings.format = FormatPolicy::IfEmpty;
        settings.cluster_id = options.cluster_id.clone().or(settings.cluster_id);
        Ok((settings, notices))
    }

    fn read(file: Option<&PathBuf>, on_command_line: &[GivenKey<'_>]) -> Result<Accepted, ConfigErrors> {
        let environment = Environment::of_this_process();
        let mut properties = match file {
            Some(path) => Properties::read(path).map_err(|error| ConfigErrors(vec![error]))?,
            None => Properties::default(),
        };
        for (variable, key, value) in environment.keys {
            properties.set_from(&key, &value, Origin::Environment(variable));
        }
        for (key, value, origin) in on_command_line {
            properties.set_from(key, value, origin.clone());
        }
        let nodename = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let (mut settings, notices) = Self::from_properties(properties, file.is_some(), &nodename)?;
        settings.cluster_id = environment.cluster_id;
        settings.log_level = environment.log_level;
        Ok((settings, notices))
    }

    /// The settings that `properties` mean. Without a file the defaults are those of a first run: `./ringlog-data`,
    /// formatted by itself, listening on the local machine only. `machine_name` is advertised for listeners on all
    /// interfaces.
    pub fn from_properties(
        mut properties: Properties,
        has_file: bool,
        machine_name: &str,
    ) -> Result<Accepted, ConfigErrors> {
        if !has_file {
            let log_dir_given = properties.value("log.dir").or(properties.value("log.dirs")).is_some();
            let node_given = properties.value("node.id").or(properties.value("broker.id")).is_some();
            let defaults = [
                ("listeners", "PLAINTEXT://127.0.0.1:9092", properties.value("listeners").is_some()),
                ("log.dirs", "./ringlog-data", log_dir_given),
                ("node.id", "1", node_given),
            ];
            for (key, value, _) in defaults.iter().filter(|(_, _, given)| !given) {
                properties.set_from(key, value, Origin::FirstRun);
            }
        }
        let mut values = Values::new(&properties);
        refuse_what_is_not_there(&mut values);
        let mut settings = resolve(&mut values, machine_name);
        check_values(&mut values);
        if !has_file {
            settings.format = FormatPolicy::IfEmpty;
        }
        if values.problems.is_empty() {
            Ok((settings, notices(&properties)))
        } else {
            Err(ConfigErrors(values.problems))
        }
    }
}

fn resolve(values: &mut Values<'_>, machine_name: &str) -> Settings {
    let node_id = node_id(values);
    let listeners = listeners::resolve(values, machine_name);
    let idle_ms = values.number("connections.max.idle.ms", -1..=i64::MAX, 600_000);
    Settings {
        node_id,
        rack: values.text("broker.rack").map(str::to_owned),
        log_dir: log_dir(values),
        format: FormatPolicy::Refuse,
        cluster_id: None,
        accept_open_transactions: false,
        listeners: listeners.client,
        advertised_listeners: listeners.advertised,
        inter_broker_listener: listeners.inter_broker,
        controller_listener: listeners.controller,
        quorum: quorum(values, node_id),
        num_partitions: values.number("num.partitions", 1..=i32::MAX, 1),
        default_replication_factor: values.number("default.replication.factor", 1..=i16::MAX, 1),
        auto_create_topics: values.boolean("auto.create.topics.enable", true),
        delete_topics: values.boolean("delete.topic.enable", true),
        durability: durability(values),
        metadata_log: MetadataLogConfig::read(values),
        groups: Arc::new(GroupSettings::read(values)),
        socket_request_max_bytes: values.number("socket.request.max.bytes", 1..=i32::MAX as u32, 100 << 20),
        fetch_max_bytes: values.number("fetch.max.bytes", 1024..=i32::MAX as u32, 55 << 20),
        fetch_session_slots: values.number("max.incremental.fetch.session.cache.slots", 0..=i32::MAX as u32, 1000),
        producer_expiry: producer_expiry(values),
        quota_windows: quota_windows(values),
        connections_max: ConnectionsMax::read(values),
        connections_max_idle: u64::try_from(idle_ms).ok().map(Duration::from_millis),
        shards: values.number_if_given("ringlog.shards", 1..=256),
        memory: memory(values),
        io: io(values),
        log_format: log_format(values),
        log_level: None,
        loggers: Loggers::default(),
        http: http_listener(values),
        metrics_of_partitions: values.boolean("ringlog.metrics.partitions", true),
        commit_log_file_blocks: values.number("ringlog.internal.commit.log.file.blocks", 1280..=1 << 18, 16_384),
        retention_check_interval: Duration::from_millis(values.number(
            "log.retention.check.interval.ms",
            1..=i64::MAX as u64,
            300_000,
        )),
        properties: with_node_id(values.properties, node_id),
    }
}

/// The node's id under both its names, as Kafka describes it.
fn with_node_id(given: &Properties, node_id: i32) -> Properties {
    let mut properties = given.clone();
    for key in ["node.id", "broker.id"] {
        if properties.value(key).is_none() {
            properties.set_from(key, &node_id.to_string(), Origin::Implied);
        }
    }
    properties
}

fn node_id(values: &mut Values<'_>) -> i32 {
    let node_id = values.number_if_given("node.id", 0..=i32::MAX);
    let broker_id = values.number_if_given("broker.id", 0..=i32::MAX);
    match (node_id, broker_id) {
        (Some(node), Some(broker)) if node != broker => {
            values.contradiction("broker.id", format!("is {broker}, but node.id is {node}"));
            node
        }
        (Some(id), _) | (None, Some(id)) => id,
        (None, None) => {
            if values.text("node.id").is_none() {
                values.contradiction("node.id", "is required");
            }
            0
        }
    }
}

fn log_dir(values: &mut Values<'_>) -> PathBuf {
    let key = if values.text("log.dirs").is_some() { "log.dirs" } else { "log.dir" };
    let dirs = split_list(values.text(key).unwrap_or("/tmp/kafka-logs"));
    if dirs.len() > 1 {
        values.not_there(key, "several data directories are not there, only one is");
    }
    let log_dir = PathBuf::from(dirs.first().copied().unwrap_or_default());
    if log_dir.as_os_str().is_empty() {
        values.invalid::<()>(key, "names no directory");
    }
    if values.text("metadata.log.dir").is_some_and(|metadata| log_dir.as_path() != std::path::Path::new(metadata)) {
        values.not_there("metadata.log.dir", "a directory of its own for the metadata is not there");
    }
    log_dir
}

/// The quorum has one voter: this node.
fn quorum(values: &mut Values<'_>, node_id: i32) -> Quorum {
    const VOTERS: &str = "controller.quorum.voters";
    const SERVERS: &str = "controller.quorum.bootstrap.servers";
    if values.list(SERVERS).len() > 1 {
        values.not_there(SERVERS, "a quorum of several nodes is not there");
    }
    let voters = values.list(VOTERS);
    if voters.len() > 1 {
        values.not_there(VOTERS, "a quorum of several nodes is not there");
        return Quorum::Static;
    }
    let Some(voter) = voters.first() else { return Quorum::Dynamic };
    match voter.split_once('@').map(|(id, _)| id.parse::<i32>()) {
        Some(Ok(id)) if id == node_id => {}
        Some(Ok(id)) => values.contradiction(VOTERS, format!("the voter is {id}, but node.id is {node_id}")),
        _ => _ = values.invalid::<()>(VOTERS, "not of the form ID@HOST:PORT"),
    }
    Quorum::Static
}

fn durability(values: &mut Values<'_>) -> Durability {
    const KEY: &str = "ringlog.durability";
    let Some(name) = values.text(KEY) else { return Durability::default() };
    Durability::from_name(name).or_else(|| values.invalid(KEY, "must be sync or page-cache")).unwrap_or_default()
}

/// More windows than this are of no use, and each takes memory per client.
const QUOTA_WINDOWS_MAX: u32 = 1000;

fn producer_expiry(values: &mut Values<'_>) -> (Duration, Duration) {
    let mut ms = |key, default| Duration::from_millis(values.number(key, 1..=i32::MAX as u64, default));
    (ms("producer.id.expiration.ms", 86_400_000), ms("producer.id.expiration.check.interval.ms", 600_000))
}

fn quota_windows(values: &mut Values<'_>) -> (u32, Duration) {
    let count = values.number("quota.window.num", 1..=QUOTA_WINDOWS_MAX, 11);
    let size_s = values.number("quota.window.size.seconds", 1..=i32::MAX as u64, 1);
    (count, Duration::from_secs(size_s))
}

fn memory(values: &mut Values<'_>) -> Option<u64> {
    let text = values.text("ringlog.memory")?;
    parse_size(text).map_err(|reason| values.invalid::<()>("ringlog.memory", reason)).ok()
}

fn io(values: &mut Values<'_>) -> Io {
    const KEY: &str = "ringlog.io";
    match values.text(KEY) {
        None | Some("auto") => Io::Auto,
        Some("io_uring") => Io::Uring,
        Some("epoll") => Io::Epoll,
        Some(_) => values.invalid(KEY, "must be auto, io_uring or epoll").unwrap_or_default(),
    }
}

fn log_format(values: &mut Values<'_>) -> LogFormat {
    const KEY: &str = "ringlog.log.format";
    match values.text(KEY) {
        None | Some("text") => LogFormat::Text,
        Some("json") => LogFormat::Json,
        Some(_) => values.invalid(KEY, "must be text or json").unwrap_or_default(),
    }
}

fn http_listener(values: &mut Values<'_>) -> Option<HttpListener> {
    const KEY: &str = "ringlog.http.listener";
    let text = values.text(KEY)?;
    HttpListener::parse(text).map_err(|reason| values.invalid::<()>(KEY, reason)).ok()
}

/// The form and the bounds of the values that only the table of definitions knows.
fn check_values(values: &mut Values<'_>) {
    for property in values.properties.iter().filter(|property| !property.value.is_empty()) {
        if values.problems.iter().any(|problem| problem.key() == Some(&property.key)) {
            continue;
        }
        let Some(def) = broker_config(&property.key).filter(|def| def.acts()) else { continue };
        if let Err(reason) = def.check(&property.value) {
            _ = values.invalid::<()>(&property.key, reason);
        }
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    const COMBINED: &[(&str, &str)] = &[
        ("process.roles", "broker,controller"),
        ("node.id", "1"),
        ("listeners", "PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093"),
        ("controller.listener.names", "CONTROLLER"),
        ("controller.quorum.bootstrap.servers", "127.0.0.1:9093"),
        ("log.dirs", "/data"),
    ];

    pub fn accepted(more: &[(&str, &str)]) -> Result<Accepted, ConfigErrors> {
        let mut properties = Properties::default();
        for (key, value) in COMBINED.iter().chain(more) {
            properties.set(key, value);
        }
        Settings::from_properties(properties, true, "machine")
    }

    pub fn settings(more: &[(&str, &str)]) -> Settings {
        accepted(more).unwrap().0
    }

    #[test]
    fn a_combined_node_of_kafka_is_accepted_without_a_word() {
        let (settings, notices) = accepted(&[]).unwrap();
        assert_eq!((settings.node_id, settings.quorum, settings.format), (1, Quorum::Dynamic, FormatPolicy::Refuse));
        assert_eq!(settings.log_dir, PathBuf::from("/data"));
        assert_eq!(settings.listeners.len(), 1);
        assert_eq!(settings.durability, Durability::Sync);
        assert_eq!(notices, []);
    }

    #[test]
    fn without_arguments_a_first_run_needs_nothing() {
        let (settings, _) = Settings::from_properties(Properties::default(), false, "machine").unwrap();
        assert_eq!(settings.log_dir, PathBuf::from("./ringlog-data"));
        assert_eq!(settings.format, FormatPolicy::IfEmpty);
        assert_eq!(settings.advertised_listeners[0].to_string(), "PLAINTEXT://127.0.0.1:9092");
        assert_eq!(settings.controller_listener.to_string(), "CONTROLLER://127.0.0.1:9093");
        let mut properties = Properties::default();
        properties.set("log.dir", "/elsewhere");
        let (settings, _) = Settings::from_properties(properties, false, "machine").unwrap();
        assert_eq!(settings.log_dir, PathBuf::from("/elsewhere"));
    }

    #[test]
    fn bounds_are_those_of_kafka() {
        for (key, value) in [
            ("num.partitions", "0"),
            ("log.segment.bytes", "1000"),
            ("node.id", "-1"),
            ("log.retention.ms", "-2"),
            ("auto.create.topics.enable", "maybe"),
            ("ringlog.durability", "hope"),
            ("ringlog.io", "iouring"),
            ("ringlog.memory", "lots"),
            ("log.message.timestamp.type", "Now"),
            ("controller.quorum.voters", "me"),
        ] {
            let problems = accepted(&[(key, value)]).unwrap_err().0;
            assert!(problems.iter().any(|problem| problem.key() == Some(key)), "{key}={value}: {problems:?}");
        }
    }

    #[test]
    fn a_static_voter_is_this_node() {
        assert_eq!(settings(&[("controller.quorum.voters", "1@127.0.0.1:9093")]).quorum, Quorum::Static);
        assert!(accepted(&[("controller.quorum.voters", "2@127.0.0.1:9093")]).is_err());
        assert!(accepted(&[("broker.id", "2")]).is_err());
        assert!(accepted(&[("broker.id", "1")]).is_ok());
    }

    #[test]
    fn every_problem_is_told_at_once() {
        let error = accepted(&[("num.partitions", "x"), ("ssl.protocol", "TLS")]).unwrap_err();
        assert_eq!(error.to_string().lines().count(), 2, "{error}");
    }
}
