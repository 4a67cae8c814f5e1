//! Values of keys: parsed with the bounds that Kafka gives them, problems collected instead of stopping at the first.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use super::{ConfigError, Properties};

/// Reads keys and collects what is wrong with them.
#[derive(Debug)]
pub(super) struct Values<'a> {
    pub(super) properties: &'a Properties,
    pub(super) problems: Vec<ConfigError>,
}

impl<'a> Values<'a> {
    pub(super) fn new(properties: &'a Properties) -> Self {
        Self { properties, problems: Vec::new() }
    }

    pub(super) fn text(&self, key: &str) -> Option<&'a str> {
        self.properties.value(key)
    }

    /// A number within bounds; `default` when the key is not given (or is wrong, which is a problem of its own).
    pub(super) fn number<T>(&mut self, key: &str, bounds: RangeInclusive<T>, default: T) -> T
    where
        T: FromStr + PartialOrd + Display + Copy,
    {
        self.number_if_given(key, bounds).unwrap_or(default)
    }

    pub(super) fn number_if_given<T>(&mut self, key: &str, bounds: RangeInclusive<T>) -> Option<T>
    where
        T: FromStr + PartialOrd + Display + Copy,
    {
        let text = self.text(key)?;
        match text.parse() {
            Ok(number) if bounds.contains(&number) => Some(number),
            Ok(_) => self.invalid(key, format!("must be in {}..={}", bounds.start(), bounds.end())),
            Err(_) => self.invalid(key, "not a whole number that fits"),
        }
    }

    pub(super) fn boolean(&mut self, key: &str, default: bool) -> bool {
        match self.text(key).map(str::to_ascii_lowercase).as_deref() {
            None => default,
            Some("true") => true,
            Some("false") => false,
            Some(_) => self.invalid(key, "must be true or false").unwrap_or(default),
        }
    }

    /// A comma-separated list without blanks and empty parts.
    pub(super) fn list(&self, key: &str) -> Vec<&'a str> {
        self.text(key).map_or_else(Vec::new, split_list)
    }

    pub(super) fn invalid<T>(&mut self, key: &str, reason: impl Into<String>) -> Option<T> {
        let value = self.text(key).unwrap_or_default().to_owned();
        self.problems.push(ConfigError::Invalid { key: key.to_owned(), value, reason: reason.into() });
        None
    }

    pub(super) fn not_there(&mut self, key: &str, reason: impl Into<String>) {
        self.problems.push(ConfigError::NotThere { key: key.to_owned(), reason: reason.into() });
    }

    pub(super) fn contradiction(&mut self, key: &str, reason: impl Into<String>) {
        self.problems.push(ConfigError::Contradiction { key: key.to_owned(), reason: reason.into() });
    }
}

/// The parts of a comma-separated list, without blanks and empty parts.
pub(super) fn split_list(text: &str) -> Vec<&str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).collect()
}

/// A size in bytes: a whole number, alone or with one of K, M, G, T (powers of 1,024), as in `512M`.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let upper = text.trim().to_ascii_uppercase();
    let upper = upper.strip_suffix('B').unwrap_or(&upper);
    let upper = upper.strip_suffix('I').unwrap_or(upper);
    let (digits, shift) = match upper.as_bytes().last() {
        Some(b'K') => (&upper[..upper.len() - 1], 10),
        Some(b'M') => (&upper[..upper.len() - 1], 20),
        Some(b'G') => (&upper[..upper.len() - 1], 30),
        Some(b'T') => (&upper[..upper.len() - 1], 40),
        _ => (upper, 0),
    };
    let number: u64 = digits.trim().parse().map_err(|_| "not a size such as 512M or 4G".to_owned())?;
    number.checked_mul(1 << shift).filter(|size| *size > 0).ok_or_else(|| "the size does not fit".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, size) in [("1", 1), ("512M", 512 << 20), ("4G", 4 << 30), ("4GiB", 4 << 30), ("2 k", 2048)] {
            assert_eq!(parse_size(text), Ok(size), "{text}");
        }
        for text in ["", "M", "0", "-1", "1.5G", "99999999999T", "ib"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn problems_are_collected() {
        let mut properties = Properties::default();
        properties.set("a", "x");
        properties.set("b", "0");
        properties.set("c", "perhaps");
        let mut values = Values::new(&properties);
        assert_eq!(values.number("a", 1..=9, 5), 5);
        assert_eq!(values.number("b", 1..=9, 5), 5);
        assert!(values.boolean("c", true));
        assert_eq!(values.number("d", 1..=9, 5), 5);
        assert_eq!(values.problems.iter().map(|p| p.key().unwrap()).collect::<Vec<_>>(), ["a", "b", "c"]);
    }
}
