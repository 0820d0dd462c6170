//! Topic filters: what is one, and which topics match it (MQTT5, section 4.7).

use rumqttc::v5::mqttbytes::valid_filter;

/// Whether it can be sent as a topic filter.
pub(super) fn is_filter(filter: &str) -> bool {
    valid_filter(filter) && filter.len() <= usize::from(u16::MAX)
}

/// Whether a topic matches a filter. (rumqttc's own `matches` says no to every
/// topic that begins with `$`.)
pub(super) fn matches(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') && filter.starts_with(['#', '+']) {
        return false;
    }
    let (mut filter, mut topic) = (filter.split('/'), topic.split('/'));
    loop {
        match (filter.next(), topic.next()) {
            (Some("#"), _) | (None, None) => return true,
            (Some(wanted), Some(level)) if wanted == "+" || wanted == level => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_matches_as_mqtt5_says() {
        for (filter, topic, matching) in [
            (
                "$aws/things/t/jobs/+/get/+",
                "$aws/things/t/jobs/j/get/accepted",
                true,
            ),
            (
                "$aws/things/t/jobs/get/+",
                "$aws/things/t/jobs/get/accepted",
                true,
            ),
            ("$aws/things/t/jobs/get/+", "$aws/things/t/jobs/get", false),
            (
                "$aws/things/t/jobs/+/get/+",
                "$aws/things/t/jobs/get/accepted",
                false,
            ),
            ("a/#", "a", true),
            ("a/#", "a/b/c", true),
            ("a/+", "a/", true),
            ("a/+", "a/b/c", false),
            ("#", "a/b", true),
            ("#", "$aws/a", false),
            ("+/a", "$aws/a", false),
            ("ä", "ä", true),
        ] {
            assert_eq!(matches(filter, topic), matching, "{filter} {topic}");
        }
    }
}
