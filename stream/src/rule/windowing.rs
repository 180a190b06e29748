//! How a user-defined job divides event time into windows.

use super::calendar::Calendar;
use records::{Timestamp, Window};
use std::time::Duration;

/// Which windows a message falls into.
#[derive(Clone, Debug, PartialEq)]
pub enum Windowing {
    /// One after the other, counted from 1970.
    Tumbling(Duration),
    /// Each of `size`, one beginning `every` so often; `size` is a whole number of `every`.
    Hopping {
        /// Length of each.
        size: Duration,
        /// From start to start.
        every: Duration,
    },
    /// Messages that are less than this apart: `[first, last + gap)`.
    Session(Duration),
    /// So many messages, in order of event time: `[first, last + 1 ms)`.
    Count(u32),
    /// Hours, days or months of a time zone.
    Calendar(Calendar),
}

impl Windowing {
    /// The pane of an instant: the longest span that lies wholly inside or outside each window.
    ///
    /// Sessions and counts have none: where their windows lie depends on what comes.
    pub fn pane(&self, at: Timestamp) -> Option<Window> {
        match self {
            Windowing::Tumbling(size) => Some(Window::tumbling(at, *size)),
            Windowing::Hopping { every, .. } => Some(Window::tumbling(at, *every)),
            Windowing::Calendar(calendar) => Some(calendar.window(at)),
            Windowing::Session(_) | Windowing::Count(_) => None,
        }
    }

    /// The end of the last window that a pane is part of.
    pub fn last_end(&self, pane: Window) -> Timestamp {
        match self {
            Windowing::Hopping { size, every } => pane.end + (*size - *every),
            _ => pane.end,
        }
    }

    /// The windows that a pane is part of, by end.
    pub fn windows(&self, pane: Window) -> impl Iterator<Item = Window> + use<> {
        let (size, every) = match self {
            Windowing::Hopping { size, every } => (*size, *every),
            _ => (Duration::ZERO, Duration::MAX),
        };
        let count = if size.is_zero() { 1 } else { size.as_millis() / every.as_millis().max(1) };
        let nth = move |n: u32| match size.is_zero() {
            true => pane,
            false => {
                let end = pane.end + every * n;
                Window { start: end - size, end }
            }
        };
        (0..u32::try_from(count).unwrap_or(u32::MAX)).map(nth)
    }
}
