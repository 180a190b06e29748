//! A city: its devices, and every message that any of them ever sends.

use crate::chance::{Chance, HOUR, SECOND};
use crate::config::{CityConfig, Fleet, Incident};
use crate::device::{DeviceSpec, Family};
use crate::model::{Air, Detector, Line, Machine, Moment, Reader, Values, Water, Weather};
use crate::schedule::Schedule;
use crate::strike::hit;
use crate::voice::{Model, READER_SLOTS, Voice};
use crate::{place, script};
use firmware_protocol::{
    FrameContent, FrameQuantity, FrameReading, MAX_TIME, Position, TelemetryFrame, is_device_id,
};

/// A city, ready to speak. A pure function of its configuration and of `now`.
#[derive(Clone, Debug)]
pub struct City {
    chance: Chance,
    pub(crate) origin: i64,
    now: i64,
    epoch: u32,
    utc_offset: i64,
    incidents: Vec<Incident>,
    devices: Vec<DeviceSpec>,
    pub(crate) voices: Vec<Voice>,
}

/// A message: what a device publishes on its telemetry topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its number since the city's origin.
    pub sequence: u64,
    /// The device's clock, milliseconds since 1970.
    pub time: i64,
    /// A telemetry frame, CBOR or JSON.
    pub payload: Vec<u8>,
}

/// Why a configuration is no city.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CityError {
    /// A field that can't be what it is.
    #[error("{field}: {problem}")]
    Field {
        /// Which.
        field: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl CityError {
    pub(crate) fn new(field: impl Into<String>, problem: impl Into<String>) -> CityError {
        CityError::Field { field: field.into(), problem: problem.into() }
    }
}

impl City {
    /// The city of that configuration, with its incidents placed around `now` (milliseconds since 1970).
    pub fn new(config: &CityConfig, now: i64) -> Result<City, CityError> {
        let origin = firmware_protocol::parse_rfc3339(&config.origin)
            .ok_or_else(|| CityError::new("origin", "is no RFC 3339 time with an offset"))?;
        check(config)?;
        let chance = Chance::new(config.seed);
        let mut city = City {
            chance,
            origin,
            now,
            epoch: config.epoch,
            utc_offset: (config.utc_offset_hours * HOUR as f64) as i64,
            incidents: Vec::new(),
            devices: Vec::new(),
            voices: Vec::new(),
        };
        city.settle(config)?;
        city.incidents = match &config.incident {
            Some(incidents) => incidents.clone(),
            None => script::incidents(chance.named("script"), &city.devices),
        };
        for (index, incident) in city.incidents.clone().iter().enumerate() {
            city.strike(incident, now)
                .map_err(|problem| CityError::new(format!("incident[{index}]"), problem))?;
        }
        Ok(city)
    }

    /// The instant around which its incidents are placed, milliseconds since 1970.
    pub fn now(&self) -> i64 {
        self.now
    }

    /// The devices, in a fixed order; their place in it is their number.
    pub fn devices(&self) -> &[DeviceSpec] {
        &self.devices
    }

    /// What goes wrong.
    pub fn incidents(&self) -> &[Incident] {
        &self.incidents
    }

    /// The messages of a device that are due in `[from, to)`, oldest first.
    pub fn schedule(&self, device: usize, from: i64, to: i64) -> Schedule<'_> {
        let next =
            self.voices.get(device).map_or(0, |voice| voice.first_at(from.saturating_sub(self.origin)));
        Schedule { city: self, device, next, to }
    }

    /// Message `sequence` of a device; `None` for a device that isn't there, and after the year 9999.
    pub fn message(&self, device: usize, sequence: u64) -> Option<Message> {
        let voice = self.voices.get(device)?;
        let time = voice.due(sequence).checked_add(self.origin).filter(|time| *time <= MAX_TIME)?;
        let content = self.content(voice, sequence, time);
        let frame = TelemetryFrame {
            epoch: self.epoch,
            sequence: Some(sequence),
            time: Some(time),
            position: None,
            content,
        };
        let payload = match voice.is_json {
            true => frame.to_json(),
            false => {
                frame.to_cbor().expect("models give finite values of quantities in the table, each once")
            }
        };
        Some(Message { sequence, time, payload })
    }

    fn content(&self, voice: &Voice, sequence: u64, time: i64) -> FrameContent {
        let hour = ((time + self.utc_offset).rem_euclid(24 * HOUR)) as f64 / HOUR as f64;
        let at = Moment { time, hour, city: self.chance.named("city") };
        match &voice.model {
            Model::Air(air) => readings(air.values(&at)),
            Model::Water(water) => readings(water.values(&at)),
            Model::Weather(weather) => readings(weather.values(&at, voice.every)),
            Model::Detector(detector) => readings(detector.values(&at, voice.every)),
            Model::Machine(machine) => readings(machine.values(&at)),
            Model::Reader(reader) if sequence.is_multiple_of(READER_SLOTS) => readings(reader.values(&at)),
            Model::Reader(reader) => FrameContent::TagReads(reader.tag_reads(time - voice.every / 2, time)),
        }
    }

    /// Puts up the devices.
    fn settle(&mut self, config: &CityConfig) -> Result<(), CityError> {
        let chance = self.chance;
        for spec in place::stations(config, Family::Air, chance)? {
            let model = Model::Air(Air { chance: chance.named(&spec.id), plumes: Vec::new() });
            self.add(spec, model, config.air, config)?;
        }
        for spec in place::probes(config)? {
            let model = Model::Water(Water { chance: chance.named(&spec.id) });
            self.add(spec, model, config.water, config)?;
        }
        for spec in place::stations(config, Family::Weather, chance)? {
            let model = Model::Weather(Weather { chance: chance.named(&spec.id), storms: Vec::new() });
            self.add(spec, model, config.weather, config)?;
        }
        for (spec, road) in place::detectors(config)? {
            let (chance, road_chance) = (chance.named(&spec.id), chance.named(&road.name));
            let (free_speed, lanes) = (road.free_speed, f64::from(road.lanes));
            let model =
                Model::Detector(Detector { chance, road: road_chance, free_speed, lanes, jams: Vec::new() });
            self.add(spec, model, config.traffic, config)?;
        }
        for (spec, number) in place::readers(config) {
            let line = Line { chance: chance.named(&spec.area), origin: self.origin, number: number as u64 };
            let reader = Reader { line, rank: spec.rank, chance: chance.named(&spec.id), blind: Vec::new() };
            self.add(spec, Model::Reader(reader), config.rfid, config)?;
        }
        for spec in place::machines(config) {
            let model = Model::Machine(Machine { chance: chance.named(&spec.id), worn: Vec::new() });
            self.add(spec, model, config.machine, config)?;
        }
        Ok(())
    }

    fn add(
        &mut self,
        spec: DeviceSpec,
        model: Model,
        fleet: Fleet,
        config: &CityConfig,
    ) -> Result<(), CityError> {
        if !is_device_id(&spec.id) || self.devices.iter().any(|device| device.id == spec.id) {
            return Err(CityError::new(spec.id, "is no device id, or occurs twice: rename the area"));
        }
        let every = i64::from(fleet.every_s) * SECOND;
        let phase = self.chance.named("phase").named(&spec.id).pick(0, every as usize) as i64;
        let is_json = config.json_every > 0 && self.devices.len().is_multiple_of(config.json_every);
        self.devices.push(spec);
        self.voices.push(Voice { model, every, phase, is_json });
        Ok(())
    }

    /// Lets an incident act on every device that it reaches.
    fn strike(&mut self, incident: &Incident, now: i64) -> Result<(), String> {
        let mut hits = 0;
        for (spec, voice) in self.devices.iter().zip(&mut self.voices) {
            hits += usize::from(hit(incident, spec, &mut voice.model, now, self.chance));
        }
        if hits > 0 { Ok(()) } else { Err("reaches no device".to_string()) }
    }
}

