//! MQTT topic names and topic filters.

/// The longest topic name and topic filter, in bytes.
const LONGEST: usize = 256;

/// The most slashes in a topic name and a topic filter. Those of `$aws/rules/NAME/` (Basic Ingest) and
/// of `$share/GROUP/` do not count.
const MOST_SLASHES: usize = 7;

/// Where AWS's services take messages from clients.
const PUBLISHED_TO: [&str; 6] = [
    "$aws/certificates/",
    "$aws/commands/",
    "$aws/device_location/",
    "$aws/provisioning-templates/",
    "$aws/rules/",
    "$aws/things/",
];

/// Where else clients may listen to them.
const ONLY_SUBSCRIBED_TO: [&str; 3] = ["$aws/events/", "$aws/iotwireless/", "$aws/sitewise/"];

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
    let uncounted = match text.split('/').next() {
        Some("$share") => 2,
        Some("$aws") if text.starts_with("$aws/rules/") => 3,
        _ => 0,
    };
    !text.is_empty()
        && text.len() <= LONGEST
        && !text.contains(char::is_control)
        && text.matches('/').count() <= MOST_SLASHES + uncounted
}

/// Is the topic one of those that start with `$`, and none that a client may publish to?
pub fn is_closed_to_publishers(topic: &str) -> bool {
    topic.starts_with('$') && !starts_with_any(topic, &PUBLISHED_TO)
}

/// Is the filter for topics that start with `$`, and none that a client may subscribe to?
pub fn is_closed_to_subscribers(filter: &str) -> bool {
    let filter = without_group(filter);
    filter.starts_with('$')
        && !starts_with_any(filter, &PUBLISHED_TO)
        && !starts_with_any(filter, &ONLY_SUBSCRIBED_TO)
}

fn starts_with_any(topic: &str, beginnings: &[&str]) -> bool {
    beginnings.iter().any(|one| topic.starts_with(one))
}

/// The filter of a shared subscription (`$share/GROUP/FILTER`), or the filter as it is.
fn without_group(filter: &str) -> &str {
    match filter.strip_prefix("$share/") {
        Some(shared) => shared.split_once('/').map_or("", |(_group, rest)| rest),
        None => filter,
    }
}

/// Does the filter cover the topic? A filter that starts with a wildcard does not cover
/// the reserved topics, which start with `$`. The group of a shared subscription
/// (`$share/GROUP/…`) makes no difference here.
pub fn covers(filter: &str, topic: &str) -> bool {
    let filter = without_group(filter);
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

    #[test]
    fn slashes() {
        for good in [
            "1/2/3/4/5/6/7/8",
            "$aws/rules/my-rule/1/2/3/4/5/6/7/8",
            "$aws/things/my-thing/shadow/name/my-shadow/update/accepted",
        ] {
            assert!(is_valid_name(good) && is_valid_filter(good), "{good}");
        }
        assert!(is_valid_filter("$share/group/1/2/3/4/5/6/7/#"));
        for bad in ["1/2/3/4/5/6/7/8/9", "////////", "$aws/things/1/2/3/4/5/6/7"] {
            assert!(!is_valid_name(bad) && !is_valid_filter(bad), "{bad}");
        }
        assert!(!is_valid_filter("$share/group/1/2/3/4/5/6/7/8/#"));
    }

    #[test]
    fn what_starts_with_a_dollar_is_for_the_services_of_aws() {
        for open in [
            "dt/my-thing",
            "$aws/things/my-thing/jobs/get",
            "$aws/rules/my-rule",
        ] {
            assert!(
                !is_closed_to_publishers(open) && !is_closed_to_subscribers(open),
                "{open}"
            );
        }
        for closed in [
            "$foo/x",
            "$",
            "$aws",
            "$aws/other",
            "$SYS/broker/uptime",
            "$AWS/things/a",
        ] {
            assert!(
                is_closed_to_publishers(closed) && is_closed_to_subscribers(closed),
                "{closed}"
            );
        }
        assert!(is_closed_to_publishers("$aws/events/presence/connected/a"));
        assert!(is_closed_to_publishers("$share/group/a"));
        for (filter, closed) in [
            ("$aws/events/#", false),
            ("$share/group/dt/+", false),
            ("$share/group/$SYS/#", true),
            ("$SYS/#", true),
            ("$aws/+/my-thing/jobs/get/+", true),
            ("#", false),
        ] {
            assert_eq!(is_closed_to_subscribers(filter), closed, "{filter}");
        }
    }
}
