//! `sluice check FILE`: every problem at once, and nothing started.

use std::path::Path;

use super::{Failure, load};
use crate::rules;

/// Reads the file, and the rules file that it names.
///
/// # Errors
/// All problems, a line each.
pub fn run(file: &Path) -> Result<(), Failure> {
    let config = load(Some(file))?;
    rules::load(config.stream.rules.as_deref())?;
    println!("{} is fine", file.display());
    Ok(())
}
