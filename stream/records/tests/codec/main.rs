//! The bytes of every kind of record.

mod golden;
mod properties;
mod strategy;
