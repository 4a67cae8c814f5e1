//! What consumers put into the opaque bytes of the classic group protocol, versions 0..=3: subscriptions and assignments.
//!
//! v1 owned_partitions (KIP-429)   v2 generation_id   v3 rack_id (KIP-881)
//!
//! The bytes begin with their version, and each version only adds to the one before: a newer one is read as the newest
//! that is known.
#![expect(missing_docs, reason = "the fields carry Kafka's names and are described in its definitions")]

use ringlog_derive::Message;

use crate::wire::{Array, DecodeError, EncodeError, Message, Reader, Writer};

const NEWEST_VERSION: i16 = 3;

/// What a member wants to read, and what it holds.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=3)]
pub struct ConsumerProtocolSubscription<'a> {
    #[field(versions = 0..)]
    pub topics: Array<'a, &'a str>,
    #[field(versions = 0..)]
    pub user_data: Option<&'a [u8]>,
    #[field(versions = 1..)]
    pub owned_partitions: Array<'a, ConsumerProtocolTopicPartition<'a>>,
    #[field(versions = 2.., default = -1)]
    pub generation_id: i32,
    #[field(versions = 3..)]
    pub rack_id: Option<&'a str>,
}

/// What a member is to read.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=3)]
pub struct ConsumerProtocolAssignment<'a> {
    #[field(versions = 0..)]
    pub assigned_partitions: Array<'a, ConsumerProtocolTopicPartition<'a>>,
    #[field(versions = 0..)]
    pub user_data: Option<&'a [u8]>,
}

/// Partitions of a topic.
#[derive(Debug, Clone, PartialEq, Message)]
pub struct ConsumerProtocolTopicPartition<'a> {
    #[field(versions = 0..)]
    pub topic: &'a str,
    #[field(versions = 0..)]
    pub partitions: Array<'a, i32>,
}

impl<'a> ConsumerProtocolSubscription<'a> {
    /// Reads a member's metadata, with its version.
    pub fn from_bytes(bytes: &'a [u8]) -> Result<(i16, Self), DecodeError> {
        from_bytes(bytes)
    }
}

impl<'a> ConsumerProtocolAssignment<'a> {
    /// Reads a member's assignment, with its version.
    pub fn from_bytes(bytes: &'a [u8]) -> Result<(i16, Self), DecodeError> {
        from_bytes(bytes)
    }

    /// The bytes, in a version that the member reads.
    pub fn to_bytes(&self, version: i16) -> Result<Vec<u8>, EncodeError> {
        let version = version.clamp(0, NEWEST_VERSION);
        let mut writer = Writer::with_buffer(Vec::new());
        writer.put_i16(version);
        self.encode(&mut writer, version);
        Ok(writer.finish()?.bytes)
    }
}

fn from_bytes<'a, M: Message<'a>>(bytes: &'a [u8]) -> Result<(i16, M), DecodeError> {
    let mut reader = Reader::new(bytes);
    let version = reader.read_i16()?;
    M::decode(&mut reader, version.min(NEWEST_VERSION)).map(|message| (version, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the Java client 4.3.1 writes it, in its newest version: topics t and u, user data 9, holds t-0 and t-2 since
    /// generation 7, in rack r1.
    const SUBSCRIPTION: &[u8] =
        b"\0\x03\0\0\0\x02\0\x01t\0\x01u\0\0\0\x01\x09\0\0\0\x01\0\x01t\0\0\0\x02\0\0\0\0\0\0\0\x02\0\0\0\x07\0\x02r1";
    /// The same client: t-0, t-2, u-1, no user data.
    const ASSIGNMENT: &[u8] =
        b"\0\x01\0\0\0\x02\0\x01t\0\0\0\x02\0\0\0\0\0\0\0\x02\0\x01u\0\0\0\x01\0\0\0\x01\xff\xff\xff\xff";

    #[test]
    fn subscriptions_of_the_java_client_are_read() {
        let (version, subscription) = ConsumerProtocolSubscription::from_bytes(SUBSCRIPTION).unwrap();
        assert_eq!((version, subscription.generation_id, subscription.rack_id), (3, 7, Some("r1")));
        assert_eq!(subscription.topics.iter().collect::<Vec<_>>(), ["t", "u"]);
        let owned: Vec<_> = subscription.owned_partitions.iter().collect();
        assert_eq!((owned[0].topic, owned[0].partitions.iter().collect::<Vec<_>>()), ("t", vec![0, 2]));
        assert_eq!(subscription.user_data, Some(&[9][..]));

        let newer = [b"\0\x05", &SUBSCRIPTION[2..], b"more"].concat();
        assert_eq!(ConsumerProtocolSubscription::from_bytes(&newer).unwrap(), (5, subscription));
        assert!(ConsumerProtocolSubscription::from_bytes(b"\xff\xff").is_err());
        for len in 0..SUBSCRIPTION.len() {
            assert!(ConsumerProtocolSubscription::from_bytes(&SUBSCRIPTION[..len]).is_err());
        }
    }

    #[test]
    fn assignments_are_those_of_the_java_client() {
        let (version, assignment) = ConsumerProtocolAssignment::from_bytes(ASSIGNMENT).unwrap();
        assert_eq!(assignment.to_bytes(version).unwrap(), ASSIGNMENT);
        assert_eq!(assignment.assigned_partitions.len(), 2);
        assert_eq!(assignment.to_bytes(9).unwrap()[..2], [0, 3]);
    }
}
