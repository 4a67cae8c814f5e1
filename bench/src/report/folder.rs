//! The folder of a result: everything that a stranger needs to check and repeat it.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::html::html;
use super::svg::bars;
use super::text;
use crate::results::Results;
use crate::scrub::Scrubber;
use crate::tables::tables;

/// Writes `results` into a new folder below `parent`, with the raw files and logs of `run_folder`. Gives its path.
pub fn write(results: &Results, parent: &Path, run_folder: &Path, scrubber: &Scrubber) -> anyhow::Result<PathBuf> {
    let day = results.started.split('T').next().unwrap_or_default();
    let base = format!("{day}-{}-{}", results.scenario.name, results.host);
    let folder = fresh(parent, &base)?;
    let put = |name: &str, text: &str| {
        fs::write(folder.join(name), scrubber.scrub(text)).with_context(|| format!("write {name}"))
    };
    put("summary.json", &format!("{}\n", serde_json::to_string_pretty(results)?))?;
    write_again(results, &folder, scrubber)?;
    put("README.md", &readme(results))?;
    fs::create_dir_all(folder.join("raw"))?;
    let raw = fs::read_dir(run_folder.join("raw")).into_iter().flatten().flatten();
    for entry in raw {
        let name = format!("raw/{}", entry.file_name().to_string_lossy());
        put(&name, &fs::read_to_string(entry.path())?)?;
    }
    for life in &results.lives {
        if !life.config.is_empty() {
            put(&format!("raw/{}.properties", life.target), &life.config)?;
        }
    }
    Ok(folder)
}

/// Writes into the folder of a result what is made from its `summary.json`.
pub fn write_again(results: &Results, folder: &Path, scrubber: &Scrubber) -> anyhow::Result<()> {
    let tables = tables(results);
    for (name, text) in [("summary.md", text::markdown(results, &tables)), ("report.html", html(results, &tables)?)] {
        fs::write(folder.join(name), scrubber.scrub(&text)).with_context(|| format!("write {name}"))?;
    }
    for table in &tables {
        let name = format!("{}.svg", table.name);
        if let Some(picture) = bars(table)? {
            fs::write(folder.join(&name), scrubber.scrub(&picture)).with_context(|| format!("write {name}"))?;
        }
    }
    Ok(())
}

/// A folder of this name that was not there before.
fn fresh(parent: &Path, base: &str) -> anyhow::Result<PathBuf> {
    fs::create_dir_all(parent)?;
    for number in 1..1_000 {
        let folder = parent.join(if number == 1 { base.to_owned() } else { format!("{base}-{number}") });
        match fs::create_dir(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error).with_context(|| format!("create {}", folder.display())),
        }
    }
    anyhow::bail!("{} holds a thousand results of this name", parent.display())
}

fn readme(results: &Results) -> String {
    let mut text = format!(
        "# {} on {}\n\nMade by `{}` at {}. `summary.md` has the tables, `report.html` and `*.svg` the pictures, `summary.json` \
         every run, `raw/` what the load generator wrote and the brokers' settings.\n\n## Brokers\n",
        results.scenario.name, results.host, results.command, results.started
    );
    for life in &results.lives {
        let _ = write!(text, "\n{}:\n\n```\n{}\n```\n", life.title, life.command);
    }
    let _ = write!(text, "\n## Every run, in order\n\n```\n");
    for run in results.runs.iter().filter(|run| !run.command.is_empty()) {
        let _ = writeln!(text, "taskset -c {} {}", results.loadgen_cores, run.command);
    }
    text.push_str("```\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::tests::sample;

    #[test]
    fn a_result_is_whole_scrubbed_and_never_overwritten() {
        let (parent, run_folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::create_dir(run_folder.path().join("raw")).unwrap();
        fs::write(run_folder.path().join("raw/a.json"), "{\"path\": \"/secret/place/x\"}").unwrap();
        let mut results = sample();
        results.lives[0].command = "taskset -c 0 /secret/place/ringlog".to_owned();
        let mut scrubber = Scrubber::default();
        scrubber.hide("/secret/place", "$PLACE");
        let folders = [0, 1].map(|_| write(&results, parent.path(), run_folder.path(), &scrubber).unwrap());
        assert_ne!(folders[0], folders[1]);
        for name in ["summary.json", "summary.md", "report.html", "page-cache.svg", "README.md", "raw/a.json"] {
            let text = fs::read_to_string(folders[0].join(name)).unwrap();
            assert!(!text.contains("/secret") && !text.is_empty(), "{name}");
        }
        assert!(fs::read_to_string(folders[0].join("README.md")).unwrap().contains("taskset -c 1 ringlog-loadgen"));
        assert_eq!(Results::load(&folders[0]).unwrap().runs.len(), results.runs.len());
    }
}
