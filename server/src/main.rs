//! `ringlog`, the broker: parse the command line, start the shards, wait.
#![forbid(unsafe_code)]

fn main() {}
