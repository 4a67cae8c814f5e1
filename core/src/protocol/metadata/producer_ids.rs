//! ProducerIdsRecord (type 15): a block of producer ids was handed out; the next one starts at `next_producer_id`.

use ringlog_derive::Message;

#[derive(Debug, Clone, Copy, PartialEq, Message)]
#[message(versions = 0..=0, flexible = 0..)]
pub struct ProducerIdsRecord {
    #[field(versions = 0..)] pub broker_id: i32,
    #[field(versions = 0.., default = -1)] pub broker_epoch: i64,
    #[field(versions = 0..)] pub next_producer_id: i64,
}
