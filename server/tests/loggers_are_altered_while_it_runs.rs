//! Resource type BROKER_LOGGER: levels of the broker's own log are shown and altered, and the log follows.

mod outside;

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use outside::client::Client;
use outside::{ANY_PORT, Broker, command};
use ringlog_core::protocol::messages::*;
use ringlog_core::protocol::{ApiKey, ErrorCode};
use ringlog_core::wire::{Message, Reader};

const BROKER_LOGGER: i8 = 8;

fn alter(client: &mut Client, broker: &str, ops: &[(&str, i8, Option<&str>)]) -> ErrorCode {
    let config = |&(name, config_operation, value)| IncrementalAlterableConfig { name, config_operation, value };
    let configs: Vec<_> = ops.iter().map(config).collect();
    let resource = IncrementalAlterConfigsResource {
        resource_type: BROKER_LOGGER,
        resource_name: broker,
        configs: configs.into(),
    };
    let request = IncrementalAlterConfigsRequest { resources: vec![resource].into(), validate_only: false };
    let answer = client.call(ApiKey::IncrementalAlterConfigs, 1, &request);
    let answer = IncrementalAlterConfigsResponse::decode(&mut Reader::new(&answer), 1).unwrap();
    answer.responses.iter().next().unwrap().error_code
}

fn level(client: &mut Client, logger: &str) -> String {
    let resource =
        DescribeConfigsResource { resource_type: BROKER_LOGGER, resource_name: "1", configuration_keys: None };
    let request = DescribeConfigsRequest { resources: vec![resource].into(), ..Default::default() };
    let answer = client.call(ApiKey::DescribeConfigs, 4, &request);
    let answer = DescribeConfigsResponse::decode(&mut Reader::new(&answer), 4).unwrap();
    let result = answer.results.iter().next().unwrap();
    assert_eq!(result.error_code, ErrorCode::NONE);
    let config = result.configs.iter().find(|config| config.name == logger).unwrap();
    config.value.unwrap().to_owned()
}

#[test]
fn a_level_that_is_altered_shows_in_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = command(folder.path(), &ANY_PORT);
    command.stderr(Stdio::piped()).env_remove("RUST_LOG");
    let mut broker = Broker::run(command);
    let log = BufReader::new(broker.take_stderr());
    let mut client = Client::connect(broker.addresses[0]);
    assert_eq!(level(&mut client, "ringlog_server.handlers"), "INFO");
    let no_topic = |client: &mut Client| client.set_config("nowhere", "retention.ms", "1");
    assert_eq!(no_topic(&mut client), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!(alter(&mut client, "1", &[("ringlog_server.handlers", 0, Some("DEBUG"))]), ErrorCode::NONE);
    assert_eq!(level(&mut client, "ringlog_server.handlers"), "DEBUG");
    // A request that nobody can decode is told at this level, and ends the connection.
    let closed = Client::connect(broker.addresses[0]).closes_after(b"nonsense");
    assert!(closed);
    assert_eq!(alter(&mut client, "1", &[("ringlog_server.handlers", 1, None)]), ErrorCode::NONE);
    assert_eq!(level(&mut client, "ringlog_server.handlers"), "INFO");
    assert_eq!(alter(&mut client, "1", &[("kafka", 0, Some("DEBUG"))]), ErrorCode::INVALID_CONFIG);
    assert_eq!(alter(&mut client, "1", &[("root", 0, Some("LOUD"))]), ErrorCode::INVALID_CONFIG);
    assert_eq!(alter(&mut client, "1", &[("root", 2, Some("INFO"))]), ErrorCode::INVALID_REQUEST);
    assert_eq!(alter(&mut client, "2", &[("root", 0, Some("INFO"))]), ErrorCode::INVALID_REQUEST);
    assert_eq!(broker.stop(), Some(0));
    let lines: Vec<String> = log.lines().map(Result::unwrap).collect();
    assert!(lines.iter().any(|line| line.contains("DEBUG") && line.contains("header cannot be read")), "{lines:?}");
}
