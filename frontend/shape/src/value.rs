//! Any structure without its generated type: for tests, fuzzing, and operations that only look at a schema.

use std::fmt;

use bytes::Bytes;

use crate::{
    ByteStream, Document, Element, Entries, Kind, List, Schema, Shape, Slot, Struct, Timestamp,
    View,
};

/// A structure of `schema` whose members are held dynamically.
pub struct Value {
    schema: &'static Schema,
    members: Vec<Option<Any>>,
}

impl Value {
    /// One with every member absent.
    pub fn new(schema: &'static Schema) -> Value {
        Value {
            schema,
            members: schema.members.iter().map(|_| None).collect(),
        }
    }
}

impl Struct for Value {
    fn schema(&self) -> &'static Schema {
        self.schema
    }

    fn get(&self, i: usize) -> View<'_> {
        self.members
            .get(i)
            .and_then(Option::as_ref)
            .map_or(View::None, Any::view)
    }

    fn slot(&mut self, i: usize) -> Slot<'_> {
        let Some(member) = self.schema.members.get(i) else {
            return Slot::None;
        };
        if self.schema.union && self.members[i].is_none() {
            self.members.fill_with(|| None);
        }
        self.members[i]
            .get_or_insert_with(|| Any::new(member.shape, member.streaming))
            .slot()
    }

    fn active(&self) -> Option<usize> {
        if self.schema.union {
            self.members.iter().position(Option::is_some)
        } else {
            None
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        crate::debug(self, f)
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        crate::equal(self, other)
    }
}

enum Any {
    Str(String),
    Bool(bool),
    Int(i32),
    Long(i64),
    Float(f32),
    Double(f64),
    Blob(Bytes),
    Timestamp(Timestamp),
    Document(Document),
    Stream(ByteStream),
    List(AnyList),
    Map(AnyMap),
    Struct(Value),
}

impl Any {
    fn new(shape: &'static Shape, streaming: bool) -> Any {
        match &shape.kind {
            _ if streaming => Any::Stream(ByteStream::default()),
            Kind::Blob => Any::Blob(Bytes::new()),
            Kind::Boolean => Any::Bool(false),
            Kind::Document => Any::Document(Document::Null),
            Kind::Double => Any::Double(0.0),
            Kind::Float => Any::Float(0.0),
            Kind::Integer => Any::Int(0),
            Kind::Long => Any::Long(0),
            Kind::String | Kind::Enum(_) => Any::Str(String::new()),
            Kind::Timestamp => Any::Timestamp(Timestamp::default()),
            Kind::List(element) => Any::List(AnyList {
                element,
                items: Vec::new(),
            }),
            Kind::Map { value, .. } => Any::Map(AnyMap {
                element: value,
                entries: Vec::new(),
            }),
            Kind::Structure(schema) => Any::Struct(Value::new(schema)),
        }
    }

    fn view(&self) -> View<'_> {
        match self {
            Any::Str(text) => View::Str(text),
            Any::Bool(value) => View::Bool(*value),
            Any::Int(value) => View::Int(i64::from(*value)),
            Any::Long(value) => View::Int(*value),
            Any::Float(value) => View::Float(*value),
            Any::Double(value) => View::Double(*value),
            Any::Blob(bytes) => View::Blob(bytes),
            Any::Timestamp(time) => View::Timestamp(*time),
            Any::Document(value) => View::Document(value),
            Any::Stream(stream) => View::Stream(stream),
            Any::List(list) => View::List(list),
            Any::Map(map) => View::Map(map),
            Any::Struct(value) => View::Struct(value),
        }
    }

    fn slot(&mut self) -> Slot<'_> {
        match self {
            Any::Str(text) => Slot::Str(text),
            Any::Bool(value) => Slot::Bool(value),
            Any::Int(value) => Slot::Int(value),
            Any::Long(value) => Slot::Long(value),
            Any::Float(value) => Slot::Float(value),
            Any::Double(value) => Slot::Double(value),
            Any::Blob(bytes) => Slot::Blob(bytes),
            Any::Timestamp(time) => Slot::Timestamp(time),
            Any::Document(value) => Slot::Document(value),
            Any::Stream(stream) => Slot::Stream(stream),
            Any::List(list) => Slot::List(list),
            Any::Map(map) => Slot::Map(map),
            Any::Struct(value) => Slot::Struct(value),
        }
    }
}

struct AnyList {
    element: &'static Element,
    items: Vec<Any>,
}

impl List for AnyList {
    fn len(&self) -> usize {
        self.items.len()
    }

    fn get(&self, i: usize) -> View<'_> {
        self.items.get(i).map_or(View::None, Any::view)
    }

    fn push(&mut self) -> Slot<'_> {
        self.items
            .push_mut(Any::new(self.element.shape, false))
            .slot()
    }

    fn clear(&mut self) {
        self.items.clear();
    }

    fn item_bytes(&self) -> usize {
        size_of::<Any>() + member_bytes(self.element.shape)
    }
}

struct AnyMap {
    element: &'static Element,
    entries: Vec<(String, Any)>,
}

impl Entries for AnyMap {
    fn len(&self) -> usize {
        self.entries.len()
    }

    fn entry(&self, i: usize) -> (&str, View<'_>) {
        self.entries
            .get(i)
            .map_or(("", View::None), |(key, value)| (key, value.view()))
    }

    fn push(&mut self, key: String) -> Slot<'_> {
        self.entries
            .push_mut((key, Any::new(self.element.shape, false)))
            .1
            .slot()
    }

    fn finish(&mut self) {
        let map: crate::Map<Any> = std::mem::take(&mut self.entries).into_iter().collect();
        self.entries = map.into_iter().collect();
    }

    fn clear(&mut self) {
        self.entries.clear();
    }

    fn item_bytes(&self) -> usize {
        size_of::<(String, Any)>() + member_bytes(self.element.shape)
    }
}

/// What a structure holds beside itself.
fn member_bytes(shape: &Shape) -> usize {
    match shape.kind {
        Kind::Structure(schema) => schema.members.len() * size_of::<Option<Any>>(),
        _ => 0,
    }
}
