//! What is generated for a service: which operations, which structures under which names, which plain shapes.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::model::{self, entries, flag, strings};
use crate::names;

/// A service's model with the choice of what to generate.
pub(crate) struct Plan {
    pub(crate) name: String,
    pub(crate) config: Value,
    pub(crate) model: Value,
    /// Implemented operations in the model's order.
    pub(crate) operations: Vec<String>,
    /// Rust type name → structure or union. Inputs and outputs are named after their operation.
    pub(crate) structures: BTreeMap<String, Structure>,
    /// Names of all shapes that members, elements or the tables refer to.
    pub(crate) shapes: BTreeSet<String>,
    /// (structure, member) pairs that need a `Box`: their type contains the structure without a list or map between.
    boxed: BTreeSet<(String, String)>,
}

/// A structure to generate.
pub(crate) struct Structure {
    /// The model's name of it.
    pub(crate) shape: String,
    pub(crate) body: Value,
}

impl Plan {
    pub(crate) fn new(name: &str, config: &Value) -> Plan {
        let mut plan = Plan {
            name: name.into(),
            config: config.clone(),
            model: model::load(name),
            operations: Vec::new(),
            structures: BTreeMap::new(),
            shapes: BTreeSet::new(),
            boxed: BTreeSet::new(),
        };
        let wanted: BTreeSet<&str> = strings(&config["operations"]).collect();
        plan.operations = entries(&plan.model["operations"])
            .map(|(name, _)| name.to_owned())
            .filter(|name| wanted.contains(name.as_str()))
            .collect();
        assert_eq!(
            plan.operations.len(),
            wanted.len(),
            "services.json names operations that {name} does not have"
        );
        let operations = plan.operations.clone();
        // All inputs and outputs before what is nested in them: they take their names first.
        operations
            .iter()
            .for_each(|operation| plan.reserve(operation));
        operations
            .iter()
            .for_each(|operation| plan.add_operation(operation));
        plan.find_recursion();
        plan
    }

    /// The body of shape `name`.
    pub(crate) fn shape(&self, name: &str) -> &Value {
        let shape = &self.model["shapes"][name];
        assert!(shape.is_object(), "{} has no shape {name}", self.name);
        shape
    }

    /// An operation's entry in the model.
    pub(crate) fn operation(&self, name: &str) -> &Value {
        &self.model["operations"][name]
    }

    /// The type of shape `name`. What an operation calls its own comes first: another shape of that name gives way.
    pub(crate) fn type_name(&self, name: &str) -> String {
        let plain = names::type_name(name);
        let operation = plain
            .strip_suffix("Input")
            .or(plain.strip_suffix("Output"))
            .unwrap_or(&plain);
        let is_operation = |name: &str| self.operations.iter().any(|known| known == name);
        let own = self
            .structures
            .get(&plain)
            .is_some_and(|structure| structure.shape == name);
        if !own && (is_operation(operation) || is_operation(&plain)) {
            plain + "Shape"
        } else {
            plain
        }
    }

    pub(crate) fn is_boxed(&self, structure: &str, member: &str) -> bool {
        self.boxed.contains(&(structure.into(), member.into()))
    }

    /// Enters the input and output of an operation, whatever the model calls them.
    fn reserve(&mut self, name: &str) {
        for (side, suffix) in [("input", "Input"), ("output", "Output")] {
            let shape = self.operation(name)[side]["shape"].as_str();
            let empty = json!({"type": "structure", "members": {}});
            let body = shape.map_or(empty, |shape| self.shape(shape).clone());
            let shape = shape.map_or(format!("{name}{suffix}"), str::to_owned);
            self.structures
                .insert(format!("{name}{suffix}"), Structure { shape, body });
        }
    }

    /// Adds what an operation's input, output and errors lead to.
    fn add_operation(&mut self, name: &str) {
        for suffix in ["Input", "Output"] {
            let members = self.structures[&format!("{name}{suffix}")].body["members"].clone();
            self.add_members(&members);
        }
        for error in strings(&self.operation(name)["errors"].clone()) {
            self.add_structure(
                self.type_name(error),
                error.into(),
                self.shape(error).clone(),
            );
        }
    }

    /// The service whose type a structure of the same shape shares, so that values pass from one to the other as they are.
    pub(crate) fn shared(&self, shape: &str) -> Option<&str> {
        self.config["shared"][shape].as_str()
    }

    /// Where the type or table that is called `name` for `shape` stands.
    pub(crate) fn path(&self, shape: &str, name: &str) -> String {
        match self.shared(shape) {
            Some(service) => format!("super::{service}::{name}"),
            None => name.to_owned(),
        }
    }

    fn add_structure(&mut self, type_name: String, shape: String, body: Value) {
        if let Some(known) = self.structures.get(&type_name) {
            assert_eq!(
                known.shape, shape,
                "two shapes of {} want the name {type_name}",
                self.name
            );
            return;
        }
        let members = body["members"].clone();
        self.structures.insert(type_name, Structure { shape, body });
        self.add_members(&members);
    }

    fn add_members(&mut self, members: &Value) {
        for (_, member) in entries(members) {
            self.add_shape(member["shape"].as_str().expect("members have shapes"));
        }
    }

    fn add_shape(&mut self, name: &str) {
        if !self.shapes.insert(name.into()) {
            return;
        }
        if self.shared(name).is_some() {
            return;
        }
        let body = self.shape(name).clone();
        assert!(
            !flag(&body, "eventstream"),
            "{}: event streams are not generated yet ({name})",
            self.name
        );
        if body["type"] == "structure" && !flag(&body, "document") {
            self.add_structure(self.type_name(name), name.into(), body.clone());
        }
        for part in ["member", "key", "value"] {
            if let Some(element) = body[part]["shape"].as_str() {
                self.add_shape(element);
            }
        }
    }

    fn find_recursion(&mut self) {
        let mut boxed = BTreeSet::new();
        for (type_name, structure) in &self.structures {
            for (member, target) in self.direct(&structure.body) {
                if self.reaches(&target, &structure.shape, &mut BTreeSet::new()) {
                    boxed.insert((type_name.clone(), member));
                }
            }
        }
        self.boxed = boxed;
    }

    fn reaches(&self, from: &str, to: &str, seen: &mut BTreeSet<String>) -> bool {
        from == to
            || seen.insert(from.into())
                && self
                    .direct(self.shape(from))
                    .iter()
                    .any(|(_, target)| self.reaches(target, to, seen))
    }

    /// Members of a structure that hold a structure without a list or map between.
    fn direct(&self, body: &Value) -> Vec<(String, String)> {
        entries(&body["members"])
            .map(|(name, member)| {
                (
                    name.to_owned(),
                    member["shape"]
                        .as_str()
                        .expect("members have shapes")
                        .to_owned(),
                )
            })
            .filter(|(_, shape)| self.shape(shape)["type"] == "structure")
            .collect()
    }
}
