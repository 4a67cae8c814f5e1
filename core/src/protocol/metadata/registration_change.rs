//! BrokerRegistrationChangeRecord (type 17), versions 0..=3.
//!
//! v1 controlled shutdown   v2 log_dirs (KIP-858)   v3 cordoned_log_dirs (KIP-1066)

use ringlog_derive::Message;
use uuid::Uuid;

use crate::wire::Array;

/// `fenced` is -1 for unfenced, 1 for fenced, 0 for no change; `in_controlled_shutdown` is 1 or 0 for no change.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=3, flexible = 0..)]
pub struct BrokerRegistrationChangeRecord<'a> {
    #[field(versions = 0..)] pub broker_id: i32,
    #[field(versions = 0..)] pub broker_epoch: i64,
    #[field(versions = 0.., tag = 0)] pub fenced: i8,
    #[field(versions = 1.., tag = 1)] pub in_controlled_shutdown: i8,
    #[field(versions = 2.., tag = 2)] pub log_dirs: Array<'a, Uuid>,
    #[field(versions = 3.., tag = 3)] pub cordoned_log_dirs: Option<Array<'a, Uuid>>,
}

impl BrokerRegistrationChangeRecord<'_> {
    /// The lowest version that has all that changed.
    pub fn lowest_version(&self) -> i16 {
        if self.cordoned_log_dirs.is_some() {
            3
        } else if !self.log_dirs.is_empty() {
            2
        } else {
            i16::from(self.in_controlled_shutdown != 0)
        }
    }
}
