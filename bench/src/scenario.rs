//! A scenario: what is run on whom, how often, on which cores. A TOML file, see `bench/scenarios/`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::cores::Wanted;

/// What an ack promises. Figures of different classes are never set against each other unless the title says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Handed to the operating system: Kafka's default.
    PageCache,
    /// Survives a power cut: Ringlog's default; Kafka with `log.flush.interval.messages=1`.
    Sync,
}

impl Class {
    /// Both.
    pub const ALL: [Self; 2] = [Self::PageCache, Self::Sync];

    /// As Ringlog and the load generator spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::PageCache => "page-cache",
            Self::Sync => "sync",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One of the load generator's kinds of load, or one of this program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LoadKind {
    /// Sends record batches.
    Produce,
    /// Reads them.
    Fetch,
    /// Commits offsets of groups.
    Commit,
    /// Producer to consumer.
    E2e,
    /// Connections.
    Connect,
    /// Heartbeats of members that do nothing else.
    GroupHeartbeat,
    /// Asks groups what they have committed.
    GroupFetchOffsets,
    /// New groups of one member.
    GroupJoin,
    /// Members of one group crash.
    GroupRebalance,
    /// The cleaning of a log that is full of outdated records, by this program: [`crate::compaction`].
    Compaction,
}

impl LoadKind {
    /// The load generator's subcommand, one word or two; nothing of the sort for what this program does.
    pub fn name(self) -> &'static str {
        match self {
            Self::Produce => "produce",
            Self::Fetch => "fetch",
            Self::Commit => "commit",
            Self::E2e => "e2e",
            Self::Connect => "connect",
            Self::GroupHeartbeat => "group heartbeat",
            Self::GroupFetchOffsets => "group fetch-offsets",
            Self::GroupJoin => "group join",
            Self::GroupRebalance => "group rebalance",
            Self::Compaction => "compaction",
        }
    }
}

/// Flags of the load generator without their dashes.
pub type Flags = BTreeMap<String, toml::Value>;

/// One row of a scenario: a load, measured on every target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cell {
    /// Names it in results; lower case, digits and dashes.
    pub name: String,
    /// Says what it is.
    pub title: String,
    /// What the load generator does.
    pub load: LoadKind,
    /// The classes it is run in.
    #[serde(default = "both_classes")]
    pub classes: Vec<Class>,
    /// What is shown of it, by key of [`crate::figure::FIGURES`].
    pub figures: Vec<String>,
    /// The load generator's flags.
    #[serde(default)]
    pub flags: Flags,
    /// What fills the topic once, before the first round; the topic is then kept.
    #[serde(default)]
    pub fill: Option<Fill>,
    /// An open loop at so many percent of what each target did itself in another cell.
    #[serde(default)]
    pub rate: Option<RelativeRate>,
    /// Runs meanwhile on the same topic and is not measured.
    #[serde(default)]
    pub beside: Option<Beside>,
    /// Settings of the topic over the broker's.
    #[serde(default)]
    pub topic: BTreeMap<String, String>,
    /// Drop the broker's files from the page cache before each run.
    #[serde(default)]
    pub cold: bool,
    /// So much free memory is warmed right before each run, which writes no more: [`crate::measure::warm_memory`].
    #[serde(default)]
    pub warm_memory_mib: u32,
    /// The measured window, instead of the scenario's.
    #[serde(default)]
    pub seconds: Option<f64>,
    /// Not in more rounds than this.
    #[serde(default)]
    pub rounds: Option<u32>,
}

impl Cell {
    /// Whether it is measured in this round, the first of which is 0.
    pub fn is_in_round(&self, round: u32) -> bool {
        self.rounds.is_none_or(|rounds| round < rounds)
    }

    /// Whether it can be cut into the short pieces of a warm-up.
    pub fn warms_up(&self) -> bool {
        self.load != LoadKind::Compaction && self.beside.is_none()
    }
}

/// A load that goes on while another one is measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Beside {
    /// What it does.
    pub load: LoadKind,
    /// The load generator's flags; with a rate, so that it takes the same from every target.
    pub flags: Flags,
}

/// A `produce` that is not measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fill {
    /// How long.
    pub seconds: f64,
    /// The load generator's flags; with a rate, every target gets the same bytes.
    pub flags: Flags,
}

/// A part of a target's own maximum.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelativeRate {
    /// How much of it.
    pub percent: f64,
    /// The closed-loop cell, in the same class, that gives the maximum.
    pub of: String,
}

/// Who may use which core.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Placement {
    /// Each broker.
    pub broker: Wanted,
    /// The load generator.
    pub loadgen: Wanted,
}

/// When a warm-up ends.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WarmUntil {
    /// So many passes in a row, each over all loads,
    pub passes: u32,
    /// cost the same within this.
    pub within_percent: f64,
    /// Given up after so many times the least.
    pub times_max: f64,
}

impl Default for WarmUntil {
    fn default() -> Self {
        Self { passes: 2, within_percent: 10.0, times_max: 3.0 }
    }
}

