//! One build of Ringlog: the broker, and the program that sends requests to it in the simulated world.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::build;

/// Its name, and the folder beside the broker where cargo puts it.
const REQUESTS: &str = "requests";
const EXAMPLES: &str = "examples";
const RINGLOG: &str = "ringlog";

/// Programs of one commit.
#[derive(Debug, Clone)]
pub struct Build {
    /// The broker.
    pub ringlog: PathBuf,
    /// `server/examples/requests.rs`.
    pub requests: PathBuf,
}

impl Build {
    /// Where this broker is.
    pub fn of(ringlog: &Path) -> anyhow::Result<Self> {
        let requests = ringlog.with_file_name(EXAMPLES).join(REQUESTS);
        anyhow::ensure!(ringlog.is_file(), "{} is not there", ringlog.display());
        anyhow::ensure!(requests.is_file(), "{}, which is counted, is not there", requests.display());
        Ok(Self { ringlog: ringlog.to_owned(), requests })
    }

    /// From the sources at `root`.
    pub fn from_sources(root: &Path, target: &Path) -> anyhow::Result<Self> {
        let ringlog = build::release(root, target, &["ringlog-server"])?.join(RINGLOG);
        let requests = build::release_example(root, target, "ringlog-server", REQUESTS)?;
        Ok(Self { ringlog, requests })
    }

    /// A copy in an empty folder.
    pub fn copy_to(&self, folder: &Path) -> anyhow::Result<()> {
        fs::create_dir(folder.join(EXAMPLES))?;
        fs::copy(&self.ringlog, folder.join(RINGLOG)).context("copy the broker")?;
        fs::copy(&self.requests, folder.join(EXAMPLES).join(REQUESTS)).context("copy the program that is counted")?;
        Ok(())
    }
}
