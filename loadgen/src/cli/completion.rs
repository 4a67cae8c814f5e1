//! Scripts that complete the command line in a shell.

use clap::CommandFactory;
use clap_complete::{Shell, generate};

use super::Cli;

const PROGRAM: &str = "ringlog-loadgen";

/// The script for `shell`.
pub fn completion(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    generate(shell, &mut Cli::command(), PROGRAM, &mut script);
    if shell != Shell::Bash {
        return script;
    }
    // clap_complete spells a hyphen of the program's name in two ways, so that no subcommand was completed
    // (clap-rs/clap#6421).
    let script = String::from_utf8_lossy(&script);
    script.replace(&PROGRAM.replace('-', "__subcmd__"), &PROGRAM.replace('-', "__")).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The script walks from state to state along the words, and then looks for the arm of the last one.
    #[test]
    fn every_subcommand_is_completed_in_bash() {
        let script = String::from_utf8(completion(Shell::Bash)).expect("it is text");
        let state = |line: &'static str| {
            line.trim().strip_prefix("cmd=\"")?.strip_suffix('"').filter(|state| !state.is_empty())
        };
        let lines: Vec<&'static str> = script.leak().lines().collect();
        let states: Vec<&str> = lines.iter().copied().filter_map(state).collect();
        assert!(states.iter().any(|state| state.ends_with("produce")));
        for state in states {
            assert!(lines.iter().any(|line| line.trim() == format!("{state})")), "{state}");
        }
    }
}
