//! Presigned URLs: whoever has one may fetch what it stands for, so nobody is shown one.

use std::borrow::Cow;

/// What only the query of a presigned URL holds: of S3 (in both its ways to sign), of CloudFront, and
/// of the two others that devices are sent to. In lower case.
const MARKS: [&str; 6] = [
    "x-amz-",
    "awsaccesskeyid=",
    "key-pair-id=",
    "signature=",
    "x-goog-",
    "sig=",
];

/// The text with `?…` in place of the query of each presigned URL in it.
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
        shown += match is_signed(query) {
            true => "?…",
            false => &rest[start..=start + query.len()],
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
    MARKS.iter().any(|mark| query.contains(mark))
}

#[cfg(test)]
mod tests {
    use super::*;

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
