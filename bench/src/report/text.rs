//! Tables as text: for the terminal, and as Markdown.

use std::fmt::Write as _;

use comfy_table::{CellAlignment, ContentArrangement, Table as Grid, presets};

use crate::figure;
use crate::limits::Limits;
use crate::results::{Life, Results};
use crate::tables::{Row, Table, Value, compare};

/// Columns of a terminal whose width is not known.
const WIDTH: u16 = 150;

/// All tables and what belongs beside them, for a terminal.
pub fn plain(results: &Results, tables: &[Table]) -> String {
    let mut text = String::new();
    for table in tables {
        let _ = writeln!(text, "\n{}\n{}\n{}", table.title, table.note, grid(table, presets::UTF8_FULL_CONDENSED));
    }
    let _ = writeln!(text, "\n{}", footnotes(results));
    text
}

/// The same as Markdown.
pub fn markdown(results: &Results, tables: &[Table]) -> String {
    let mut text = format!(
        "# {} on {}\n\n{}\n\n{}, {} rounds of {} s each, broker on core {}, load generator on core {}, {:.0} s in all.\n",
        results.scenario.name,
        results.host,
        results.scenario.about,
        results.started,
        results.scenario.rounds,
        results.scenario.seconds,
        results.broker_cores,
        results.loadgen_cores,
        results.took_s
    );
    for table in tables {
        let _ = writeln!(text, "\n## {}\n\n{}\n\n{}", table.title, table.note, grid(table, presets::ASCII_MARKDOWN));
    }
    let _ = writeln!(text, "\n## Brokers\n\n{}", lives(results, presets::ASCII_MARKDOWN));
    let _ = writeln!(text, "\n## What this machine can do\n\n{}", limits_table(&results.limits, true));
    let _ = writeln!(text, "\n{}", footnotes(results));
    text
}

/// Two results side by side, with what makes them hard to compare.
pub fn comparison(older: &Results, newer: &Results) -> String {
    let mut text = String::new();
    let differing = [
        ("machine", &older.host, &newer.host),
        ("broker's cores", &older.broker_cores, &newer.broker_cores),
        ("load generator's cores", &older.loadgen_cores, &newer.loadgen_cores),
    ];
    for (what, before, after) in differing.into_iter().filter(|(_, before, after)| before != after) {
        let _ = writeln!(text, "Not alike: {what}: {before}, then {after}.");
    }
    let mut grid = new_grid(presets::UTF8_FULL_CONDENSED);
    grid.set_header(["load", "figure", "before", "now", "now it is"]);
    for row in compare(older, newer) {
        let figure_name = format!("{}, {}", row.figure.label, row.figure.unit);
        grid.add_row([row.load, figure_name, figure::format(row.before), figure::format(row.after), row.verdict]);
    }
    let _ = writeln!(
        text,
        "{grid}\nThe two were not measured in turns: what the machine did meanwhile is in the difference."
    );
    text
}

fn new_grid(preset: &str) -> Grid {
    let mut grid = Grid::new();
    grid.load_preset(preset);
    if preset != presets::ASCII_MARKDOWN {
        grid.set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH);
    }
    grid
}

