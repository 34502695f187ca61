//! A map from key spaces to what is known of each.

use triomphe::Arc;

/// A few dozen values by the ids of key spaces, in their order. A clone is one reference; the first change after it copies
/// the list.
#[derive(Clone)]
pub(crate) struct Spaces<V>(Arc<Vec<(u32, V)>>);

impl<V> Default for Spaces<V> {
    fn default() -> Spaces<V> {
        Spaces(Arc::new(Vec::new()))
    }
}

impl<V: Clone> Spaces<V> {
    fn place(&self, space: u32) -> Result<usize, usize> {
        self.0.binary_search_by_key(&space, |(space, _)| *space)
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (u32, &V)> {
        self.0.iter().map(|(space, value)| (*space, value))
    }

    pub(crate) fn get(&self, space: u32) -> Option<&V> {
        self.place(space).ok().map(|at| &self.0[at].1)
    }

    /// Takes a value out. Copies nothing if there is none.
    pub(crate) fn remove(&mut self, space: u32) -> Option<V> {
        let at = self.place(space).ok()?;
        Some(Arc::make_mut(&mut self.0).remove(at).1)
    }

    pub(crate) fn get_or_default(&mut self, space: u32) -> &mut V
    where
        V: Default,
    {
        let place = self.place(space);
        let all = Arc::make_mut(&mut self.0);
        let at = place.unwrap_or_else(|at| {
            all.insert(at, (space, V::default()));
            at
        });
        &mut all[at].1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_in_the_order_of_their_spaces_and_clones_keep_theirs() {
        let mut spaces = Spaces::default();
        for space in [7, 1, 9, 1] {
            *spaces.get_or_default(space) += space;
        }
        let before = spaces.clone();
        *spaces.get_or_default(9) = 0;
        assert!(spaces.iter().eq([(1, &2), (7, &7), (9, &0)]));
        assert!(before.iter().eq([(1, &2), (7, &7), (9, &9)]));
        assert_eq!(spaces.get(8), None);
        assert_eq!((spaces.remove(8), spaces.remove(7)), (None, Some(7)));
        assert!(spaces.iter().eq([(1, &2), (9, &0)]));
    }
}
