//! AWS IoT policies: who may connect, publish, subscribe and receive.

use std::{fmt, io};

use serde::Deserialize;

use crate::options::{ACCOUNT, REGION};

/// What a policy allows or denies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// To connect with a client id.
    Connect,
    /// To publish to a topic.
    Publish,
    /// To publish to a topic with the RETAIN flag.
    RetainPublish,
    /// To subscribe to a topic filter.
    Subscribe,
    /// To have messages of a topic delivered.
    Receive,
}

impl Action {
    /// The ARN of what this action is done to: a client id, a topic, or a topic filter.
    pub fn resource(self, name: &str) -> String {
        let kind = match self {
            Action::Connect => "client",
            Action::Publish | Action::RetainPublish | Action::Receive => "topic",
            Action::Subscribe => "topicfilter",
        };
        format!("arn:aws:iot:{REGION}:{ACCOUNT}:{kind}/{name}")
    }

    /// The action as a policy names it.
    pub fn name(self) -> &'static str {
        match self {
            Action::Connect => "iot:Connect",
            Action::Publish => "iot:Publish",
            Action::RetainPublish => "iot:RetainPublish",
            Action::Subscribe => "iot:Subscribe",
            Action::Receive => "iot:Receive",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A policy document, read.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Policy {
    statement: OneOrMany<Statement>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Statement {
    effect: Effect,
    action: OneOrMany<String>,
    resource: OneOrMany<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
enum Effect {
    Allow,
    Deny,
}

/// JSON policies write a list of one without its brackets.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    fn as_slice(&self) -> &[T] {
        match self {
            OneOrMany::One(one) => std::slice::from_ref(one),
            OneOrMany::Many(many) => many,
        }
    }
}

impl Policy {
    /// Reads a policy document.
    ///
    /// # Errors
    /// `InvalidData` if the text is not one.
    pub fn parse(text: &str) -> io::Result<Policy> {
        serde_json::from_str(text)
            .map_err(|e| io::Error::new(io::ErrorKind::InvalidData, format!("not a policy: {e}")))
    }

    /// What all of these say together.
    pub(crate) fn all_of(policies: impl IntoIterator<Item = Policy>) -> Policy {
        let statements = policies.into_iter().flat_map(|one| match one.statement {
            OneOrMany::One(statement) => vec![statement],
            OneOrMany::Many(statements) => statements,
        });
        Policy {
            statement: OneOrMany::Many(statements.collect()),
        }
    }

    /// Is `action` on `resource` allowed? A denial beats every permission, and what
    /// no statement mentions is denied.
    pub fn allows(&self, action: Action, resource: &str) -> bool {
        self.decision(action, resource).is_allowed
    }

    /// As [`allows`](Self::allows), with the statement that decides: the first that denies, or
    /// else the first that allows.
    pub fn decision(&self, action: Action, resource: &str) -> Decision {
        let mut decision = Decision::default();
        for (index, statement) in self.statement.as_slice().iter().enumerate() {
            let is_denial = matches!(statement.effect, Effect::Deny);
            if decision.is_allowed && !is_denial || !statement.covers(action, resource) {
                continue;
            }
            decision.is_allowed = !is_denial;
            decision.statement = Some(index);
            if is_denial {
                break;
            }
        }
        decision
    }
}

/// Whether something is allowed, and by which statement.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Decision {
    /// Is it?
    pub is_allowed: bool,
    /// The index of the statement that says so, from 0. None if no statement covers it: denied.
    pub statement: Option<usize>,
}

impl Statement {
    fn covers(&self, action: Action, resource: &str) -> bool {
        // Actions are matched without regard to case, resources are not.
        let action = action.name().to_ascii_lowercase();
        let names_action = |pattern: &String| matches(&pattern.to_ascii_lowercase(), &action);
        let names_resource = |pattern: &String| matches(pattern, resource);
        self.action.as_slice().iter().any(names_action)
            && self.resource.as_slice().iter().any(names_resource)
    }
}

/// Does `text` match `pattern`, where `*` stands for any characters and `?` for one?
/// Unlike MQTT's wildcards, both match across `/`.
fn matches(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut p, mut t) = (0, 0);
    // Where the last `*` was, and how far into the text it has been stretched.
    let mut last_star: Option<(usize, usize)> = None;
    while t < text.len() {
        if p < pattern.len() && pattern[p] == '*' {
            last_star = Some((p, t));
            p += 1;
        } else if p < pattern.len() && (pattern[p] == '?' || pattern[p] == text[t]) {
            p += 1;
            t += 1;
        } else if let Some((star, stretched)) = last_star {
            last_star = Some((star, stretched + 1));
            p = star + 1;
            t = stretched + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|&c| c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Options, fill_policy};

    #[test]
    fn wildcards() {
        for (pattern, text, expected) in [
            ("abc", "abc", true),
            ("abc", "abcd", false),
            ("abc", "ab", false),
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "abbd", false),
            ("a*b*c", "a/b/b/c", true),
            ("test-*", "test-", true),
            ("test-*", "tes", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*?", "", false),
            ("jobs/*/get", "jobs/a/b/get", true),
            ("jobs/*/get", "jobs/get", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} on {text}");
        }
    }

    #[test]
    fn the_sample_policy() {
        let text = fill_policy(&Options::default().policy, "my-thing");
        let policy = Policy::parse(&text).unwrap();
        let allows = |action: Action, name: &str| policy.allows(action, &action.resource(name));
        let jobs = "$aws/things/my-thing/jobs";
        assert!(allows(Action::Connect, "test-1"));
        assert!(!allows(Action::Connect, "other"));
        assert!(allows(Action::Publish, &format!("{jobs}/get")));
        assert!(allows(Action::Publish, &format!("{jobs}/job-1/update")));
        assert!(!allows(Action::Publish, "$aws/things/other/jobs/get"));
        assert!(!allows(Action::RetainPublish, &format!("{jobs}/get")));
        for filter in [
            "notify-next",
            "get/+",
            "start-next/+",
            "+/get/+",
            "+/update/+",
        ] {
            assert!(
                allows(Action::Subscribe, &format!("{jobs}/{filter}")),
                "{filter}"
            );
        }
        assert!(!allows(Action::Subscribe, &format!("{jobs}/notify")));
        assert!(!allows(Action::Subscribe, &format!("{jobs}/#")));
        assert!(allows(
            Action::Receive,
            &format!("{jobs}/job-1/get/accepted")
        ));
    }

    #[test]
    fn a_denial_beats_a_permission() {
        let policy = Policy::parse(
            r#"{"Version": "2012-10-17", "Statement": [
                {"Effect": "Allow", "Action": ["iot:*"], "Resource": "*"},
                {"Effect": "Deny", "Action": "iot:publish", "Resource": ["*:topic/secret/*"]}]}"#,
        )
        .unwrap();
        assert!(policy.allows(Action::Publish, &Action::Publish.resource("a")));
        assert!(!policy.allows(Action::Publish, &Action::Publish.resource("secret/a")));
        assert!(policy.allows(Action::Receive, &Action::Receive.resource("secret/a")));
        let decides = |action: Action, name: &str| {
            let decision = policy.decision(action, &action.resource(name));
            (decision.is_allowed, decision.statement)
        };
        assert_eq!(decides(Action::Publish, "a"), (true, Some(0)));
        assert_eq!(decides(Action::Publish, "secret/a"), (false, Some(1)));
        let nothing = Policy::all_of([]).decision(Action::Publish, "a");
        assert_eq!(nothing, Decision::default());
    }

    #[test]
    fn what_is_not_a_policy() {
        assert!(Policy::parse("").is_err());
        assert!(Policy::parse(r#"{"Statement": [{"Effect": "Maybe"}]}"#).is_err());
    }
}
