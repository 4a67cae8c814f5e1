//! UpdateFeatures (api key 57), versions 0..=2. Raises and lowers finalized levels of features; durable before it is
//! answered.
//!
//! v1 upgrade types and validate_only   v2 no results per feature
//! Errors: INVALID_UPDATE_VERSION, KAFKA_STORAGE_ERROR.

use std::rc::Rc;

use ringlog_core::protocol::ErrorCode;
use ringlog_core::protocol::messages::{
    FeatureUpdateKey, UpdatableFeatureResult, UpdateFeaturesRequest, UpdateFeaturesResponse,
};

use super::{Context, Request};
use crate::metadata::{ControlReply, ControlRequest, FeatureUpdate, FeatureUpdateKind, UpdateFeatures};

/// Asks the controller.
pub fn handle(context: &Rc<Context>, request: Request) {
    let encoded = request.body();
    let body: UpdateFeaturesRequest<'_> = match encoded.decode() {
        Ok(body) => body,
        Err(error) => return request.close(&error),
    };
    let updates = body.feature_updates.iter().map(|update| FeatureUpdate {
        feature: update.feature.to_owned(),
        level: update.max_version_level,
        kind: kind(&update, request.api_version),
    });
    let update = UpdateFeatures { updates: updates.collect(), validate_only: body.validate_only };
    context.controller.request(ControlRequest::UpdateFeatures(update), Box::new(move |reply| finish(request, reply)));
}

fn kind(update: &FeatureUpdateKey<'_>, api_version: i16) -> Option<FeatureUpdateKind> {
    match (api_version, update.allow_downgrade, update.upgrade_type) {
        (0, true, _) => Some(FeatureUpdateKind::SafeDowngrade),
        (0, false, _) | (_, _, 1) => Some(FeatureUpdateKind::Upgrade),
        (_, _, 2) => Some(FeatureUpdateKind::SafeDowngrade),
        (_, _, 3) => Some(FeatureUpdateKind::UnsafeDowngrade),
        _ => None,
    }
}

fn finish(request: Request, reply: ControlReply) {
    let encoded = request.body();
    let body: UpdateFeaturesRequest<'_> = match encoded.decode() {
        Ok(body) => body,
        Err(error) => return request.close(&error),
    };
    let (error_code, text) = match reply {
        ControlReply::UpdateFeatures(Ok(())) => (ErrorCode::NONE, None),
        ControlReply::UpdateFeatures(Err(error)) => (
            ErrorCode::INVALID_UPDATE_VERSION,
            Some(format!("The update failed for all features since the following feature had an error: {error}")),
        ),
        _ => (ErrorCode::KAFKA_STORAGE_ERROR, None),
    };
    let error_message = text.as_deref();
    let results = body
        .feature_updates
        .iter()
        .filter(|_| request.api_version < 2)
        .map(|update| UpdatableFeatureResult { feature: update.feature, error_code, error_message });
    let results = results.collect();
    request.answer(&UpdateFeaturesResponse { error_code, error_message, results, ..Default::default() }, []);
}
