//! RegisterBrokerRecord (type 0), versions 0..=4, and RegisterControllerRecord (type 27).
//!
//! v1 controlled shutdown   v2 ZooKeeper migration   v3 log_dirs (KIP-858)   v4 cordoned_log_dirs (KIP-1066)

use ringlog_derive::Message;
use uuid::Uuid;

use crate::wire::Array;

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=4, flexible = 0..)]
pub struct RegisterBrokerRecord<'a> {
    #[field(versions = 0..)] pub broker_id: i32,
    #[field(versions = 2..)] pub is_migrating_zk_broker: bool,
    #[field(versions = 0..)] pub incarnation_id: Uuid,
    #[field(versions = 0..)] pub broker_epoch: i64,
    #[field(versions = 0..)] pub end_points: Array<'a, EndPoint<'a>>,
    #[field(versions = 0..)] pub features: Array<'a, SupportedFeature<'a>>,
    #[field(versions = 0..)] pub rack: Option<&'a str>,
    #[field(versions = 0.., default = true)] pub fenced: bool,
    #[field(versions = 1..)] pub in_controlled_shutdown: bool,
    #[field(versions = 3.., tag = 0)] pub log_dirs: Array<'a, Uuid>,
    #[field(versions = 4.., tag = 1)] pub cordoned_log_dirs: Option<Array<'a, Uuid>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=0, flexible = 0..)]
pub struct RegisterControllerRecord<'a> {
    #[field(versions = 0..)] pub controller_id: i32,
    #[field(versions = 0..)] pub incarnation_id: Uuid,
    #[field(versions = 0..)] pub zk_migration_ready: bool,
    #[field(versions = 0..)] pub end_points: Array<'a, EndPoint<'a>>,
    #[field(versions = 0..)] pub features: Array<'a, SupportedFeature<'a>>,
}

/// One listener of a broker or controller.
#[derive(Debug, Clone, PartialEq, Message)]
pub struct EndPoint<'a> {
    #[field(versions = 0..)] pub name: &'a str,
    #[field(versions = 0..)] pub host: &'a str,
    #[field(versions = 0..)] pub port: u16,
    #[field(versions = 0..)] pub security_protocol: i16,
}

/// The levels of a feature that a broker or controller supports.
#[derive(Debug, Clone, PartialEq, Message)]
pub struct SupportedFeature<'a> {
    #[field(versions = 0..)] pub name: &'a str,
    #[field(versions = 0..)] pub min_supported_version: i16,
    #[field(versions = 0..)] pub max_supported_version: i16,
}
