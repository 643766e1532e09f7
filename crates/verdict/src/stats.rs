//! The median, and ranges of values.

/// The median; the mean of the middle two of an even number; `None` of nothing. Sorts `values`. NaN
/// sorts last.
#[must_use]
pub fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    if values.len() % 2 == 1 {
        return Some(upper);
    }
    // Half of each rather than half of the sum, which may overflow.
    Some(values[middle - 1] / 2.0 + upper / 2.0)
}

/// A range of values, ends included; infinite on a side that the data cannot bound, and empty where
/// `lower > upper`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// Its lower end.
    pub lower: f64,
    /// Its upper end.
    pub upper: f64,
}

impl Interval {
    /// Every value there is: what no data bound.
    pub const ALL: Self = Self {
        lower: f64::NEG_INFINITY,
        upper: f64::INFINITY,
    };

    /// Whether `value` lies in it.
    #[must_use]
    pub fn contains(self, value: f64) -> bool {
        (self.lower..=self.upper).contains(&value)
    }

    /// Whether all of it lies in `other`. An empty one lies nowhere.
    #[must_use]
    pub fn is_within(self, other: Self) -> bool {
        !self.is_empty() && self.lower >= other.lower && self.upper <= other.upper
    }

    /// Whether the two have a value in common.
    #[must_use]
    pub fn meets(self, other: Self) -> bool {
        !self.is_empty() && self.lower <= other.upper && other.lower <= self.upper
    }

    /// Whether it holds no value at all.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.lower > self.upper
    }
}
