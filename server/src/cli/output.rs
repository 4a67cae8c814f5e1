//! How commands print: aligned tables for people, JSON for programs.

use std::io::{self, Write};

use comfy_table::presets::NOTHING;
use comfy_table::{Cell, CellAlignment, Table};
use serde::Serialize;

use crate::config::OutputFormat;

/// A column of a table: its head, and whether numbers stand in it.
pub(super) enum Column {
    Text(&'static str),
    Number(&'static str),
}

/// Prints `rows`, a JSON object each, as one JSON array, or as a table with the cells that `cells` makes of each.
pub(super) fn print_rows<T: Serialize>(
    format: OutputFormat,
    columns: &[Column],
    rows: &[T],
    cells: impl Fn(&T) -> Vec<String>,
) -> io::Result<()> {
    match format {
        OutputFormat::Json => print_json(&rows),
        OutputFormat::Text => {
            let text = table(columns, rows.iter().map(cells));
            writeln!(io::stdout(), "{text}")
        }
    }
}

/// Prints one JSON value.
pub(super) fn print_json(value: &impl Serialize) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    serde_json::to_writer_pretty(&mut stdout, value)?;
    writeln!(stdout)
}

fn table(columns: &[Column], rows: impl Iterator<Item = Vec<String>>) -> String {
    let head = columns.iter().map(|column| match column {
        Column::Text(name) | Column::Number(name) => *name,
    });
    let mut table = Table::new();
    table.load_preset(NOTHING).set_header(head);
    for row in rows {
        let cells = row.into_iter().zip(columns).map(|(text, column)| match column {
            Column::Text(_) => Cell::new(text),
            Column::Number(_) => Cell::new(text).set_alignment(CellAlignment::Right),
        });
        table.add_row(cells);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_nothing_trails() {
        let columns = [Column::Text("NAME"), Column::Number("COUNT")];
        let rows = [vec!["a".to_owned(), "1000".to_owned()], vec!["longer".to_owned(), "7".to_owned()]];
        assert_eq!(table(&columns, rows.into_iter()), "NAME    COUNT\na        1000\nlonger      7");
    }
}
