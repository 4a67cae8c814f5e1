//! Where the programs come from: built from this checkout, or named by the user.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

/// The programs that a run needs.
#[derive(Debug, Clone)]
pub struct Programs {
    /// The broker.
    pub ringlog: PathBuf,
    /// The load generator.
    pub loadgen: PathBuf,
    /// Another build of the broker, to be compared with.
    pub base: Option<PathBuf>,
}

/// The checkout that this program was built from, if it is still there.
pub fn checkout() -> Option<&'static Path> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?;
    root.join("Cargo.lock").is_file().then_some(root)
}

/// Where brokers keep their data while they are measured: on the disk of the checkout, because `/tmp` may be memory.
pub fn data_parent() -> PathBuf {
    checkout().map_or_else(std::env::temp_dir, |root| root.join("target/bench"))
}

impl Programs {
    /// Builds what was not named, in release mode, with cargo's own output on stderr.
    pub fn find(ringlog: Option<&Path>, loadgen: Option<&Path>) -> anyhow::Result<Self> {
        let mut packages = Vec::new();
        if ringlog.is_none() {
            packages.push("ringlog-server");
        }
        if loadgen.is_none() {
            packages.push("ringlog-loadgen");
        }
        let built = if packages.is_empty() {
            PathBuf::new()
        } else {
            let root = checkout().context("the checkout is gone: name --ringlog-bin and --loadgen-bin")?;
            release(root, &root.join("target"), &packages)?
        };
        let or_built = |named: Option<&Path>, name: &str| named.map_or_else(|| built.join(name), Path::to_owned);
        let programs =
            Self { ringlog: or_built(ringlog, "ringlog"), loadgen: or_built(loadgen, "ringlog-loadgen"), base: None };
        for program in [&programs.ringlog, &programs.loadgen] {
            anyhow::ensure!(program.is_file(), "{} is not there", program.display());
        }
        Ok(programs)
    }
}

/// Builds the programs of packages of the checkout at `root`; gives the folder with them.
pub fn release(root: &Path, target: &Path, packages: &[&str]) -> anyhow::Result<PathBuf> {
    let packages: Vec<&str> = packages.iter().flat_map(|package| ["-p", package]).collect();
    cargo_build(root, target, &packages)?;
    Ok(target.join("release"))
}

/// Builds an example. It goes by itself: its dev-dependencies would change what programs are built with.
pub fn release_example(root: &Path, target: &Path, package: &str, example: &str) -> anyhow::Result<PathBuf> {
    cargo_build(root, target, &["-p", package, "--example", example])?;
    Ok(target.join("release/examples").join(example))
}

fn cargo_build(root: &Path, target: &Path, what: &[&str]) -> anyhow::Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(root).args(["build", "--release", "--locked"]).arg("--target-dir").arg(target).args(what);
    let status = command.status().context("cargo cannot be started")?;
    anyhow::ensure!(status.success(), "cargo build {} failed", what.join(" "));
    Ok(())
}
