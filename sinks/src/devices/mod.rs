//! The devices: what the registry says of each, what it said last, and how it is.

mod book;

mod live;

mod state;

mod quarantine;

mod view;

mod sink;

pub use book::DeviceBook;
pub use live::{Latest, Live};
pub use quarantine::{KEPT_PER_DEVICE, QuarantineView};
pub use sink::DeviceSink;
pub use state::DeviceState;
pub use view::{DeviceView, LatestView};
