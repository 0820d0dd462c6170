//! Reads the README: its blocks, sections and links, and what they are compared with.

use std::collections::BTreeSet;
use std::path::Path;

const README: &str = include_str!("../../../README.md");
/// The lessons of the course beside the README's own, lesson 1.
const LESSONS: [&str; 6] = [
    include_str!("../../course/2-cancel-and-timeout.md"),
    include_str!("../../course/3-firmware.md"),
    include_str!("../../course/4-group.md"),
    include_str!("../../course/5-production-policy.md"),
    include_str!("../../course/6-rotation.md"),
    include_str!("../../course/7-logs.md"),
];
pub(super) const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A fenced block of the README.
pub(super) struct Block {
    pub(super) language: &'static str,
    /// The comment in the line before it, or nothing.
    pub(super) marker: &'static str,
    /// Where it begins.
    pub(super) line: usize,
    pub(super) text: String,
}

pub(super) fn blocks() -> Vec<Block> {
    blocks_of(README)
}

pub(super) fn blocks_of(text: &'static str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut before = "";
    let mut lines = (1..).zip(text.lines());
    while let Some((line, content)) = lines.next() {
        if let Some(language) = content.strip_prefix("```") {
            let inside = lines.by_ref().map(|(_, content)| content);
            let inside = inside.take_while(|content| !content.starts_with("```"));
            blocks.push(Block {
                language,
                marker: before
                    .strip_prefix("<!-- ")
                    .and_then(|m| m.strip_suffix(" -->"))
                    .unwrap_or(""),
                line,
                text: inside.map(|content| format!("{content}\n")).collect(),
            });
        }
        before = content;
    }
    blocks
}

/// The text of the one block with this marker.
pub(crate) fn marked(marker: &str) -> String {
    let mut found: Vec<Block> = blocks();
    found.retain(|block| block.marker == marker);
    assert_eq!(found.len(), 1, "blocks marked {marker}");
    found.remove(0).text
}

#[cfg(unix)]
pub(super) fn shell_blocks(section: &'static str) -> Vec<String> {
    let blocks = blocks_of(section)
        .into_iter()
        .filter(|block| block.language == "sh");
    blocks.map(|block| block.text).collect()
}

/// The text of a lesson.
#[cfg(unix)]
pub(super) fn lesson(number: usize) -> &'static str {
    let lesson = LESSONS[number - 2];
    assert!(
        lesson.starts_with(&format!("# Lesson {number}: ")),
        "{lesson}"
    );
    lesson
}

/// All blocks for a shell, of the README and of the lessons.
pub(super) fn all_shell_blocks() -> Vec<Block> {
    let texts = [README].into_iter().chain(LESSONS);
    let blocks = texts.flat_map(blocks_of);
    blocks.filter(|block| block.language == "sh").collect()
}

/// The lines outside of fenced blocks.
pub(super) fn prose() -> impl Iterator<Item = &'static str> {
    let mut fenced = false;
    README.lines().filter(move |line| {
        let fence = line.starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

pub(super) fn headings() -> Vec<&'static str> {
    prose().filter(|line| line.starts_with('#')).collect()
}

/// What stands under this heading, up to the next one of its rank.
pub(super) fn section(name: &str) -> &'static str {
    let heading = headings()
        .into_iter()
        .find(|heading| heading.trim_start_matches('#').trim() == name)
        .unwrap_or_else(|| panic!("there is no section {name}"));
    let rank = heading.split(' ').next().unwrap();
    let from = README.find(&format!("\n{heading}\n")).unwrap() + heading.len() + 2;
    let rest = &README[from..];
    let to = rest.find(&format!("\n{rank} ")).unwrap_or(rest.len());
    &rest[..to]
}

