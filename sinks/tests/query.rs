//! Several curves at once, groups, percentiles, and the newest values of an area, in each format.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod support;

use flate2::read::GzDecoder;
use records::{Device, Family, Flag, Quality, Record, Topic};
use serde_json::{Value, json};
use std::io::Read;
use support::{Console, T0, append, device, eventually, observation, reading};

/// A console that knows four devices and an hour of a reading a minute of each.
async fn console() -> Console {
    let console = Console::start().await;
    let known =
        |id: &str, family, area: &str| Record::Device(Device { area: area.into(), ..device(id, family, 1) });
    let mut records = vec![
        known("air-1", Family::Air, "Tianhe"),
        known("air-2", Family::Air, "Tianhe"),
        known("air-3", Family::Air, "Yuexiu, old"),
        known("met-1", Family::Weather, "Tianhe"),
    ];
    for minute in 0..60 {
        let at = T0 - 3_600_000 + minute * 60_000;
        for (number, id) in (0..).zip(["air-1", "air-2", "air-3"]) {
            records.push(reading(id, at, "pm2_5", (minute + number * 100) as f64));
        }
        records.push(reading("met-1", at, "temperature", 20.0));
    }
    let mut bad = observation("air-1", T0 - 30_000, "pm2_5", 9_999.0);
    if let records::Body::Readings(readings) = &mut bad.body {
        readings[0].quality = Quality { flag: Flag::Bad, tests: 2 };
    }
    records.push(Record::Observation(bad));
    append(&console.log, Topic::Observations, &records).await;
    eventually(async || (console.store.rows_in_memory() == 241 && console.devices.len() == 4).then_some(()))
        .await;
    console
}

async fn ask(console: &Console, path: &str) -> (u16, reqwest::header::HeaderMap, Vec<u8>) {
    let url = format!("http://{}/api/v1{path}", console.address);
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = http.get(url).header("accept-encoding", "identity").send().await.unwrap();
    (answer.status().as_u16(), answer.headers().clone(), answer.bytes().await.unwrap().to_vec())
}

async fn ask_json(console: &Console, path: &str) -> Value {
    let (status, _, body) = ask(console, path).await;
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
    serde_json::from_slice(&body).unwrap()
}

fn hour() -> String {
    format!("from={}&to={}", T0 - 3_600_000, T0)
}

#[tokio::test]
async fn several_curves_come_at_once() {
    let console = console().await;
    let path = format!("/query?device=air-2,air-1&quantity=pm2_5,temperature&bucket=30m&{}", hour());
    let answer = ask_json(&console, &path).await;
    assert_eq!(answer["width_ms"], 1_800_000);
    let series = answer["series"].as_array().unwrap();
    let names: Vec<_> = series.iter().map(|curve| (&curve["series"], &curve["quantity"])).collect();
    assert_eq!(
        json!(names),
        json!([["air-1", "pm2_5"], ["air-1", "temperature"], ["air-2", "pm2_5"], ["air-2", "temperature"]])
    );
    assert_eq!(series[0]["t"], json!([T0 - 3_600_000, T0 - 1_800_000]));
    assert_eq!(series[0]["mean"], json!([14.5, 44.5]), "the bad value counts, and is in no statistic");
    assert_eq!((&series[0]["count"], &series[0]["good"]), (&json!([30, 31]), &json!([1.0, 30.0 / 31.0])));
    assert_eq!((&series[2]["min"], &series[2]["max"]), (&json!([100.0, 130.0]), &json!([129.0, 159.0])));
    assert_eq!(series[1]["t"], json!([]));
}

