//! The API, over a real listener.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod support;

use records::{Aggregate, Body, Flag, Test, Timestamp, Window};
use records::{AlertState, Family, Quality, Quantity, Reading, Record, Severity, Subject, Topic, Verb};
use serde_json::{Value, json};
use support::http::Request;
use support::{Console, T0, alert, append, device, next, observation, on_log, reading};

const DAY: i64 = 86_400_000;

fn numbers(column: &Value) -> Vec<f64> {
    column.as_array().unwrap().iter().map(|value| value.as_f64().unwrap_or(f64::NAN)).collect()
}

#[tokio::test]
async fn devices_with_state_and_latest_values() {
    let console = Console::start().await;
    let empty = console.get("/api/v1/devices").await.json();
    assert_eq!(empty["devices"], json!([]));
    let mut odd = observation("a", T0, "pm2_5", 999.5);
    let quality = Quality::GOOD.failed(Test::Spike, Flag::Suspect);
    odd.body =
        Body::Readings(vec![Reading { quantity: Quantity::from_name("pm2_5"), value: 999.5, quality }]);
    let records = [Record::Device(device("a", Family::Air, 1)), Record::Observation(odd)];
    append(&console.log, Topic::Observations, &records).await;
    let has_value =
        |answer: &support::http::Answer| answer.status == 200 && answer.json()["latest"][0].is_object();
    let a = console.get_until("/api/v1/devices/a", has_value).await.json();
    assert_eq!(a["label"], "The a");
    assert_eq!(a["family"], "air");
    assert_eq!(a["position"], json!({ "lon": 113.3, "lat": 23.1 }));
    assert_eq!(a["state"], "ok");
    let expected = json!({
        "quantity": "pm2_5", "value": 999.5, "unit": "ug/m3", "decimals": 1, "flag": "suspect", "tests": ["spike"],
        "event_time": T0, "ingest_time": T0, "window_ms": null
    });
    assert_eq!(a["latest"][0], expected);
    append(&console.log, Topic::Alerts, &[on_log(&alert("a", T0))]).await;
    let list =
        console.get_until("/api/v1/devices", |answer| answer.json()["devices"][0]["state"] == "alert").await;
    assert_eq!(list.json()["devices"][0]["severity"], "moderate");
    let unknown = console.get("/api/v1/devices/nobody").await;
    assert_eq!((unknown.status, unknown.code().as_str()), (404, "not_found"));
    let area = console.get("/api/v1/areas/Tianhe").await.json();
    assert_eq!(area["devices"], json!(["a"]));
    assert_eq!(console.get("/api/v1/areas/Nowhere").await.status, 404);
}

/// One value an hour over three days, the value being the hour's number.
async fn with_three_days(console: &Console) {
    let start = T0 - T0.rem_euclid(DAY) - 2 * DAY;
    let records: Vec<Record> =
        (0..72).map(|hour| reading("a", start + hour * 3_600_000, "temperature", hour as f64)).collect();
    append(&console.log, Topic::Observations, &records).await;
    console
        .get_until("/api/v1/series?device=a&quantity=temperature&from=0&to=4000000000000", |answer| {
            answer.status == 200 && answer.json()["t"].as_array().unwrap().len() == 72
        })
        .await;
}

#[tokio::test]
async fn series_as_stored_fitted_and_by_day() {
    let console = Console::start().await;
    with_three_days(&console).await;
    let ask = async |rest: &str| {
        console.get(&format!("/api/v1/series?device=a&quantity=temperature{rest}")).await.json()
    };
    let all = ask("&from=2026-01-01T00:00:00Z&to=2027-01-01T00:00:00Z").await;
    assert_eq!(
        (all["unit"].as_str(), &all["width_ms"], &all["subject"]),
        (Some("Cel"), &Value::Null, &json!("a"))
    );
    assert_eq!(numbers(&all["mean"]), (0..72).map(f64::from).collect::<Vec<_>>());
    let fitted = ask("&from=0&max_points=10").await;
    assert!(fitted["t"].as_array().unwrap().len() <= 10);
    assert!(fitted["width_ms"].as_u64().is_some());
    let total: f64 = numbers(&fitted["count"]).iter().sum();
    assert_eq!(
        total,
        (0..72).filter(|hour| T0 - T0.rem_euclid(DAY) - 2 * DAY + hour * 3_600_000 < T0 + 60_000).count()
            as f64
    );
    let days = ask("&from=0&to=4000000000000&bucket=1d").await;
    assert_eq!(numbers(&days["max"]), [23.0, 47.0, 71.0]);
    assert_eq!(numbers(&days["count"]), [24.0; 3]);
    assert_eq!(numbers(&days["good"]), [1.0; 3]);
    let local = ask("&from=0&to=4000000000000&bucket=1d&tz_offset=%2B08:00").await;
    assert_eq!(numbers(&local["count"]), [16.0, 24.0, 24.0, 8.0], "the local day begins at 16:00 UTC");
    assert_eq!(numbers(&local["max"]), [15.0, 39.0, 63.0, 71.0]);
    let none = ask("&from=0&to=1").await;
    assert_eq!(none["t"], json!([]));
}

