//! Presigned URLs: whoever has one may fetch what it stands for, so nobody is shown one.
//!
//! The query is what signs them. It is found in whatever disguise a text may give it: escaped as in
//! JSON (`\u003f`), percent-encoded, or as an HTML entity, once or several times over.

use std::borrow::Cow;

use jobs_mqtt5::text::SIGNATURE_MARKS;
use serde_json::Value;

/// How often a text may be encoded over and over.
const DEEPEST: usize = 8;

/// The text with `?…` in place of the query of each presigned URL in it.
pub fn without_signatures(text: &str) -> Cow<'_, str> {
    let mut shown = String::new();
    let mut end = 0; // of what is in `shown`
    let mut is_value = false; // of a name in the word before, as in JSON or in a header
    for (start, word) in words(text) {
        let query = signed_query(word);
        let says_something = word.contains(char::is_alphanumeric);
        if let Some(begin) = query.or((is_value && says_something).then_some(0)) {
            shown += &text[end..start + begin];
            shown += "?…";
            end = start + word.len();
        }
        if says_something {
            is_value = query.is_some_and(|query| is_name(&word[query..]));
        }
    }
    if end == 0 {
        return Cow::Borrowed(text);
    }
    Cow::Owned(shown + &text[end..])
}

/// The JSON without presigned URLs in any of its strings, names included.
pub fn json_without_signatures(value: &Value) -> Value {
    let cleaned = |text: &str| without_signatures(text).into_owned();
    match value {
        Value::String(text) => cleaned(text).into(),
        Value::Array(items) => items.iter().map(json_without_signatures).collect(),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| {
                let shown = cleaned(name);
                match shown == *name {
                    true => (shown, json_without_signatures(value)),
                    false => (shown, "?…".into()), // its value as well
                }
            });
            fields.collect()
        }
        other => other.clone(),
    }
}

/// What no URL has inside, in any notation, separates words. A `'` may stand in a URL.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_between =
        |c: char| c.is_whitespace() || c.is_control() || matches!(c, '"' | '<' | '>' | '`');
    let start_of = |word: &str| word.as_ptr() as usize - text.as_ptr() as usize;
    text.split(is_between).map(move |word| {
        // A backslash before a quote belongs to the quote.
        (start_of(word), word.trim_end_matches('\\'))
    })
}

/// Whether no value follows in the same word.
fn is_name(query: &str) -> bool {
    let name = query.trim_end_matches(['=', ':', ',']);
    name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

/// Where the query of a presigned URL begins in this word, if one does.
fn signed_query(word: &str) -> Option<usize> {
    let mut decoded: Vec<(usize, char)> = word.char_indices().collect();
    let mut found = begin_of_query(&decoded);
    for _ in 0..DEEPEST {
        let next = decode(&decoded);
        if next.len() == decoded.len() {
            break;
        }
        decoded = next;
        // Of all layers the first place: a `?` may show itself later than the mark behind it.
        found = found.into_iter().chain(begin_of_query(&decoded)).min();
    }
    found
}

/// The place, in the original word, of the `?` before the first mark; else of the mark.
fn begin_of_query(decoded: &[(usize, char)]) -> Option<usize> {
    let text: String = decoded
        .iter()
        .map(|(_, c)| c.to_ascii_lowercase())
        .collect();
    // `sig=` is the name of a parameter, not the end of a word.
    let begins = |at: usize| !text[..at].ends_with(|c: char| c.is_ascii_alphanumeric());
    let marks = SIGNATURE_MARKS
        .iter()
        .flat_map(|mark| text.match_indices(mark));
    let mark = marks.map(|(at, _)| at).filter(|&at| begins(at)).min()?;
    let begin = text[..mark].find('?').unwrap_or(mark);
    let count = text[..begin].chars().count();
    decoded.get(count).map(|&(place, _)| place)
}

/// Undoes one layer of encoding. Each character keeps the place where it comes from.
fn decode(text: &[(usize, char)]) -> Vec<(usize, char)> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(&(place, first)) = rest.first() {
        let (character, length) = match first {
            '%' => hex(rest, 1, 2),
            '\\' => match rest.get(1).map(|&(_, c)| c) {
                Some('u') => hex(rest, 2, 4),
                Some('x') => hex(rest, 2, 2),
                Some('\\' | '/') => Some((rest[1].1, 2)),
                _ => None,
            },
            '&' => entity(rest),
            _ => None,
        }
        .unwrap_or((first, 1));
        decoded.push((place, character));
        rest = &rest[length..];
    }
    decoded
}

