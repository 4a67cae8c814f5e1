//! The cluster's metadata: Kafka's own records in `__cluster_metadata-0`, the image they replay to, and the one writer.
