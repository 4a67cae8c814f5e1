//! What a struct and its attributes say.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::spanned::Spanned;
use syn::{Attribute, Data, DeriveInput, Error, Expr, Fields, Generics, Ident, Lit, LitInt, RangeLimits, Result, Type};

/// An inclusive range of versions.
#[derive(Clone, Copy)]
pub struct Versions {
    min: i16,
    max: i16,
}

impl Versions {
    const ALL: Versions = Versions { min: 0, max: i16::MAX };

    fn parse(expr: &Expr) -> Result<Self> {
        if let Expr::Range(range) = expr {
            let min = range.start.as_deref().map_or(Ok(0), number)?;
            let max = match (range.end.as_deref(), range.limits) {
                (None, _) => i16::MAX,
                (Some(end), RangeLimits::Closed(_)) => number(end)?,
                (Some(_), RangeLimits::HalfOpen(_)) => return Err(Error::new(expr.span(), "write `a..` or `a..=b`")),
            };
            return Ok(Self { min, max });
        }
        let only = number(expr)?;
        Ok(Self { min: only, max: only })
    }

    /// The first version of the range.
    pub fn first(self) -> i16 {
        self.min
    }
}

impl ToTokens for Versions {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let Self { min, max } = self;
        tokens.extend(quote!((#min..=#max)));
    }
}

/// One field.
pub struct Field {
    pub name: Ident,
    pub field_type: Type,
    pub versions: Versions,
    pub nullable: Versions,
    pub default: TokenStream,
    pub tag: Option<u32>,
}

impl Field {
    /// Whether the field's type is an `Option`.
    pub fn is_option(&self) -> bool {
        matches!(&self.field_type, Type::Path(path) if path.path.segments.last().is_some_and(|last| last.ident == "Option"))
    }
}

/// A struct, and its versions if it is a whole message.
pub struct Definition {
    pub name: Ident,
    pub generics: Generics,
    pub message: Option<(Versions, Option<Versions>)>,
    pub fields: Vec<Field>,
}

impl Definition {
    pub fn parse(input: &DeriveInput) -> Result<Self> {
        let Data::Struct(data) = &input.data else {
            return Err(Error::new(input.span(), "a message is a struct"));
        };
        let fields = match &data.fields {
            Fields::Named(named) => named.named.iter().map(parse_field).collect::<Result<_>>()?,
            Fields::Unit => Vec::new(),
            Fields::Unnamed(_) => return Err(Error::new(input.span(), "fields need names")),
        };
        let message = match find(&input.attrs, "message") {
            Some(attribute) => Some(parse_message(attribute)?),
            None => None,
        };
        Ok(Self { name: input.ident.clone(), generics: input.generics.clone(), message, fields })
    }
}

fn find<'a>(attributes: &'a [Attribute], name: &str) -> Option<&'a Attribute> {
    attributes.iter().find(|attribute| attribute.path().is_ident(name))
}

fn parse_message(attribute: &Attribute) -> Result<(Versions, Option<Versions>)> {
    let (mut versions, mut flexible) = (None, None);
    attribute.parse_nested_meta(|meta| {
        let range = Versions::parse(&meta.value()?.parse()?)?;
        match () {
            () if meta.path.is_ident("versions") => versions = Some(range),
            () if meta.path.is_ident("flexible") => flexible = Some(range),
            () => return Err(meta.error("`versions` or `flexible`")),
        }
        Ok(())
    })?;
    Ok((versions.ok_or_else(|| Error::new(attribute.span(), "`versions = ...` is missing"))?, flexible))
}

fn parse_field(field: &syn::Field) -> Result<Field> {
    let attribute =
        find(&field.attrs, "field").ok_or_else(|| Error::new(field.span(), "`#[field(versions = ...)]` is missing"))?;
    let (mut versions, mut nullable, mut default, mut tag) = (None, Versions::ALL, quote!(Default::default()), None);
    attribute.parse_nested_meta(|meta| {
        let value = meta.value()?;
        match () {
            () if meta.path.is_ident("versions") => versions = Some(Versions::parse(&value.parse()?)?),
            () if meta.path.is_ident("nullable") => nullable = Versions::parse(&value.parse()?)?,
            () if meta.path.is_ident("default") => default = value.parse::<Expr>()?.into_token_stream(),
            () if meta.path.is_ident("tag") => tag = Some(value.parse::<LitInt>()?.base10_parse()?),
            () => return Err(meta.error("`versions`, `nullable`, `default` or `tag`")),
        }
        Ok(())
    })?;
    Ok(Field {
        name: field.ident.clone().ok_or_else(|| Error::new(field.span(), "fields need names"))?,
        field_type: field.ty.clone(),
        versions: versions.ok_or_else(|| Error::new(attribute.span(), "`versions = ...` is missing"))?,
        nullable,
        default,
        tag,
    })
}

fn number(expr: &Expr) -> Result<i16> {
    match expr {
        Expr::Lit(literal) => match &literal.lit {
            Lit::Int(int) => int.base10_parse(),
            other => Err(Error::new(other.span(), "a version is a number")),
        },
        other => Err(Error::new(other.span(), "a version is a number")),
    }
}
