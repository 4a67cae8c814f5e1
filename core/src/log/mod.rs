//! One partition's log in Apache Kafka's files, and the commit log that makes acks durable.