fn grid(table: &Table, preset: &str) -> Grid {
    let mut grid = new_grid(preset);
    let mut header = vec!["load".to_owned(), "figure".to_owned()];
    header.extend(table.columns.iter().cloned());
    // Without a target beside it there is nothing to be better than.
    header.extend((table.columns.len() > 1).then(|| "Ringlog is".to_owned()));
    header.push("% of limit".to_owned());
    let last = header.len() - 1;
    grid.set_header(header);
    let mut above = None;
    for row in &table.rows {
        grid.add_row(cells(row, above));
        above = Some(row);
    }
    for index in (2..2 + table.columns.len()).chain([last]) {
        if let Some(column) = grid.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    grid
}

/// A row's texts: what says the same as the row above is not said again.
fn cells(row: &Row, above: Option<&Row>) -> Vec<String> {
    let mut cells = vec![
        if above.is_some_and(|above| above.cell == row.cell) { String::new() } else { row.cell_title.clone() },
        format!("{}, {}", row.figure.label, row.figure.unit),
    ];
    cells.extend(row.values.iter().enumerate().map(|(column, value)| {
        match (value, above.map(|row| &row.values[column])) {
            (Value::Measured { text, .. }, _) => text.clone(),
            (Value::Missing { reason }, Some(Value::Missing { reason: said })) if reason == said => "-".to_owned(),
            (Value::Missing { reason }, _) => first_line(reason),
        }
    }));
    cells.extend((row.values.len() > 1).then(|| row.verdict.clone()));
    cells.push(row.percent_of_limit.map_or_else(|| "-".to_owned(), |percent| format!("{percent:.0} %")));
    cells
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

/// What the machine can do.
pub fn limits_table(limits: &Limits, markdown: bool) -> String {
    let mut grid = new_grid(if markdown { presets::ASCII_MARKDOWN } else { presets::UTF8_FULL_CONDENSED });
    grid.set_header(["probe", "value", "unit"]);
    for (name, value, unit) in limits.rows() {
        grid.add_row([name.to_owned(), figure::format(value), unit.to_owned()]);
    }
    grid.to_string()
}

fn lives(results: &Results, preset: &str) -> Grid {
    let mut grid = new_grid(preset);
    grid.set_header(std::iter::once("broker").chain(LIFE_COLUMNS));
    for life in &results.lives {
        grid.add_row(std::iter::once(life.title.clone()).chain(life_cells(life)));
    }
    grid
}

/// What is told of a broker besides the cells.
pub const LIFE_COLUMNS: [&str; 10] = [
    "ready after",
    "idle RSS",
    "idle CPU",
    "RSS after load",
    "PSS after load",
    "its data",
    "of it in the page cache",
    "ready after kill -9",
    "ready after a clean stop",
    "warm-up",
];

/// A broker's own figures, in the order of [`LIFE_COLUMNS`].
pub fn life_cells(life: &Life) -> [String; LIFE_COLUMNS.len()] {
    let shown = |value: Option<f64>, unit: &str| match value {
        Some(value) => format!("{} {unit}", figure::format(value)),
        None => "-".to_owned(),
    };
    [
        shown(life.ready_ms, "ms"),
        shown(life.idle_rss_mib, "MiB"),
        shown(life.idle_cpu_percent, "% of a core"),
        shown(life.loaded_rss_mib, "MiB"),
        shown(life.loaded_pss_mib, "MiB"),
        shown(life.data_mib, "MiB"),
        life.page_cache_mib.map_or_else(|| "not measured".to_owned(), |_| shown(life.page_cache_mib, "MiB")),
        shown(life.ready_after_kill_ms, "ms"),
        shown(life.ready_after_stop_ms, "ms"),
        life.warm_up.map_or_else(|| "-".to_owned(), |warm_up| warm_up.told()),
    ]
}

fn footnotes(results: &Results) -> String {
    let mut text = String::from(
        "Medians of the rounds; in brackets the best round. \"Ringlog is\": ratio of interleaved medians with its 95 % \
         bootstrap interval. \"% of limit\": how much of what this machine can do at all, measured in the same run.\n",
    );
    let (disturbed, all) = results.disturbed_count();
    if disturbed > 0 {
        let _ = writeln!(
            text,
            "{disturbed} of {all} counted runs were disturbed by other processes or the hypervisor, also when repeated: \
             run this on a quiet machine before you believe small differences."
        );
    }
    for (target, reason) in &results.missing {
        let _ = writeln!(text, "No {target}: {}", first_line(reason));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::tests::sample;
    use crate::tables::tables;

    #[test]
    fn markdown_holds_figures_ratio_and_doubts() {
        let results = sample();
        let text = markdown(&results, &tables(&results));
        for part in ["| 2.00 (best 2.00) |", "7.00 (best 6.00)", "3.50x better", "1 of 4 counted runs were disturbed"] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
    }

    #[test]
    fn the_terminal_sees_why_something_is_missing() {
        let mut results = sample();
        results.missing.insert("kafka-fsync".to_owned(), "no Java here\nsecond line".to_owned());
        let text = plain(&results, &tables(&results));
        assert!(text.contains("No kafka-fsync: no Java here\n") && !text.contains("second line"));
    }

    #[test]
    fn a_single_target_has_no_column_of_ratios() {
        let mut results = sample();
        let is_told = |results: &Results| {
            let tables = tables(results);
            tables
                .iter()
                .map(|table| grid(table, presets::UTF8_FULL).to_string())
                .any(|text| text.contains("Ringlog is"))
        };
        assert!(is_told(&results));
        results.scenario.targets.retain(|target| target == "ringlog");
        results.runs.retain(|run| run.target == "ringlog");
        results.lives.retain(|life| life.target == "ringlog");
        assert!(!is_told(&results));
    }

    #[test]
    fn why_a_column_is_empty_is_said_once_in_it() {
        let mut results = sample();
        results.runs.retain(|run| run.target == "ringlog");
        results.lives.retain(|life| life.target == "ringlog");
        results.missing.insert("kafka".to_owned(), "no Java here".to_owned());
        let tables = tables(&results);
        let rows =
            cells(&tables[0].rows[0], None).into_iter().chain(cells(&tables[0].rows[1], Some(&tables[0].rows[0])));
        assert_eq!(rows.filter(|text| text == "no Java here").count(), 1);
    }
}
