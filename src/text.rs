//! Text that comes from outside, made safe to show.
//!
//! Job documents, error messages and reason strings are written by somebody else. Shown as they are,
//! an escape sequence in one of them could repaint the reader's terminal, or hide what happened; and a
//! presigned URL would let the reader in. So such a text is a [`Text`], and there is no way to print one
//! that is not printable, or what signs a URL in it.

use std::any::Any;
use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// A text from outside. Its `Display` is [`printable`], and [without what signs a URL](without_signatures);
/// whoever needs it as it came calls [`Text::raw`].
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Text(String);

impl Text {
    /// The text as it came: for programs, not for people.
    pub fn raw(&self) -> &str {
        &self.0
    }
}

impl<T: Into<String>> From<T> for Text {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&printable(&without_signatures(&self.0)))
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_string())
    }
}

/// The text with everything escaped that is invisible or moves the cursor (`\u{1b}`, `\n`, the marks
/// that change the direction of writing, what Unicode has not assigned). The rest stays as it is.
pub fn printable(text: &str) -> Cow<'_, str> {
    if is_printable(text) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::new();
    for character in text.chars() {
        if is_visible(character) {
            shown.push(character);
        } else {
            shown.extend(character.escape_default());
        }
    }
    shown.into()
}

/// Whether the text can be shown as it is.
pub fn is_printable(text: &str) -> bool {
    text.chars().all(is_visible)
}

/// At most `limit` characters of the text; a longer one ends with `…`.
///
/// The limits of AWS IoT Jobs count characters, so this does too: it never cuts one in half.
pub fn cut(text: &str, limit: usize) -> Cow<'_, str> {
    if text.chars().nth(limit).is_none() {
        return Cow::Borrowed(text);
    }
    let kept = text.chars().take(limit.saturating_sub(1));
    Cow::Owned(kept.chain(['…']).collect())
}

/// What only the query of a presigned URL holds: of S3 (in both its ways to sign), of CloudFront, and
/// of the two others that devices are sent to. In lower case.
pub const SIGNATURE_MARKS: [&str; 6] = [
    "x-amz-",
    "awsaccesskeyid=",
    "key-pair-id=",
    "signature=",
    "x-goog-",
    "sig=",
];

/// The text with `?…` in place of the query of each presigned URL in it: whoever has one may fetch what it
/// stands for, so nobody is shown one. (Its `?` is looked for as it is: who escapes it hides it from this.)
pub fn without_signatures(text: &str) -> Cow<'_, str> {
    if !text.contains('?') {
        return Cow::Borrowed(text);
    }
    let mut shown = String::new();
    let mut rest = text;
    while let Some(start) = rest.find('?') {
        let query = &rest[start + 1..];
        let query = &query[..end_of_url(query)];
        shown += &rest[..start];
        shown += if is_signed(query) {
            "?…"
        } else {
            &rest[start..=start + query.len()]
        };
        rest = &rest[start + 1 + query.len()..];
    }
    Cow::Owned(shown + rest)
}

/// Where the URL ends: at a quote (escaped or not), at a blank, or with the text.
fn end_of_url(text: &str) -> usize {
    let end = text
        .find(|c: char| c.is_whitespace() || c.is_control() || matches!(c, '"' | '\'' | '<' | '>'))
        .unwrap_or(text.len());
    text[..end].trim_end_matches('\\').len()
}

fn is_signed(query: &str) -> bool {
    let query = query.to_ascii_lowercase();
    SIGNATURE_MARKS.iter().any(|mark| query.contains(mark))
}

/// What a panic said, from its payload.
pub fn panic_message(panic: &(dyn Any + Send)) -> Text {
    let said = panic.downcast_ref::<&str>().copied();
    let said = said.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    said.unwrap_or("without a message").into()
}

/// Whether a character shows, or is a space. Not so: Unicode's category C (control, format, private
/// use, unassigned; the service refuses them in status details as well), and separators of lines.
fn is_visible(character: char) -> bool {
    match character {
        ' '..='~' => true,
        '\0'..='\u{9f}' => false,
        '\u{2028}' | '\u{2029}' => false,
        space if space.is_whitespace() => true,
        // The standard library knows all of Unicode, and tells by what it escapes. Behind a letter,
        // because it would escape an accent that has none to stand on.
        other => format!("a{other}").escape_debug().nth(2).is_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_show_is_escaped_and_the_rest_is_left_alone() {
        assert_eq!(printable("a\u{1b}[2Jb\nc"), r"a\u{1b}[2Jb\nc");
        assert_eq!(printable("\u{202e}txt.exe"), r"\u{202e}txt.exe");
        assert_eq!(printable("\u{9b}31m\u{7f}"), r"\u{9b}31m\u{7f}");
        assert_eq!(printable("\u{e0041}\u{378}"), r"\u{e0041}\u{378}");
        for plain in ["Grüße, 世界", "e\u{301}", "a\u{a0}b\u{3000}", "'\"\\", "👍"] {
            assert_eq!(printable(plain), plain);
        }
    }

    #[test]
    fn a_text_from_outside_is_shown_printable_and_kept_as_it_came() {
        let text = Text::from("a\u{1b}[2J");
        assert_eq!(text.to_string(), r"a\u{1b}[2J");
        assert!(!format!("{text:?}").contains('\u{1b}'));
        assert_eq!(text.raw(), "a\u{1b}[2J");
    }

    #[test]
    fn a_cut_text_has_the_limit_and_whole_characters() {
        assert_eq!(cut("short", 5), "short");
        assert_eq!(cut("世界世界", 3), "世界…");
        assert_eq!(cut("long", 0), "…");
    }

    #[test]
    fn a_panic_s_message_is_found_in_its_payload() {
        assert_eq!(panic_message(&"said").raw(), "said");
        assert_eq!(panic_message(&"said".to_owned()).raw(), "said");
        assert_eq!(panic_message(&7).raw(), "without a message");
    }

    #[test]
    fn the_query_of_a_presigned_url_is_not_shown() {
        for (text, shown) in [
            ("no URL", "no URL"),
            ("is it? yes", "is it? yes"),
            (
                "https://a.example/?page=2 ok",
                "https://a.example/?page=2 ok",
            ),
            (
                r#"{"url": "https://b.example/f.bin?X-Amz-Signature=1&x=2", "n": 1}"#,
                r#"{"url": "https://b.example/f.bin?…", "n": 1}"#,
            ),
            (
                r#"{\"url\":\"https:\/\/b.example\/f?a=b&Signature=cc\"}"#,
                r#"{\"url\":\"https:\/\/b.example\/f?…\"}"#,
            ),
            (
                r#"{"url":"https://b.example/f?X-Amz-Date\u003d1\u0026X-Amz-Signature\u003dabc"}"#,
                r#"{"url":"https://b.example/f?…"}"#,
            ),
            (
                "https://c.example/?AWSAccessKeyId=A two",
                "https://c.example/?… two",
            ),
            ("a?b?X-AMZ-Credential=c", "a?…"),
        ] {
            assert_eq!(without_signatures(text), shown, "{text}");
        }
    }
}
