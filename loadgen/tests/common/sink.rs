//! A sink over real sockets, beside the test.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc;
use std::thread;

use ringlog_loadgen::run::reactor;
use ringlog_loadgen::sink::{SinkConfig, serve};

/// Serves until the test's process ends.
#[expect(clippy::disallowed_methods, reason = "the sink has to answer while the run holds the test's thread")]
pub fn sink(config: SinkConfig) -> SocketAddr {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        let reactor = reactor().expect("io_uring is allowed where tests run");
        let listener = reactor.listen((Ipv4Addr::LOCALHOST, 0).into()).expect("a free port");
        tell.send(listener.local_address()).expect("the test waits");
        reactor.block_on(serve(reactor.clone(), listener, config))
    });
    told.recv().expect("the sink listens")
}
