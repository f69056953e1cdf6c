//! A text as a literal of a language, whatever it holds. What a shell's single quotes cannot hold at
//! all, a NUL, is left out there: no argument of a program has one.

use std::fmt::Write as _;

/// In single quotes, where nothing but the quote itself means anything (POSIX shell 2.2.2).
pub(super) fn shell(text: &str) -> String {
    format!("'{}'", text.replace('\0', "").replace('\'', r"'\''"))
}

/// As JSON writes it, and the two that end a line there alone as escapes.
pub(super) fn javascript(text: &str) -> String {
    escaped(text, |code| format!("\\u{{{code:x}}}"))
}

/// In double quotes, with the escapes of Python.
pub(super) fn python(text: &str) -> String {
    escaped(text, |code| format!("\\U{code:08x}"))
}

/// In single quotes, where the quote and the backslash alone are escaped.
pub(super) fn php(text: &str) -> String {
    format!("'{}'", text.replace('\\', r"\\").replace('\'', r"\'"))
}

/// In double quotes, with the escapes of C#.
pub(super) fn csharp(text: &str) -> String {
    escaped(text, |code| format!("\\U{code:08x}"))
}

/// In double quotes, with the escapes of Rust.
pub(super) fn rust(text: &str) -> String {
    escaped(text, |code| format!("\\u{{{code:x}}}"))
}

/// In double quotes: printable ASCII and letters stay, the rest goes as `escape` writes it.
fn escaped(text: &str, escape: impl Fn(u32) -> String) -> String {
    let mut literal = String::with_capacity(text.len() + 2);
    literal.push('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => {
                let _ = write!(literal, "\\{letter}");
            }
            ' '..='~' => literal.push(letter),
            _ if letter.is_alphanumeric() => literal.push(letter),
            _ => literal.push_str(&escape(u32::from(letter))),
        }
    }
    literal.push('"');
    literal
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nothing_leaves_its_quotes() {
        let hostile = "a'b\"c\\d$(id)`id`${x}{x}\n#\u{2028}\u{202E}é";
        assert_eq!(shell(hostile), "'a'\\''b\"c\\d$(id)`id`${x}{x}\n#\u{2028}\u{202E}é'");
        assert_eq!(php("a'b\\'"), r"'a\'b\\\''");
        assert_eq!(python("a\"b\\\n"), r#""a\"b\\\U0000000a""#);
        assert_eq!(rust("\u{202E}"), r#""\u{202e}""#);
    }

    /// Reads a literal in single quotes, in which `escapes` are the letters that a backslash escapes.
    fn read_php(literal: &str) -> Option<String> {
        let inner = literal.strip_prefix('\'')?.strip_suffix('\'')?;
        let mut letters = inner.chars();
        let mut text = String::new();
        while let Some(letter) = letters.next() {
            match letter {
                '\'' => return None,
                '\\' => text.push(letters.next()?),
                letter => text.push(letter),
            }
        }
        Some(text)
    }

    proptest! {
        #[test]
        fn a_literal_in_double_quotes_ends_where_it_ends_and_holds_no_control(text in "\\PC{0,40}|[\u{0}-\u{ff}]{0,20}") {
            for literal in [javascript(&text), python(&text), csharp(&text), rust(&text)] {
                let inner = &literal[1..literal.len() - 1];
                let bare = inner.replace("\\\\", "").replace("\\\"", "");
                prop_assert!(!bare.contains('"') && !bare.ends_with('\\'), "{literal}");
                prop_assert!(!literal.chars().any(char::is_control), "{literal}");
            }
            let php = php(&text);
            prop_assert_eq!(read_php(&php), Some(text.clone()));
            let parts: Vec<&str> = shell(&text)[1..].split("'\\''").map(|_| "").collect();
            prop_assert_eq!(parts.len(), text.matches('\'').count() + 1);
        }
    }
}
