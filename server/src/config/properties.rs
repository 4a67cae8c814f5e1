//! `server.properties` as text: keys and values in the order in which they were given.

use std::fmt;
use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;

use encoding_rs::UTF_8;
use java_properties::{LineContent, PropertiesIter};

use super::ConfigError;

/// Who set a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The properties file.
    File(Arc<Path>),
    /// This environment variable.
    Environment(String),
    /// `--override`.
    Override,
    /// This option of the command line.
    Option(&'static str),
    /// Nobody; it is what a start without a file means.
    FirstRun,
    /// Another key that says the same.
    Implied,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Environment(variable) => write!(f, "environment {variable}"),
            Self::Override => f.write_str("--override"),
            Self::Option(option) => f.write_str(option),
            Self::FirstRun => f.write_str("start without a file"),
            Self::Implied => f.write_str("implied"),
        }
    }
}

/// One key with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Property {
    /// As written.
    pub key: String,
    /// Without the blanks around it.
    pub value: String,
    /// Who set it.
    pub origin: Origin,
}

/// The given keys. A later value of a key replaces an earlier one, as in Java.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Properties(Vec<Property>);

impl Properties {
    /// Parses the content of a properties file; `path` is for the message only.
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Self, ConfigError> {
        let mut properties = Self::default();
        let origin = Origin::File(Arc::from(path));
        // Java's properties are ISO 8859-1. The library would look for a byte order mark, which they have not.
        let text: String = bytes.iter().map(|&byte| char::from(byte)).collect();
        for line in PropertiesIter::new_with_encoding(Cursor::new(text), UTF_8) {
            let line = line.map_err(|error| ConfigError::Unreadable {
                path: path.to_owned(),
                reason: match error.line_number() {
                    Some(number) => format!("line {number}: {error}"),
                    None => error.to_string(),
                },
            })?;
            if let LineContent::KVPair(key, value) = line.consume_content() {
                properties.set_from(key.trim(), value.trim(), origin.clone());
            }
        }
        Ok(properties)
    }

    /// Reads and parses a file.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let unreadable =
            |error: std::io::Error| ConfigError::Unreadable { path: path.to_owned(), reason: error.to_string() };
        Self::parse(path, &std::fs::read(path).map_err(unreadable)?)
    }

    /// Sets `key`, replacing an earlier value, as `--override` does.
    pub fn set(&mut self, key: &str, value: &str) {
        self.set_from(key, value, Origin::Override);
    }

    /// Sets `key`, replacing an earlier value.
    pub fn set_from(&mut self, key: &str, value: &str, origin: Origin) {
        let set = Property { key: key.to_owned(), value: value.to_owned(), origin };
        match self.0.iter_mut().find(|property| property.key == key) {
            Some(property) => *property = set,
            None => self.0.push(set),
        }
    }

    /// The value of `key`; an empty value counts as not given.
    pub fn value(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|property| property.key == key).map(|p| p.value.as_str()).filter(|v| !v.is_empty())
    }

    /// Keys and values in the order in which they were first given.
    pub fn iter(&self) -> impl Iterator<Item = &Property> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Properties {
        Properties::parse(Path::new("test"), text.as_bytes()).unwrap()
    }

    #[test]
    fn java_syntax_is_understood() {
        let properties = parse("# comment\n! comment\nnode.id = 7\nlog.dirs:/a\\\n  /b\n\nempty=\nunicode=\\u0041\n");
        assert_eq!(properties.value("node.id"), Some("7"));
        assert_eq!(properties.value("log.dirs"), Some("/a/b"));
        assert_eq!(properties.value("empty"), None);
        assert_eq!(properties.value("unicode"), Some("A"));
    }

    #[test]
    fn bytes_are_iso_8859_1() {
        let properties = Properties::parse(Path::new("test"), b"\xef\xbb\xbfa=\xe9\x80\n\xff").unwrap();
        assert_eq!(properties.value("\u{ef}\u{bb}\u{bf}a"), Some("\u{e9}\u{80}"));
        assert!(Properties::parse(Path::new("test"), b"\xff").is_ok());
    }

    #[test]
    fn the_last_value_wins() {
        let properties = parse("a=1\nb=2\na=3\n");
        assert_eq!(properties.value("a"), Some("3"));
        assert_eq!(properties.iter().count(), 2);
    }

    #[test]
    fn damaged_escapes_name_file_and_line() {
        let error = Properties::parse(Path::new("x.properties"), b"a=1\nb=\\u00\n").unwrap_err();
        assert!(error.to_string().starts_with("x.properties: line 2"), "{error}");
    }
}