#[tokio::test]
async fn a_group_is_one_curve_with_percentiles() {
    let console = console().await;
    let path = format!("/query?family=air&quantity=pm2_5&group=area&bucket=1h&percentiles=50,75&{}", hour());
    let answer = ask_json(&console, &path).await;
    let series = answer["series"].as_array().unwrap();
    assert_eq!((&series[0]["series"], &series[1]["series"]), (&json!("Tianhe"), &json!("Yuexiu, old")));
    // Tianhe: 0…59 and 100…159.
    assert_eq!(series[0]["mean"], json!([79.5]));
    assert_eq!(series[0]["p50"], json!([79.5]));
    assert_eq!(series[0]["p75"], json!([129.25]));
    let both =
        ask_json(&console, &format!("/query?area=Tianhe&quantity=pm2_5&group=family&bucket=1h&{}", hour()))
            .await;
    let groups: Vec<_> =
        both["series"].as_array().unwrap().iter().map(|curve| curve["series"].clone()).collect();
    assert_eq!(groups, ["air", "weather"]);
}

#[tokio::test]
async fn rows_come_as_csv() {
    let console = console().await;
    let path = format!(
        "/query?device=air-3&quantity=pm2_5&group=area&bucket=30m&percentiles=50&format=csv&{}",
        hour()
    );
    let (status, headers, body) = ask(&console, &path).await;
    assert_eq!((status, headers["content-type"].to_str().unwrap()), (200, "text/csv; charset=utf-8"));
    let expected = "series,quantity,time,mean,min,max,count,good,p50\r\n\
                    \"Yuexiu, old\",pm2_5,2026-11-22T07:00:00Z,214.5,200,229,30,1,214.5\r\n\
                    \"Yuexiu, old\",pm2_5,2026-11-22T07:30:00Z,244.5,230,259,30,1,244.5\r\n";
    assert_eq!(String::from_utf8(body).unwrap(), expected);
}

#[tokio::test]
async fn answers_are_packed_for_who_can_unpack_them() {
    let console = console().await;
    let path = format!("/query?family=air&quantity=pm2_5&bucket=1s&{}", hour());
    let plain = ask(&console, &path).await.2;
    let url = format!("http://{}/api/v1{path}", console.address);
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = http.get(url).header("accept-encoding", "gzip").send().await.unwrap();
    assert_eq!(answer.headers()["content-encoding"], "gzip");
    let packed = answer.bytes().await.unwrap();
    let mut unpacked = Vec::new();
    GzDecoder::new(packed.as_ref()).read_to_end(&mut unpacked).unwrap();
    assert_eq!(unpacked, plain);
    assert!(packed.len() * 4 < plain.len(), "{} of {}", packed.len(), plain.len());
}

#[tokio::test]
async fn too_much_and_nonsense_are_refused() {
    let console = console().await;
    let check = async |path: &str, code: &str, words: &str| {
        let (status, _, body) = ask(&console, path).await;
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(status, 400, "{path}");
        assert_eq!(body["error"]["code"], code, "{path}: {body}");
        assert!(body["error"]["message"].as_str().unwrap().contains(words), "{path}: {body}");
    };
    check("/query?quantity=pm2_5", "bad_request", "name devices, an area or a family").await;
    check("/query?family=air", "bad_request", "name a quantity").await;
    check("/query?family=ghost&quantity=pm2_5", "bad_request", "no family ghost").await;
    check("/query?family=air&quantity=pm2_5&group=mood", "bad_request", "area or family").await;
    check("/query?family=air&quantity=pm2_5&percentiles=101", "bad_request", "0 to 100").await;
    check("/query?family=air&quantity=pm2_5&format=xml", "bad_request", "json, csv or parquet").await;
    check("/query?family=air&quantity=pm2_5&from=2&to=1", "bad_request", "before to").await;
    let many = (0..4_000).map(|number| format!("q{number}")).collect::<Vec<_>>().join(",");
    check(&format!("/query?family=air&quantity={many}"), "too_much", "limit series: 12000, more than 10000")
        .await;
    check("/latest?format=parquet", "bad_request", "json, csv or geojson").await;
}

