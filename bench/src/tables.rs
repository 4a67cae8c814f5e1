//! Results as tables. One per durability class; a third one, named as such, sets classes against each other.

use serde::Serialize;

use crate::figure::{self, Better, Figure};
use crate::results::Results;
use crate::scenario::{Cell, Class, LoadKind};
use crate::stats::{Ratio, median, ratio, ratio_of_sets};

/// The subject of every comparison.
const SUBJECT: &str = "ringlog";
/// Kafka with what its documentation names for production.
const TUNED: &str = "kafka-tuned";
/// The subject with one shard: shows what more of them cost and bring.
const ONE_SHARD: &str = "ringlog-1-shard";

/// One table.
#[derive(Debug, Clone, Serialize)]
pub struct Table {
    /// Names its picture.
    pub name: &'static str,
    /// What it shows, with the class or classes.
    pub title: String,
    /// Why it may be read, or what it must not be read as.
    pub note: String,
    /// Titles of the columns with values; the first is the subject.
    pub columns: Vec<String>,
    /// Its rows.
    pub rows: Vec<Row>,
}

/// One figure of one cell.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// The cell's name.
    pub cell: String,
    /// The cell's title.
    pub cell_title: String,
    /// The figure.
    pub figure: Figure,
    /// One per column.
    pub values: Vec<Value>,
    /// The subject against the second column.
    pub ratio: Option<Ratio>,
    /// The ratio in words.
    pub verdict: String,
    /// The subject in percent of the physical limit.
    pub percent_of_limit: Option<f64>,
}

/// What a column holds.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// Measured.
    Measured {
        /// The median of the rounds.
        median: f64,
        /// The best round.
        best: f64,
        /// The worst round.
        worst: f64,
        /// How it is shown.
        text: String,
    },
    /// Not measured, and why.
    Missing {
        /// Why.
        reason: String,
    },
}

/// Where a column comes from.
struct Column {
    target: String,
    class: Class,
    title: String,
}

/// All tables that the results allow.
pub fn tables(results: &Results) -> Vec<Table> {
    let mut tables = Vec::new();
    for (class, base, title, note) in [
        (
            Class::PageCache,
            "kafka",
            "Class page-cache: acknowledged means handed to the operating system",
            "Kafka with its default flush settings; Ringlog with ringlog.durability=page-cache.",
        ),
        (
            Class::Sync,
            "kafka-fsync",
            "Class sync: acknowledged means it survives a power cut",
            "Kafka with log.flush.interval.messages=1; Ringlog with ringlog.durability=sync, its default.",
        ),
    ] {
        let tuned = (class == Class::PageCache).then_some(TUNED);
        let others = [base].into_iter().chain(tuned).chain([ONE_SHARD]).chain(addresses(results));
        let others = others.filter(|target| was_asked(results, target));
        let mut columns = vec![column(results, SUBJECT, class)];
        columns.extend(others.map(|target| column(results, target, class)));
        let cells = results.scenario.cells.iter().filter(|cell| cell.classes.contains(&class));
        tables.extend(table(results, class.name(), [title, note], columns, cells));
    }
    let both = |cell: &&Cell| cell.classes.len() == Class::ALL.len() && cell.load != LoadKind::Fetch;
    let columns = vec![column(results, SUBJECT, Class::Sync), column(results, "kafka", Class::PageCache)];
    // What is missing, and why, stands in the tables above.
    if !results.targets().contains(&"kafka") {
        return tables;
    }
    let mut mixed = table(
        results,
        "defaults",
        [
            "Defaults against defaults: Ringlog synced, Kafka not",
            "NOT the same promise: Ringlog's acknowledged records survive a power cut here, Kafka's may not. What \
             somebody gets who changes no setting of either.",
        ],
        columns,
        results.scenario.cells.iter().filter(both),
    );
    if let Some(mixed) = &mut mixed {
        mixed.columns[1].push_str(", page-cache");
    }
    tables.extend(mixed);
    tables
}

/// Whether the run was about this target, could it be started or not.
fn was_asked(results: &Results, target: &str) -> bool {
    results.scenario.targets.iter().any(|asked| asked == target)
}

fn addresses(results: &Results) -> impl Iterator<Item = &str> {
    results.targets().into_iter().filter(|target| target.contains(':'))
}

fn column(results: &Results, target: &str, class: Class) -> Column {
    let mut lives = results.lives.iter();
    let life = lives.find(|life| life.target == target && life.class.is_none_or(|own| own == class));
    let known = target.parse::<crate::target::Target>().map(|target| target.title());
    let title = life.map(|life| life.title.clone()).or(known.ok()).unwrap_or_else(|| target.to_owned());
    Column { target: target.to_owned(), class, title }
}

