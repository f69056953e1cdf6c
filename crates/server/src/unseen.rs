//! Letters that nobody sees, in what strangers write.

/// Whether a letter acts on others and is not seen itself: control characters, direction overrides,
/// embeddings and isolates, ends of lines, blanks of no width, hyphens that are not drawn, tags.
pub fn acts_unseen(letter: char) -> bool {
    match letter {
        '\u{200B}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}' => true,
        '\u{00AD}' | '\u{061C}' | '\u{180E}' | '\u{E0000}'..='\u{E007F}' => true,
        _ => letter.is_control(),
    }
}

/// The same with the joiners and direction marks that Persian, Arabic and Hebrew text needs: in a name
/// or an address they only make two look the same.
pub fn is_unseen(letter: char) -> bool {
    matches!(letter, '\u{200C}'..='\u{200F}') || acts_unseen(letter)
}
