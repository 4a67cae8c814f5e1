//! The code that a definition becomes.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{Lifetime, parse_quote};

use crate::parse::{Definition, Field};

pub fn expand(definition: &Definition) -> TokenStream {
    let Definition { name, generics, fields, .. } = definition;
    let wire = wire_path();
    let (_, struct_generics, _) = generics.split_for_impl();
    let mut impl_generics = generics.clone();
    let lifetime: Lifetime = match generics.lifetimes().next() {
        Some(own) => own.lifetime.clone(),
        None => {
            impl_generics.params.insert(0, parse_quote!('a));
            parse_quote!('a)
        }
    };
    let (impl_generics, _, _) = impl_generics.split_for_impl();
    let (default_generics, _, _) = generics.split_for_impl();

    let names: Vec<_> = fields.iter().map(|field| &field.name).collect();
    let defaults = fields.iter().map(|field| &field.default);
    let starts = fields.iter().map(|field| start(field, &wire));
    let tagged: Vec<&Field> = fields.iter().filter(|field| field.tag.is_some()).collect();
    let read_tagged = tagged.iter().map(|field| read_tagged(field, &wire));
    let writes = fields.iter().filter(|field| field.tag.is_none()).map(|field| write(field, &wire));
    let write_tagged = write_tagged(&tagged, &wire);
    let message = definition.message.map(|(versions, flexible)| {
        let flexible_from = flexible.map_or(i16::MAX, |flexible| flexible.first());
        quote! {
            impl #impl_generics #wire::Message<#lifetime> for #name #struct_generics {
                const VERSIONS: ::core::ops::RangeInclusive<i16> = #versions;
                const FLEXIBLE_FROM: i16 = #flexible_from;
            }
        }
    });

    quote! {
        impl #default_generics ::core::default::Default for #name #struct_generics {
            fn default() -> Self {
                Self { #(#names: #defaults),* }
            }
        }

        impl #impl_generics #wire::Element<#lifetime> for #name #struct_generics {
            fn read(reader: &mut #wire::Reader<#lifetime>, scope: #wire::Scope) -> ::core::result::Result<Self, #wire::DecodeError> {
                #(#starts)*
                if scope.flexible {
                    for _ in 0..#wire::tagged::read_count(reader)? {
                        #[allow(unused_mut, unused_variables)]
                        let (tag, mut value) = #wire::tagged::read_next(reader)?;
                        match tag {
                            #(#read_tagged)*
                            _ => {}
                        }
                    }
                }
                Ok(Self { #(#names),* })
            }

            fn write(&self, writer: &mut #wire::Writer, scope: #wire::Scope) {
                #(#writes)*
                if scope.flexible {
                    #write_tagged
                }
            }
        }

        impl #default_generics #wire::Struct for #name #struct_generics {}

        #message
    }
}

/// The path of the wire module: the macro serves the crate that holds it, and its tests.
fn wire_path() -> TokenStream {
    if std::env::var("CARGO_CRATE_NAME").is_ok_and(|name| name == "ringlog_core") {
        quote!(crate::wire)
    } else {
        quote!(::ringlog_core::wire)
    }
}

/// A plain field is read in its place, a tagged one starts at its default.
fn start(field: &Field, wire: &TokenStream) -> TokenStream {
    let Field { name, field_type, versions, nullable, default, tag } = field;
    if tag.is_some() {
        return quote!(let mut #name: #field_type = #default;);
    }
    let check = field.is_option().then(|| {
        let text = name.to_string();
        quote! {
            if #name.is_none() && !#nullable.contains(&scope.version) {
                return Err(#wire::DecodeError::Null(#text));
            }
        }
    });
    quote! {
        let #name: #field_type = if #versions.contains(&scope.version) {
            let #name: #field_type = #wire::Element::read(reader, scope)?;
            #check
            #name
        } else {
            #default
        };
    }
}

fn read_tagged(field: &Field, wire: &TokenStream) -> TokenStream {
    let Field { name, versions, tag, .. } = field;
    quote! {
        #tag if #versions.contains(&scope.version) => {
            #name = #wire::Element::read(&mut value, scope)?;
            value.expect_end()?;
        }
    }
}

fn write(field: &Field, wire: &TokenStream) -> TokenStream {
    let Field { name, versions, nullable, .. } = field;
    let check = field.is_option().then(|| {
        let text = name.to_string();
        quote! {
            if self.#name.is_none() && !#nullable.contains(&scope.version) {
                writer.fail(#wire::EncodeError::Null(#text));
            }
        }
    });
    quote! {
        if #versions.contains(&scope.version) {
            #check
            #wire::Element::write(&self.#name, writer, scope);
        }
    }
}

fn write_tagged(fields: &[&Field], wire: &TokenStream) -> TokenStream {
    let mut fields = fields.to_vec();
    fields.sort_by_key(|field| field.tag);
    let present: Vec<_> = fields.iter().map(|field| format_ident!("has_{}", field.name)).collect();
    let conditions = fields.iter().map(|field| {
        let Field { name, field_type, versions, default, .. } = field;
        quote! {
            #versions.contains(&scope.version) && {
                let default: #field_type = #default;
                self.#name != default
            }
        }
    });
    let writes = fields.iter().zip(&present).map(|(field, present)| {
        let Field { name, tag, .. } = field;
        // Null is one zero byte in a tagged field, whatever its type.
        let null = field.is_option().then(|| {
            quote! {
                if #present && self.#name.is_none() {
                    #wire::tagged::write_one(writer, #tag, |writer| writer.put_u8(0));
                } else
            }
        });
        quote! {
            #null if #present {
                #wire::tagged::write_one(writer, #tag, |writer| #wire::Element::write(&self.#name, writer, scope));
            }
        }
    });
    quote! {
        #(let #present = #conditions;)*
        #wire::tagged::write_count(writer, 0 #(+ u32::from(#present))*);
        #(#writes)*
    }
}
