//! FeatureLevelRecord (type 12): the finalized level of a feature. `metadata.version` comes first in every log.

use ringlog_derive::Message;

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=0, flexible = 0..)]
pub struct FeatureLevelRecord<'a> {
    #[field(versions = 0..)] pub name: &'a str,
    #[field(versions = 0..)] pub feature_level: i16,
}
