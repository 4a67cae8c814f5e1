//! Decides changes of feature levels: `(state, request) -> (result, records)`, without I/O.
//!
//! Invariant: all updates of a request are made, or none.

use ringlog_core::protocol::metadata::FeatureLevelRecord;

use super::control::KRAFT_VERSION;
use super::controller::records_for;
use super::image::MetadataImage;
use super::node::{NodeConfig, supported_features};
use super::records::Records;

const METADATA: &str = "metadata.version";
/// Its level is that of the voters' records, and none of the image.
const KRAFT: &str = "kraft.version";
/// 3.3-IV3: nothing earlier can be finalized.
const METADATA_MIN: i16 = 7;
/// Levels of `metadata.version` with records, or fields of them, that the one before does not have.
const METADATA_CHANGED: [i16; 8] = [8, 11, 13, 14, 15, 17, 23, 30];

/// How a level may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeatureUpdateKind {
    /// Up only.
    Upgrade,
    /// Down, if nothing is lost.
    SafeDowngrade,
    /// Down, whatever is lost.
    UnsafeDowngrade,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeatureUpdate {
    /// Its name.
    pub feature: String,
    /// The new level; 0 ends it.
    pub level: i16,
    /// `None`: a number that says nothing.
    pub kind: Option<FeatureUpdateKind>,
}

/// A whole request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateFeatures {
    /// What to change.
    pub updates: Vec<FeatureUpdate>,
    /// Only say what would happen.
    pub validate_only: bool,
}

/// INVALID_UPDATE_VERSION, with a text for the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UpdateFeaturesError(pub String);

/// Changes feature levels. With `validate_only` there are no records.
pub fn update_features(
    image: &MetadataImage,
    node: &NodeConfig,
    request: &UpdateFeatures,
) -> (Result<(), UpdateFeaturesError>, Records) {
    let mut records = records_for(image);
    for update in &request.updates {
        let current = match update.feature.as_str() {
            KRAFT if node.is_static_quorum => 0,
            KRAFT => KRAFT_VERSION,
            feature => image.feature(feature),
        };
        if let Err(reason) = check(node.node_id, current, update) {
            let (level, feature) = (update.level, &update.feature);
            let text = match feature.as_str() {
                METADATA if (0..current).contains(&level) && update.kind != Some(FeatureUpdateKind::Upgrade) => {
                    format!("Unsupported metadata.version downgrade from {current} to {level}. {reason}")
                }
                _ => format!("Invalid update version {level} for feature {feature}. {reason}"),
            };
            return (Err(UpdateFeaturesError(text)), records_for(image));
        }
        if !request.validate_only && update.level != current {
            records.push(FeatureLevelRecord { name: &update.feature, feature_level: update.level });
        }
    }
    (Ok(()), records)
}

fn check(node_id: i32, current: i16, update: &FeatureUpdate) -> Result<(), String> {
    let FeatureUpdate { feature, level, kind } = update;
    let level = *level;
    let kind = kind.ok_or("The controller does not support the given upgrade type.")?;
    if level < 0 {
        return Err("A feature version cannot be less than 0.".to_owned());
    }
    let supported = supported_features().into_iter().find(|supported| supported.name == feature);
    let supported = supported.ok_or_else(|| format!("Local controller {node_id} does not support this feature."))?;
    let (min, max) = (supported.min_supported_version, supported.max_supported_version);
    let min = if feature == METADATA { METADATA_MIN } else { min };
    if level < min || level > max {
        return Err(format!("Local controller {node_id} only supports versions {min}-{max}"));
    }
    match (kind, level.cmp(&current)) {
        (_, std::cmp::Ordering::Equal) => Ok(()),
        // They change more than a level: the voters' records, and the configs of min.insync.replicas.
        _ if [KRAFT, "eligible.leader.replicas.version"].contains(&feature.as_str()) => {
            Err("This node does not change the level of this feature.".to_owned())
        }
        (FeatureUpdateKind::Upgrade, std::cmp::Ordering::Greater) => Ok(()),
        (FeatureUpdateKind::Upgrade, std::cmp::Ordering::Less) => Err(
            "Can't downgrade the version of this feature without setting the upgrade type to either safe or unsafe \
                 downgrade."
                .to_owned(),
        ),
        (_, std::cmp::Ordering::Greater) => Err("Can't downgrade to a newer version.".to_owned()),
        (kind, std::cmp::Ordering::Less) if feature == METADATA => check_metadata_downgrade(current, level, kind),
        (_, std::cmp::Ordering::Less) => Ok(()),
    }
}