#[tokio::test]
async fn series_of_windows() {
    let console = Console::start().await;
    let window = |index: i64, good: u32, mean: f64| {
        let start = T0 - 3_600_000 * (10 - index);
        Record::Aggregate(Aggregate {
            subject: Subject::Area("Ring".into()),
            area: "Ring".into(),
            quantity: Quantity::from_name("queue_detectors"),
            window: Window { start: Timestamp(start), end: Timestamp(start + 3_600_000) },
            revision: 0,
            count: 4,
            good,
            sum: mean * f64::from(good),
            mean,
            min: mean - 1.0,
            max: mean + 1.0,
            as_of: Timestamp(T0),
            is_backfill: false,
        })
    };
    let windows = [window(0, 4, 1.0), window(1, 2, 4.0), window(2, 0, 0.0), window(3, 4, 8.0)];
    append(&console.log, Topic::Aggregates, &windows).await;
    let path = "/api/v1/series?area=Ring&quantity=queue_detectors&window=1h";
    let is_there = |answer: &support::http::Answer| {
        answer.status == 200 && answer.json()["t"].as_array().unwrap().len() == 4
    };
    let all = console.get_until(path, is_there).await.json();
    assert_eq!(all["mean"], json!([1.0, 4.0, null, 8.0]), "no value is not zero");
    assert_eq!(all["width_ms"], 3_600_000);
    assert_eq!(numbers(&all["good"]), [1.0, 0.5, 0.0, 1.0]);
    let joined = console.get(&format!("{path}&max_points=2")).await.json();
    assert_eq!(numbers(&joined["mean"]), [2.0, 8.0], "weighted by what was usable");
    assert_eq!((numbers(&joined["min"]), numbers(&joined["max"])), (vec![0.0, 7.0], vec![5.0, 9.0]));
    assert_eq!(joined["width_ms"], 7_200_000);
    let area = console.get("/api/v1/areas/Ring").await.json();
    assert_eq!(area["series"][0]["window_ms"], 3_600_000);
    let other = console.get("/api/v1/series?area=Ring&quantity=queue_detectors&window=1m").await.json();
    assert_eq!(other["t"], json!([]), "there are no windows of a minute");
}

#[tokio::test]
async fn questions_that_make_no_sense_are_refused() {
    let console = Console::start().await;
    append(&console.log, Topic::Observations, &[Record::Device(device("a", Family::Air, 1))]).await;
    console.get_until("/api/v1/devices/a", |answer| answer.status == 200).await;
    let check = async |path: &str, status: u16, code: &str| {
        let answer = console.get(&format!("/api/v1{path}")).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{path}");
        assert_eq!(answer.header("content-type"), Some("application/json"), "{path}");
    };
    check("/series", 400, "bad_request").await;
    check("/series?device=a", 400, "bad_request").await;
    check("/series?device=a&area=b&quantity=ph", 400, "bad_request").await;
    check("/series?device=a&quantity=ph&from=soon", 400, "bad_request").await;
    check("/series?device=a&quantity=ph&from=5&to=5", 400, "bad_request").await;
    check("/series?device=a&quantity=ph&max_points=0", 400, "bad_request").await;
    check("/series?device=a&quantity=ph&max_points=10001", 400, "bad_request").await;
    check("/series?device=a&quantity=ph&max_points=many", 400, "bad_request").await;
    check("/series?device=a&quantity=ph&bucket=0d", 400, "bad_request").await;
    check("/series?device=a&quantity=ph&bucket=1d&window=1h", 400, "bad_request").await;
    check("/series?device=a&quantity=ph&bucket=1d&tz_offset=8", 400, "bad_request").await;
    check("/series?device=nobody&quantity=ph", 404, "not_found").await;
    check("/alerts?limit=0", 400, "bad_request").await;
    check("/alerts?limit=2001", 400, "bad_request").await;
    check("/alerts?severity=terrible", 400, "bad_request").await;
    check("/alerts?state=open,done", 400, "bad_request").await;
    check("/alerts/no/such/alert", 404, "not_found").await;
    check("/quarantine?limit=1001", 400, "bad_request").await;
    check("/feed?after=-1", 400, "bad_request").await;
    check("/nothing/here", 404, "not_found").await;
    check("/devices/%FF", 400, "bad_request").await;
    let known = console.get("/api/v1/series?device=a&quantity=ph").await;
    assert_eq!((known.status, &known.json()["t"]), (200, &json!([])), "known, and silent");
    let wrong_method = Request::post("/api/v1/devices", "{}").json().send(console.address).await;
    assert_eq!((wrong_method.status, wrong_method.code().as_str()), (405, "method_not_allowed"));
}

