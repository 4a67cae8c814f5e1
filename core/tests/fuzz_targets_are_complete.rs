//! Every message of the protocol stands in the list of the fuzz target `messages`.

use std::fs;
use std::path::Path;

#[test]
fn every_message_is_fuzzed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target = fs::read_to_string(root.join("fuzz/targets/messages.rs")).unwrap();
    let mut missing = Vec::new();
    for entry in fs::read_dir(root.join("src/protocol/messages")).unwrap() {
        let definitions = fs::read_to_string(entry.unwrap().path()).unwrap();
        for definition in definitions.split("#[message(").skip(1) {
            let (_, named) = definition.split_once("pub struct ").unwrap();
            let name: String = named.chars().take_while(|c| c.is_alphanumeric()).collect();
            if !target.contains(&format!(" {name},")) {
                missing.push(name);
            }
        }
    }
    assert!(missing.is_empty(), "add to core/fuzz/targets/messages.rs: {}", missing.join(", "));
}
