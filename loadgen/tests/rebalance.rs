//! A group whose members the coordinator disowns: over real sockets, because a run has threads of its own.

#[path = "common/sink.rs"]
mod sink;

use clap::Parser;
use ringlog_loadgen::cli::{Cli, Command, Group};
use ringlog_loadgen::run::{rebalance, target};
use ringlog_loadgen::sink::{Fault, SinkConfig};
use sink::sink;

/// Whoever should crash next has ended before, and is not waited for.
#[test]
fn a_run_whose_members_have_ended_says_so() {
    // Every heartbeat is refused.
    let address = sink(SinkConfig { fault: Some((Fault::Error, 1)), ..SinkConfig::default() });
    let typed = format!(
        "ringlog-loadgen group rebalance --bootstrap {address} --topic t --partitions 1 --members 2 --heartbeat 5ms"
    );
    let Command::Group(group) = Cli::parse_from(typed.split(' ')).command else { panic!("{typed}") };
    let Group::Rebalance(flags) = *group else { panic!("{typed}") };
    let (load, topic) = (flags.common.load(100), flags.common.topic_spec(false));
    let target = target(&load.bootstrap, &topic).unwrap();
    let error = rebalance(&load, &target, &flags.spec()).unwrap_err().to_string();
    assert!(error.contains("a member has ended: UNKNOWN_MEMBER_ID"), "{error}");
}