/// The character whose number stands behind so many others in so many hexadecimal digits, and how long all
/// of it is.
fn hex(text: &[(usize, char)], before: usize, digits: usize) -> Option<(char, usize)> {
    let digits_shown = text.get(before..before + digits)?;
    let number = digits_shown
        .iter()
        .try_fold(0, |number, (_, c)| Some(number * 16 + c.to_digit(16)?))?;
    Some((char::from_u32(number)?, before + digits))
}

/// The character that an HTML entity stands for, and how long that is.
fn entity(text: &[(usize, char)]) -> Option<(char, usize)> {
    let text: String = text.iter().take(8).map(|(_, c)| c).collect();
    let (entity, _) = text.split_once(';')?;
    let character = match entity.strip_prefix("&#") {
        Some(number) => match number.strip_prefix(['x', 'X']) {
            Some(digits) => u32::from_str_radix(digits, 16),
            None => number.parse(),
        }
        .ok()
        .and_then(char::from_u32)?,
        None if entity == "&amp" => '&',
        None => return None,
    };
    Some((character, entity.chars().count() + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_of_a_presigned_url_is_not_shown() {
        for (text, shown) in [
            ("no URL", "no URL"),
            ("is it? yes", "is it? yes"),
            ("design=3 resig=4", "design=3 resig=4"),
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
            ("X-Amz-Signature: S and more", "?… ?… and more"),
        ] {
            assert_eq!(without_signatures(text), shown, "{text}");
        }
    }

    #[test]
    fn a_signature_in_any_disguise_is_not_shown() {
        for text in [
            r"https://a.example/f\u003fX-Amz-Signature=SECRET",
            r"https://a.example/f\u003FX-Amz-Signature\u003DSECRET",
            r"https://a.example/f\\u003fX-Amz-Signature\\u003dSECRET",
            r"https://a.example/f?n='1'&X-Amz-Signature=SECRET",
            "https://a.example/f%3fX-Amz-Signature%3dSECRET",
            "https://a.example/f%253FX-Amz-Signature%253DSECRET",
            "https://a.example/f%25253FX-Amz-Signature%25253DSECRET",
            "https://a.example/f?X%2DAmz%2DSignature=SECRET",
            "https://a.example/f?%58-Amz-Sign%61ture=SECRET",
            r"https://a.example/f?\u0058-Amz-Signature=SECRET",
            "https://a.example/f&#63;X-Amz-Signature&#61;SECRET",
            "https://a.example/f&#x3f;a=b&amp;sig=SECRET",
            "https://a.example/f?a=b&Signature=SECRET&Key-Pair-Id=K",
            "https://a.example/f?GoogleAccessId=a&X-Goog-Signature=SECRET",
            "topic/X-Amz-Signature=SECRET",
            "ä?X-Amz-Signature=SECRET",
            r#"{"fields": {"x-amz-signature" : "SECRET"}}"#,
            "X-Amz-Signature: SECRET",
            r#"Signature="SECRET""#,
            r#"{\"x-amz-signature\":\"SECRET\"}"#,
        ] {
            for text in [
                text.to_owned(),
                format!("x ({text}), y"),
                format!("'{text}'"),
            ] {
                let shown = without_signatures(&text);
                assert!(!shown.contains("SECRET"), "{text}: {shown}");
                assert!(shown.contains("?…"), "{text}: {shown}");
            }
            let json = serde_json::json!({"a": [text], text: {"b": text}, "n": 1});
            let shown = json_without_signatures(&json);
            assert!(!shown.to_string().contains("SECRET"), "{shown}");
            assert_eq!(shown["n"], 1);
        }
        let fields = serde_json::json!({"x-amz-signature": "SECRET"});
        let shown = json_without_signatures(&fields).to_string();
        assert!(!shown.contains("SECRET"), "{shown}");
    }
}
