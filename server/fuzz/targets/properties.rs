//! server.properties: any file is accepted or refused, and each refusal names its key.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use ringlog_server::config::{Properties, Settings};

fuzz_target!(|bytes: &[u8]| {
    let Ok(properties) = Properties::parse(Path::new("server.properties"), bytes) else { return };
    for has_file in [true, false] {
        match Settings::from_properties(properties.clone(), has_file, "machine") {
            Ok((settings, _)) => assert!(!settings.listeners.is_empty()),
            Err(errors) => assert!(!errors.0.is_empty() && errors.0.iter().all(|error| error.key().is_some())),
        }
    }
});