fn check_metadata_downgrade(current: i16, level: i16, kind: FeatureUpdateKind) -> Result<(), String> {
    if !METADATA_CHANGED.iter().any(|changed| (level + 1..=current).contains(changed)) {
        return Ok(());
    }
    match kind {
        FeatureUpdateKind::UnsafeDowngrade => {
            Err("Unsafe metadata downgrade is not supported in this version.".to_owned())
        }
        FeatureUpdateKind::SafeDowngrade | FeatureUpdateKind::Upgrade => {
            Err("Refusing to perform the requested downgrade because it might delete metadata information.".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::controller::tests::node;
    use super::FeatureUpdateKind::{SafeDowngrade, UnsafeDowngrade, Upgrade};
    use super::*;

    fn at(levels: &[(&str, i16)]) -> MetadataImage {
        let mut image = MetadataImage::default();
        let mut records = Records::default();
        records.extend(
            levels.iter().map(|(name, feature_level)| FeatureLevelRecord { name, feature_level: *feature_level }),
        );
        image.replay_all(0, &records).unwrap();
        image
    }

    fn update(image: &mut MetadataImage, feature: &str, level: i16, kind: FeatureUpdateKind) -> Result<(), String> {
        let update = FeatureUpdate { feature: feature.to_owned(), level, kind: Some(kind) };
        let (result, records) =
            update_features(image, &node(), &UpdateFeatures { updates: vec![update], validate_only: false });
        image.replay_all(image.end_offset(), &records).unwrap();
        result.map_err(|error| error.0)
    }

    #[test]
    fn levels_go_up_and_down_where_nothing_is_lost() {
        let mut image = at(&[(METADATA, 23), ("group.version", 1)]);
        assert_eq!(update(&mut image, METADATA, 29, Upgrade), Ok(()));
        assert_eq!(image.feature(METADATA), 29);
        assert_eq!(update(&mut image, METADATA, 23, SafeDowngrade), Ok(()));
        assert_eq!(update(&mut image, METADATA, 30, Upgrade), Ok(()));
        assert_eq!(update(&mut image, "group.version", 0, SafeDowngrade), Ok(()));
        assert_eq!((image.feature(METADATA), image.feature("group.version")), (30, 0));
        let same = update_features(
            &image,
            &node(),
            &UpdateFeatures {
                updates: vec![FeatureUpdate { feature: METADATA.to_owned(), level: 30, kind: Some(Upgrade) }],
                validate_only: false,
            },
        );
        assert!(same.0.is_ok() && same.1.is_empty());
        // What kafka-features upgrade --release-version asks for, whatever the levels are.
        let end = image.end_offset();
        assert_eq!(update(&mut image, KRAFT, 1, Upgrade), Ok(()));
        assert_eq!(image.end_offset(), end);
    }

    #[test]
    fn what_cannot_be_is_refused_and_changes_nothing() {
        let mut image = at(&[(METADATA, 29), ("eligible.leader.replicas.version", 1)]);
        for (feature, level, kind, text) in [
            (METADATA, 31, Upgrade, "only supports versions 7-30"),
            (METADATA, 6, SafeDowngrade, "only supports versions"),
            (METADATA, 28, Upgrade, "upgrade type"),
            (METADATA, 30, SafeDowngrade, "newer"),
            (METADATA, 22, SafeDowngrade, "might delete"),
            (METADATA, 22, UnsafeDowngrade, "Unsafe metadata downgrade"),
            ("group.version", -1, SafeDowngrade, "less than 0"),
            ("group.version", 2, Upgrade, "0-1"),
            ("eligible.leader.replicas.version", 0, SafeDowngrade, "does not change"),
            (KRAFT, 0, SafeDowngrade, "does not change"),
            ("new.feature", 1, Upgrade, "does not support this feature"),
        ] {
            let refused = update(&mut image, feature, level, kind).unwrap_err();
            assert!(refused.contains(text), "{feature} {level}: {refused}");
        }
        let good = FeatureUpdate { feature: "group.version".to_owned(), level: 1, kind: Some(Upgrade) };
        let bad = FeatureUpdate { feature: "share.version".to_owned(), level: 1, kind: None };
        let (result, records) =
            update_features(&image, &node(), &UpdateFeatures { updates: vec![good, bad], validate_only: false });
        assert!(result.unwrap_err().0.contains("upgrade type") && records.is_empty());
    }
}
