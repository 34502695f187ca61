//! Schemas that no generated service has yet, by hand, for tests on dynamic values.

use cumulog_shape::{Element, Kind, Location, Member, Schema, Shape};

/// A member of `shape` in the body.
pub const fn member(name: &'static str, shape: &'static Shape) -> Member {
    Member {
        name,
        wire: name,
        xml: name,
        query: name,
        location: Location::Body,
        shape,
        required: false,
        required_bit: 0,
        flattened: false,
        query_flattened: false,
        xml_attribute: false,
        xml_namespace: None,
        timestamp: None,
        idempotency_token: false,
        json_value: false,
        streaming: false,
        event: None,
    }
}

/// A shape without limits.
pub const fn shape(name: &'static str, kind: Kind) -> Shape {
    Shape {
        name,
        kind,
        min: None,
        max: None,
        pattern: None,
        sensitive: false,
        event_stream: false,
        timestamp: None,
    }
}

/// A structure.
pub const fn schema(name: &'static str, members: &'static [Member]) -> Schema {
    Schema {
        name,
        xml_name: name,
        members,
        required_bits: 0,
        union: false,
        payload: None,
        xml_namespace: None,
        sensitive: false,
        error: None,
    }
}

/// A list of `shape`.
pub const fn list(name: &'static str, element: &'static Shape) -> Shape {
    shape(
        name,
        Kind::List(Element {
            shape: element,
            xml: "member",
            query: "member",
            xml_namespace: None,
        }),
    )
}

/// A map from `key` to `value`.
pub const fn map(name: &'static str, key: &'static Shape, value: &'static Shape) -> Shape {
    let key = Element {
        shape: key,
        xml: "key",
        query: "key",
        xml_namespace: None,
    };
    shape(
        name,
        Kind::Map {
            key,
            value: Element {
                shape: value,
                xml: "value",
                query: "value",
                xml_namespace: None,
            },
        },
    )
}
