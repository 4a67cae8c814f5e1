//! Processes that this program starts: own process group, output to a file, a stop within a bound.
//!
//! Invariant: a process ends when its [`Process`] is dropped, and with this program when it panics or is interrupted.
//! The release build aborts on panic, so the panic hook does it, not `Drop` alone.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tempfile::TempDir;

use crate::cores::Cores;

/// How often a process that should end is looked at.
const LOOK: Duration = Duration::from_millis(10);
/// Lines of its output that an error shows.
const TAIL_LINES: usize = 8;

/// The groups that are alive.
static LIVE: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

fn live() -> MutexGuard<'static, Vec<Pid>> {
    LIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Folders to be removed when this program is interrupted.
static FOLDERS: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

fn folders() -> MutexGuard<'static, Vec<PathBuf>> {
    FOLDERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From here on a panic, Ctrl-C, SIGTERM and a lost terminal end what was started.
pub fn end_with_this_program() -> io::Result<()> {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        kill_all();
        print(panic);
    }));
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            kill_all();
            std::process::exit(128 + signal);
        }
    });
    Ok(())
}

fn kill_all() {
    for group in live().drain(..) {
        // Gone already is as good.
        let _ = kill_process_group(group, Signal::KILL);
    }
    for folder in folders().drain(..) {
        let _ = fs::remove_dir_all(folder);
    }
}

/// A new folder below `parent` that is gone when it is dropped, and when this program is interrupted.
pub fn passing_folder(parent: &Path) -> io::Result<TempDir> {
    fs::create_dir_all(parent)?;
    let folder = tempfile::Builder::new().prefix("ringlog-bench-").tempdir_in(parent)?;
    folders().push(folder.path().to_owned());
    Ok(folder)
}

/// One process and what it starts in turn.
#[derive(Debug)]
pub struct Process {
    child: Child,
    group: Pid,
    output: PathBuf,
}

impl Process {
    /// Starts `command` on `cores`; everything that it prints goes to the file `output`.
    pub fn start(command: &mut Command, cores: &Cores, output: &Path) -> io::Result<Self> {
        let file = File::create(output)?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).process_group(0);
        let child = cores.within(|| command.spawn())?;
        let group = Pid::from_child(&child);
        live().push(group);
        Ok(Self { child, group, output: output.to_owned() })
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The exit status, once it has ended.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Waits for its end, at most so long; nothing if it still runs then.
    pub fn wait(&mut self, bound: Duration) -> io::Result<Option<ExitStatus>> {
        let until = Instant::now() + bound;
        loop {
            match self.ended()? {
                None if Instant::now() < until => thread::sleep(LOOK),
                done => return Ok(done),
            }
        }
    }

    /// SIGTERM, and SIGKILL when that was not enough within `bound`. True if it ended by itself.
    pub fn stop(mut self, bound: Duration) -> io::Result<bool> {
        self.terminate();
        Ok(self.wait(bound)?.is_some())
    }

    /// SIGTERM to it and to what it started.
    pub fn terminate(&self) {
        // Gone already is as good.
        let _ = kill_process_group(self.group, Signal::TERM);
    }

    /// The last lines that it printed.
    pub fn tail(&self) -> String {
        let text = fs::read_to_string(&self.output).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
    }

    /// Leaves it running: it no longer ends with this program.
    pub fn detach(self) {
        live().retain(|group| *group != self.group);
        std::mem::forget(self);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Its children too, even when it has ended itself.
        let _ = kill_process_group(self.group, Signal::KILL);
        let _ = self.child.wait();
        live().retain(|group| *group != self.group);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, output: &Path) -> Process {
        let cores = Cores::of_this_machine().unwrap();
        Process::start(Command::new("sh").args(["-c", script]), &cores, output).unwrap()
    }

    fn is_alive(pid: u32) -> bool {
        fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
    }

    #[test]
    fn a_dropped_process_takes_its_children_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("out");
        let process = shell("sleep 600 & echo $!; wait", &output);
        let child = loop {
            match fs::read_to_string(&output).unwrap().trim().parse::<u32>() {
                Ok(child) => break child,
                Err(_) => thread::sleep(LOOK),
            }
        };
        let pid = process.pid();
        assert!(is_alive(pid) && is_alive(child));
        drop(process);
        assert!(!is_alive(pid));
        while is_alive(child) {
            thread::sleep(LOOK);
        }
        assert!(live().iter().all(|group| group.as_raw_nonzero().get() as u32 != pid));
    }

    #[test]
    fn one_that_ignores_sigterm_is_killed() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("out");
        let process = shell("trap '' TERM; echo ready; while :; do sleep 600; done", &output);
        while !process.tail().contains("ready") {
            thread::sleep(LOOK);
        }
        let pid = process.pid();
        assert!(!process.stop(Duration::from_millis(50)).unwrap());
        assert!(!is_alive(pid));
    }

    #[test]
    fn the_end_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let mut process = shell("echo last words; exit 7", &folder.path().join("out"));
        let status = process.wait(Duration::from_secs(60)).unwrap().expect("it ends");
        assert_eq!((status.code(), process.tail().as_str()), (Some(7), "last words"));
    }
}
