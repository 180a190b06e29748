//! The normative statements of MQTT 3.1.1 and 5.0 that concern a server, one by one, by the byte.
//!
//! `mqtt-3.1.1.txt` and `mqtt-5.txt` are the tables. Each statement stands under its number, with our own words for
//! what it asks, and then one of:
//!
//! - bytes in and bytes out: it is tried against a running gateway, and it passes;
//! - `n/a`: why it concerns no server, or not this one;
//! - `open`: what is missing.
//!
//! The language of the steps is in `script.rs`.

#[path = "../support/mod.rs"]
mod support;

mod script;

use script::{Statement, Verdict};
use support::*;

async fn check(table: &str) {
    let statements = script::read(table);
    let limits = gateway::Limits {
        max_payload: 1000,
        max_in_flight: 8,
        max_topic_aliases: 4,
        max_keep_alive: 600,
        ..gateway::Limits::default()
    };
    let site = Site::open_with(&["d-1", "d-2"], limits).await;
    add_subscriber(&site.registry, "s-1", &["#", "$SYS/#"]);
    let mut bystander = site.connect("d-2").await;
    for statement in &statements {
        if let Verdict::Tried(steps) = &statement.verdict {
            script::run(&statement.number, steps, [site.address, site.address, site.websocket]).await;
            bystander.send(&PINGREQ).await;
            bystander.expect(&PINGRESP).await;
        }
    }
    site.close().await;
    let count = |is: fn(&Statement) -> bool| statements.iter().filter(|statement| is(statement)).count();
    let tried = count(|it| matches!(it.verdict, Verdict::Tried(_)));
    let open = count(|it| matches!(it.verdict, Verdict::Open));
    println!("{} statements: {tried} pass, {open} open, the others not applicable", statements.len());
}

#[tokio::test]
async fn mqtt_3_1_1() {
    check(include_str!("mqtt-3.1.1.txt")).await;
}

#[tokio::test]
async fn mqtt_5() {
    check(include_str!("mqtt-5.txt")).await;
}
