//! How often a reader on Kafka may be fenced before it is taken at its word.
//!
//! A group that loses its coordinator, or has not heard of a member for the session timeout, fences that member, and
//! joining again is right. A second process of the same name fences it again and again, and then it must end.

use std::time::{Duration, Instant};

/// So many times in a row are an accident.
const ACCIDENTS: u32 = 3;

/// Further apart than this they are not in a row.
const ROW: Duration = Duration::from_secs(60);

/// The times that one reader was fenced.
#[derive(Debug, Default)]
pub struct Fences {
    in_a_row: u32,
    last: Option<Instant>,
}

impl Fences {
    /// Notes one at `now`, and tells whether joining again is right.
    pub fn may_join_again(&mut self, now: Instant) -> bool {
        let is_in_a_row = self.last.replace(now).is_some_and(|last| now.duration_since(last) < ROW);
        self.in_a_row = if is_in_a_row { self.in_a_row + 1 } else { 1 };
        self.in_a_row <= ACCIDENTS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accidents_are_rare() {
        let (mut fences, start) = (Fences::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        let told: Vec<bool> = [0, 2, 4, 6, 100].map(|seconds| fences.may_join_again(at(seconds))).into();
        assert_eq!(told, [true, true, true, false, true]);
    }
}
