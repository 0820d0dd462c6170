//! Job documents: kept as the JSON text that they were given as.

use std::io;

use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::{Map, Value, value::RawValue};

use super::books::invalid;

/// The largest job document, in bytes.
const LARGEST: usize = 32 * 1024;

/// What stands before and after the URL of an object that is to be presigned.
const PLACEHOLDER: (&str, &str) = ("${aws:iot:s3-presigned-url:", "}");

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

/// The document with its presigned URLs. Each call of `signature` makes another one.
pub(super) fn presigned(document: &str, mut signature: impl FnMut() -> u64) -> String {
    let (start, end) = PLACEHOLDER;
    let mut written = String::with_capacity(document.len());
    let mut rest = document;
    while let Some((before, after)) = rest.split_once(start)
        && let Some((url, after)) = after.split_once(end)
    {
        let separator = if url.contains('?') { '&' } else { '?' };
        let signature = signature();
        written.push_str(before);
        written.push_str(url);
        written.push_str(&format!("{separator}X-Amz-Signature={signature}"));
        rest = after;
    }
    written + rest
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

    #[test]
    fn presigned_urls_are_made_anew() {
        let mut last = 0;
        let mut signature = || {
            last += 1;
            last
        };
        let text = r#"{"a":"${aws:iot:s3-presigned-url:https://h/k}","b":"${aws:iot:s3-presigned-url:https://h/k?v=1}"}"#;
        assert_eq!(
            presigned(text, &mut signature),
            r#"{"a":"https://h/k?X-Amz-Signature=1","b":"https://h/k?v=1&X-Amz-Signature=2"}"#
        );
        assert_eq!(presigned("{}", &mut signature), "{}");
        let open = r#"["${aws:iot:s3-presigned-url:"]"#;
        assert_eq!(presigned(open, &mut signature), open);
    }
}
