//! A group whose members the coordinator disowns: over real sockets, because a run has threads of its own.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc;
use std::thread;

use clap::Parser;
use ringlog_loadgen::cli::{Cli, Command, Group};
use ringlog_loadgen::run::{reactor, rebalance, target};
use ringlog_loadgen::sink::{Fault, SinkConfig, serve};

/// A sink that refuses every heartbeat. Its thread ends with the test's process.
#[expect(clippy::disallowed_methods, reason = "the sink has to answer while the run holds the test's thread")]
fn sink() -> SocketAddr {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        let reactor = reactor().expect("io_uring is allowed where tests run");
        let listener = reactor.listen((Ipv4Addr::LOCALHOST, 0).into()).expect("a free port");
        tell.send(listener.local_address()).expect("the test waits");
        let config = SinkConfig { fault: Some((Fault::Error, 1)), ..SinkConfig::default() };
        reactor.block_on(serve(reactor.clone(), listener, config))
    });
    told.recv().expect("the sink listens")
}

/// Whoever should crash next has ended before, and is not waited for.
#[test]
fn a_run_whose_members_have_ended_says_so() {
    let address = sink().to_string();
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
