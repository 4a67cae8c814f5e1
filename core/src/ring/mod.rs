//! Lock-free rings between shards.
