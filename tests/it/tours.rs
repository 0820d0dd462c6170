//! The three tours of `src/tours.md`: each step is in the code as the page says, and no tour is longer than
//! it says, or than a reader can follow.

use std::collections::BTreeSet;
use std::path::Path;

/// A function in a file of `src/`.
type Step = (String, String);

struct Tour {
    title: String,
    /// `In 24 files, by 42 functions, …`.
    says: String,
    lines: Vec<String>,
}

fn source(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("src/{file}: {error}"))
}

fn tours(page: &str) -> Vec<Tour> {
    let sections = page.split("\n## ").skip(1);
    let tours = sections.map(|section| {
        let mut lines = section.lines().filter(|line| !line.is_empty());
        Tour {
            title: lines.next().unwrap().to_owned(),
            says: lines.next().unwrap().to_owned(),
            lines: lines.map(str::to_owned).collect(),
        }
    });
    tours.collect()
}

/// The functions that a line names: `` `file.rs`: `function` ``.
fn named(line: &str) -> Vec<Step> {
    let words: Vec<&str> = line.split('`').collect();
    let pairs = words
        .windows(4)
        .filter(|words| words[2] == ": " && words[1].ends_with(".rs"));
    pairs
        .map(|words| (words[1].to_owned(), words[3].to_owned()))
        .collect()
}

/// What a function's name opens, up to the brace that closes it. Empty where there is no such function.
fn bodies((file, function): &Step) -> String {
    let text = source(file);
    let mut all = String::new();
    for (at, _) in text.match_indices(&format!("fn {function}")) {
        let rest = &text[at + 3 + function.len()..];
        if !rest.starts_with(['(', '<']) {
            continue;
        }
        let indent = text[..at].rsplit('\n').next().unwrap();
        let indent = &indent[..indent.len() - indent.trim_start().len()];
        let end = rest.find(&format!("\n{indent}}}")).unwrap_or(rest.len());
        all.push_str(&rest[..end]);
        all.push('\n');
    }
    all
}

fn calls(body: &str, function: &str) -> bool {
    let is_in_a_name = |c: char| c.is_alphanumeric() || c == '_';
    body.match_indices(function).any(|(at, _)| {
        !body[..at].ends_with(is_in_a_name)
            && !body[at + function.len()..].starts_with(is_in_a_name)
    })
}

/// What is wrong with a tour.
fn faults(tour: &Tour) -> Vec<String> {
    let mut faults = Vec::new();
    let mut above: Vec<Step> = Vec::new();
    for line in &tour.lines {
        let Some((indent, item)) = line
            .split_once("- ")
            .filter(|(indent, _)| indent.trim().is_empty())
        else {
            continue;
        };
        let steps = named(item);
        let Some(step) = steps.first() else {
            faults.push(format!("no function: {line}"));
            continue;
        };
        if bodies(step).is_empty() {
            faults.push(format!("not in the code: {line}"));
        }
        let depth = indent.len() / 2;
        above.truncate(depth);
        let caller = if item.starts_with('⇢') {
            steps.get(1)
        } else {
            above.last()
        };
        if depth > above.len() || caller.is_some_and(|caller| !calls(&bodies(caller), &step.1)) {
            faults.push(format!("not called there: {line}"));
        }
        above.push(step.clone());
    }
    let (files, functions, hand_overs) = counts(tour);
    let says = format!("In {files} files, by {functions} functions, with {hand_overs} hand-overs");
    if !tour.says.starts_with(&says) {
        faults.push(format!(
            "{} says: {}, and it is: {says}",
            tour.title, tour.says
        ));
    }
    faults
}

/// The files, the functions and the hand-overs of a tour.
fn counts(tour: &Tour) -> (usize, usize, usize) {
    let steps: BTreeSet<Step> = tour.lines.iter().flat_map(|line| named(line)).collect();
    let files: BTreeSet<&String> = steps.iter().map(|(file, _)| file).collect();
    let hand_overs = tour
        .lines
        .iter()
        .map(|line| line.matches('⇒').count())
        .sum();
    (files.len(), steps.len(), hand_overs)
}

#[test]
fn each_step_of_the_tours_is_in_the_code_and_they_are_as_long_as_they_say() {
    let tours = tours(&source("tours.md"));
    let found: Vec<_> = tours.iter().flat_map(faults).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
    // No more than fits on a screen and into a head.
    for (tour, most) in tours.iter().zip([(24, 42, 9), (10, 20, 0), (9, 16, 5)]) {
        let (files, functions, hand_overs) = counts(tour);
        assert!(
            files <= most.0 && functions <= most.1 && hand_overs <= most.2,
            "{}",
            tour.title
        );
    }
    assert_eq!(tours.len(), 3);
    let flags: Vec<_> = tours[1].says.split('`').skip(1).step_by(2).collect();
    assert!(flags.len() <= 5 && tours[1].says.contains(&format!("{} flags", flags.len())));
    for flag in flags {
        let files = ["reconnect", "session", "connection/mod", "events"];
        let mut all = files.iter().map(|file| source(&format!("mqtt/{file}.rs")));
        assert!(
            all.any(|text| text.contains(&format!("pub {flag}: "))),
            "{flag}"
        );
    }
}

#[test]
fn a_step_that_is_not_in_the_code_is_found() {
    let page = "\n## A tour\nIn 2 files, by 3 functions, with 1 hand-overs.\n\
                - `mqtt/wire.rs`: `exchange` reads\n  - `mqtt/wire.rs`: `send` is not called there\n\
                - ⇒ `work.rs`: `play` is not there\n";
    let found = faults(&tours(page)[0]);
    assert_eq!(
        found,
        [
            "not called there:   - `mqtt/wire.rs`: `send` is not called there",
            "not in the code: - ⇒ `work.rs`: `play` is not there",
        ]
    );
}
