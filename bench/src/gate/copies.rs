//! What DHAT's profile of copies says: the bytes that the broker moved by `memcpy` and `memmove`.
//!
//! A copy that the compiler made into a few moves of registers is none here; one of a batch always is.

use serde::Deserialize;

/// The function inside of which is counted: the program's own, or where that jumps into what it calls, and so is on no
/// stack, the broker's. One or the other by how the compiler has put them together.
const COUNTED: [&str; 2] = ["::broker_turn ", "::ShardLife::turn "];
/// What stands for the kernel.
const SIMULATED: &str = "::reactor::sim::";

/// The file: places that copied, with their stacks as numbers of frames, and the frames.
#[derive(Debug, Deserialize)]
struct Profile {
    pps: Vec<Place>,
    ftbl: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Place {
    /// Bytes.
    tb: u64,
    /// The innermost frame first.
    fs: Vec<usize>,
}

/// Bytes copied inside of the broker's turns, without those of the simulated driver and disk; nothing if the file is
/// another one, or knows no turn.
pub(super) fn bytes_copied(output: &str) -> Option<f64> {
    let profile: Profile = serde_json::from_str(output).ok()?;
    let mut bytes = None;
    for place in &profile.pps {
        let mut frames = place.fs.iter().filter_map(|index| profile.ftbl.get(*index));
        let mut is_simulated = false;
        if frames.any(|frame| {
            is_simulated |= frame.contains(SIMULATED);
            COUNTED.iter().any(|counted| frame.contains(counted))
        }) {
            *bytes.get_or_insert(0.0) += if is_simulated { 0.0 } else { place.tb as f64 };
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_of_the_brokers_turns_are_summed_without_the_simulation() {
        let frames = r#""ftbl": ["[root]", "0x1: memmove (in x)", "0x2: copy (framing.rs:1)",
            "0x3: ringlog_server::broker::life::ShardLife::turn (life.rs:154)", "0x4: core::reactor::sim::Disk::write (x)",
            "0x5: ringlog_core::reactor::sim::world::SimWorld::block_on (world.rs:1)"]"#;
        let profile = |places: &str| format!(r#"{{"mode": "copy", "pps": [{places}], {frames}}}"#);
        let broker = r#"{"tb": 70, "tbk": 2, "fs": [1, 2, 3, 5]}"#;
        let disk = r#"{"tb": 9, "tbk": 1, "fs": [1, 4, 2, 3, 5]}"#;
        let client = r#"{"tb": 400, "tbk": 1, "fs": [1, 2, 5]}"#;
        assert_eq!(bytes_copied(&profile(&[broker, disk, client, broker].join(","))), Some(140.0));
        let inlined = profile(broker).replace("ringlog_server::broker::life::ShardLife::turn", "requests::broker_turn");
        assert_eq!(bytes_copied(&inlined), Some(70.0));
        assert_eq!(bytes_copied(&profile(client)), None);
        assert_eq!(bytes_copied("nothing"), None);
    }
}
