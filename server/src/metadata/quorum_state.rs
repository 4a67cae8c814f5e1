//! `quorum-state`: who leads which epoch. One line of JSON without a newline, in both of Kafka's forms.

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

/// The epoch that a file of either form names. `None` when it is not such a file, which Kafka refuses to start with.
pub(super) fn leader_epoch(bytes: &[u8]) -> Option<i32> {
    let text = std::str::from_utf8(bytes).ok()?.trim();
    if !text.starts_with('{') || !text.ends_with('}') || !text.contains("\"data_version\"") {
        return None;
    }
    let (_, rest) = text.split_once("\"leaderEpoch\"")?;
    let rest = rest.trim_start().strip_prefix(':')?.trim_start();
    let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '-')?;
    rest[..digits].parse().ok()
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
        assert_eq!(leader_epoch(dynamic.as_bytes()), Some(1));
        node.is_static_quorum = true;
        assert_eq!(leader_epoch(quorum_state(&node, 77).as_bytes()), Some(77));
    }

    #[test]
    fn damaged_files_are_refused() {
        for text in ["", "x", "{}", r#"{"leaderEpoch":"1","data_version":1}"#, r#"{"leaderEpoch":1,"data_version":1"#] {
            assert_eq!(leader_epoch(text.as_bytes()), None, "{text}");
        }
        assert_eq!(leader_epoch(b"{ \"leaderEpoch\" : 5, \"data_version\":1}"), Some(5));
    }
}
