//! Quality of a value on QARTOD's scale, with the tests that said so.

/// QARTOD primary flag (IOOS QARTOD flags manual, §2): bigger is not worse, so compare by [`Flag::severity`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Flag {
    /// Passed every test that was run.
    Good = 1,
    /// No test was run.
    #[default]
    NotEvaluated = 2,
    /// Of questionable or high interest.
    Suspect = 3,
    /// Failed: not to be used.
    Bad = 4,
    /// There is no value.
    Missing = 9,
}

impl Flag {
    /// The flag of that code.
    pub fn from_code(code: u8) -> Option<Flag> {
        [Flag::Good, Flag::NotEvaluated, Flag::Suspect, Flag::Bad, Flag::Missing]
            .into_iter()
            .find(|flag| *flag as u8 == code)
    }

    /// 0 for not evaluated, then good, suspect, bad, missing: the order in which a later test may overrule.
    pub const fn severity(self) -> u8 {
        match self {
            Flag::NotEvaluated => 0,
            Flag::Good => 1,
            Flag::Suspect => 2,
            Flag::Bad => 3,
            Flag::Missing => 4,
        }
    }
}

/// A quality test; its number is the bit in [`Quality::tests`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Test {
    /// Readings are missing before this one.
    Gap = 0,
    /// Outside the plausible range.
    Range = 1,
    /// A jump up and down again.
    Spike = 2,
    /// Changes faster than the quantity can.
    Rate = 3,
    /// Does not change although the quantity must.
    FlatLine = 4,
    /// Disagrees with its neighbours.
    Neighbour = 5,
    /// The device's clock can't be right.
    Clock = 6,
}

impl Test {
    /// All of them, in the order of their bits.
    pub const ALL: [Test; 7] =
        [Test::Gap, Test::Range, Test::Spike, Test::Rate, Test::FlatLine, Test::Neighbour, Test::Clock];

    /// Its word in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Test::Gap => "gap",
            Test::Range => "range",
            Test::Spike => "spike",
            Test::Rate => "rate",
            Test::FlatLine => "flat_line",
            Test::Neighbour => "neighbour",
            Test::Clock => "clock",
        }
    }
}

/// A flag and the tests that raised it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Quality {
    /// The verdict.
    pub flag: Flag,
    /// Bit set of the [`Test`]s that did not pass, or that noted something.
    pub tests: u16,
}

impl Quality {
    /// Passed.
    pub const GOOD: Quality = Quality { flag: Flag::Good, tests: 0 };

    /// Whether the value may enter statistics: good, or nobody has tested it.
    pub const fn is_usable(self) -> bool {
        matches!(self.flag, Flag::Good | Flag::NotEvaluated)
    }

    /// The worse of the two flags, with the tests of both.
    pub fn joined(self, other: Quality) -> Quality {
        let flag = if other.flag.severity() > self.flag.severity() { other.flag } else { self.flag };
        Quality { flag, tests: self.tests | other.tests }
    }

    /// The worse of the two flags, with `test` noted.
    pub fn failed(self, test: Test, flag: Flag) -> Quality {
        self.joined(Quality { flag, tests: 1 << test as u8 })
    }

    /// The same flag, with `test` noted: what it found was put right.
    pub const fn noted(self, test: Test) -> Quality {
        Quality { flag: self.flag, tests: self.tests | 1 << test as u8 }
    }

    /// Whether `test` did not pass, or noted something.
    pub const fn has_failed(self, test: Test) -> bool {
        self.tests & (1 << test as u8) != 0
    }

    /// The words of the tests that did not pass, or that noted something, in the order of their bits.
    pub fn test_names(self) -> impl Iterator<Item = &'static str> {
        Test::ALL.into_iter().filter(move |test| self.has_failed(*test)).map(Test::name)
    }
}
