//! Which series a question is about, and which of them become one curve.

use super::limits::QueryLimits;
use super::reply::Refusal;
use crate::series::area_series;
use records::{Family, Name};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// What becomes one curve.
pub struct Curve {
    /// The device, area or group.
    pub name: Name,
    pub quantity: Name,
    /// The series that it is made from, as (subject, quantity).
    pub series: Vec<(Name, Name)>,
}

/// A device as far as choosing goes.
pub type Member<'a> = (&'a Name, &'a Name, Family);

/// The part of a question that says which series.
#[derive(Deserialize)]
pub struct Choice {
    pub device: Option<String>,
    pub area: Option<String>,
    pub family: Option<String>,
    pub quantity: Option<String>,
    pub group: Option<String>,
    pub level: Option<String>,
}

impl Choice {
    /// Whether it asks for the areas' own series, which are windows.
    pub fn is_of_areas(&self) -> Result<bool, Refusal> {
        match self.level.as_deref() {
            None | Some("device") => Ok(false),
            Some("area") => Ok(true),
            Some(_) => Err(Refusal::BadRequest("level: device or area".to_owned())),
        }
    }

    /// A curve per device (or area) and quantity, or per group and quantity.
    pub fn curves<'a>(
        &self,
        devices: impl Iterator<Item = Member<'a>>,
        limits: QueryLimits,
    ) -> Result<Vec<Curve>, Refusal> {
        let quantities = list(self.quantity.as_deref());
        if quantities.is_empty() {
            return Err(Refusal::BadRequest("name a quantity, or several with commas between".to_owned()));
        }
        let groups = if self.is_of_areas()? { self.areas(devices)? } else { self.groups(devices)? };
        let series = groups.values().map(Vec::len).sum::<usize>() * quantities.len();
        if series > limits.series {
            let most = limits.series;
            return Err(Refusal::TooMuch(format!("limit series: {series}, more than {most}; ask for fewer")));
        }
        let mut curves = Vec::new();
        for (group, members) in &groups {
            for quantity in &quantities {
                let series = members.iter().map(|member| (member.clone(), quantity.clone())).collect();
                curves.push(Curve { name: group.clone(), quantity: quantity.clone(), series });
            }
        }
        Ok(curves)
    }

    fn groups<'a>(
        &self,
        devices: impl Iterator<Item = Member<'a>>,
    ) -> Result<BTreeMap<Name, Vec<Name>>, Refusal> {
        let mut groups: BTreeMap<Name, Vec<Name>> = BTreeMap::new();
        for (name, area, family) in self.chosen(devices)? {
            let group = match self.group.as_deref() {
                None => name.clone(),
                Some("area") => area.clone(),
                Some("family") => family.name().into(),
                Some(_) => return Err(Refusal::BadRequest("group: area or family".to_owned())),
            };
            groups.entry(group).or_default().push(name.clone());
        }
        Ok(groups)
    }

    /// The areas that are named, or those of the devices that are chosen.
    fn areas<'a>(
        &self,
        devices: impl Iterator<Item = Member<'a>>,
    ) -> Result<BTreeMap<Name, Vec<Name>>, Refusal> {
        if self.group.is_some() {
            return Err(Refusal::BadRequest("group goes with level=device".to_owned()));
        }
        let chosen: BTreeSet<Name> = if self.device.is_none() && self.family.is_none() {
            list(self.area.as_deref()).into_iter().collect()
        } else {
            self.chosen(devices)?.into_iter().map(|(_, area, _)| area.clone()).collect()
        };
        if chosen.is_empty() && self.area.is_none() && self.family.is_none() && self.device.is_none() {
            return Err(Refusal::BadRequest("name an area or a family".to_owned()));
        }
        Ok(chosen.into_iter().map(|area| (area.clone(), vec![area_series(&area)])).collect())
    }

    /// The devices that are named, or all of some areas, of a family, or of both.
    fn chosen<'a>(&self, devices: impl Iterator<Item = Member<'a>>) -> Result<Vec<Member<'a>>, Refusal> {
        let (named, areas) = (list(self.device.as_deref()), list(self.area.as_deref()));
        let family = family(self.family.as_deref())?;
        if named.is_empty() && areas.is_empty() && family.is_none() {
            return Err(Refusal::BadRequest("name devices, an area or a family".to_owned()));
        }
        let is_chosen = |(name, area, of): &Member<'_>| {
            (named.is_empty() || named.contains(name))
                && (areas.is_empty() || areas.contains(area))
                && family.is_none_or(|wanted| wanted == *of)
        };
        Ok(devices.filter(is_chosen).collect())
    }
}

/// The family of that name, when one is named.
pub fn family(name: Option<&str>) -> Result<Option<Family>, Refusal> {
    let known =
        |name| Family::from_name(name).ok_or_else(|| Refusal::BadRequest(format!("no family {name}")));
    name.map(known).transpose()
}

/// What stands between commas.
pub fn list(text: Option<&str>) -> Vec<Name> {
    let parts = text.unwrap_or_default().split(',').map(str::trim);
    parts.filter(|part| !part.is_empty()).map(Name::from).collect()
}
