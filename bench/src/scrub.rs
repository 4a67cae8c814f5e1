//! Takes out of a text what belongs to this machine: paths, the user, the host.
//!
//! Results are published. Everything that is written to them goes through here.

use std::path::Path;

/// Shorter needles would hit ordinary words.
const NEEDLE_LEN_MIN: usize = 4;

/// What is replaced by what.
#[derive(Debug, Clone, Default)]
pub struct Scrubber {
    /// Longest first, so that a path inside another one is found first.
    needles: Vec<(String, String)>,
}

impl Scrubber {
    /// Knows the checkout, the home, the temporary folder and the host of this machine.
    pub fn of_this_machine() -> Self {
        let mut scrubber = Self::default();
        let root = crate::build::checkout();
        if let Some(root) = root {
            scrubber.hide_path(root, ".");
        }
        if let Some(current) =
            std::env::current_dir().ok().filter(|current| root.is_none_or(|root| !current.starts_with(root)))
        {
            scrubber.hide_path(&current, ".");
        }
        if let Some(home) = std::env::home_dir() {
            scrubber.hide_path(&home, "~");
        }
        scrubber.hide_path(&std::env::temp_dir(), "$TMPDIR");
        scrubber.hide(&rustix::system::uname().nodename().to_string_lossy(), "HOST");
        scrubber
    }

    /// Replaces a path.
    pub fn hide_path(&mut self, path: &Path, by: &str) {
        self.hide(&path.to_string_lossy(), by);
        if let Ok(real) = path.canonicalize() {
            self.hide(&real.to_string_lossy(), by);
        }
    }

    /// Replaces a text, unless it is so short that it would hit ordinary words.
    pub fn hide(&mut self, needle: &str, by: &str) {
        let known = self.needles.iter().any(|(known, _)| known == needle);
        if needle.len() < NEEDLE_LEN_MIN || needle == "localhost" || known {
            return;
        }
        self.needles.push((needle.to_owned(), by.to_owned()));
        self.needles.sort_by_key(|(needle, _)| std::cmp::Reverse(needle.len()));
    }

    /// The text without them.
    pub fn scrub(&self, text: &str) -> String {
        self.needles.iter().fold(text.to_owned(), |text, (needle, by)| text.replace(needle, by))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inner_paths_go_before_outer_ones() {
        let mut scrubber = Scrubber::default();
        scrubber.hide("/home/ann", "~");
        scrubber.hide("/home/ann/work/ringlog", ".");
        scrubber.hide("annsbox", "HOST");
        let text = "/home/ann/work/ringlog/target/release/ringlog on annsbox, /home/ann/.cache";
        assert_eq!(scrubber.scrub(text), "./target/release/ringlog on HOST, ~/.cache");
    }

    #[test]
    fn what_would_hit_ordinary_words_stays() {
        let mut scrubber = Scrubber::default();
        scrubber.hide("a", "X");
        scrubber.hide("localhost", "X");
        assert_eq!(scrubber.scrub("a localhost"), "a localhost");
    }

    #[test]
    fn this_machine_is_known() {
        let scrubber = Scrubber::of_this_machine();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("log");
        assert!(scrubber.scrub(&file.to_string_lossy()).starts_with("$TMPDIR"));
        assert_eq!(scrubber.scrub(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), "./bench/src");
    }
}
