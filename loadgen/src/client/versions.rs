//! Which versions of its APIs a broker has.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use ringlog_core::protocol::ApiKey;
use ringlog_core::wire::Message;

use super::SetupError;

/// The versions that a broker has, by API key.
#[derive(Debug, Clone, Default)]
pub struct Versions(HashMap<i16, RangeInclusive<i16>>);

impl FromIterator<(i16, RangeInclusive<i16>)> for Versions {
    fn from_iter<I: IntoIterator<Item = (i16, RangeInclusive<i16>)>>(ranges: I) -> Self {
        Self(ranges.into_iter().collect())
    }
}

impl Versions {
    /// The highest version of `M` that both sides have.
    pub fn pick<'a, M: Message<'a>>(&self, api_key: ApiKey) -> Result<i16, SetupError> {
        let missing = SetupError::Version(api_key.name());
        let Some(theirs) = self.0.get(&(api_key as i16)) else { return Err(missing) };
        let version = (*theirs.end()).min(*M::VERSIONS.end());
        if version >= *theirs.start() && version >= *M::VERSIONS.start() { Ok(version) } else { Err(missing) }
    }
}
