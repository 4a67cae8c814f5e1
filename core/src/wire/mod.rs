//! Primitive encodings of Kafka's protocol, both directions, bounded.
