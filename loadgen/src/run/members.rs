//! Heartbeats of members that have nothing else to do, each alone in its group.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ringlog_core::protocol::ApiKey;
use ringlog_core::protocol::messages::HeartbeatRequest;

use super::Load;
use super::groups::at_coordinators;
use super::pipes::{Connection, run};
use crate::client::{Asker, Joined, Target, TopicSpec};
use crate::measured::Measured;
use crate::workload::{Heartbeats, Member};

/// `members_count` members join before the run and leave behind it. They are not taken for dead within `session`.
pub fn heartbeats(
    load: &Load,
    topic: &TopicSpec,
    target: &Target,
    prefix: &str,
    members_count: usize,
    session: Duration,
) -> anyhow::Result<Measured> {
    let group_ids: Vec<String> =
        (0..members_count).map(|index| format!("{prefix}-{:08x}-{index}", load.run_id)).collect();
    let joined = RefCell::new(BTreeMap::new());
    let group_names = || group_ids.iter().map(String::as_str);
    let coordinators = at_coordinators(target, group_names(), async |index, asker: &mut Asker| {
        let member = asker.join(&group_ids[index], "", session).await?;
        asker.sync(&group_ids[index], &member).await?;
        joined.borrow_mut().insert(index, member);
        Ok(())
    })?;
    let joined = joined.into_inner();
    let member = |(index, joined): (&usize, &Joined)| Member {
        group_id: group_ids[*index].clone(),
        member_id: joined.member_id.clone(),
        generation_id: joined.generation_id,
    };
    let members: Arc<Vec<Member>> = Arc::new(joined.iter().map(member).collect());
    let version = target.versions.pick::<HeartbeatRequest<'_>>(ApiKey::Heartbeat)?;
    let places = coordinators.places(target, |index| group_ids[index].clone());
    let measured = run(load, topic, &places, |connection: &Connection<'_>| {
        Ok(Heartbeats::new(&members, coordinators.share(connection)?, version))
    })?;
    at_coordinators(target, group_names(), async |index, asker: &mut Asker| {
        asker.leave(&group_ids[index], &joined[&index]).await
    })?;
    Ok(measured)
}
