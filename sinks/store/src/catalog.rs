//! The names of series, each with a small number.

use records::Name;
use rustc_hash::FxHashMap;

/// Number of a series. Memory tables, file indices and the manifest speak of series by it alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SeriesId(pub u32);

impl SeriesId {
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// What a series is called. Ordered as files are sorted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SeriesName {
    pub subject: Name,
    pub quantity: Name,
}

/// Both directions. A subject has few quantities, so these are searched in a row.
#[derive(Default)]
pub(crate) struct Catalog {
    names: Vec<SeriesName>,
    subjects: FxHashMap<Name, u32>,
    quantities: FxHashMap<Name, u32>,
    /// By subject: (quantity, series).
    series: Vec<Vec<(u32, SeriesId)>>,
}

impl Catalog {
    /// How many series there are; their numbers are below it.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// What series `id` is called.
    pub fn name(&self, id: SeriesId) -> &SeriesName {
        &self.names[id.index()]
    }

    /// All names, by number.
    pub fn names(&self) -> &[SeriesName] {
        &self.names
    }

    /// The series of that name, if it has been seen.
    pub fn find(&self, subject: &str, quantity: &str) -> Option<SeriesId> {
        let quantity = *self.quantities.get(quantity)?;
        self.find_in(*self.subjects.get(subject)?, quantity)
    }

    /// The series of a subject.
    pub fn of_subject(&self, subject: &str) -> impl Iterator<Item = SeriesId> + '_ {
        self.subjects.get(subject).into_iter().flat_map(|&subject| self.of(subject))
    }

    /// Every subject with its series.
    pub fn subjects(&self) -> impl Iterator<Item = (&Name, impl Iterator<Item = SeriesId> + '_)> {
        self.subjects.iter().map(|(name, &subject)| (name, self.of(subject)))
    }

    /// Number of a subject, given one if it is new.
    pub fn intern_subject(&mut self, subject: &Name) -> u32 {
        if let Some(&known) = self.subjects.get(subject) {
            return known;
        }
        let number = next_number(self.series.len());
        self.series.push(Vec::new());
        self.subjects.insert(subject.clone(), number);
        number
    }

    /// The series of a subject's quantity, given a number if it is new.
    pub fn intern(&mut self, subject: u32, subject_name: &Name, quantity_name: &Name) -> SeriesId {
        let quantity = match self.quantities.get(quantity_name) {
            Some(&known) => known,
            None => {
                let number = next_number(self.quantities.len());
                self.quantities.insert(quantity_name.clone(), number);
                number
            }
        };
        if let Some(known) = self.find_in(subject, quantity) {
            return known;
        }
        let id = SeriesId(next_number(self.names.len()));
        self.names.push(SeriesName { subject: subject_name.clone(), quantity: quantity_name.clone() });
        self.series[subject as usize].push((quantity, id));
        id
    }

    fn of(&self, subject: u32) -> impl Iterator<Item = SeriesId> + '_ {
        self.series[subject as usize].iter().map(|&(_, id)| id)
    }

    fn find_in(&self, subject: u32, quantity: u32) -> Option<SeriesId> {
        let series = &self.series[subject as usize];
        series.iter().find(|(candidate, _)| *candidate == quantity).map(|&(_, id)| id)
    }
}

fn next_number(count: usize) -> u32 {
    u32::try_from(count).expect("the names of 2^32 series do not fit in memory")
}
