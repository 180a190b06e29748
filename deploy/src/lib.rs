//! The composition root of Sluice: the only crate that knows every stage, and the only one that knows the wall
//! clock, the file system, the environment, signals and the metrics port.
//!
//! Stages are put together in `compose` in the order in which data flows and stopped in that order. The binary
//! `sluice` is thin on top of this, so that tests run what users run.

pub mod command;

pub mod config;
pub mod folder;
pub mod role;
pub mod rules;

pub mod cluster;
pub mod engine;
pub mod fences;
pub mod patient;
pub mod refill;
pub mod replay;

pub mod compose;
pub mod supervise;

pub mod admin;
pub mod clock;
pub mod terminal;
