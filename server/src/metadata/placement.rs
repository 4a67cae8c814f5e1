//! Which shard owns a partition.
//!
//! Invariants: a function of topic id, partition index and number of shards alone, so every shard computes the same
//! owner without asking; consecutive partitions of a topic lie on consecutive shards, so a topic with at least as many
//! partitions as there are shards covers all of them, and no shard has more than one partition of a topic above another.

use uuid::Uuid;

/// The owner of a partition among `shards_count` shards (at least one).
pub fn owner_shard(topic_id: Uuid, partition_index: i32, shards_count: u16) -> u16 {
    let first = first_shard(topic_id, shards_count);
    let step = u32::try_from(partition_index).unwrap_or_default() % u32::from(shards_count);
    ((u32::from(first) + step) % u32::from(shards_count)) as u16
}

/// Where partition 0 lies: random ids spread topics of one partition evenly.
fn first_shard(topic_id: Uuid, shards_count: u16) -> u16 {
    assert!(shards_count > 0, "a broker has at least one shard");
    let (high, low) = topic_id.as_u64_pair();
    // Fixed for the life of a process only, but mixed well: version and variant bits are the same in all ids.
    let mixed = (high ^ low.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((mixed >> 32) % u64::from(shards_count)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_covers_all_shards_evenly() {
        for shards in [1u16, 2, 3, 8, 64] {
            for topic in 0..50u128 {
                let id = Uuid::from_u128(topic << 100 | topic);
                let mut counts = vec![0; shards.into()];
                for partition in 0..100 {
                    counts[usize::from(owner_shard(id, partition, shards))] += 1;
                }
                let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
                assert!(most - least <= 1, "{counts:?}");
            }
        }
    }

    #[test]
    fn topics_of_one_partition_spread() {
        let mut counts = [0; 4];
        let mut state = 7u64;
        for _ in 0..4000 {
            let id = super::super::random_id(|| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                state ^ state >> 29
            });
            counts[usize::from(owner_shard(id, 0, 4))] += 1;
        }
        assert!(counts.iter().all(|count| (850..1150).contains(count)), "{counts:?}");
    }
}
