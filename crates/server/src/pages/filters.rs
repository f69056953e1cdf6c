//! The template filters for text that strangers wrote.

use askama::{Result, Values};
use std::fmt::{Display, Write};

use crate::unseen::acts_unseen;

/// Shows what would otherwise act unseen: `U+202E` in place of a right-to-left override.
///
/// Templates still escape the result. Letters of every script stay as they are, also the joiners
/// and direction marks that Persian, Arabic and Hebrew text needs.
#[askama::filter_fn]
pub(crate) fn visible(text: impl Display, _: &dyn Values) -> Result<String> {
    Ok(reveal(&text.to_string()))
}

/// The first letter of a name, large, for where there is no picture of it.
#[askama::filter_fn]
pub(crate) fn initial(name: impl Display, _: &dyn Values) -> Result<String> {
    Ok(first_letter(&name.to_string()))
}

fn first_letter(name: &str) -> String {
    let letter = name.chars().find(|letter| letter.is_alphanumeric());
    letter.map_or_else(|| "·".to_owned(), |letter| letter.to_uppercase().collect())
}

fn reveal(text: &str) -> String {
    let mut revealed = String::with_capacity(text.len());
    for letter in text.chars() {
        if !matches!(letter, '\n' | '\t') && acts_unseen(letter) {
            // Writing to a String can't fail.
            let _ = write!(revealed, "[U+{:04X}]", u32::from(letter));
        } else {
            revealed.push(letter);
        }
    }
    revealed
}

#[cfg(test)]
mod tests {
    use super::{first_letter, reveal};

    #[test]
    fn a_direction_override_is_shown_and_not_obeyed() {
        assert_eq!(reveal("a\u{202E}b\u{0}c"), "a[U+202E]b[U+0000]c");
    }

    #[test]
    fn the_initial_of_a_name_is_a_letter_or_a_digit_and_never_acts_unseen() {
        for (name, expected) in [
            ("table planner", "T"),
            ("\u{202E}<b>", "B"),
            ("ß", "SS"),
            ("寿司", "寿"),
            ("7 days", "7"),
            ("***", "·"),
        ] {
            assert_eq!(first_letter(name), expected, "{name}");
        }
    }

    #[test]
    fn ordinary_text_of_any_script_stays_as_it_is() {
        let text = "Café Zürich, מסעדה, می\u{200C}خواهم\nline";
        assert_eq!(reveal(text), text);
    }
}