fn table<'a>(
    results: &Results,
    name: &'static str,
    [title, note]: [&str; 2],
    columns: Vec<Column>,
    cells: impl Iterator<Item = &'a Cell>,
) -> Option<Table> {
    let rows: Vec<Row> = cells
        .flat_map(|cell| cell.figures.iter().filter_map(move |key| Some((cell, figure::find(key)?))))
        .map(|(cell, figure)| row(results, cell, figure, &columns))
        .collect();
    let seen = rows.iter().any(|row| row.values.iter().any(|value| matches!(value, Value::Measured { .. })));
    seen.then(|| Table {
        name,
        title: title.to_owned(),
        note: note.to_owned(),
        columns: columns.into_iter().map(|column| column.title).collect(),
        rows,
    })
}

fn row(results: &Results, cell: &Cell, figure: &Figure, columns: &[Column]) -> Row {
    let series = |column: &Column| results.values(&cell.name, column.class, &column.target, figure.key);
    let values: Vec<Value> = columns
        .iter()
        .map(|column| {
            let rounds: Vec<f64> = series(column).into_values().collect();
            value(figure, &rounds).unwrap_or_else(|| Value::Missing {
                reason: results.reason(&cell.name, column.class, &column.target).unwrap_or("not measured").to_owned(),
            })
        })
        .collect();
    let (subject, base) = (series(&columns[0]), columns.get(1).map(series).unwrap_or_default());
    let pairs: Vec<(f64, f64)> =
        subject.iter().filter_map(|(round, value)| Some((*value, *base.get(round)?))).collect();
    let ratio = ratio(&pairs);
    let percent_of_limit = match &values[0] {
        Value::Measured { median, .. } => {
            limit(results, cell, columns[0].class, figure).and_then(|limit| figure.percent_of_limit(*median, limit))
        }
        Value::Missing { .. } => None,
    };
    Row {
        cell: cell.name.clone(),
        cell_title: cell.title.clone(),
        figure: *figure,
        values,
        verdict: ratio.map(|ratio| verdict(figure, &ratio)).unwrap_or_default(),
        ratio,
        percent_of_limit,
    }
}

fn value(figure: &Figure, rounds: &[f64]) -> Option<Value> {
    let median = median(rounds)?;
    let (low, high) = rounds
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(*value), high.max(*value)));
    let (best, worst) = match figure.better {
        Better::Lower => (low, high),
        Better::Higher => (high, low),
    };
    let text = format!("{} (best {})", figure::format(median), figure::format(best));
    Some(Value::Measured { median, best, worst, text })
}

/// Two results side by side: every figure that both have, of every target that both have.
pub fn compare(older: &Results, newer: &Results) -> Vec<Comparison> {
    let mut comparisons = Vec::new();
    for cell in &newer.scenario.cells {
        for class in &cell.classes {
            for target in newer.targets() {
                for figure in cell.figures.iter().filter_map(|key| figure::find(key)) {
                    let rounds = |results: &Results| -> Vec<f64> {
                        results.values(&cell.name, *class, target, figure.key).into_values().collect()
                    };
                    let (before, after) = (rounds(older), rounds(newer));
                    let Some(ratio) = ratio_of_sets(&after, &before) else { continue };
                    let (Some(before), Some(after)) = (median(&before), median(&after)) else { continue };
                    comparisons.push(Comparison {
                        load: format!("{} ({class}) on {target}", cell.name),
                        figure: *figure,
                        before,
                        after,
                        verdict: verdict(figure, &ratio),
                    });
                }
            }
        }
    }
    comparisons
}

/// One figure in two results.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// Cell, class and target.
    pub load: String,
    /// The figure.
    pub figure: Figure,
    /// Its median in the older result.
    pub before: f64,
    /// Its median in the newer one.
    pub after: f64,
    /// The newer against the older, in words.
    pub verdict: String,
}

/// `4.0x better (3.6-4.4)`, `1.3x worse (1.1-1.5)`, or that nothing can be said.
fn verdict(figure: &Figure, ratio: &Ratio) -> String {
    let times = figure.times_better(ratio.ratio);
    let better = times >= 1.0;
    let shown = |ratio: f64| {
        let times = figure.times_better(ratio);
        if better { times } else { 1.0 / times }
    };
    let word = if better { "better" } else { "worse" };
    let Some([low, high]) = ratio.interval else {
        return format!("{}x {word} (too few rounds for an interval)", figure::format(shown(ratio.ratio)));
    };
    let (mut ends, middle) = ([shown(low), shown(high)], shown(ratio.ratio));
    ends.sort_by(f64::total_cmp);
    let doubt = if ends[0] < 1.0 { ", may be equal" } else { "" };
    let [low, high] = ends.map(figure::format);
    format!("{}x {word} ({low}-{high}){doubt}", figure::format(middle))
}

