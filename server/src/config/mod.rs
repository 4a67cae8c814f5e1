//! What the user wrote (`options`) and what it means for the broker (`settings`), with the names of Kafka's `server.properties`.
