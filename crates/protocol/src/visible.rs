//! Characters in what strangers write that act on whatever shows them.

/// Whether a character turns the text around it (Unicode 9, UAX #9).
pub fn is_directional(letter: char) -> bool {
    matches!(
        letter,
        '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

/// Whether a terminal obeys a character, or turns the text around at it.
pub fn acts_on_a_terminal(letter: char) -> bool {
    letter.is_control() || is_directional(letter)
}

/// The same text, in which nothing acts on a terminal.
pub fn for_terminal(text: &str) -> impl Iterator<Item = char> {
    text.chars().map(|letter| if acts_on_a_terminal(letter) { '\u{fffd}' } else { letter })
}