/// What is physically possible for this figure; nothing where no probe speaks of it.
fn limit(results: &Results, cell: &Cell, class: Class, figure: &Figure) -> Option<f64> {
    let limits = &results.limits;
    let sink = |key: &str| results.values(&cell.name, Class::PageCache, "sink", key).into_values().next();
    let crc_s_per_gb = 1e3 / limits.crc_mb_per_s;
    let (write_rate, write_cost) = match class {
        Class::PageCache => (limits.cached_write_mb_per_s, limits.cached_write_s_per_gb),
        Class::Sync => (limits.direct_write_mb_per_s, limits.direct_write_s_per_gb),
    };
    let synced = if class == Class::Sync { limits.synced_write_p50_us } else { 0.0 };
    let limit = match (figure.key, cell.load) {
        ("mb_per_s", LoadKind::Produce) => limits.loopback_mb_per_s.min(write_rate),
        ("mb_per_s", LoadKind::Fetch) => limits.loopback_mb_per_s,
        ("broker_s_per_gb" | "all_in_s_per_gb", LoadKind::Produce) => {
            limits.receive_s_per_gb + crc_s_per_gb + write_cost
        }
        ("broker_s_per_gb" | "all_in_s_per_gb", LoadKind::Fetch) => limits.send_s_per_gb,
        ("requests_per_s", LoadKind::Produce | LoadKind::Fetch) => sink("requests_per_s")?,
        ("broker_us_per_request" | "all_in_us_per_request", LoadKind::Produce | LoadKind::Fetch) => {
            sink("broker_us_per_request")?
        }
        ("broker_us_per_request", LoadKind::E2e) => 2.0 * limits.echo_us_per_request,
        ("p50_us", LoadKind::Produce | LoadKind::Fetch | LoadKind::Commit) if is_one_at_a_time(cell) => {
            limits.echo_p50_us + synced
        }
        ("p50_us", LoadKind::E2e) => limits.echo_p50_us + synced,
        _ => return None,
    };
    (limit.is_finite() && limit > 0.0).then_some(limit)
}

fn is_one_at_a_time(cell: &Cell) -> bool {
    let one = |name: &str| cell.flags.get(name).and_then(toml::Value::as_integer) == Some(1);
    one("connections") && one("inflight")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::tests::sample;

    #[test]
    fn a_table_shows_medians_ratio_and_limit() {
        let tables = tables(&sample());
        assert_eq!(tables.len(), 1);
        let [cost, speed] = tables[0].rows.as_slice() else { panic!("two figures: {:?}", tables[0].rows) };
        let Value::Measured { median, best, .. } = cost.values[1] else { panic!("measured") };
        assert_eq!((median, best), (7.0, 6.0));
        assert_eq!(cost.verdict, "3.50x better (too few rounds for an interval)");
        assert_eq!(speed.percent_of_limit, None, "no write was probed");
        assert!(speed.verdict.contains("better"));
    }

    #[test]
    fn losses_are_named_like_wins() {
        let cost = figure::find("broker_s_per_gb").unwrap();
        let of = |ratio, interval| verdict(cost, &Ratio { ratio, interval: Some(interval), rounds: 5 });
        assert_eq!(of(0.25, [0.2, 0.5]), "4.00x better (2.00-5.00)");
        assert_eq!(of(2.0, [1.6, 2.5]), "2.00x worse (1.60-2.50)");
        assert_eq!(of(0.8, [0.5, 1.25]), "1.25x better (0.80-2.00), may be equal");
    }

    #[test]
    fn two_results_are_compared_where_both_have_figures() {
        let (older, mut newer) = (sample(), sample());
        newer.runs.iter_mut().filter(|run| run.target == "ringlog").for_each(|run| {
            run.values.insert("broker_s_per_gb".to_owned(), 1.0);
        });
        newer.runs.retain(|run| run.target == "ringlog");
        let comparisons = compare(&older, &newer);
        assert_eq!(comparisons.len(), 2, "kafka is only in one of them");
        assert_eq!((comparisons[0].before, comparisons[0].after), (2.0, 1.0));
        assert!(comparisons[0].verdict.starts_with("2.00x better"));
    }

    #[test]
    fn one_shard_stands_behind_kafka_or_in_its_place() {
        let mut results = sample();
        let mut of_one = results.runs.iter().find(|run| run.target == "ringlog").expect("measured").clone();
        of_one.target = ONE_SHARD.to_owned();
        results.runs.push(of_one);
        results.scenario.targets.push(ONE_SHARD.to_owned());
        assert_eq!(tables(&results)[0].columns, ["Ringlog", "Kafka 4.3.1", "Ringlog, one shard"]);
        results.scenario.targets.retain(|target| target != "kafka");
        assert_eq!(tables(&results)[0].columns, ["Ringlog", "Ringlog, one shard"]);
    }

    #[test]
    fn a_missing_column_says_why() {
        let mut results = sample();
        results.runs.retain(|run| run.target == "ringlog");
        results.lives.pop();
        results.missing.insert("kafka".to_owned(), "no Java here".to_owned());
        let table = &tables(&results)[0];
        let Value::Missing { reason } = &table.rows[0].values[1] else { panic!("missing") };
        assert_eq!((reason.as_str(), table.rows[0].verdict.as_str()), ("no Java here", ""));
    }
}