fn readings(values: Values) -> FrameContent {
    let reading = |(code, value)| FrameReading { quantity: FrameQuantity::Code(code), value };
    FrameContent::Readings(values.into_iter().map(reading).collect())
}

/// Bounds without which a city can't run.
fn check(config: &CityConfig) -> Result<(), CityError> {
    let fleets = [
        ("air", config.air),
        ("water", config.water),
        ("weather", config.weather),
        ("traffic", config.traffic),
        ("rfid", config.rfid),
        ("machine", config.machine),
    ];
    for (name, fleet) in fleets {
        if !(1..=86_400).contains(&fleet.every_s) {
            return Err(CityError::new(format!("{name}.every_s"), "must be 1 to 86400"));
        }
        if fleet.count > 100_000 {
            return Err(CityError::new(format!("{name}.count"), "must be at most 100000"));
        }
    }
    if !(-24.0..=24.0).contains(&config.utc_offset_hours) {
        return Err(CityError::new("utc_offset_hours", "must be -24 to 24"));
    }
    if !(1.0..=100_000.0).contains(&config.detector_spacing_m) {
        return Err(CityError::new("detector_spacing_m", "must be 1 to 100000"));
    }
    if !(Position { lon: config.plant[0], lat: config.plant[1] }).is_valid() {
        return Err(CityError::new("plant", "is not [longitude, latitude] in degrees"));
    }
    for (index, incident) in config.incident.iter().flatten().enumerate() {
        script::check(incident).map_err(|problem| CityError::new(format!("incident[{index}]"), problem))?;
    }
    Ok(())
}