/// Bounds on repeating runs that something else disturbed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repeat {
    /// How often one run is repeated.
    pub per_run: u32,
    /// How many repeats there are in all.
    pub in_all: u32,
    /// Disturbed is: another process, or the hypervisor, took more of the machine than this.
    pub foreign_percent: f64,
}

/// The whole file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Names it in results.
    #[serde(default)]
    pub name: String,
    /// What it shows.
    pub about: String,
    /// Each cell is measured so often on each target, in turns.
    pub rounds: u32,
    /// The measured window of a run.
    pub seconds: f64,
    /// The same load before the window.
    pub warmup_seconds: f64,
    /// The least warm-up of a broker on a JVM, before the first round: the JIT compiler needs it.
    pub jvm_warmup_seconds: f64,
    /// The warm-up of any other broker.
    pub native_warmup_seconds: f64,
    /// What ends that of a JVM then.
    #[serde(default)]
    pub warm_until: WarmUntil,
    /// How long brokers are left alone before that, to see what they do with nothing to do.
    #[serde(default = "idle_seconds")]
    pub idle_seconds: f64,
    /// Names of targets.
    pub targets: Vec<String>,
    /// Cores.
    pub placement: Placement,
    /// Disturbed runs.
    pub repeat: Repeat,
    /// Kafka's settings over its defaults, besides those that one node and its class need.
    #[serde(default)]
    pub kafka: BTreeMap<String, String>,
    /// Ringlog's settings over its defaults.
    #[serde(default)]
    pub ringlog: BTreeMap<String, String>,
    /// The maximum heap of Kafka's JVM.
    #[serde(default = "kafka_heap")]
    pub kafka_heap: String,
    /// The rows.
    #[serde(rename = "cell")]
    pub cells: Vec<Cell>,
}

fn both_classes() -> Vec<Class> {
    Class::ALL.to_vec()
}

fn idle_seconds() -> f64 {
    2.0
}

fn kafka_heap() -> String {
    "1g".to_owned()
}

/// The scenarios in this program.
const BUILT_IN: [(&str, &str); 8] = [
    ("smoke", include_str!("../scenarios/smoke.toml")),
    ("quick", include_str!("../scenarios/quick.toml")),
    ("standard", include_str!("../scenarios/standard.toml")),
    ("full", include_str!("../scenarios/full.toml")),
    ("groups", include_str!("../scenarios/groups.toml")),
    ("shards", include_str!("../scenarios/shards.toml")),
    ("upkeep", include_str!("../scenarios/upkeep.toml")),
    ("gate", include_str!("../scenarios/gate.toml")),
];

impl Scenario {
    /// A scenario of this program by name, or a file by path; `settings` such as `rounds=5` or `placement.broker=all`
    /// replace what it says.
    pub fn load(name: &str, settings: &[(String, String)]) -> anyhow::Result<Self> {
        let (name, text) = match BUILT_IN.iter().find(|(known, _)| *known == name) {
            Some((known, text)) => ((*known).to_owned(), (*text).to_owned()),
            None => {
                let names = BUILT_IN.map(|(name, _)| name).join(", ");
                let text = std::fs::read_to_string(name)
                    .with_context(|| format!("`{name}` is neither one of {names} nor a file that can be read"))?;
                let stem = Path::new(name).file_stem().map(|stem| stem.to_string_lossy().into_owned());
                (stem.unwrap_or_default(), text)
            }
        };
        let scenario = Self::parse(&name, &text, settings).with_context(|| format!("scenario {name}"))?;
        Ok(scenario)
    }

    fn parse(name: &str, text: &str, settings: &[(String, String)]) -> anyhow::Result<Self> {
        let mut table: toml::Table = text.parse()?;
        for (key, value) in settings {
            set(&mut table, key, value)?;
        }
        let mut scenario: Self = table.try_into()?;
        if scenario.name.is_empty() {
            name.clone_into(&mut scenario.name);
        }
        scenario.check()?;
        Ok(scenario)
    }

    fn check(&self) -> anyhow::Result<()> {
        anyhow::ensure!(is_plain(&self.name), "name `{}`: lower case letters, digits and dashes only", self.name);
        anyhow::ensure!((1..=100).contains(&self.rounds), "rounds: 1 to 100");
        anyhow::ensure!(self.seconds > 0.0 && self.seconds <= 3600.0, "seconds: above 0, at most 3600");
        let until = &self.warm_until;
        anyhow::ensure!((2..=100).contains(&until.passes), "warm_until.passes: 2 to 100");
        anyhow::ensure!(until.within_percent > 0.0, "warm_until.within_percent: above 0");
        anyhow::ensure!((1.0..=100.0).contains(&until.times_max), "warm_until.times_max: 1 to 100");
        anyhow::ensure!((0.1..=3600.0).contains(&self.idle_seconds), "idle_seconds: 0.1 to 3600");
        for (index, cell) in self.cells.iter().enumerate() {
            anyhow::ensure!(is_plain(&cell.name), "cell `{}`: lower case letters, digits and dashes only", cell.name);
            let twice = self.cells[..index].iter().any(|other| other.name == cell.name);
            anyhow::ensure!(!twice, "two cells are named `{}`", cell.name);
            for figure in &cell.figures {
                anyhow::ensure!(crate::figure::find(figure).is_some(), "cell `{}`: no figure `{figure}`", cell.name);
            }
            let seconds = cell.seconds.unwrap_or(self.seconds);
            anyhow::ensure!(seconds > 0.0 && seconds <= 3600.0, "cell `{}`: seconds: above 0, at most 3600", cell.name);
            if let Some(rate) = &cell.rate {
                let earlier = self.cells[..index].iter().any(|other| other.name == rate.of);
                anyhow::ensure!(earlier, "cell `{}`: no cell `{}` before it", cell.name, rate.of);
            }
        }
        Ok(())
    }
}

fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// Sets `a.b` to what `text` means in TOML, or to the text itself.
fn set(table: &mut toml::Table, key: &str, text: &str) -> anyhow::Result<()> {
    let parsed = format!("value = {text}").parse::<toml::Table>().ok().and_then(|mut table| table.remove("value"));
    let value = parsed.unwrap_or_else(|| toml::Value::String(text.to_owned()));
    let (folders, last) = match key.rsplit_once('.') {
        // Keys of Kafka's settings have dots themselves.
        _ if key.starts_with("kafka.") || key.starts_with("ringlog.") => {
            let (folder, setting) = key.split_once('.').expect("it has a dot");
            let folder = table.entry(folder).or_insert_with(|| toml::Table::new().into());
            let folder = folder.as_table_mut().with_context(|| format!("`{key}`: not a table"))?;
            folder.insert(setting.to_owned(), toml::Value::String(text.to_owned()));
            return Ok(());
        }
        Some((folders, last)) => (folders, last),
        None => ("", key),
    };
    let mut place = table;
    for folder in folders.split('.').filter(|folder| !folder.is_empty()) {
        place = place
            .entry(folder)
            .or_insert_with(|| toml::Table::new().into())
            .as_table_mut()
            .with_context(|| format!("`{key}`: `{folder}` is not a table"))?;
    }
    place.insert(last.to_owned(), value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(settings: &[(&str, &str)]) -> anyhow::Result<Scenario> {
        let settings: Vec<_> = settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Scenario::load("quick", &settings)
    }

    #[test]
    fn the_built_in_scenarios_are_well_formed() {
        for (name, _) in BUILT_IN {
            let scenario = Scenario::load(name, &[]).unwrap();
            assert_eq!(scenario.name, name);
            assert!(!scenario.cells.is_empty());
        }
    }

    #[test]
    fn settings_replace_what_the_file_says() {
        let scenario = with(&[
            ("rounds", "9"),
            ("seconds", "0.5"),
            ("placement.broker", "all"),
            ("warm_until.times_max", "4"),
            ("kafka.num.io.threads", "4"),
            ("kafka_heap", "2g"),
        ])
        .unwrap();
        assert_eq!((scenario.rounds, scenario.seconds), (9, 0.5));
        assert_eq!(scenario.placement.broker, Wanted::All);
        assert_eq!(scenario.warm_until.times_max, 4.0);
        assert_eq!((scenario.kafka["num.io.threads"].as_str(), scenario.kafka_heap.as_str()), ("4", "2g"));
    }

    #[test]
    fn what_makes_no_sense_is_refused_and_named() {
        let refused = |key: &str, value: &str| format!("{:#}", with(&[(key, value)]).unwrap_err());
        assert!(refused("rounds", "0").contains("rounds"));
        assert!(refused("nonsense", "1").contains("nonsense"));
        assert!(refused("warm_until", "{ passes = 1 }").contains("2 to 100"));
        assert!(refused("warm_until", "{ times_max = 0.5 }").contains("1 to 100"));
        assert!(refused("placement.nonsense", "1").contains("nonsense"));
        assert!(refused("placement.broker", "x").contains("names no cores"));
        assert!(refused("a.b", "1").contains("unknown field `a`"));
        assert!(refused("rounds.b", "1").contains("`rounds` is not a table"));
        assert!(Scenario::load("no/such/file.toml", &[]).is_err());
    }

    #[test]
    fn cells_are_checked() {
        let quick = BUILT_IN[1].1;
        let parsed = |text: &str| Scenario::parse("x", text, &[]).map_err(|error| format!("{error:#}"));
        let cell = |name: &str, rest: &str| {
            format!("{quick}\n[[cell]]\nname = \"{name}\"\ntitle = \"t\"\nload = \"produce\"\n{rest}")
        };
        assert!(parsed(&cell("a", "figures = [\"mb_per_s\"]")).is_ok());
        assert!(parsed(&cell("a", "figures = [\"speed\"]")).unwrap_err().contains("no figure `speed`"));
        assert!(parsed(&cell("A b", "figures = []")).unwrap_err().contains("lower case"));
        assert!(
            parsed(&cell("a", "figures = []\nrate = { percent = 50, of = \"b\" }")).unwrap_err().contains("no cell")
        );
        assert!(parsed(&cell("a", "figures = []\nspeed = 1")).unwrap_err().contains("speed"));
    }
}
