//! The demo as a person sees it: a browser on the console's page.

mod support;

use std::time::{Duration, Instant};

use serde_json::Value;
use support::browser::Browser;
use support::sluice::Folder;

fn has(alerts: &Value, use_case: &str, state: &str) -> bool {
    let alerts = alerts["alerts"].as_array().map(Vec::as_slice).unwrap_or_default();
    alerts.iter().any(|alert| alert["use_case"] == use_case && alert["state"] == state)
}

#[test]
#[ignore = "needs chromium"]
fn within_a_minute_the_demo_shows_alerts_of_each_use_case() {
    let folder = Folder::new("");
    let started = Instant::now();
    let sluice = folder.try_start(&["demo"]).unwrap_or_else(|| panic!("not ready:\n{}", folder.log()));
    let patience = Duration::from_secs(60);
    sluice.get_until("/api/v1/alerts?limit=1000", patience, |alerts| {
        let use_cases = ["transport", "environment", "manufacturing"];
        use_cases.iter().all(|use_case| has(alerts, use_case, "open"))
            && use_cases.iter().any(|use_case| has(alerts, use_case, "cleared"))
    });
    assert!(started.elapsed() < patience, "{:?}", started.elapsed());

    let browser = Browser::start();
    browser.open(&format!("http://{}/", sluice.address("console")));
    let text = "document.body.innerText";
    let seen = browser.ask_until(text, |text| {
        let text = text.as_str().unwrap_or_default();
        ["standing queue", "PM2.5 index", "vibration", "live"].iter().all(|word| text.contains(word))
    });
    assert!(!seen.as_str().expect("a text").contains("Loading"), "{seen}");
    let devices = "document.querySelectorAll('svg g.device').length";
    browser.ask_until(devices, |count| count.as_u64().is_some_and(|count| count >= 190));
    // The device of an alert is chosen: its curve is drawn. The backlog may still be on its way to that alert.
    let link = "[...document.querySelectorAll('a, button')].find(link => /^Huangpu air/.test(link.innerText.trim()))";
    browser.ask_until(&format!("{link} !== undefined"), |is_there| is_there == true);
    browser.ask(&format!("{link}.click()"));
    browser.ask_until("document.querySelectorAll('canvas').length", |count| count.as_u64() >= Some(1));
    assert_eq!(sluice.stop(), Some(0));
}
