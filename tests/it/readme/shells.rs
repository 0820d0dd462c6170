//! The blocks of the README and of the lessons are pasted: into bash, and into zsh, which reads some lines
//! differently when it is interactive.

#[cfg(unix)]
use std::process::Command;

use super::reading::all_shell_blocks;

#[test]
fn each_block_pastes_into_bash_and_zsh() {
    let mut checked = 0;
    for block in all_shell_blocks() {
        if let Some(reason) = why_not_pasted(&block.text) {
            panic!("line {}: {reason}:\n{}", block.line, block.text);
        }
        checked += 1;
    }
    assert!(checked > 40, "only {checked} blocks");
}

#[cfg(unix)]
#[test]
fn each_block_is_whole_to_bash_and_zsh() {
    for shell in ["bash", "zsh"] {
        for block in all_shell_blocks() {
            let Ok(read) = Command::new(shell).args(["-n", "-c", &block.text]).output() else {
                println!("There is no {shell} here, so it does not read the blocks.");
                break;
            };
            let said = String::from_utf8_lossy(&read.stderr);
            assert!(
                read.status.success() && said.is_empty(),
                "{shell}: {said}\n{}",
                block.text
            );
        }
    }
}

#[test]
fn what_zsh_reads_differently_is_found() {
    for (block, reason) in [
        ("cargo test # all of them", "comment"),
        ("# all of them\ncargo test", "comment"),
        ("echo hello!", "history"),
        ("echo \"hello!\"", "history"),
        ("rm *.pem", "pattern"),
        ("ls file?", "pattern"),
        ("aws --query things[0]", "pattern"),
        ("echo =cargo", "command's path"),
        ("echo \"arn:$ACCOUNT:role/x\"", "modifier"),
        ("echo $ACCOUNT:role/x", "modifier"),
    ] {
        let found = why_not_pasted(block).unwrap_or_else(|| panic!("{block} is let through"));
        assert!(found.contains(reason), "{block}: {found}");
    }
    for block in [
        "rm '*.pem' \"a?b\" \\*",
        "aws --query 'things[0]' --document '{\"what\":\"no!\"}'",
        "echo \"${ARN##*/}\" $ACCOUNT-$REGION ${ACCOUNT}:role a#b",
        "cat > file <<END\n# a heading, *as it is*!\nEND\necho done",
        "echo \"$A:$B\" x=y",
    ] {
        assert_eq!(why_not_pasted(block), None, "{block}");
    }
}

/// Why a reader can't paste this into an interactive bash or zsh, if so.
fn why_not_pasted(block: &str) -> Option<&'static str> {
    let mut end_of_document = None; // of a here-document: its text is not read by the shell's rules
    for line in block.lines() {
        match end_of_document {
            Some(end) if line == end => end_of_document = None,
            Some(_) => {}
            None => {
                if let Some(reason) = why_not_typed(line) {
                    return Some(reason);
                }
                end_of_document = line.split_once("<<").map(|(_, end)| end);
            }
        }
    }
    None
}

/// The same of a line. (Here, no quotation goes over the end of a line.)
fn why_not_typed(line: &str) -> Option<&'static str> {
    let mut quote = None;
    let mut before = ' ';
    let mut characters = line.char_indices();
    while let Some((at, character)) = characters.next() {
        let starts_a_word = matches!(before, ' ' | '(' | ';' | '|' | '&');
        match (quote, character) {
            (Some('\''), '\'') | (Some('"'), '"') => quote = None,
            (Some('\''), _) => {}
            (_, '!') => return Some("zsh and bash look for '!' in their history"),
            (_, '\\') => drop(characters.next()),
            (_, '$') if has_modifier(&line[at + 1..]) => {
                return Some("zsh takes ':' and a letter behind a variable for a modifier");
            }
            (None, '$') if line[at + 1..].starts_with('{') => {
                let end = line[at..].find('}').unwrap_or(0); // a pattern in braces is quoted by them
                characters.by_ref().take(end).for_each(drop);
            }
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(character),
            (None, '#') if starts_a_word => {
                return Some("interactive zsh takes a comment for arguments");
            }
            (None, '=') if starts_a_word => return Some("zsh takes =NAME for a command's path"),
            (None, '*' | '?' | '[') => {
                return Some("zsh refuses a pattern that matches no file");
            }
            (None, _) => {}
        }
        before = character;
    }
    None
}

/// Whether a variable's name without braces is followed by ':' and a letter.
fn has_modifier(after_dollar: &str) -> bool {
    let name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let rest = after_dollar.trim_start_matches(name);
    let mut next = rest.chars();
    rest.len() < after_dollar.len()
        && next.next() == Some(':')
        && next.next().is_some_and(|c| c.is_ascii_alphabetic())
}
