//! TopicRecord (type 2) and RemoveTopicRecord (type 9).

use ringlog_derive::Message;
use uuid::Uuid;

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=0, flexible = 0..)]
pub struct TopicRecord<'a> {
    #[field(versions = 0..)] pub name: &'a str,
    #[field(versions = 0..)] pub topic_id: Uuid,
}

/// Takes the partitions and settings of the topic with it.
#[derive(Debug, Clone, Copy, PartialEq, Message)]
#[message(versions = 0..=0, flexible = 0..)]
pub struct RemoveTopicRecord {
    #[field(versions = 0..)] pub topic_id: Uuid,
}
