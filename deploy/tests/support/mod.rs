//! A device and a child process, for tests that kill.
#![allow(dead_code)] // Each test file uses its part.

pub mod broker;
pub mod browser;
pub mod course;
pub mod device;
pub mod disk;
pub mod mosquitto;
pub mod outcome;
pub mod site;
pub mod sluice;
