//! A job document as AWS writes it: anew, and not as it was given.

/// One object or array that is not closed yet.
struct Open {
    is_object: bool,
    /// Where the text of the current member begins, with the comma before it.
    member: usize,
}

/// The document without white space and without members that are null, each string written in
/// one way. Numbers stay as they are, and so do members that come twice. What is not JSON comes
/// back as nonsense; nesting has no limit.
///
/// With `escapes_astral`, characters outside of the Basic Multilingual Plane become two escapes.
pub(super) fn rewritten(document: &str, escapes_astral: bool) -> String {
    let mut written = String::with_capacity(document.len());
    let mut open: Vec<Open> = Vec::new();
    let mut rest = document.trim_start();
    while let Some(first) = rest.chars().next() {
        let mut length = first.len_utf8();
        match first {
            '{' | '[' => {
                written.push(first);
                open.push(Open {
                    is_object: first == '{',
                    member: written.len(),
                });
            }
            '}' | ']' => {
                open.pop();
                written.push(first);
            }
            ',' => {
                if let Some(container) = open.last_mut() {
                    container.member = written.len();
                }
                if !written.ends_with(['{', '[']) {
                    written.push(',');
                }
            }
            '"' => {
                length = string_length(rest);
                write_string(&mut written, &rest[..length], escapes_astral);
            }
            ':' => written.push(':'),
            _ => {
                let is_end = |c: char| c.is_whitespace() || ",:]}".contains(c);
                length = rest.find(is_end).unwrap_or(rest.len());
                match open.last() {
                    Some(object) if object.is_object && &rest[..length] == "null" => {
                        written.truncate(object.member);
                    }
                    _ => written.push_str(&rest[..length]),
                }
            }
        }
        rest = rest[length..].trim_start();
    }
    written
}

/// How long the string is at the beginning of the text, in bytes and with its quotes.
fn string_length(text: &str) -> usize {
    let mut is_escaped = false;
    let end = text.bytes().skip(1).position(|byte| {
        let is_end = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        is_end
    });
    end.map_or(text.len(), |end| end + 2)
}

/// A lone surrogate is no character, and stays an escape: so it goes by UTF-16.
fn write_string(written: &mut String, quoted: &str, escapes_astral: bool) {
    written.push('"');
    for unit in char::decode_utf16(units(quoted)) {
        match unit {
            Ok('"') => written.push_str("\\\""),
            Ok('\\') => written.push_str("\\\\"),
            Ok('\u{8}') => written.push_str("\\b"),
            Ok('\t') => written.push_str("\\t"),
            Ok('\n') => written.push_str("\\n"),
            Ok('\u{c}') => written.push_str("\\f"),
            Ok('\r') => written.push_str("\\r"),
            Ok(character) if character < ' ' => {
                written.push_str(&format!("\\u{:04X}", u32::from(character)));
            }
            Ok(character) if escapes_astral && character > '\u{ffff}' => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    written.push_str(&format!("\\u{unit:04X}"));
                }
            }
            Ok(character) => written.push(character),
            Err(lone) => written.push_str(&format!("\\u{:04X}", lone.unpaired_surrogate())),
        }
    }
    written.push('"');
}

/// What a string stands for, in UTF-16.
fn units(quoted: &str) -> Vec<u16> {
    let inner = quoted
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .unwrap_or_default();
    let mut units = Vec::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        let unit = match character {
            '\\' => match characters.next() {
                Some('u') => {
                    let hex: String = characters.by_ref().take(4).collect();
                    u16::from_str_radix(&hex, 16).unwrap_or_default()
                }
                Some('b') => 8,
                Some('t') => 9,
                Some('n') => 10,
                Some('f') => 12,
                Some('r') => 13,
                Some(other) => other as u16, // a quote, a slash or a backslash
                None => 0,
            },
            character => {
                units.extend_from_slice(character.encode_utf16(&mut [0; 2]));
                continue;
            }
        };
        units.push(unit);
    }
    units
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_aws_writes_it() {
        for (given, expected) in [
            (
                r#" { "a" : [ 1 , 2.50 , true ] } "#,
                r#"{"a":[1,2.50,true]}"#,
            ),
            (r#"{"a":null}"#, "{}"),
            (r#"{"a":null,"b":1,"c":null}"#, r#"{"b":1}"#),
            (
                r#"{"a":1,"b":null,"c":{"d":null},"e":2}"#,
                r#"{"a":1,"c":{},"e":2}"#,
            ),
            (r#"[null,{"a":[null]}]"#, r#"[null,{"a":[null]}]"#),
            ("null", "null"),
            ("1e400", "1e400"),
            (
                r#"["\ud83d","\uD83D\uDE80","\u00e4\/"]"#,
                r#"["\uD83D","🚀","ä/"]"#,
            ),
            (r#"["\u001f\u0009\"\\","}\\"]"#, r#"["\u001F\t\"\\","}\\"]"#),
            (r#"{"a":1,"a":2}"#, r#"{"a":1,"a":2}"#),
        ] {
            assert_eq!(rewritten(given, false), expected, "{given}");
        }
        assert_eq!(rewritten(r#"["🚀ä"]"#, true), r#"["\uD83D\uDE80ä"]"#);
        let deep = "[".repeat(15_000) + &"]".repeat(15_000);
        assert_eq!(rewritten(&deep, false), deep);
    }
}
