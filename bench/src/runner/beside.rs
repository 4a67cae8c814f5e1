//! What goes on while something else is measured.

use std::time::Duration;

use super::turn::Turn;
use crate::compaction::Backlog;
use crate::load::LoadError;
use crate::process::Process;
use crate::scenario::{Beside, LoadKind};

/// Longer than any run.
const SECONDS: f64 = 7_200.0;
/// What its end may take.
const END_MAX: Duration = Duration::from_secs(30);

/// A load that goes on.
#[derive(Debug)]
pub(super) enum BesideRun<'a> {
    /// Of the load generator.
    Load(Process),
    /// Of another topic than the one that is measured.
    Cleaning(Backlog<'a>),
}

impl<'a> BesideRun<'a> {
    /// Gets everything ready that is not meant to go on meanwhile, and starts.
    pub(super) fn start(turn: &Turn<'a>, beside: &Beside) -> Result<Self, LoadError> {
        if beside.load == LoadKind::Compaction {
            let topic = format!("{}-beside", turn.topic);
            let backlog = Backlog::fill(turn.broker, topic, turn.class, &beside.flags)?;
            backlog.start_cleaning()?;
            return Ok(Self::Cleaning(backlog));
        }
        let load = turn.as_load(beside.load, beside.flags.clone(), 0.0, SECONDS);
        load.start(turn.within.loadgen, turn.within.cores, turn.within.folder).map(Self::Load)
    }

    /// Ends it. It must have gone on until now.
    pub(super) fn end(self) -> Result<(), LoadError> {
        match self {
            Self::Load(mut process) => match process.ended()? {
                Some(status) => Err(LoadError::Beside(format!("{status}: {}", process.tail()))),
                None => Ok(process.stop(END_MAX).map(|_| ())?),
            },
            Self::Cleaning(backlog) => {
                let is_cleaned = backlog.is_cleaned();
                backlog.forget();
                match is_cleaned {
                    true => Err(LoadError::Beside("the log was clean before the window was over".to_owned())),
                    false => Ok(()),
                }
            }
        }
    }
}
