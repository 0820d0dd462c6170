//! Job documents: kept as the JSON text that they were given as.

use std::io;

use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::{Map, Value, value::RawValue};

use super::books::invalid;

/// The largest job document, in bytes.
const LARGEST: usize = 32 * 1024;

/// What stands before a placeholder for a presigned URL.
const PLACEHOLDER: &str = "${aws:iot:s3-presigned-url";

/// What the keywords in the placeholder for an upload stand for.
pub(super) struct Keywords<'a> {
    pub(super) thing_name: &'a str,
    pub(super) job_id: &'a str,
    pub(super) execution_number: u64,
}

/// The text without the white space around it, if it is a job document.
pub(super) fn checked(job_id: &str, text: &str) -> io::Result<String> {
    let raw: &RawValue = serde_json::from_str(text)
        .map_err(|error| invalid(format!("the document of '{job_id}' is not JSON: {error}")))?;
    if raw.get().len() > LARGEST {
        return Err(invalid(format!(
            "the document of '{job_id}' is larger than 32 KiB"
        )));
    }
    Ok(raw.get().to_owned())
}

/// The document with its presigned URLs. Each call of `signature` makes another one. The URL of
/// `s3-presigned-url` is given as it reads and is encoded here, that of `s3-presigned-url-v2` is
/// encoded already, and `s3-presigned-url-upload` has keywords in it:
/// <https://docs.aws.amazon.com/iot/latest/developerguide/create-manage-jobs.html>.
pub(super) fn presigned(
    document: &str,
    keywords: &Keywords<'_>,
    mut signature: impl FnMut() -> u64,
) -> String {
    let mut written = String::with_capacity(document.len());
    let mut rest = document;
    while let Some((before, after)) = rest.split_once(PLACEHOLDER)
        && let Some((kind, after)) = after.split_once(':')
        && let Some((url, after)) = split_at_end(after)
    {
        let url = match kind {
            "" => encoded(url),
            "-v2" => url.to_owned(),
            "-upload" => keywords.fill_in(url),
            _ => break, // no placeholder that AWS knows
        };
        let separator = if url.contains('?') { '&' } else { '?' };
        let signature = signature();
        written.push_str(before);
        written.push_str(&url);
        written.push_str(&format!("{separator}X-Amz-Signature={signature}"));
        rest = after;
    }
    written + rest
}

/// What stands before and behind the brace that closes a placeholder. One within it, such as
/// `${jobId}`, has a brace of its own.
fn split_at_end(text: &str) -> Option<(&str, &str)> {
    let mut open = 0;
    let end = text.find(|character| {
        match character {
            '{' => open += 1,
            '}' => open -= 1,
            _ => {}
        }
        open < 0
    })?;
    Some((&text[..end], &text[end + 1..]))
}

/// The URL with its key encoded as S3 wants it.
fn encoded(url: &str) -> String {
    let (url, query) = match url.split_once('?') {
        Some((url, query)) => (url, format!("?{query}")),
        None => (url, String::new()),
    };
    let mut written = String::with_capacity(url.len());
    for byte in url.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => written.push(byte.into()),
            b'-' | b'.' | b'_' | b'~' | b'/' | b':' => written.push(byte.into()),
            _ => written.push_str(&format!("%{byte:02X}")),
        }
    }
    written + &query
}

impl Keywords<'_> {
    fn fill_in(&self, url: &str) -> String {
        url.replace("${thingName}", self.thing_name)
            .replace("${jobId}", self.job_id)
            .replace("${executionNumber}", &self.execution_number.to_string())
    }
}

/// The fields of a message, and a job document: in the `execution` if there is one, otherwise
/// beside the other fields.
pub(super) struct WithDocument<'a> {
    pub(super) fields: &'a Map<String, Value>,
    pub(super) document: Option<&'a RawValue>,
}

impl Serialize for WithDocument<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let mut document = self.document;
        for (key, value) in self.fields {
            match value {
                Value::Object(fields) if key == "execution" => {
                    let document = document.take();
                    map.serialize_entry(key, &WithDocument { fields, document })?;
                }
                _ => map.serialize_entry(key, value)?,
            }
        }
        if let Some(document) = document {
            map.serialize_entry("jobDocument", document)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_json_is_a_document() {
        let deep = format!("{}{}", "[".repeat(15_000), "]".repeat(15_000));
        for text in [
            r#"{"a":"\ud83d"}"#,
            "1e400",
            r#"{"a":1,"a":2}"#,
            "null",
            &deep,
        ] {
            assert_eq!(checked("a", text).unwrap(), text);
        }
        assert_eq!(checked("a", " {} \n").unwrap(), "{}");
        for text in ["", "{", "{} {}", &"[".repeat(100), &" 1".repeat(2)] {
            assert!(checked("a", text).is_err(), "{text:?}");
        }
        assert!(checked("a", &format!("\"{}\"", "x".repeat(LARGEST))).is_err());
    }

    const KEYWORDS: Keywords<'_> = Keywords {
        thing_name: "t",
        job_id: "j",
        execution_number: 2,
    };

    #[test]
    fn presigned_urls_are_made_anew() {
        let mut last = 0;
        let mut signature = || {
            last += 1;
            last
        };
        let text = r#"{"a":"${aws:iot:s3-presigned-url:https://h/k}","b":"${aws:iot:s3-presigned-url-v2:https://h/k?versionId=1}"}"#;
        assert_eq!(
            presigned(text, &KEYWORDS, &mut signature),
            r#"{"a":"https://h/k?X-Amz-Signature=1","b":"https://h/k?versionId=1&X-Amz-Signature=2"}"#
        );
        assert_eq!(presigned("{}", &KEYWORDS, &mut signature), "{}");
        for text in [
            r#"["${aws:iot:s3-presigned-url:"]"#,
            r#"["${aws:iot:s3-presigned-url-v3:https://h/k}"]"#,
        ] {
            assert_eq!(presigned(text, &KEYWORDS, &mut signature), text);
        }
    }

    #[test]
    fn each_placeholder_has_its_own_encoding() {
        for (placeholder, url) in [
            (
                "s3-presigned-url:https://h:1/a b%+ä",
                "https://h:1/a%20b%25%2B%C3%A4",
            ),
            (
                "s3-presigned-url-v2:https://h/a%20b%25",
                "https://h/a%20b%25",
            ),
            (
                "s3-presigned-url-upload:https://h/b/${thingName}/${jobId}-${executionNumber}.log",
                "https://h/b/t/j-2.log",
            ),
            (
                "s3-presigned-url-upload:https://h/${other}",
                "https://h/${other}",
            ),
        ] {
            let document = format!("[\"${{aws:iot:{placeholder}}}\",1]");
            let expected = format!("[\"{url}?X-Amz-Signature=7\",1]");
            assert_eq!(presigned(&document, &KEYWORDS, || 7), expected);
        }
    }
}
