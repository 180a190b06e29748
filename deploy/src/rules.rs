//! The rules file.

use std::path::Path;

use stream::rule::Ruleset;

use crate::command::Failure;

/// The rules of that file, or the built-in ones.
///
/// # Errors
/// The file can't be read, or all of its problems, a line each.
pub fn load(file: Option<&Path>) -> Result<Ruleset, Failure> {
    let Some(file) = file else { return Ok(Ruleset::default()) };
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::because(format_args!("rules file {}", file.display()), &error))?;
    parse(file, &text).map_err(Failure::usage)
}

/// The rules in the text of that file.
///
/// # Errors
/// All of its problems, a line each.
pub fn parse(file: &Path, text: &str) -> Result<Ruleset, String> {
    Ruleset::parse(text).map_err(|problems| {
        let lines: String = problems.iter().map(|problem| format!("\n  {problem}")).collect();
        format!("rules file {} has problems:{lines}", file.display())
    })
}
