//! MQTT topic names and topic filters.

/// The longest topic name and topic filter, in bytes.
const LONGEST: usize = 256;

/// May a message be published to this topic?
pub fn is_valid_name(topic: &str) -> bool {
    is_valid(topic) && !topic.contains(['+', '#'])
}

/// Is this a topic filter? Wildcards take up a whole level, and `#` is the last one.
pub fn is_valid_filter(filter: &str) -> bool {
    let mut levels = filter.split('/').peekable();
    while let Some(level) = levels.next() {
        let valid = match level {
            "#" => levels.peek().is_none(),
            "+" => true,
            _ => !level.contains(['+', '#']),
        };
        if !valid {
            return false;
        }
    }
    is_valid(filter)
}

fn is_valid(text: &str) -> bool {
    !text.is_empty() && text.len() <= LONGEST && !text.contains(char::is_control)
}

/// Does the filter cover the topic? A filter that starts with a wildcard does not cover
/// the reserved topics, which start with `$`. The group of a shared subscription
/// (`$share/GROUP/…`) makes no difference here.
pub fn covers(filter: &str, topic: &str) -> bool {
    let filter = match filter.strip_prefix("$share/") {
        Some(shared) => shared.split_once('/').map_or("", |(_group, rest)| rest),
        None => filter,
    };
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let mut levels = topic.split('/');
    for part in filter.split('/') {
        match (part, levels.next()) {
            ("#", _) => return true,
            ("+", Some(_)) => {}
            (part, Some(level)) if part == level => {}
            _ => return false,
        }
    }
    levels.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coverage() {
        for (filter, topic, expected) in [
            ("a/b", "a/b", true),
            ("a/b", "a/b/c", false),
            ("a/b/c", "a/b", false),
            ("a/+", "a/b", true),
            ("a/+", "a/b/c", false),
            ("a/+", "a", false),
            ("a/#", "a/b/c", true),
            ("a/#", "a", true),
            ("+/+/c", "a/b/c", true),
            ("#", "a/b", true),
            ("#", "$aws/things", false),
            ("+/things", "$aws/things", false),
            ("$aws/#", "$aws/things", true),
            ("$share/group/a/+", "a/b", true),
        ] {
            assert_eq!(covers(filter, topic), expected, "{filter} on {topic}");
        }
    }

    #[test]
    fn validity() {
        assert!(is_valid_filter("$aws/things/my-thing/jobs/+/get/+"));
        assert!(is_valid_filter("#"));
        for bad in ["", "a/#/b", "a/b#", "a/+b", "a\u{0}"] {
            assert!(!is_valid_filter(bad), "{bad:?}");
        }
        assert!(is_valid_name("a/b"));
        for bad in ["", "a/+", "a/#", &"x".repeat(257)] {
            assert!(!is_valid_name(bad), "{bad:?}");
        }
    }
}
