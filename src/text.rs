//! Text that comes from outside, made safe to show.
//!
//! Job ids, job documents, error messages and reason strings are written by somebody else. Shown as
//! they are, an escape sequence in one of them could repaint the reader's terminal or hide what
//! happened. [`printable`] is for every such text that reaches stdout or stderr.

use std::any::Any;
use std::borrow::Cow;

/// The text with its control characters escaped (`\u{1b}`, `\n`), as well as the invisible
/// characters that change the direction of writing. Everything else stays as it is.
pub fn printable(text: &str) -> Cow<'_, str> {
    if is_printable(text) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::new();
    for character in text.chars() {
        match repaints(character) {
            true => shown.extend(character.escape_default()),
            false => shown.push(character),
        }
    }
    shown.into()
}

/// Whether the text can be shown as it is.
pub fn is_printable(text: &str) -> bool {
    !text.contains(repaints)
}

/// At most `limit` characters of the text; a longer one ends with `…`.
///
/// The limits of AWS IoT Jobs count characters, so this does too: it never cuts one in half.
pub fn cut(text: &str, limit: usize) -> Cow<'_, str> {
    if text.chars().count() <= limit {
        return Cow::Borrowed(text);
    }
    let kept = text.chars().take(limit.saturating_sub(1));
    Cow::Owned(kept.chain(['…']).collect())
}

/// What a panic said, from its payload; as it is, so make it [`printable`].
pub fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let said = panic.downcast_ref::<&str>().copied();
    let said = said.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    said.unwrap_or("without a word")
}

/// Control characters (C0, DEL, C1), and Unicode's marks for lines, direction and nothing at all.
/// (Those that the service refuses in status details as well.)
fn repaints(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{e000}'..='\u{f8ff}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped_and_the_rest_is_left_alone() {
        assert_eq!(printable("a\u{1b}[2Jb\nc"), r"a\u{1b}[2Jb\nc");
        assert_eq!(printable("\u{202e}txt.exe"), r"\u{202e}txt.exe");
        assert_eq!(printable("\u{9b}31m\u{7f}"), r"\u{9b}31m\u{7f}");
        assert_eq!(printable("Grüße, 世界"), "Grüße, 世界");
    }

    #[test]
    fn a_cut_text_has_the_limit_and_whole_characters() {
        assert_eq!(cut("short", 5), "short");
        assert_eq!(cut("世界世界", 3), "世界…");
        assert_eq!(cut("long", 0), "…");
    }

    #[test]
    fn a_panic_s_message_is_found_in_its_payload() {
        assert_eq!(panic_message(&"said"), "said");
        assert_eq!(panic_message(&"said".to_owned()), "said");
        assert_eq!(panic_message(&7), "without a word");
    }
}
