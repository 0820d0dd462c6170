//! The words behind a command's name.

use std::error::Error;

/// The first word of a text, and the rest.
pub fn first_word(text: &str) -> (&str, &str) {
    let (first, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (first, rest.trim())
}

/// Makes sure that a command stands alone.
///
/// # Errors
/// If there is more.
pub fn none(command: &str, rest: &str) -> Result<(), Box<dyn Error>> {
    match rest {
        "" => Ok(()),
        more => Err(format!("{command} stands alone, without '{more}'").into()),
    }
}

/// The job ID that is all that stands behind a command.
///
/// # Errors
/// If there is none, or more.
pub fn job_id<'a>(command: &str, rest: &'a str) -> Result<&'a str, Box<dyn Error>> {
    match first_word(rest) {
        ("", _) => Err(format!("{command} needs the ID of a job").into()),
        (id, "") => Ok(id),
        (id, more) => Err(format!("{command} takes one job ID: '{id}', without '{more}'").into()),
    }
}

/// A number, of what the last word names.
///
/// # Errors
/// If it is none.
pub fn number<N: std::str::FromStr>(text: &str, of_what: &str) -> Result<N, Box<dyn Error>> {
    text.parse()
        .map_err(|_| format!("'{text}' is not a number of {of_what}").into())
}
