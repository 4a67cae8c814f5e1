//! DescribeCluster (api key 60), versions 0..=2. Cluster id, controller and brokers.
//!
//! v1 endpoint type   v2 fenced brokers
//! Errors: UNSUPPORTED_ENDPOINT_TYPE for controllers, which no client can reach here.

use std::rc::Rc;

use ringlog_core::protocol::ErrorCode;
use ringlog_core::protocol::messages::{DescribeClusterBroker, DescribeClusterRequest, DescribeClusterResponse};

use super::{Context, Request};

const BROKERS: i8 = 1;

/// Answers from the settings: this node is the cluster.
pub fn handle(context: &Rc<Context>, request: Request) {
    let encoded = request.body();
    let body: DescribeClusterRequest = match encoded.decode() {
        Ok(body) => body,
        Err(error) => return request.close(&error),
    };
    let endpoint = context.endpoint(&request);
    let response = match body.endpoint_type {
        BROKERS => DescribeClusterResponse {
            cluster_id: &context.cluster_id,
            controller_id: context.settings.node_id,
            brokers: vec![DescribeClusterBroker {
                broker_id: context.settings.node_id,
                host: &endpoint.host,
                port: i32::from(endpoint.port),
                rack: context.settings.rack.as_deref(),
                is_fenced: false,
            }]
            .into(),
            ..Default::default()
        },
        endpoint_type => DescribeClusterResponse {
            error_code: ErrorCode::UNSUPPORTED_ENDPOINT_TYPE,
            error_message: Some("only brokers can be described here"),
            endpoint_type,
            ..Default::default()
        },
    };
    request.answer(&response, []);
}
