//! `quorum-state`: who leads which epoch. One line of JSON without a newline, in both of Kafka's forms.

use serde::{Deserialize, Deserializer};

use super::node::NodeConfig;

/// The file's name, in the folder of the metadata log.
pub(super) const QUORUM_STATE: &str = "quorum-state";

/// The content while this node leads `leader_epoch`: data_version 1 with the voters in the log, 0 with a static quorum.
pub(super) fn quorum_state(node: &NodeConfig, leader_epoch: i32) -> String {
    let id = node.node_id;
    match node.is_static_quorum {
        false => format!(
            r#"{{"leaderId":{id},"leaderEpoch":{leader_epoch},"votedId":-1,"votedDirectoryId":"AAAAAAAAAAAAAAAAAAAAAA","data_version":1}}"#
        ),
        true => format!(
            r#"{{"clusterId":"","leaderId":{id},"leaderEpoch":{leader_epoch},"votedId":-1,"appliedOffset":0,"currentVoters":[{{"voterId":{id}}}],"data_version":0}}"#
        ),
    }
}

/// What a file of either form says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct QuorumState {
    pub leader_epoch: i32,
    /// Node ids, in a static quorum.
    #[serde(rename = "currentVoters", default, deserialize_with = "voter_ids")]
    pub voters: Vec<i32>,
    #[serde(rename = "data_version")]
    _data_version: i16,
}

impl QuorumState {
    /// `None` when it is not such a file, which Kafka refuses to start with.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}

fn voter_ids<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<i32>, D::Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Voter {
        voter_id: i32,
    }
    let voters: Option<Vec<Voter>> = Deserialize::deserialize(deserializer)?;
    Ok(voters.unwrap_or_default().into_iter().map(|voter| voter.voter_id).collect())
}

#[cfg(test)]
mod tests {
    use super::super::controller::tests::node;
    use super::*;

    #[test]
    fn both_forms() {
        let mut node = node();
        let dynamic = quorum_state(&node, 1);
        assert_eq!(
            dynamic,
            r#"{"leaderId":1,"leaderEpoch":1,"votedId":-1,"votedDirectoryId":"AAAAAAAAAAAAAAAAAAAAAA","data_version":1}"#
        );
        assert_eq!(dynamic.len(), 104);
        let parsed = QuorumState::parse(dynamic.as_bytes()).unwrap();
        assert_eq!((parsed.leader_epoch, &parsed.voters[..]), (1, &[][..]));
        node.is_static_quorum = true;
        let parsed = QuorumState::parse(quorum_state(&node, 77).as_bytes()).unwrap();
        assert_eq!((parsed.leader_epoch, &parsed.voters[..]), (77, &[1][..]));
    }

    #[test]
    fn damaged_files_are_refused() {
        for text in ["", "x", "{}", r#"{"leaderEpoch":"1","data_version":1}"#, r#"{"leaderEpoch":1,"data_version":1"#] {
            assert_eq!(QuorumState::parse(text.as_bytes()), None, "{text}");
        }
        let parsed = QuorumState::parse(b"{ \"leaderEpoch\" : 5, \"data_version\":1}");
        assert_eq!(parsed.map(|parsed| parsed.leader_epoch), Some(5));
    }
}
