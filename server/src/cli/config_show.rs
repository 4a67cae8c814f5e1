//! `ringlog config show`: what a broker would start with, and who said so.

use std::io::{self, Write};

use serde::Serialize;

use super::output::{Column, print_rows};
use crate::config::{ConfigSources, DescribedConfig, OutputFormat, Settings, ShowOptions};

/// Shown instead of a secret.
const HIDDEN: &str = "********";

/// One key.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    name: &'a str,
    value: &'a str,
    origin: String,
    /// Whether it does anything here.
    acts: bool,
}

/// Prints the keys of `settings`.
pub(super) fn show(settings: &Settings, options: &ShowOptions) -> io::Result<()> {
    let sources = ConfigSources { broker: None, cluster: None, file: &settings.properties };
    let described = sources.describe_broker();
    let shown: Vec<Shown<'_>> = described.iter().filter_map(|config| shown(settings, config, options.all)).collect();
    if options.format == OutputFormat::Json || options.origin {
        let columns = [Column::Text("KEY"), Column::Text("VALUE"), Column::Text("FROM")];
        let cells = |key: &Shown<'_>| vec![key.name.to_owned(), key.value.to_owned(), key.origin.clone()];
        return print_rows(options.format, &columns, &shown, cells);
    }
    let mut stdout = io::stdout().lock();
    shown.iter().try_for_each(|key| writeln!(stdout, "{}={}", key.name, key.value))
}

/// Keys that are given, or act, or all; without a value there is nothing to show.
fn shown<'a>(settings: &'a Settings, config: &'a DescribedConfig<'_>, all: bool) -> Option<Shown<'a>> {
    let given = settings.properties.iter().find(|property| property.key == config.name && !property.value.is_empty());
    let acts = config.def.is_some_and(|def| def.acts());
    let value = config.value.as_deref().or(given.map(|property| property.value.as_str()))?;
    let is_secret = config.def.is_none_or(|def| def.is_sensitive());
    (given.is_some() || acts || all).then(|| Shown {
        name: config.name,
        value: if is_secret { HIDDEN } else { value },
        origin: given.map_or_else(|| "default".to_owned(), |property| property.origin.to_string()),
        acts,
    })
}
