//! FenceBrokerRecord (type 7), UnfenceBrokerRecord (type 8), UnregisterBrokerRecord (type 1).

use ringlog_derive::Message;

#[derive(Debug, Clone, Copy, PartialEq, Message)]
#[message(versions = 0..=0, flexible = 0..)]
pub struct FenceBrokerRecord {
    #[field(versions = 0..)] pub id: i32,
    #[field(versions = 0..)] pub epoch: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Message)]
#[message(versions = 0..=0, flexible = 0..)]
pub struct UnfenceBrokerRecord {
    #[field(versions = 0..)] pub id: i32,
    #[field(versions = 0..)] pub epoch: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Message)]
#[message(versions = 0..=0, flexible = 0..)]
pub struct UnregisterBrokerRecord {
    #[field(versions = 0..)] pub broker_id: i32,
    #[field(versions = 0..)] pub broker_epoch: i64,
}
