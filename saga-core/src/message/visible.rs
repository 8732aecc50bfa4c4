//! Stored text on a screen: no character of it may control the screen.

use std::borrow::Cow;

/// Returns the text with each character that a terminal or a browser would interpret as an escape, such as `\u{1b}`. These
/// are control characters, and characters that change the direction of text. Such text can come from outside.
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_control) {
        return Cow::Borrowed(text);
    }
    let escaped = text.chars().map(|c| {
        if is_control(c) { Cow::Owned(c.escape_unicode().to_string()) } else { Cow::Owned(c.to_string()) }
    });
    Cow::Owned(escaped.collect())
}

/// Returns whether a screen interprets the character: it moves the cursor, or changes the direction of text.
pub fn is_control(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_screen_would_interpret_is_an_escape() {
        assert_eq!(visible("a\u{1b}[2Jb\u{202e}c\n"), "a\\u{1b}[2Jb\\u{202e}c\\u{a}");
        assert!(matches!(visible("plain, ä and 漢"), Cow::Borrowed(_)));
    }
}
