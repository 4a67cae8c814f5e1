//! Derive macro for Kafka's message structs: one line per field with the versions it exists in.
//!
//! A definition reads like the JSON definition in Kafka's sources:
//!
//! ```ignore
//! #[derive(Message)]
//! #[message(versions = 3..=13, flexible = 9..)]
//! struct ProduceRequest<'a> {
//!     #[field(versions = 3.., nullable = 3..)] transactional_id: Option<&'a str>,
//!     #[field(versions = 3..)] acks: i16,
//! }
//! ```
//!
//! Every struct gets `Default` and `wire::Element`; one that says `#[message(...)]` is a whole message and gets
//! `wire::Message` too. The keys of `#[field(...)]`:
//! - `versions = a..`, `a..=b` or `a`: the versions in which the field is on the wire. Outside of them it reads as its default and is not written.
//! - `nullable = ...`: the versions in which an `Option` may be null (all of them if not given).
//! - `default = expr`: Kafka's default where it is not zero, empty or null.
//! - `tag = n`: a tagged field, written only when it differs from its default.

mod expand;
mod parse;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Implements `Default`, `wire::Element` and, for a whole message, `wire::Message`.
#[proc_macro_derive(Message, attributes(message, field))]
pub fn derive_message(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    parse::Definition::parse(&input)
        .map(|definition| expand::expand(&definition))
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}
