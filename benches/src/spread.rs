//! A figure that was measured in several rounds.

use serde::{Deserialize, Serialize};

/// Median and range over the rounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// The value in the middle, or between the two there.
    pub median: f64,
    /// The least.
    pub low: f64,
    /// The greatest.
    pub high: f64,
}

impl Spread {
    /// Of a value for each round. Without any, it is NaN.
    #[must_use]
    pub fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
        Spread {
            median: f64::midpoint(at(values.len() / 2), at(values.len().saturating_sub(1) / 2)),
            low: at(0),
            high: at(values.len().saturating_sub(1)),
        }
    }

    /// Round by round, how many times `below` goes into `above`.
    #[must_use]
    pub fn ratio(above: &[f64], below: &[f64]) -> Self {
        Spread::of(above.iter().zip(below).map(|(above, below)| above / below))
    }
}

/// A figure that was measured once.
impl From<f64> for Spread {
    fn from(value: f64) -> Self {
        Spread {
            median: value,
            low: value,
            high: value,
        }
    }
}
