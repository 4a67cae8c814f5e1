//! DescribeClientQuotas (api key 48), versions 0..=1. The quotas whose entities fit a filter.
//!
//! v1 flexible
//! Errors: INVALID_REQUEST, UNSUPPORTED_VERSION for a type of entity that there is not.

use std::rc::Rc;

use ringlog_core::protocol::ErrorCode;
use ringlog_core::protocol::messages::{
    DescribeClientQuotasComponent, DescribeClientQuotasEntity, DescribeClientQuotasEntry, DescribeClientQuotasRequest,
    DescribeClientQuotasResponse, DescribeClientQuotasValue,
};

use super::{Context, Request};
use crate::metadata::{QuotaEntity, entity_type};

/// Answers from the metadata.
pub fn handle(context: &Rc<Context>, request: Request) {
    let encoded = request.body();
    let body: DescribeClientQuotasRequest<'_> = match encoded.decode() {
        Ok(body) => body,
        Err(error) => return request.close(&error),
    };
    let components: Vec<DescribeClientQuotasComponent<'_>> = body.components.iter().collect();
    if let Err((error_code, text)) = check(&components) {
        let error_message = Some(text.as_str());
        return request.answer(
            &DescribeClientQuotasResponse { error_code, error_message, entries: None, ..Default::default() },
            [],
        );
    }
    let metadata = Rc::clone(&context.metadata);
    let image = metadata.image();
    let fitting = image.client_quotas().iter().filter(|(entity, _)| fits(entity, &components, body.strict));
    let entries = fitting.map(|(entity, values)| DescribeClientQuotasEntry {
        entity: entity
            .0
            .iter()
            .map(|(entity_type, name)| DescribeClientQuotasEntity { entity_type, entity_name: name.as_deref() })
            .collect(),
        values: values.iter().map(|(key, value)| DescribeClientQuotasValue { key, value: value.0 }).collect(),
    });
    request.answer(&DescribeClientQuotasResponse { entries: Some(entries.collect()), ..Default::default() }, []);
}

const EXACT: i8 = 0;
const DEFAULT: i8 = 1;
const SPECIFIED: i8 = 2;

fn check(components: &[DescribeClientQuotasComponent<'_>]) -> Result<(), (ErrorCode, String)> {
    let invalid = |text: String| Err((ErrorCode::INVALID_REQUEST, text));
    for (at, component) in components.iter().enumerate() {
        let kind = component.entity_type;
        if components[..at].iter().any(|other| other.entity_type == kind) {
            return invalid(format!("Entity type {kind} cannot appear more than once in the filter."));
        }
        if kind.is_empty() {
            return invalid("Invalid empty entity type.".to_owned());
        }
        if !entity_type::ALL.contains(&kind) {
            return Err((ErrorCode::UNSUPPORTED_VERSION, format!("Unsupported entity type {kind}")));
        }
        match (component.match_type, component.r#match) {
            (EXACT, Some(_)) | (DEFAULT | SPECIFIED, None) => {}
            (EXACT | DEFAULT | SPECIFIED, _) => {
                return invalid("An exact match needs a name, and no other match takes one.".to_owned());
            }
            (other, _) => return invalid(format!("Unknown match type {other}")),
        }
    }
    if components.len() > 1 && components.iter().any(|component| component.entity_type == entity_type::IP) {
        return invalid("An ip cannot be filtered for together with user or client-id.".to_owned());
    }
    Ok(())
}

fn fits(entity: &QuotaEntity, components: &[DescribeClientQuotasComponent<'_>], strict: bool) -> bool {
    let fits_one = |component: &DescribeClientQuotasComponent<'_>| match entity.0.get(component.entity_type) {
        Some(name) => component.match_type == SPECIFIED || name.as_deref() == component.r#match,
        None => false,
    };
    (!strict || entity.0.len() == components.len()) && components.iter().all(fits_one)
}
