//! What the checkout is compared with: a commit, built in a work tree of its own, or the counts of an earlier gate.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use anyhow::Context;

use super::{Build, Counts, Gate, SCHEMA_VERSION};
use crate::runner::Progress;

/// A base.
#[derive(Debug)]
pub enum Base {
    /// To be measured.
    Built(Build),
    /// It was measured before, on a machine of the same kind.
    Counted(Counts),
}

impl Base {
    /// From a folder or file of an earlier gate, or a broker that is built already, else from a git reference.
    pub fn find(name: &str, root: &Path, progress: &Progress) -> anyhow::Result<Self> {
        let path = Path::new(name);
        if is_program(path) {
            return Ok(Self::Built(Build::of(path)?));
        }
        if path.exists() {
            return Self::read(&if path.is_dir() { path.join("gate.json") } else { path.to_owned() });
        }
        let commit = git(root, &["rev-parse", "--verify", "--quiet", &format!("{name}^{{commit}}")])
            .with_context(|| format!("`{name}` is neither a file nor a git reference"))?;
        let folder = root.join("target/gate");
        let kept = folder.join(&commit);
        if !kept.is_dir() {
            progress.say(&format!("build the base, {name}"));
            fs::create_dir_all(&folder)?;
            build_commit(root, &folder, &commit, &kept)?;
        }
        Ok(Self::Built(Build::of(&kept.join("ringlog"))?))
    }

    fn read(file: &Path) -> anyhow::Result<Self> {
        let text = fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
        let gate: Gate =
            serde_json::from_str(&text).with_context(|| format!("{}: no gate's result", file.display()))?;
        anyhow::ensure!(gate.schema_version == SCHEMA_VERSION, "{}: schema {}", file.display(), gate.schema_version);
        Ok(Self::Counted(gate.counts))
    }
}

fn is_program(path: &Path) -> bool {
    path.is_file() && fs::metadata(path).is_ok_and(|data| data.permissions().mode() & 0o111 != 0)
}

/// Leaves the commit's programs in `kept`, which is there only when all of them are.
fn build_commit(root: &Path, folder: &Path, commit: &str, kept: &Path) -> anyhow::Result<()> {
    let tree = folder.join("base");
    let shown = tree.display().to_string();
    // One that an interrupted gate left is of another commit.
    let _ = git(root, &["worktree", "remove", "--force", &shown]);
    git(root, &["worktree", "add", "--detach", "--force", &shown, commit])?;
    let keep = |build: Build| -> anyhow::Result<()> {
        let passing = tempfile::tempdir_in(folder)?;
        build.copy_to(passing.path())?;
        fs::rename(passing.keep(), kept)?;
        Ok(())
    };
    let done = Build::from_sources(&tree, &folder.join("target")).and_then(keep);
    git(root, &["worktree", "remove", "--force", &shown])?;
    done
}

fn git(root: &Path, arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new("git").current_dir(root).args(arguments).output().context("git cannot be started")?;
    anyhow::ensure!(
        output.status.success(),
        "git {}: {}",
        arguments[0],
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_earlier_gate_is_a_base_and_nonsense_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let counts: Counts = [("produce".to_owned(), [("instructions".to_owned(), 5.0)].into())].into();
        let gate = Gate { schema_version: SCHEMA_VERSION, counts: counts.clone(), ..Gate::default() };
        fs::write(folder.path().join("gate.json"), serde_json::to_string(&gate).unwrap()).unwrap();
        let find = |name: &Path| Base::find(&name.to_string_lossy(), Path::new("."), &Progress::new(0, true));
        let Base::Counted(read) = find(folder.path()).unwrap() else { panic!("counted") };
        assert_eq!(read, counts);
        assert!(find(Path::new("no-such-reference")).unwrap_err().to_string().contains("neither"));
        fs::write(folder.path().join("gate.json"), "{}").unwrap();
        assert!(find(folder.path()).is_err());
    }
}
