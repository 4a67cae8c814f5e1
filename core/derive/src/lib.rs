//! Derive macro for Kafka's message structs: one line per field with the versions it exists in.
