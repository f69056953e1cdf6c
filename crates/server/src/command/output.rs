//! Data, on standard output: aligned lines or a table for people, one line of JSON for scripts.

use std::io::Write as _;

use comfy_table::Table;
use grantor_protocol::visible::{self, acts_on_a_terminal};
use serde::Serialize;
use zeroize::Zeroizing;

use super::Failure;

/// Whether a command answers for a script.
#[derive(clap::Args, Clone, Copy, Debug)]
pub(super) struct Output {
    /// Answer with one line of JSON
    #[arg(long)]
    pub(super) json: bool,
}

impl Output {
    /// Answers with the value as JSON, or with what `lines` makes of it.
    pub(super) fn data<T: Serialize>(
        self,
        value: &T,
        lines: impl FnOnce(&T) -> String,
    ) -> Result<(), Failure> {
        if self.json {
            return print(&json(value)?);
        }
        print(&lines(value))
    }

    /// Says something to a person. For a script the data says it all.
    pub(super) fn say(self, words: &str) {
        if !self.json {
            say(words);
        }
    }
}

/// One line of JSON, in which nothing acts on a terminal.
pub(super) fn json<T: Serialize>(value: &T) -> Result<Zeroizing<String>, Failure> {
    let plain = serde_json::to_string(value)
        .map(Zeroizing::new)
        .map_err(|error| Failure::unexplained("the answer is no JSON").because(&error))?;
    let mut line = Zeroizing::new(String::with_capacity(plain.len() + 64));
    // serde_json escapes up to U+001F and nothing behind it. Outside of texts there is none of these.
    for letter in plain.chars() {
        match acts_on_a_terminal(letter) {
            true => line.push_str(&format!("\\u{:04x}", u32::from(letter))),
            false => line.push(letter),
        }
    }
    Ok(line)
}

/// What a stranger wrote in many lines, for a terminal: of what acts on it line ends and tabs stay.
pub(super) fn for_terminal(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes).replace("\r\n", "\n");
    let seen =
        |c: char| if acts_on_a_terminal(c) && !matches!(c, '\n' | '\t') { '\u{fffd}' } else { c };
    text.chars().map(seen).collect()
}

/// Writes to standard output, with a line end.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    match anstream::stdout().write_all(format!("{}\n", text.trim_end()).as_bytes()) {
        // Whoever reads has seen enough, as `head` does.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => {
            Err(Failure::mendable("nothing can be written to standard output").because(&error))
        }
        Ok(()) => Ok(()),
    }
}

/// Writes words to standard error, with a line end. What a stranger wrote may stand in them.
pub(super) fn say(words: &str) {
    let lines: Vec<String> = words.lines().map(visible).collect();
    // Where nobody listens, the data and the exit code are all that is left to say.
    let _ = anstream::stderr().write_all(format!("{}\n", lines.join("\n")).as_bytes());
}

/// Words behind a beginning of ours. Their further lines stand further in, so that a line end
/// in what a stranger wrote begins no `hint:` of ours.
pub(super) fn told(words: &str) -> String {
    let lines: Vec<String> = words.lines().map(visible).collect();
    lines.join("\n    ")
}

/// Names and values, aligned. A name that repeats is written once.
pub(super) fn aligned(pairs: &[(&str, String)]) -> String {
    let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let mut lines = String::new();
    let mut before = "";
    for (name, value) in pairs {
        let shown = if *name == before { "" } else { name };
        lines.push_str(&format!("{shown:width$}  {}\n", visible(value)));
        before = name;
    }
    lines
}

/// A table with a head, or nothing at all where there is no row.
pub(super) fn table(head: &[&str], rows: Vec<Vec<String>>) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING).set_header(head.iter().copied());
    for row in rows {
        table.add_row(row.iter().map(|cell| visible(cell)));
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim().to_owned()).collect();
    lines.join("\n")
}

/// A time, for people.
pub(super) fn time(unix_seconds: i64) -> String {
    match jiff::Timestamp::from_second(unix_seconds) {
        Ok(time) => time.strftime("%Y-%m-%d %H:%M:%SZ").to_string(),
        Err(_) => unix_seconds.to_string(),
    }
}

/// A time that may not have been, for people.
pub(super) fn time_or_never(unix_seconds: Option<i64>) -> String {
    unix_seconds.map_or_else(|| "never".to_owned(), time)
}

/// What a stranger named must not move the cursor of a terminal, nor turn the text around.
fn visible(text: &str) -> String {
    visible::for_terminal(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_json_acts_on_a_terminal_and_it_says_the_same() {
        let wild = serde_json::json!({
            "scope\u{9b}": "a\u{7f}\u{80}\u{9f}\u{1b}\n\u{61c}\u{200e}\u{202e}\u{2069} é 🦀 \\u009b"
        });
        let line = json(&wild).unwrap();
        assert!(!line.chars().any(acts_on_a_terminal), "{line:?}");
        assert!(line.contains("é 🦀") && line.contains("\\u009b"), "{line:?}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&line).unwrap(), wild);
    }

    #[test]
    fn a_long_text_at_a_terminal_keeps_its_lines_and_tabs_alone() {
        let shown = for_terminal(b"a\tb\r\nc\rd\n\x1b[2J\xc2\x9b2J\xe2\x80\xae\xff");
        assert_eq!(shown, "a\tb\nc\u{fffd}d\n\u{fffd}[2J\u{fffd}2J\u{fffd}\u{fffd}");
    }
}