/// The anchor that GitHub gives to a heading.
pub(super) fn anchor(heading: &str) -> String {
    let title = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = title
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

pub(super) fn links() -> BTreeSet<String> {
    let ends = |link: &str| link.split(')').next().map(str::to_owned);
    prose()
        .flat_map(|line| line.split("](").skip(1).filter_map(ends))
        .collect()
}

// What it is compared with.

pub(super) fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(ROOT).join(path))
        .unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Whether these lines stand one after another in the file, all indented by as much more or less.
pub(crate) fn has_lines(file: &str, lines: &str) -> bool {
    fn at_the_margin(lines: &[&str]) -> Vec<String> {
        let indent = |line: &&str| line.len() - line.trim_start().len();
        let margin = lines
            .iter()
            .filter(|line| !line.trim().is_empty())
            .map(indent)
            .min();
        let cut = |line: &&str| line.get(margin.unwrap_or(0)..).unwrap_or("").to_owned();
        lines.iter().map(cut).collect()
    }
    let file: Vec<&str> = file.lines().collect();
    let lines: Vec<&str> = lines.lines().collect();
    let wanted = at_the_margin(&lines);
    file.windows(lines.len())
        .any(|window| at_the_margin(window) == wanted)
}

/// The lines of the program's source, with each string in one line, the flags in it by name, and
/// without comments and tests.
pub(super) fn sources() -> Vec<String> {
    fn collect(folder: &Path, lines: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, lines);
                continue;
            }
            let source = std::fs::read_to_string(&path).unwrap();
            let program = source.split("#[cfg(test)]").next().unwrap();
            let mut strings = program.split("\\\n");
            let mut joined = strings.next().unwrap().to_owned();
            strings.for_each(|rest| joined.push_str(rest.trim_start()));
            let told = joined
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"));
            lines.extend(told.map(str::to_owned));
        }
    }
    let mut lines = Vec::new();
    collect(&Path::new(ROOT).join("src"), &mut lines);
    lines
}

/// The sentences of a message, each without its full stop (which is added when it is told).
pub(super) fn sentences(message: &str) -> Vec<String> {
    let sentences = message.trim_end_matches('.').split(". ");
    sentences.map(str::to_owned).collect()
}

/// Whether the line has the parts of the message between its `…`, in their order. (A sentence may begin
/// with what is a small letter in the source.)
pub(super) fn has_in_order(line: &str, message: &str) -> bool {
    let mut rest = line;
    let mut parts = message
        .split('…')
        .map(str::trim)
        .filter(|part| !part.is_empty());
    parts.all(|part| {
        let mut small = part.to_owned();
        if let Some(first) = small.get_mut(..1) {
            first.make_ascii_lowercase();
        }
        let found = rest.split_once(part).or_else(|| rest.split_once(&small));
        rest = found.map_or("", |(_, after)| after);
        found.is_some()
    })
}

/// The message with `…` for its reason code, such as `0x87 (not authorized)`, if that is one which
/// the program knows.
pub(super) fn without_reason(message: &str) -> Option<String> {
    let (before, rest) = message.split_once("0x")?;
    let (code, rest) = rest.split_once(" (")?;
    let (name, after) = rest.split_once(')')?;
    let known = format!("0x{code} => \"{name}\"");
    assert!(
        read("src/mqtt/reason.rs").contains(&known),
        "{known} is not known"
    );
    Some(format!("{before}…{after}"))
}

/// A line of the story without the times and the client id.
#[cfg(unix)]
pub(super) fn without_what_differs(line: &str) -> String {
    if line.starts_with("Exiting Sample: ") {
        return "Exiting Sample".to_owned();
    }
    let time = |word: &str| {
        word.len() >= 8 && word.chars().all(|c| c.is_ascii_digit() || "-:".contains(c))
    };
    let words = line.split(' ').map(|word| match word {
        word if word.starts_with("'test-") => "CLIENT",
        word if time(word.trim_end_matches(',')) => "TIME",
        word => word,
    });
    words.collect::<Vec<_>>().join(" ")
}
