//! The report as one HTML file: data, code and charts inside, nothing from a network.

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, context};

use super::text;
use crate::figure::{self, FIGURES};
use crate::results::Results;
use crate::tables::Table;

const TEMPLATE: &str = include_str!("../../assets/report.html");
const CSS: &str = include_str!("../../assets/report.css");
const JS: &str = include_str!("../../assets/report.js");
/// Vendored, see `bench/assets/uplot/LICENSE`.
const UPLOT_JS: &str = include_str!("../../assets/uplot/uPlot.iife.min.js");
const UPLOT_CSS: &str = include_str!("../../assets/uplot/uPlot.min.css");
const UPLOT_VERSION: &str = "1.6.32";

/// The whole file.
pub fn html(results: &Results, tables: &[Table]) -> anyhow::Result<String> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.add_template("report", TEMPLATE)?;
    let data = serde_json::json!({"results": results, "tables": tables, "figures": FIGURES});
    let limits = results.limits.rows().map(|(name, value, unit)| (name, figure::format(value), unit));
    let lives: Vec<_> = results.lives.iter().map(text::life_cells).collect();
    let (disturbed, counted) = results.disturbed_count();
    Ok(environment.get_template("report")?.render(context! {
        results => Serde(results),
        tables => Serde(tables),
        limits => Serde(limits),
        lives => Serde(lives),
        life_columns => text::LIFE_COLUMNS,
        disturbed,
        counted,
        data => inside_script(&data.to_string()),
        css => CSS,
        js => JS,
        uplot_css => UPLOT_CSS,
        uplot_js => UPLOT_JS,
        uplot_version => UPLOT_VERSION,
    })?)
}

/// JSON that no text in it can end: `<` only occurs inside its strings.
fn inside_script(json: &str) -> String {
    json.replace('<', "\\u003c")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::tests::sample;
    use crate::tables::tables;

    #[test]
    fn the_file_needs_no_network_and_holds_everything() {
        let mut results = sample();
        results.merge_curves();
        let html = html(&results, &tables(&results)).unwrap();
        assert!(UPLOT_JS.contains(&format!("v{UPLOT_VERSION}")));
        for outside in ["src=\"http", "href=\"http", "@import", "fetch("] {
            assert!(!html.contains(outside), "{outside}");
        }
        for part in ["3.50x better", "Kafka 4.3.1", "id=\"results\"", "produce-16k"] {
            assert!(html.contains(part), "{part}");
        }
    }

    #[test]
    fn what_a_broker_says_cannot_leave_its_place() {
        let mut results = sample();
        results.missing.insert("kafka-fsync".to_owned(), "</script><b>x</b>".to_owned());
        results.runs[0].failed = Some("</script><b>x</b>".to_owned());
        let html = html(&results, &tables(&results)).unwrap();
        assert!(!html.contains("</script><b>"), "escaped in text and in data");
        let data = html.split("id=\"results\">").nth(1).unwrap().split("</script>").next().unwrap();
        assert!(serde_json::from_str::<serde_json::Value>(data).is_ok());
    }
}