#[tokio::test]
async fn alerts_of_a_range_are_those_that_were_open_in_it() {
    let console = Console::start().await;
    let minute = 60_000;
    let over = alert("over", T0);
    let cleared = next(&over, AlertState::Cleared, T0 + 10 * minute);
    let later = alert("later", T0 + 20 * minute);
    append(&console.log, Topic::Alerts, &[&over, &cleared, &later].map(on_log)).await;
    console.get_until("/api/v1/alerts", |answer| answer.json()["seq"] == 3).await;
    let check = async |from: i64, to: i64, expected: &[&str]| {
        let path = format!("/api/v1/alerts?from={}&to={}", T0 + from * minute, T0 + to * minute);
        let list = console.get(&path).await.json();
        let found: Vec<&str> = list["alerts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["subject"]["device"].as_str().unwrap())
            .collect();
        assert_eq!(found, expected, "{from} to {to}");
    };
    check(-5, 0, &[]).await;
    check(-5, 1, &["over"]).await;
    check(5, 6, &["over"]).await;
    check(10, 20, &["over"]).await;
    check(11, 20, &[]).await;
    check(0, 21, &["later", "over"]).await;
    check(30, 40, &["later"]).await;
    let wrong = console.get("/api/v1/alerts?from=yesterday").await;
    assert_eq!((wrong.status, wrong.code()), (400, "bad_request".to_owned()));
}

#[tokio::test]
async fn alerts_and_their_history() {
    let console = Console::start().await;
    let opened = alert("a", T0);
    let mut severe = next(&opened, AlertState::Open, T0 + 60_000);
    severe.severity = Severity::Severe;
    append(&console.log, Topic::Alerts, &[on_log(&opened), on_log(&severe), on_log(&alert("b", T0))]).await;
    let list = console.get_until("/api/v1/alerts", |answer| answer.json()["seq"] == 3).await.json();
    let subjects: Vec<&Value> =
        list["alerts"].as_array().unwrap().iter().map(|alert| &alert["subject"]["device"]).collect();
    assert_eq!(subjects, ["a", "b"], "the severe one first");
    assert_eq!(list["alerts"][0]["severity"], "severe");
    let filtered = console
        .get("/api/v1/alerts?state=active&severity=severe,extreme&use_case=environment&subject=a")
        .await;
    assert_eq!(filtered.json()["alerts"].as_array().unwrap().len(), 1);
    assert_eq!(console.get("/api/v1/alerts?state=cleared").await.json()["alerts"], json!([]));
    let encoded = opened.id.replace('/', "%2F");
    for id in [opened.id.as_str(), &encoded] {
        let history = console.get(&format!("/api/v1/alerts/{id}")).await.json();
        assert_eq!(history["id"], opened.id.as_str());
        let numbers: Vec<&Value> =
            history["transitions"].as_array().unwrap().iter().map(|t| &t["transition"]).collect();
        assert_eq!(numbers, [&json!(0), &json!(1)], "{id}");
    }
}

#[tokio::test]
async fn acknowledging_appends_an_action_for_the_job_of_the_subject() {
    let console = Console::start().await;
    let about_device = alert("a", T0);
    let mut about_area = alert("Ring", T0);
    about_area.subject = Subject::Area("Ring".into());
    append(&console.log, Topic::Alerts, &[on_log(&about_device), on_log(&about_area)]).await;
    console.get_until("/api/v1/alerts", |answer| answer.json()["seq"] == 2).await;
    let post = async |body: String| {
        Request::post("/api/v1/alerts/acknowledge", &body).json().send(console.address).await
    };
    let body = |id: &str| json!({ "id": id, "note": "on my way" }).to_string();
    for (alert, topic) in [(&about_device, Topic::Telemetry), (&about_area, Topic::Aggregates)] {
        let answer = post(body(&alert.id)).await;
        assert_eq!(answer.status, 202, "{}", answer.text());
        let records = console.log.decoded(topic);
        let [Record::Action(action)] = records.as_slice() else { panic!("{records:?}") };
        assert_eq!(
            (action.alert.as_str(), &action.subject, action.verb),
            (alert.id.as_str(), &alert.subject, Verb::Acknowledge)
        );
        assert_eq!(
            (action.actor.as_str(), action.note.as_str(), action.at),
            ("operator", "on my way", Timestamp(T0))
        );
        let (_, _, key, _) = console.log.read_all(topic).remove(0);
        assert_eq!(key, alert.subject.name().as_bytes());
    }
    console.log.fail_next_appends(1, || records::AppendError::Full("disk".to_owned()));
    assert_eq!(post(body(&about_device.id)).await.status, 503, "not durable, so not accepted");
    let known = next(&about_device, AlertState::Acknowledged, T0 + 1);
    let over = next(&known, AlertState::Cleared, T0 + 2);
    append(&console.log, Topic::Alerts, &[on_log(&known)]).await;
    console.get_until("/api/v1/alerts?state=acknowledged", |answer| answer.json()["seq"] == 3).await;
    assert_eq!(post(body(&about_device.id)).await.status, 409);
    append(&console.log, Topic::Alerts, &[on_log(&over)]).await;
    console.get_until("/api/v1/alerts", |answer| answer.json()["seq"] == 4).await;
    assert_eq!(post(body(&about_device.id)).await.status, 409);
    assert_eq!(post(body("no/such/alert")).await.status, 404);
    assert_eq!(post("{".to_owned()).await.code(), "bad_request");
    assert_eq!(post(json!({ "id": "x", "nope": 1 }).to_string()).await.status, 400);
    assert_eq!(post(json!({ "id": "x", "note": "n".repeat(1001) }).to_string()).await.status, 400);
    assert_eq!(post(json!({ "id": "x".repeat(70_000) }).to_string()).await.status, 400, "too large a body");
}

#[tokio::test]
async fn refused_payloads_and_quantities() {
    let console = Console::start().await;
    let refused = Record::Quarantined(records::Quarantined {
        device: "a".into(),
        topic_name: "up/a/telemetry".to_owned(),
        ingest_time: Timestamp(T0),
        reason: records::Reason::Malformed,
        detail: "expected a value at byte 10".to_owned(),
        payload: b"{\"pm2_5\": }".to_vec(),
        count: 1,
    });
    append(&console.log, Topic::Quarantine, &[refused]).await;
    let has_one = |answer: &support::http::Answer| answer.json()["quarantine"][0].is_object();
    let one = console.get_until("/api/v1/quarantine?device=a", has_one).await.json()["quarantine"][0].clone();
    assert_eq!((one["reason"].as_str(), one["text"].as_str()), (Some("malformed"), Some("{\"pm2_5\": }")));
    assert_eq!(console.get("/api/v1/quarantine?device=b").await.json()["quarantine"], json!([]));
    let quantities = console.get("/api/v1/quantities").await.json();
    let pm2_5 = quantities["quantities"]
        .as_array()
        .unwrap()
        .iter()
        .find(|info| info["name"] == "pm2_5")
        .unwrap()
        .clone();
    assert_eq!(pm2_5["unit"], "ug/m3");
}

#[tokio::test]
async fn notices_say_what_keeps_a_sink_from_working() {
    let console = Console::start().await;
    assert_eq!(console.get("/api/v1/notices").await.json(), json!({ "notices": [] }));
    let since = Some(Timestamp(T0));
    let text = "waits until a person has put it right, and nothing is lost: 401".to_owned();
    console.notices.tell(sinks::Notice {
        source: "influx",
        kind: sinks::Kind::Barred,
        since,
        text: text.clone(),
    });
    let expected =
        json!({ "notices": [{ "source": "influx", "kind": "barred", "since_ms": T0, "text": text }] });
    assert_eq!(console.get("/api/v1/notices").await.json(), expected);
}
