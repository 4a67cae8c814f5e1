//! How a record is printed: a pattern with kcat's letters, or JSON.

use std::io::{self, Write};

use ringlog_core::record::Headers;
use serde_json::{Map, Value, json};

/// A record with its place.
pub(super) struct Shown<'a> {
    pub(super) topic: &'a str,
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) timestamp_ms: i64,
    pub(super) key: Option<&'a [u8]>,
    pub(super) value: Option<&'a [u8]>,
    pub(super) headers: Headers<'a>,
}

/// A parsed pattern.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pattern(Vec<Part>);

#[derive(Debug, PartialEq, Eq)]
enum Part {
    Text(Vec<u8>),
    Value,
    Key,
    Headers,
    Topic,
    Partition,
    Offset,
    Time,
}

impl Pattern {
    /// `%v`, `\n` and the others; see the command's help.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut plain = Vec::new();
        let mut letters = text.chars();
        while let Some(letter) = letters.next() {
            let part = match letter {
                '%' => match letters.next() {
                    Some('v' | 's') => Part::Value,
                    Some('k') => Part::Key,
                    Some('h') => Part::Headers,
                    Some('t') => Part::Topic,
                    Some('p') => Part::Partition,
                    Some('o') => Part::Offset,
                    Some('T') => Part::Time,
                    Some('%') => {
                        plain.push(b'%');
                        continue;
                    }
                    other => return Err(format!("%{} is not known", other.map_or(String::new(), String::from))),
                },
                '\\' => {
                    plain.push(match letters.next() {
                        Some('n') => b'\n',
                        Some('r') => b'\r',
                        Some('t') => b'\t',
                        Some('0') => 0,
                        Some('\\') => b'\\',
                        other => return Err(format!("\\{} is not known", other.map_or(String::new(), String::from))),
                    });
                    continue;
                }
                letter => {
                    plain.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
                    continue;
                }
            };
            if !plain.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut plain)));
            }
            parts.push(part);
        }
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Self(parts))
    }

    /// Bytes are written as they are; null as nothing.
    pub(super) fn write(&self, out: &mut impl Write, shown: &Shown<'_>) -> io::Result<()> {
        for part in &self.0 {
            match part {
                Part::Text(text) => out.write_all(text)?,
                Part::Value => out.write_all(shown.value.unwrap_or_default())?,
                Part::Key => out.write_all(shown.key.unwrap_or_default())?,
                Part::Headers => write_headers(out, &shown.headers)?,
                Part::Topic => out.write_all(shown.topic.as_bytes())?,
                Part::Partition => write!(out, "{}", shown.partition)?,
                Part::Offset => write!(out, "{}", shown.offset)?,
                Part::Time => write!(out, "{}", shown.timestamp_ms)?,
            }
        }
        Ok(())
    }
}

/// `a=1,b=2`; without a value only the key.
fn write_headers(out: &mut impl Write, headers: &Headers<'_>) -> io::Result<()> {
    for (at, (key, value)) in headers.enumerate() {
        if at > 0 {
            out.write_all(b",")?;
        }
        out.write_all(key)?;
        if let Some(value) = value {
            out.write_all(b"=")?;
            out.write_all(value)?;
        }
    }
    Ok(())
}

/// One object on one line. Bytes that are no UTF-8 are shown with U+FFFD in their place.
pub(super) fn write_json(out: &mut impl Write, shown: &Shown<'_>) -> io::Result<()> {
    let text = |bytes: Option<&[u8]>| bytes.map(String::from_utf8_lossy).map_or(Value::Null, |text| json!(text));
    let header = |(key, value): (&[u8], Option<&[u8]>)| (String::from_utf8_lossy(key).into_owned(), text(value));
    let headers: Map<String, Value> = shown.headers.map(header).collect();
    let record = json!({
        "topic": shown.topic,
        "partition": shown.partition,
        "offset": shown.offset,
        "timestamp": shown.timestamp_ms,
        "key": text(shown.key),
        "value": text(shown.value),
        "headers": headers,
    });
    writeln!(out, "{record}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(pattern: &str) -> Result<String, String> {
        let shown = Shown {
            topic: "t",
            partition: 3,
            offset: 17,
            timestamp_ms: 5,
            key: Some(b"k"),
            value: None,
            headers: Headers::default(),
        };
        let mut out = Vec::new();
        Pattern::parse(pattern)?.write(&mut out, &shown).map_err(|error| error.to_string())?;
        Ok(String::from_utf8(out).expect("the test's own text"))
    }

    #[test]
    fn letters_and_escapes() {
        assert_eq!(written(r"%t[%p]@%o %T %k=%v%h|100%%\n\t\\ ä"), Ok("t[3]@17 5 k=|100%\n\t\\ ä".to_owned()));
        assert_eq!(written(""), Ok(String::new()));
        assert_eq!(written("%x"), Err("%x is not known".to_owned()));
        assert_eq!(written("a%"), Err("% is not known".to_owned()));
        assert!(written("\\q").is_err());
    }
}
