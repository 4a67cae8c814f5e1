//! The program's subcommands beside running the broker.
