//! The whole store against a list of everything that was written.

mod crashes;
mod damage;
mod files;
mod oracle;
mod properties;
mod readers;
