//! Of an area's devices only those that stand out: the k with the greatest or the smallest statistic of a window.

use super::fields::Fields;
use super::job::Output;
use crate::aggregate::Accumulator;
use records::Name;

/// `top` or `bottom` of a `[[job]]` about areas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rank {
    count: u32,
    is_bottom: bool,
}

/// Most devices that are told of a window.
const MOST: u32 = 100;

impl Rank {
    pub(super) fn read(fields: &mut Fields<'_>) -> Option<Rank> {
        let both = fields.has("top") && fields.has("bottom");
        let key = ["top", "bottom"].into_iter().find(|key| fields.has(key))?;
        let count = fields.whole(key, 1);
        if count > MOST {
            fields.problem(key, format!("must be at most {MOST}"));
        }
        if both {
            fields.whole("bottom", 1);
            fields.problem("bottom", "does not go with top: a job has one of them");
        }
        Some(Rank { count, is_bottom: key == "bottom" })
    }

    /// The devices that stand out, the first first; of equal ones by name. Whoever has no value is none of them.
    pub fn pick(&self, output: &Output, parts: &[(Name, Vec<Accumulator>)]) -> Vec<Name> {
        let value = |(device, values): &(Name, Vec<Accumulator>)| match output.known(values) {
            (_, 1.., Some(value)) => Some((value, device.clone())),
            _ => None,
        };
        let mut known: Vec<(f64, Name)> = parts.iter().filter_map(value).collect();
        known.sort_by(|(a, one), (b, other)| {
            let (small, great) = if self.is_bottom { (a, b) } else { (b, a) };
            small.total_cmp(great).then_with(|| one.cmp(other))
        });
        known.truncate(self.count as usize);
        known.into_iter().map(|(_, device)| device).collect()
    }
}
