//! Regular expressions of Kafka's consumers are in the syntax of RE2/J: written anew in that of `regex`, where both differ.
//!
//! | RE2/J | `regex` |
//! |---|---|
//! | `\Q...\E`, to the end without `\E` | each character by itself |
//! | octal `\0`, `\12`, `\123` | `\x{...}` |
//! | a `{` that begins no repetition is itself | `\{` |
//! | in a class, `[`, `&`, `~` and a `-` that is no range are themselves | nested classes and operators: escaped |
//!
//! What is an error in both stays one. Source: RE2/J's `Parser.java`.

use std::iter::Peekable;
use std::str::Chars;

/// The expression as `regex` reads it.
pub fn to_regex(expression: &str) -> String {
    let mut text = Translation { rest: expression.chars().peekable(), out: String::with_capacity(expression.len()) };
    while let Some(c) = text.rest.next() {
        match c {
            '\\' => text.escape(),
            '[' => text.class(),
            '{' if !text.is_repetition() => text.out.push_str(r"\{"),
            _ => text.out.push(c),
        }
    }
    text.out
}

struct Translation<'a> {
    rest: Peekable<Chars<'a>>,
    out: String,
}

impl Translation<'_> {
    /// What follows a backslash outside of a class.
    fn escape(&mut self) {
        match self.rest.next() {
            Some('Q') => self.quoted(),
            next => self.escaped(next),
        }
    }

    fn quoted(&mut self) {
        while let Some(c) = self.rest.next() {
            if c == '\\' && self.rest.next_if_eq(&'E').is_some() {
                return;
            }
            self.out.push_str(&regex::escape(c.encode_utf8(&mut [0; 4])));
        }
    }

    /// What follows a backslash anywhere.
    fn escaped(&mut self, next: Option<char>) {
        let is_octal = |c: &char| matches!(c, '0'..='7');
        match next {
            // One digit that is not 0 would be a back reference, which both refuse.
            Some(c @ '0'..='7') if c == '0' || self.rest.peek().is_some_and(is_octal) => {
                let mut digits = String::from(c);
                while digits.len() < 3
                    && let Some(digit) = self.rest.next_if(is_octal)
                {
                    digits.push(digit);
                }
                let value = u32::from_str_radix(&digits, 8).expect("octal digits");
                self.out.push_str(&format!(r"\x{{{value:x}}}"));
            }
            next => {
                self.out.push('\\');
                self.out.extend(next);
                match next {
                    Some('x' | 'p' | 'P') if self.rest.peek() == Some(&'{') => self.braced(),
                    Some('x') => self.out.extend(self.rest.by_ref().take(2)),
                    Some('p' | 'P') => self.out.extend(self.rest.next()),
                    _ => {}
                }
            }
        }
    }

    /// Whether `{n}`, `{n,}` or `{n,m}` begins with the brace that was just read.
    fn is_repetition(&self) -> bool {
        let inside: String = self.rest.clone().take_while(|c| *c != '}').take(12).collect();
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let is_closed = self.rest.clone().nth(inside.chars().count()) == Some('}');
        let (min, max) = inside.split_once(',').unwrap_or((&inside, ""));
        is_closed && is_number(min) && (max.is_empty() || is_number(max))
    }

    /// A class, up to its end.
    fn class(&mut self) {
        self.out.push('[');
        if self.rest.next_if_eq(&'^').is_some() {
            self.out.push('^');
        }
        if self.rest.next_if_eq(&']').is_some() {
            self.out.push_str(r"\]");
            self.range_end();
        }
        while let Some(c) = self.rest.next() {
            match c {
                ']' => return self.out.push(']'),
                '[' if self.rest.peek() == Some(&':') => self.named_class(),
                // Of a set no range begins.
                '\\' if self.rest.peek().is_some_and(|next| "dDsSwWpP".contains(*next)) => self.member(c),
                c => {
                    self.member(c);
                    self.range_end();
                }
            }
        }
    }

    /// `[:alpha:]`.
    fn named_class(&mut self) {
        self.out.push('[');
        for c in self.rest.by_ref() {
            self.out.push(c);
            if c == ']' {
                return;
            }
        }
    }

    /// Up to the next closing brace.
    fn braced(&mut self) {
        for c in self.rest.by_ref() {
            self.out.push(c);
            if c == '}' {
                return;
            }
        }
    }

    /// One character of a class, that begins with `c`.
    fn member(&mut self, c: char) {
        match c {
            '\\' => {
                let next = self.rest.next();
                self.escaped(next);
            }
            '[' | '&' | '~' | '-' => self.out.extend(['\\', c]),
            c => self.out.push(c),
        }
    }

    /// The rest of a range, if one begins with the character that was just read.
    fn range_end(&mut self) {
        let mut ahead = self.rest.clone();
        if ahead.next() == Some('-') && ahead.peek().is_some_and(|c| *c != ']') {
            self.rest = ahead;
            self.out.push('-');
            if let Some(end) = self.rest.next() {
                self.member(end);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_both_read_alike_stays() {
        for expression in [
            "",
            "topic-.*",
            r"a\.b|c+?",
            "(?i)x{2,3}y{4}z{5,}",
            "[a-c0-9_.-]",
            "[^a-c]",
            r"[\d\-]",
            "[[:alpha:]x]",
            r"\pL\p{Greek}\x41\x{42}",
            r"[\x41-\x{42}]",
            r"[\p{Greek}a-b]",
        ] {
            let expected = expression.replace("_.-]", r"_.\-]");
            assert_eq!(to_regex(expression), expected);
        }
    }

    #[test]
    fn what_differs_is_written_anew() {
        for (expression, expected) in [
            (r"\Qa.b\E.c", r"a\.b.c"),
            (r"x\Q[\E\Q\y", r"x\[\\y"),
            (r"\141\0\1234\12", r"\x{61}\x{0}\x{53}4\x{a}"),
            (r"\1", r"\1"),
            ("a{", r"a\{"),
            ("a{b}{,2}{1,x}{3", r"a\{b}\{,2}\{1,x}\{3"),
            ("[a&&b]", r"[a\&\&b]"),
            ("[a~~b]", r"[a\~\~b]"),
            ("[a[b]", r"[a\[b]"),
            ("[]a]", r"[\]a]"),
            ("[^]-a]", r"[^\]-a]"),
            ("[--/]", r"[\--/]"),
            ("[+--]", r"[+-\-]"),
            (r"[\d-z]", r"[\d\-z]"),
            (r"[a-c-e]", r"[a-c\-e]"),
            (r"[\101-\103]", r"[\x{41}-\x{43}]"),
            ("[-a]", r"[\-a]"),
        ] {
            assert_eq!(to_regex(expression), expected, "{expression}");
        }
    }

    #[test]
    fn no_expression_is_too_odd() {
        for expression in ["\\", "[", "[^", "[]", "[a-", "[\\", "[[:a", r"[\p{", r"[\x{", r"\Q", "{", "[\\x"] {
            let _ = to_regex(expression);
        }
    }
}
