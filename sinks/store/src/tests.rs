//! The whole store against a list of everything that was written.

mod copies;
mod crashes;
mod damage;
mod files;
mod killed;
mod oracle;
mod others;
mod power;
mod properties;
mod readers;
mod rebuilding;
mod rollups;
mod several;
mod stopping;
mod traces;
