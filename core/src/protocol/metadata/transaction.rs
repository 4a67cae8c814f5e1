//! NoOpRecord (type 20), BeginTransactionRecord (23), EndTransactionRecord (24), AbortTransactionRecord (25): changes that are
//! too large for one batch apply together (KIP-868).

use ringlog_derive::Message;

#[derive(Debug, Clone, Copy, PartialEq, Message)]
#[message(versions = 0..=0, flexible = 0..)]
pub struct NoOpRecord {}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=0, flexible = 0..)]
pub struct BeginTransactionRecord<'a> {
    #[field(versions = 0.., tag = 0)] pub name: Option<&'a str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Message)]
#[message(versions = 0..=0, flexible = 0..)]
pub struct EndTransactionRecord {}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=0, flexible = 0..)]
pub struct AbortTransactionRecord<'a> {
    #[field(versions = 0.., tag = 0)] pub reason: Option<&'a str>,
}
