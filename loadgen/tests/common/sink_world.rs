//! A sink and a client in one simulated world.

use std::net::SocketAddr;

use ringlog_core::reactor::Reactor;
use ringlog_core::reactor::sim::{SimConfig, SimNetConfig, SimWorld, host_ip};
use ringlog_loadgen::sink::{SinkConfig, serve};

pub struct SinkWorld {
    pub world: SimWorld,
    /// The client's.
    pub client: Reactor,
    /// Where the sink is.
    pub address: SocketAddr,
}

impl SinkWorld {
    pub fn new(net: SimNetConfig, config: SinkConfig) -> Self {
        let world = SimWorld::new(7, SimConfig { net, ..SimConfig::default() });
        let address = SocketAddr::new(host_ip(0), 9_092);
        let server = world.reactor(0, 0);
        let listener = server.listen(address).expect("the port is free");
        let serving = server.clone();
        server.spawn(async move { serve(serving, listener, config).await.expect("the sink accepts") });
        let client = world.reactor(1, 0);
        Self { world, client, address }
    }
}
