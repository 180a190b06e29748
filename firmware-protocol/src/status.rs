//! What a device says about itself, and what it answers.

/// `up/{device}/state`: the device about itself.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct State<'a> {
    /// Firmware version.
    pub firmware: Option<&'a str>,
    /// Seconds since its last start.
    pub uptime_s: Option<u64>,
    /// Supply voltage, volts.
    pub battery_v: Option<f32>,
    /// Free text.
    pub text: Option<&'a str>,
}

/// `up/{device}/reply`: the answer to a command.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reply<'a> {
    /// The command's id.
    pub id: u64,
    /// Whether it was done.
    pub ok: bool,
    /// Why not, or what came of it.
    pub text: Option<&'a str>,
}