#[tokio::test]
async fn the_newest_values_of_an_area_are_a_map_layer() {
    let console = console().await;
    let (status, headers, body) = ask(&console, "/latest?area=Tianhe&format=geojson").await;
    assert_eq!((status, headers["content-type"].to_str().unwrap()), (200, "application/geo+json"));
    let layer: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(layer["type"], "FeatureCollection");
    let features = layer["features"].as_array().unwrap();
    assert_eq!(features.len(), 3);
    assert_eq!(features[0]["id"], "air-1");
    assert_eq!(features[0]["geometry"], json!({ "type": "Point", "coordinates": [113.3, 23.1] }));
    let latest = &features[0]["properties"]["latest"][0];
    assert_eq!(
        (&latest["flag"], &latest["event_time"], &latest["ingest_time"]),
        (&json!("bad"), &json!(T0 - 30_000), &json!(T0 - 30_000))
    );
    let answer = ask_json(&console, "/latest?family=weather&quantity=temperature").await;
    assert_eq!(answer["latest"][0]["latest"][0]["value"], 20.0);
    let (_, _, csv) = ask(&console, "/latest?family=weather&format=csv").await;
    let expected = "device,area,family,quantity,value,unit,flag,event_time,ingest_time\r\n\
                    met-1,Tianhe,weather,temperature,20,Cel,good,2026-11-22T07:59:00Z,2026-11-22T07:59:00Z\r\n";
    assert_eq!(String::from_utf8(csv).unwrap(), expected);
}

#[tokio::test]
async fn a_tag_is_traced() {
    let console = console().await;
    let seen = |device: &str, area: &str, epc: &str, at: i64| {
        Record::Sighting(records::Sighting {
            area: area.into(),
            device: device.into(),
            epc: epc.into(),
            first_seen: records::Timestamp(at),
            last_seen: records::Timestamp(at + 500),
            count: 4,
            as_of: records::Timestamp(at + 2_000),
        })
    };
    let (one, other) = ("E2801160600002084C1D0001", "E2801160600002084C1D0002");
    let sightings = [
        seen("gate-1", "line-1", one, T0 - 60_000),
        seen("gate-2", "line-2", one, T0 - 30_000),
        seen("gate-2", "line-2", other, T0 - 20_000),
    ];
    append(&console.log, Topic::Aggregates, &sightings).await;
    eventually(async || (console.store.rows_in_memory() == 244).then_some(())).await;
    let readers = async |path: String| {
        let answer = ask_json(&console, &path).await;
        let rows = answer["happenings"].as_array().unwrap().clone();
        rows.iter().map(|row| row["device"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let tag = one.to_lowercase();
    assert_eq!(readers(format!("/happenings?tag={tag}&{}", hour())).await, ["gate-1", "gate-2"]);
    assert_eq!(readers(format!("/happenings?area=line-2&{}", hour())).await, ["gate-2", "gate-2"]);
    assert_eq!(readers(format!("/happenings?device=gate-1,gate-3&{}", hour())).await, ["gate-1"]);
    assert_eq!(readers(format!("/happenings?kind=passage&{}", hour())).await, [""; 0]);
    let (_, _, csv) = ask(&console, &format!("/happenings?tag={other}&format=csv&{}", hour())).await;
    let csv = String::from_utf8(csv).unwrap();
    assert!(csv.lines().nth(1).unwrap().starts_with(&format!("sighting,gate-2,{other},line-2,")), "{csv}");
    for refused in ["kind=flight", "limit=0", "format=parquet", "limit=1&tag="] {
        let (status, _, _) = ask(&console, &format!("/happenings?{refused}&{}", hour())).await;
        let is_fine = refused.ends_with("tag=");
        assert_eq!(status, if is_fine { 200 } else { 400 }, "{refused}");
    }
    let (status, _, body) = ask(&console, &format!("/happenings?limit=2&{}", hour())).await;
    assert!(status == 400 && String::from_utf8_lossy(&body).contains("too_much"));
}
