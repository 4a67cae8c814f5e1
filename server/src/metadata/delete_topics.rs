//! Decides the deletion of topics: `(state, request) -> (results, records)`, without I/O.

use ahash::AHashSet;
use ringlog_core::protocol::metadata::RemoveTopicRecord;
use uuid::Uuid;

use super::controller::records_for;
use super::image::MetadataImage;
use super::records::Records;

/// Deletes topics with their partitions and configs; `false` for one that is not there, or that was named before.
pub fn delete_topics(image: &MetadataImage, topic_ids: &[Uuid]) -> (Vec<bool>, Records) {
    let (mut records, mut seen) = (records_for(image), AHashSet::new());
    let mut delete = |topic_id: &Uuid| {
        let is_deleted = image.topic(topic_id).is_some() && seen.insert(*topic_id);
        if is_deleted {
            records.push(RemoveTopicRecord { topic_id: *topic_id });
        }
        is_deleted
    };
    let deleted = topic_ids.iter().map(&mut delete).collect();
    (deleted, records)
}

#[cfg(test)]
mod tests {
    use super::super::controller::tests::{create, new_topic, replay, started};
    use super::*;

    #[test]
    fn a_deleted_topic_can_be_created_again_under_another_id() {
        let mut image = started();
        let first = create(&mut image, new_topic("t")).unwrap().topic_id;
        let (deleted, records) = delete_topics(&image, &[first]);
        assert_eq!(deleted, [true]);
        replay(&mut image, &[records]);
        assert_eq!(delete_topics(&image, &[first]).0, [false]);
        assert_ne!(create(&mut image, new_topic("t")).unwrap().topic_id, first);
    }
}
