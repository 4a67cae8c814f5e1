//! ConfigRecord (type 4): one setting of a resource. `resource_type` is 2 for a topic, 4 for a broker; a null value deletes it.

use ringlog_derive::Message;

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=0, flexible = 0..)]
pub struct ConfigRecord<'a> {
    #[field(versions = 0..)] pub resource_type: i8,
    #[field(versions = 0..)] pub resource_name: &'a str,
    #[field(versions = 0..)] pub name: &'a str,
    #[field(versions = 0..)] pub value: Option<&'a str>,
}
