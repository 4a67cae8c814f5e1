//! Which cores a process may use.

use std::fmt;
use std::str::FromStr;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde::{Deserialize, Serialize};

/// Cores by number, ascending.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cores(Vec<usize>);

/// Cores as a scenario names them, for any machine.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum Wanted {
    /// Every core.
    All,
    /// The last one.
    Last,
    /// All but the last; on a machine with one core, that one.
    Rest,
    /// These.
    These(Vec<usize>),
}

impl Wanted {
    /// The cores of this machine that are meant.
    pub fn on(&self, machine: &Cores) -> anyhow::Result<Cores> {
        let all = &machine.0;
        let split = all.len().saturating_sub(1);
        Ok(Cores(match self {
            Self::All => all.clone(),
            Self::Last => all[split..].to_vec(),
            Self::Rest if split == 0 => all.clone(),
            Self::Rest => all[..split].to_vec(),
            Self::These(cores) => {
                let missing: Vec<String> =
                    cores.iter().filter(|core| !all.contains(core)).map(ToString::to_string).collect();
                anyhow::ensure!(missing.is_empty(), "no core {} here, only {machine}", missing.join(","));
                cores.clone()
            }
        }))
    }
}

impl FromStr for Wanted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "all" => Ok(Self::All),
            "last" => Ok(Self::Last),
            "rest" => Ok(Self::Rest),
            list => parse_list(list).map(Self::These).ok_or_else(|| {
                format!("`{text}` names no cores: write `all`, `last`, `rest`, or a list such as `0-2,5`")
            }),
        }
    }
}

impl TryFrom<String> for Wanted {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Wanted> for String {
    fn from(wanted: Wanted) -> Self {
        match wanted {
            Wanted::All => "all".to_owned(),
            Wanted::Last => "last".to_owned(),
            Wanted::Rest => "rest".to_owned(),
            Wanted::These(cores) => Cores(cores).to_string(),
        }
    }
}

/// `0-2,5` gives 0, 1, 2, 5.
fn parse_list(text: &str) -> Option<Vec<usize>> {
    let mut cores = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        if first > last || last >= CpuSet::MAX_CPU {
            return None;
        }
        cores.extend(first..=last);
    }
    cores.sort_unstable();
    cores.dedup();
    Some(cores)
}

impl Cores {
    /// What this program may use.
    pub fn of_this_machine() -> std::io::Result<Self> {
        let set = sched_getaffinity(None)?;
        Ok(Self((0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect()))
    }

    /// The lowest.
    pub fn first(&self) -> usize {
        self.0.first().copied().unwrap_or_default()
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Binds the calling thread.
    pub fn bind(&self) -> std::io::Result<()> {
        let mut set = CpuSet::new();
        self.0.iter().for_each(|core| set.set(*core));
        Ok(sched_setaffinity(None, &set)?)
    }

    /// Runs `start` bound to these cores, which a process started in it inherits before it has run at all.
    pub fn within<T>(&self, start: impl FnOnce() -> std::io::Result<T>) -> std::io::Result<T> {
        let before = Self::of_this_machine()?;
        self.bind()?;
        let started = start();
        before.bind()?;
        started
    }
}

impl fmt::Display for Cores {
    /// As `taskset -c` takes them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&numbers.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wanted_cores_fit_any_machine() {
        let (one, four) = (Cores(vec![3]), Cores(vec![0, 1, 2, 3]));
        let on = |text: &str, machine: &Cores| text.parse::<Wanted>().unwrap().on(machine).map(|cores| cores.0);
        assert_eq!(on("rest", &four).unwrap(), [0, 1, 2]);
        assert_eq!(on("last", &four).unwrap(), [3]);
        assert_eq!(on("rest", &one).unwrap(), [3]);
        assert_eq!(on("last", &one).unwrap(), [3]);
        assert_eq!(on("0-1,3", &four).unwrap(), [0, 1, 3]);
        assert!(on("7", &four).unwrap_err().to_string().contains("no core 7"));
        for bad in ["", "x", "2-1", "1,,2", "99999999"] {
            assert!(bad.parse::<Wanted>().is_err(), "{bad}");
        }
    }

    #[test]
    fn affinity_is_given_back() {
        let before = Cores::of_this_machine().unwrap();
        let one = Cores(vec![before.first()]);
        let inside = one.within(Cores::of_this_machine).unwrap();
        assert_eq!(inside, one);
        assert_eq!(Cores::of_this_machine().unwrap(), before);
    }
}
