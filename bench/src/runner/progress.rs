//! What is going on, on stderr: a bar on a terminal, plain lines elsewhere, nothing when told so.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// Where progress goes.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    lines: bool,
    quiet: bool,
}

impl Progress {
    /// For so many runs.
    pub fn new(runs: u64, quiet: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let bar = if quiet || !terminal { ProgressBar::hidden() } else { ProgressBar::new(runs) };
        let style = ProgressStyle::with_template("{bar:24} {pos}/{len}  {elapsed} of about {duration}  {msg}");
        bar.set_style(style.expect("the template is well formed").progress_chars("█▉▊▋▌▍▎▏ "));
        bar.enable_steady_tick(Duration::from_secs(1));
        Self { bar, lines: !terminal && !quiet, quiet }
    }

    /// What happens now.
    pub fn say(&self, what: &str) {
        self.bar.set_message(what.to_owned());
        if self.lines {
            eprintln!("{what}");
        }
    }

    /// Something that the user should know.
    pub fn warn(&self, what: &str) {
        if self.lines {
            eprintln!("{what}");
        } else if !self.quiet {
            self.bar.println(what);
        }
    }

    /// One run more is done.
    pub fn done_one(&self) {
        self.bar.inc(1);
    }

    /// All is done.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
