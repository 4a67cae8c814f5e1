//! `ringlog log dump`: what is in the files of a data directory, without a broker.

mod batches;
mod indexes;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use serde_json::{Map, Value};

use super::CommandError;
use super::records::named_base_offset;
use crate::config::{LogCommand, OutputFormat};

/// Shows each file; damage in one ends it, and the command fails when all were shown.
pub(super) fn run(LogCommand::Dump { files, records, format }: &LogCommand) -> Result<(), CommandError> {
    let mut out = Output { out: BufWriter::new(io::stdout().lock()), format: *format };
    let mut damage = Vec::new();
    for path in files {
        let shown = path.display();
        out.file(path, files.len() > 1)?;
        match dump(path, *records, &mut out) {
            Ok(()) => {}
            Err(CommandError::Damaged(reason)) => damage.push(format!("{shown}: {reason}")),
            Err(CommandError::Io(error)) => damage.push(format!("{shown}: {error}")),
            Err(other) => return Err(other),
        }
    }
    out.out.flush()?;
    if damage.is_empty() { Ok(()) } else { Err(CommandError::Damaged(damage.join("\n"))) }
}

fn dump(path: &Path, records: bool, out: &mut Output<impl Write>) -> Result<(), CommandError> {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let base_offset = || {
        let named = named_base_offset(path);
        named.ok_or_else(|| CommandError::Usage(format!("{}: the name holds no base offset", path.display())))
    };
    match extension {
        "log" | "checkpoint" => batches::dump(File::open(path)?, is_metadata(path), records, out),
        "index" => indexes::offsets(&std::fs::read(path)?, base_offset()?, out),
        "timeindex" => indexes::times(&std::fs::read(path)?, base_offset()?, out),
        "txnindex" => indexes::transactions(&std::fs::read(path)?, out),
        "snapshot" => indexes::producers(&std::fs::read(path)?, out),
        _ => Err(CommandError::Usage(format!(
            "{}: not a .log, .index, .timeindex, .txnindex, .snapshot or .checkpoint",
            path.display()
        ))),
    }
}

/// Whether its records are those of the metadata.
fn is_metadata(path: &Path) -> bool {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let folder = absolute.parent().and_then(Path::file_name).is_some_and(|name| name == "__cluster_metadata-0");
    folder || path.extension().is_some_and(|extension| extension == "checkpoint")
}

/// Where it is shown, and how.
struct Output<W: Write> {
    out: W,
    format: OutputFormat,
}

impl<W: Write> Output<W> {
    fn file(&mut self, path: &Path, is_one_of_several: bool) -> io::Result<()> {
        match self.format {
            OutputFormat::Text if is_one_of_several => writeln!(self.out, "{}", path.display()),
            OutputFormat::Text | OutputFormat::Json => Ok(()),
        }
    }

    /// One thing on one line: `name a: 1 b: 2`, or an object with its name under "kind".
    fn row(&mut self, kind: &str, indent: usize, fields: Vec<(&str, Value)>) -> io::Result<()> {
        match self.format {
            OutputFormat::Json => {
                let kind = std::iter::once(("kind", Value::from(kind)));
                let object: Map<String, Value> =
                    kind.chain(fields).map(|(name, value)| (name.to_owned(), value)).collect();
                writeln!(self.out, "{}", Value::Object(object))
            }
            OutputFormat::Text => {
                write!(self.out, "{:indent$}{kind}", "")?;
                for (name, value) in fields {
                    match value {
                        Value::String(text) => write!(self.out, " {name}: {text}")?,
                        value => write!(self.out, " {name}: {value}")?,
                    }
                }
                writeln!(self.out)
            }
        }
    }
}
