//! The map of AWS shapes: text to values, in the order of insertion.

/// A map from text to `T` that keeps insertion order, as answers and golden files want it.
///
/// Small maps (attributes, tags) dominate, so look-ups are linear; a reader that fills a large one appends in constant time.
#[derive(Debug, Clone, PartialEq)]
pub struct Map<T>(Vec<(String, T)>);

impl<T> Map<T> {
    /// An empty map.
    pub const fn new() -> Self {
        Map(Vec::new())
    }

    /// The value under `key`; of doubles the last, as in JSON.
    pub fn get(&self, key: &str) -> Option<&T> {
        self.0
            .iter()
            .rev()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value)
    }

    /// The value under `key`.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut T> {
        self.0
            .iter_mut()
            .rev()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value)
    }

    /// Whether `key` has a value.
    pub fn contains_key(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// Sets `key` to `value`; the old value, if there was one.
    pub fn insert(&mut self, key: impl Into<String>, value: T) -> Option<T> {
        let key = key.into();
        match self.get_mut(&key) {
            Some(old) => Some(std::mem::replace(old, value)),
            None => {
                self.0.push((key, value));
                None
            }
        }
    }

    /// Removes `key`; its value, if there was one.
    pub fn remove(&mut self, key: &str) -> Option<T> {
        let at = self.0.iter().rposition(|(name, _)| name == key)?;
        Some(self.0.remove(at).1)
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Entries in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&str, &T)> + ExactSizeIterator {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// Entries in order, with values to change.
    pub fn iter_mut(
        &mut self,
    ) -> impl DoubleEndedIterator<Item = (&str, &mut T)> + ExactSizeIterator {
        self.0.iter_mut().map(|(key, value)| (key.as_str(), value))
    }

    /// Adds an entry whose key the caller knows to be new, in constant time.
    pub fn append(&mut self, key: String, value: T) {
        self.0.push((key, value));
    }

    /// An empty map with room for `entries`.
    pub fn with_capacity(entries: usize) -> Self {
        Map(Vec::with_capacity(entries))
    }

    /// Keys in order.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &str> + ExactSizeIterator {
        self.0.iter().map(|(key, _)| key.as_str())
    }

    /// Values in order.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &T> + ExactSizeIterator {
        self.0.iter().map(|(_, value)| value)
    }

    /// Sorts by key, for answers whose order must not depend on how they came about.
    pub fn sort(&mut self) {
        self.0.sort_by(|a, b| a.0.cmp(&b.0));
    }

    pub(crate) fn entry_at(&self, index: usize) -> Option<(&str, &T)> {
        self.0.get(index).map(|(key, value)| (key.as_str(), value))
    }

    /// Appends without looking for the key: a reader's way, which removes doubles at the end of the map.
    pub(crate) fn push(&mut self, key: String, value: T) -> &mut T {
        &mut self.0.push_mut((key, value)).1
    }

    /// Drops all but the last entry of each key; it takes the place of the first.
    pub(crate) fn remove_doubles(&mut self) {
        /// Up to here comparing all pairs costs less than sorting.
        const SMALL: usize = 16;
        let is_double = |i: usize| self.0[..i].iter().any(|(key, _)| *key == self.0[i].0);
        if self.0.len() > SMALL || (1..self.0.len()).any(is_double) {
            self.sort_out_doubles();
        }
    }

    fn sort_out_doubles(&mut self) {
        let mut order: Vec<usize> = (0..self.0.len()).collect();
        // Stable, so equal keys stay in their order.
        order.sort_by(|&a, &b| self.0[a].0.cmp(&self.0[b].0));
        let mut doubled = vec![false; self.0.len()];
        for pair in order.windows(2).rev() {
            // The later one moves forward along its run of equals, so the first place ends with the last value.
            if self.0[pair[0]].0 == self.0[pair[1]].0 {
                self.0.swap(pair[0], pair[1]);
                doubled[pair[1]] = true;
            }
        }
        let mut doubled = doubled.into_iter();
        self.0.retain(|_| doubled.next() == Some(false));
    }
}

impl<T> Default for Map<T> {
    fn default() -> Self {
        Map::new()
    }
}

impl<K: Into<String>, T> FromIterator<(K, T)> for Map<T> {
    fn from_iter<I: IntoIterator<Item = (K, T)>>(entries: I) -> Self {
        let mut map = Map(entries
            .into_iter()
            .map(|(key, value)| (key.into(), value))
            .collect());
        map.remove_doubles();
        map
    }
}

impl<T> IntoIterator for Map<T> {
    type Item = (String, T);
    type IntoIter = std::vec::IntoIter<(String, T)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_entries_lose_their_doubles_too() {
        let map: Map<usize> = (0..100).map(|i| ((i % 40).to_string(), i)).collect();
        let expected: Vec<_> = (0..40)
            .map(|i| (i.to_string(), if i < 20 { i + 80 } else { i + 40 }))
            .collect();
        assert_eq!(map.into_iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn the_last_of_doubles_wins_in_the_first_place() {
        let map: Map<i32> = [("a", 1), ("b", 2), ("a", 3), ("c", 4), ("a", 5)]
            .into_iter()
            .collect();
        assert_eq!(
            map.into_iter().collect::<Vec<_>>(),
            [("a".into(), 5), ("b".into(), 2), ("c".into(), 4)]
        );
    }
}
