//! Records that promise something which is not enforced here: ACLs, SCRAM credentials, delegation tokens.
//!
//! A directory with them is refused, so nothing here looks into them. They are kept whole for the snapshots, which may
//! drop nothing.

use std::collections::BTreeMap;
use std::fmt;

use ringlog_core::protocol::metadata::MetadataRecord;

use super::super::records::encode;

/// A record as the log holds it.
#[derive(Clone, PartialEq, Eq)]
struct Kept(Box<[u8]>);

/// There are secrets in it.
impl fmt::Debug for Kept {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} bytes", self.0.len())
    }
}

/// What is there of them now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unenforced {
    acls: BTreeMap<uuid::Uuid, Kept>,
    /// By user and mechanism.
    scram_credentials: BTreeMap<(String, i8), Kept>,
    delegation_tokens: BTreeMap<String, Kept>,
}

impl Unenforced {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.acls.is_empty() && self.scram_credentials.is_empty() && self.delegation_tokens.is_empty()
    }

    /// Replays a record, if it is of these kinds.
    pub(super) fn apply(&mut self, record: &MetadataRecord<'_>) {
        use MetadataRecord::*;
        let kept = || Kept(encode(record, record.latest_version()));
        match record {
            AccessControlEntry(acl) => _ = self.acls.insert(acl.id, kept()),
            RemoveAccessControlEntry(removed) => _ = self.acls.remove(&removed.id),
            UserScramCredential(scram) => {
                self.scram_credentials.insert((scram.name.to_owned(), scram.mechanism), kept());
            }
            RemoveUserScramCredential(removed) => {
                self.scram_credentials.remove(&(removed.name.to_owned(), removed.mechanism));
            }
            DelegationToken(token) => _ = self.delegation_tokens.insert(token.token_id.to_owned(), kept()),
            RemoveDelegationToken(removed) => _ = self.delegation_tokens.remove(removed.token_id),
            _ => {}
        }
    }

    /// All of them.
    pub(super) fn records(&self) -> impl Iterator<Item = MetadataRecord<'_>> {
        let kept = self.acls.values().chain(self.scram_credentials.values()).chain(self.delegation_tokens.values());
        kept.map(|Kept(value)| MetadataRecord::decode(value).expect("was encoded here"))
    }
}

impl fmt::Display for Unenforced {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { acls, scram_credentials, delegation_tokens } = self;
        let (acls, scram, tokens) = (acls.len(), scram_credentials.len(), delegation_tokens.len());
        write!(formatter, "{acls} ACLs, {scram} SCRAM credentials and {tokens} delegation tokens")
    }
}
