//! The flags of the benchmark.

use std::str::FromStr;

use clap::Parser;

/// What a job costs, measured against `local_iot_core`.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo bench --bench cost --")]
pub struct Arguments {
    /// Another program to measure beside this one; it gets the same flags behind its own
    #[arg(long, value_name = "COMMAND")]
    pub against: Option<CommandLine>,

    /// Leave out what takes long: the 1,000 jobs, the idle device, and the pings
    #[arg(long)]
    quick: bool,

    /// Cargo passes this to every benchmark; `cargo test --all-targets` does not
    #[arg(long, hide = true)]
    bench: bool,
}

impl Arguments {
    /// Whether to leave out what takes long. As a test, it only has to show that it works.
    pub fn is_quick(&self) -> bool {
        self.quick || !self.bench
    }
}

/// A command and its arguments, from one string as a shell would split it: at white space, except
/// within single or double quotes.
#[derive(Debug, Clone)]
pub struct CommandLine(pub Vec<String>);

impl FromStr for CommandLine {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut words = Vec::new();
        let mut word: Option<String> = None;
        let mut quote = None;
        for character in text.chars() {
            match quote {
                Some(end) if character == end => quote = None,
                None if matches!(character, '"' | '\'') => {
                    quote = Some(character);
                    word.get_or_insert_default();
                }
                None if character.is_whitespace() => words.extend(word.take()),
                _ => word.get_or_insert_default().push(character),
            }
        }
        words.extend(word);
        match (quote, words.is_empty()) {
            (Some(_), _) => Err("a quote is not closed"),
            (None, true) => Err("a command is wanted"),
            (None, false) => Ok(Self(words)),
        }
    }
}
