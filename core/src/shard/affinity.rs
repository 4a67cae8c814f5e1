//! Which cores the shards run on, and how many shards there are by default.

use std::fs;
use std::path::Path;

pub use core_affinity::CoreId;

/// The cores this process may use. Call it once, in `main`, before any thread is pinned: a pinned thread sees one core.
pub fn allowed_cores() -> Vec<CoreId> {
    core_affinity::get_core_ids().unwrap_or_default()
}

/// Pins the calling thread. False when the kernel refuses: the shard then runs unpinned.
#[must_use = "a refusal deserves a warning"]
pub fn pin(core: CoreId) -> bool {
    core_affinity::set_for_current(core)
}

/// Shards for `cores_count` allowed cores under a quota: as many as can run at the same time, at least one.
pub fn default_shard_count(cores_count: usize, quota: Option<CpuQuota>) -> usize {
    quota.map_or(cores_count, |quota| quota.cores_ceil().min(cores_count)).max(1)
}

/// A cgroup's bound on CPU time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CpuQuota {
    /// CPU time per period.
    pub quota_us: u64,
    /// The period; not 0.
    pub period_us: u64,
}

impl CpuQuota {
    /// The tightest quota of this process's cgroup and those above it, version 1 or 2. None without a bound.
    pub fn of_this_process() -> Option<Self> {
        Self::of(Path::new("/proc/self/cgroup"), Path::new("/sys/fs/cgroup"))
    }

    /// Cores the quota is worth, rounded up.
    pub fn cores_ceil(self) -> usize {
        usize::try_from(self.quota_us.div_ceil(self.period_us)).unwrap_or(usize::MAX)
    }

    fn of(membership: &Path, mount: &Path) -> Option<Self> {
        let membership = fs::read_to_string(membership).ok()?;
        membership.lines().filter_map(|line| Self::of_group(line, mount)).min_by(|a, b| a.cmp_tightness(b))
    }

    /// `line` is `id:controllers:path`; version 2 has no controllers.
    fn of_group(line: &str, mount: &Path) -> Option<Self> {
        let mut fields = line.splitn(3, ':');
        let (_, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
        let is_v2 = controllers.is_empty();
        let roots = if is_v2 {
            [mount.to_path_buf(), mount.join("unified")]
        } else if controllers.split(',').any(|controller| controller == "cpu") {
            [mount.join(controllers), mount.join("cpu")]
        } else {
            return None;
        };
        // In a container without a cgroup namespace the path is the host's and not to be seen here; the walk upwards then
        // ends at the mount, which is the container's own group.
        let path = Path::new(path.trim_start_matches('/'));
        let groups = roots.iter().flat_map(|root| path.ancestors().map(move |group| root.join(group)));
        let quotas = groups.filter_map(|group| if is_v2 { Self::read_v2(&group) } else { Self::read_v1(&group) });
        quotas.min_by(|a, b| a.cmp_tightness(b))
    }

    fn read_v2(group: &Path) -> Option<Self> {
        let text = fs::read_to_string(group.join("cpu.max")).ok()?;
        let mut words = text.split_ascii_whitespace();
        Self::parse(words.next()?, words.next()?)
    }

    fn read_v1(group: &Path) -> Option<Self> {
        let quota = fs::read_to_string(group.join("cpu.cfs_quota_us")).ok()?;
        let period = fs::read_to_string(group.join("cpu.cfs_period_us")).ok()?;
        Self::parse(quota.trim(), period.trim())
    }

    /// No bound is `max` in version 2 and `-1` in version 1: neither is a `u64`.
    fn parse(quota: &str, period: &str) -> Option<Self> {
        let quota = Self { quota_us: quota.parse().ok()?, period_us: period.parse().ok()? };
        (quota.period_us > 0 && quota.quota_us > 0).then_some(quota)
    }

    fn cmp_tightness(&self, other: &Self) -> std::cmp::Ordering {
        let left = u128::from(self.quota_us) * u128::from(other.period_us);
        left.cmp(&(u128::from(other.quota_us) * u128::from(self.period_us)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quota(membership: &str, files: &[(&str, &str)]) -> Option<CpuQuota> {
        let folder = tempfile::tempdir().unwrap();
        let mount = folder.path().join("mount");
        fs::create_dir_all(&mount).unwrap();
        for (path, text) in files {
            let path = mount.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        fs::write(folder.path().join("cgroup"), membership).unwrap();
        CpuQuota::of(&folder.path().join("cgroup"), &mount)
    }

    #[test]
    fn version_2_takes_the_tightest_of_the_groups_above() {
        let files = [("a/b/cpu.max", "max 100000\n"), ("a/cpu.max", "150000 100000\n"), ("cpu.max", "400000 100000\n")];
        let quota = quota("0::/a/b\n", &files).unwrap();
        assert_eq!((quota.quota_us, quota.cores_ceil()), (150_000, 2));
    }

    #[test]
    fn version_1_reads_quota_and_period() {
        let membership = "3:memory:/x\n2:cpu,cpuacct:/x\n0::/\n";
        let files = [("cpu,cpuacct/x/cpu.cfs_quota_us", "50000\n"), ("cpu,cpuacct/x/cpu.cfs_period_us", "100000\n")];
        assert_eq!(quota(membership, &files).unwrap().cores_ceil(), 1);
        let unbound = [("cpu,cpuacct/x/cpu.cfs_quota_us", "-1\n"), ("cpu,cpuacct/x/cpu.cfs_period_us", "100000\n")];
        assert_eq!(quota(membership, &unbound), None);
    }

    #[test]
    fn a_host_path_that_a_container_cannot_see_ends_at_its_mount() {
        assert_eq!(quota("0::/docker/abc\n", &[("cpu.max", "300000 100000")]).unwrap().cores_ceil(), 3);
    }

    #[test]
    fn nothing_readable_is_no_bound() {
        assert_eq!(quota("", &[]), None);
        assert_eq!(quota("0::/\nnonsense\n", &[("cpu.max", "5 0")]), None);
        assert_eq!(CpuQuota::of(Path::new("/nonexistent"), Path::new("/nonexistent")), None);
    }

    #[test]
    fn shards_are_at_least_one_and_at_most_the_cores() {
        let quota = |quota_us| Some(CpuQuota { quota_us, period_us: 100_000 });
        assert_eq!(default_shard_count(8, None), 8);
        assert_eq!(default_shard_count(8, quota(250_000)), 3);
        assert_eq!(default_shard_count(2, quota(800_000)), 2);
        assert_eq!(default_shard_count(0, None), 1);
    }
}
