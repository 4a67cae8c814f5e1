//! A table as a picture for a page that can show no more than an image: the first figure of each cell, subject and base.

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, context};
use serde::Serialize;

use crate::figure::Better;
use crate::tables::{Row, Table, Value};

const TEMPLATE: &str = include_str!("../../assets/bars.svg");
const WIDTH: u32 = 860;
/// The longest bar; its label stands behind it.
const BAR_WIDTH_MAX: f64 = 600.0;
/// Above the first cell.
const HEAD: u32 = 54;
/// One cell: its title and two bars.
const GROUP: u32 = 58;

#[derive(Debug, Serialize)]
struct Group {
    title: String,
    y: u32,
    bars: Vec<Bar>,
}

#[derive(Debug, Serialize)]
struct Bar {
    class: &'static str,
    y: u32,
    width: u32,
    label: String,
}

/// The picture; nothing where no cell has two values.
pub fn bars(table: &Table) -> anyhow::Result<Option<String>> {
    let mut groups: Vec<Group> = Vec::new();
    let mut last = "";
    for row in table.rows.iter().filter(|row| row.figure.better == Better::Lower) {
        if std::mem::replace(&mut last, &row.cell) != row.cell
            && let Some(group) = group(table, row, HEAD + GROUP * groups.len() as u32)
        {
            groups.push(group);
        }
    }
    if groups.is_empty() {
        return Ok(None);
    }
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.add_template("bars", TEMPLATE)?;
    let height = HEAD + GROUP * groups.len() as u32 + 8;
    let subtitle = "Shorter is better. Within each load the longer bar is the whole width.";
    let context = context! { width => WIDTH, height, title => &table.title, subtitle, groups => Serde(groups) };
    Ok(Some(environment.get_template("bars")?.render(context)?))
}

fn group(table: &Table, row: &Row, top: u32) -> Option<Group> {
    let [Value::Measured { median: subject, .. }, Value::Measured { median: other, .. }, ..] = &row.values[..] else {
        return None;
    };
    let longest = subject.max(*other);
    if longest <= 0.0 {
        return None;
    }
    let bar = |class, at: usize, value: f64| Bar {
        class,
        y: top + 18 + 16 * at as u32,
        width: (BAR_WIDTH_MAX * value / longest).round().max(1.0) as u32,
        label: format!("{}: {} {}", table.columns[at], crate::figure::format(value), row.figure.unit),
    };
    Some(Group {
        title: format!("{}: {}, {}", row.cell_title, row.figure.label, row.verdict),
        y: top + 12,
        bars: vec![bar("subject", 0, *subject), bar("other", 1, *other)],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::tests::sample;
    use crate::tables::tables;

    #[test]
    fn the_longer_bar_is_the_whole_width_and_text_cannot_end_it() {
        let mut tables = tables(&sample());
        tables[0].title = "a <b> title".to_owned();
        let svg = bars(&tables[0]).unwrap().expect("it has two values");
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
        assert!(svg.contains("width=\"600\" height=\"12\"") && svg.contains("a &lt;b&gt; title"), "{svg}");
        assert_eq!(svg.matches("class=\"subject\"").count(), svg.matches("class=\"other\"").count());
        tables[0].rows.clear();
        assert!(bars(&tables[0]).unwrap().is_none());
    }
}
