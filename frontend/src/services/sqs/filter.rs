//! Which message attributes a receive asks for, by name and by prefix.

/// Which message attributes a receive wants.
#[derive(Debug, Default)]
pub(crate) struct AttributeFilter {
    all: bool,
    names: Vec<String>,
    prefixes: Vec<String>,
}

impl AttributeFilter {
    /// Reads names, prefixes such as `foo.*`, and `All`, `.*` or `*`.
    pub(crate) fn new(names: Vec<String>) -> Self {
        let mut filter = AttributeFilter::default();
        for name in names {
            if matches!(&*name, "All" | ".*" | "*") {
                filter.all = true;
            } else if let Some(prefix) = name.strip_suffix(".*") {
                filter.prefixes.push(prefix.to_owned());
            } else {
                filter.names.push(name);
            }
        }
        filter
    }

    pub(crate) fn wants(&self, name: &str) -> bool {
        self.all
            || self.names.iter().any(|wanted| wanted == name)
            || self
                .prefixes
                .iter()
                .any(|prefix| name.starts_with(&**prefix))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_take_names_prefixes_and_all() {
        fn check(names: &[&str], expected: &[&str]) {
            let filter =
                AttributeFilter::new(names.iter().map(|name| (*name).to_owned()).collect());
            let sent = ["Hello", "Help.Me", "General"];
            let wanted: Vec<_> = sent.into_iter().filter(|name| filter.wants(name)).collect();
            assert_eq!(wanted, expected, "{names:?}");
        }
        check(&[], &[]);
        check(&["All"], &["Hello", "Help.Me", "General"]);
        check(&[".*"], &["Hello", "Help.Me", "General"]);
        check(&["Hel.*"], &["Hello", "Help.Me"]);
        check(&["Hello", "missing"], &["Hello"]);
        check(&["Help"], &[]);
        check(&["AWS."], &[]);
    }
}
