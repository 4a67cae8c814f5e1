//! Kafka's requests, responses and metadata records, both directions.
