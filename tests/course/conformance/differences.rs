//! The differences that are known, and those that are not.

use std::error::Error;
use std::fmt;

/// Each known difference: the step, the reason, and what both said.
const LISTED: &str = include_str!("differences.txt");

/// What both services said to one step.
pub struct Step {
    pub name: String,
    pub core: Vec<String>,
    pub ministack: Vec<String>,
}

impl Step {
    fn differs(&self) -> bool {
        self.core != self.ministack
    }

    /// The lines that stand for it in the list.
    fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (service, said) in [("core", &self.core), ("ministack", &self.ministack)] {
            let nothing = [String::from("nothing")];
            let said = if said.is_empty() { &nothing[..] } else { said };
            lines.extend(said.iter().map(|line| format!("{service:<10} {line}")));
        }
        lines
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)?;
        let lines = match self.differs() {
            true => self.lines(),
            false => self.core.clone(),
        };
        lines.iter().try_for_each(|line| write!(f, "\n    {line}"))
    }
}

/// A difference that is known.
struct Difference {
    step: String,
    reason: String,
    said: Vec<String>,
}

pub struct Differences(Vec<Difference>);

impl Differences {
    /// The list: blocks with the name of a step, then, indented, the reason behind a `#`, and what
    /// each of them says.
    pub fn listed() -> Result<Differences, Box<dyn Error>> {
        Differences::parse(LISTED)
    }

    fn parse(text: &str) -> Result<Differences, Box<dyn Error>> {
        let mut listed: Vec<Difference> = Vec::new();
        for line in text.lines().filter(|line| !line.is_empty()) {
            let Some(indented) = line.strip_prefix("    ") else {
                if !line.starts_with('#') {
                    listed.push(Difference {
                        step: line.to_owned(),
                        reason: String::new(),
                        said: Vec::new(),
                    });
                }
                continue;
            };
            let last = listed.last_mut().ok_or("the list begins in the middle")?;
            match indented.strip_prefix("# ") {
                Some(reason) => last.reason += reason,
                None => last.said.push(indented.to_owned()),
            }
        }
        match listed.iter().find(|one| one.reason.is_empty()) {
            Some(one) => Err(format!("\"{}\" is listed without a reason", one.step).into()),
            None => Ok(Differences(listed)),
        }
    }

    pub fn judge<'a>(&'a self, steps: &'a [Step]) -> Verdict<'a> {
        let is_listed = |step: &&Step| {
            let mut listed = self.0.iter();
            listed.any(|one| one.step == step.name && one.said == step.lines())
        };
        let (known, unknown): (Vec<_>, Vec<_>) = steps
            .iter()
            .filter(|step| step.differs())
            .partition(is_listed);
        let occurs = |one: &&Difference| !known.iter().any(|step| step.name == one.step);
        Verdict {
            steps: steps.len(),
            known: known.len(),
            unknown,
            gone: self.0.iter().filter(occurs).map(|one| &*one.step).collect(),
        }
    }
}

pub struct Verdict<'a> {
    steps: usize,
    known: usize,
    unknown: Vec<&'a Step>,
    /// Listed, but not met as listed.
    gone: Vec<&'a str>,
}

impl Verdict<'_> {
    pub fn is_good(&self) -> bool {
        self.unknown.is_empty() && self.gone.is_empty()
    }
}

impl fmt::Display for Verdict<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.unknown {
            writeln!(f, "Differs, and is not listed:\n{step}\n")?;
        }
        for step in &self.gone {
            writeln!(f, "Listed, but not met as it is listed:\n{step}\n")?;
        }
        let equal = self.steps - self.known - self.unknown.len();
        write!(
            f,
            "{} steps: {equal} with the same answers, {} with a difference that is listed, {} with \
             another one.",
            self.steps,
            self.known,
            self.unknown.len()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "\
# What differs.

a: get {}
    # They count in another way.
    core       one
    ministack  nothing
";

    fn step(name: &str, core: &[&str], ministack: &[&str]) -> Step {
        let owned = |said: &[&str]| said.iter().map(|line| (*line).to_owned()).collect();
        Step {
            name: name.to_owned(),
            core: owned(core),
            ministack: owned(ministack),
        }
    }

    #[test]
    fn a_difference_is_met_as_it_is_listed_or_the_run_fails() {
        let listed = Differences::parse(LIST).unwrap();
        let same = step("b: get {}", &["two"], &["two"]);
        let known = step("a: get {}", &["one"], &[]);
        assert!(listed.judge(&[same, known]).is_good());

        let changed = step("a: get {}", &["one"], &["two"]);
        assert!(!listed.judge(&[changed]).is_good());
        let known = step("a: get {}", &["one"], &[]);
        let unknown = step("b: get {}", &["two"], &["three"]);
        let verdict = [known, unknown];
        let verdict = listed.judge(&verdict);
        assert_eq!((verdict.known, verdict.unknown.len()), (1, 1));
        assert!(!verdict.is_good());
        let gone = step("a: get {}", &["one"], &["one"]);
        assert!(!listed.judge(&[gone]).is_good());
    }

    #[test]
    fn each_difference_has_a_reason() {
        assert!(Differences::parse("a: get {}\n    core  one\n").is_err());
        assert!(!Differences::listed().unwrap().0.is_empty());
    }
}
