//! What the models of today's services leave out and others have: wrapped lists and maps, XML attributes, documents of
//! all body members, lists in headers and queries. The schemas here are made up.

use cumulog_shape::rest::{self, RestRequest};
use cumulog_shape::{
    ByteStream, Checksum, Element, Http, Kind, Location, Member, OperationSchema, Protocol, Schema,
    ServiceSchema, Shape, TimestampFormat, Value, XmlNamespace, query, uri,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;
use serde_json::json;

use crate::support::{fill, normal};

const fn shape(kind: Kind) -> Shape {
    Shape {
        name: "Shape",
        kind,
        min: None,
        max: None,
        pattern: None,
        sensitive: false,
        event_stream: false,
        timestamp: None,
    }
}

static TEXT: Shape = shape(Kind::String);
static NUMBER: Shape = shape(Kind::Integer);
static DOUBLE: Shape = shape(Kind::Double);
static BYTES: Shape = shape(Kind::Blob);
static TRUTH: Shape = shape(Kind::Boolean);
static TIME: Shape = shape(Kind::Timestamp);
static TEXTS: Shape = shape(Kind::List(element(&TEXT, "member")));
static TAGS: Shape = shape(Kind::List(element(&TEXT, "Tag")));
static INNERS: Shape = shape(Kind::List(element(&INNER, "item")));
static TIMES: Shape = shape(Kind::List(element(&TIME, "member")));
static TEXT_MAP: Shape = shape(Kind::Map {
    key: element(&TEXT, "key"),
    value: element(&TEXT, "value"),
});
static INNER_MAP: Shape = shape(Kind::Map {
    key: element(&TEXT, "Name"),
    value: element(&INNER, "Value"),
});
static INNER: Shape = shape(Kind::Structure(&INNER_SCHEMA));

const fn element(shape: &'static Shape, name: &'static str) -> Element {
    Element {
        shape,
        xml: name,
        query: name,
        xml_namespace: None,
    }
}

const fn member(name: &'static str, shape: &'static Shape) -> Member {
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

const fn schema(name: &'static str, members: &'static [Member]) -> Schema {
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

static INNER_SCHEMA: Schema = Schema {
    xml_namespace: Some(XmlNamespace {
        uri: "urn:instance",
        prefix: Some("xsi"),
    }),
    ..schema(
        "Inner",
        &[
            member("Text", &TEXT),
            Member {
                xml: "xsi:type",
                xml_attribute: true,
                ..member("Type", &TEXT)
            },
            member("More", &INNERS),
        ],
    )
};

/// Every kind of member that a body or a form can have.
static PROBE: Schema = schema(
    "Probe",
    &[
        member("Text", &TEXT),
        member("Number", &NUMBER),
        member("Double", &DOUBLE),
        member("Bytes", &BYTES),
        member("Truth", &TRUTH),
        member("Time", &TIME),
        Member {
            timestamp: Some(TimestampFormat::Epoch),
            ..member("Epoch", &TIME)
        },
        member("Texts", &TEXTS),
        member("Tags", &TAGS),
        Member {
            flattened: true,
            query_flattened: true,
            ..member("Flat", &TEXTS)
        },
        member("Map", &TEXT_MAP),
        Member {
            flattened: true,
            query_flattened: true,
            ..member("FlatMap", &INNER_MAP)
        },
        member("Inner", &INNER),
        member("Inners", &INNERS),
    ],
);

/// Every place that a REST member can stand in.
static SPREAD: Schema = Schema {
    payload: Some(9),
    ..schema(
        "Spread",
        &[
            Member {
                location: Location::Label,
                ..member("Id", &NUMBER)
            },
            Member {
                location: Location::Query,
                wire: "list",
                ..member("List", &TEXTS)
            },
            Member {
                location: Location::Query,
                wire: "at",
                ..member("At", &TIME)
            },
            Member {
                location: Location::Query,
                ..member("Rest", &TEXT_MAP)
            },
            Member {
                location: Location::Header,
                wire: "X-List",
                ..member("HeaderList", &TEXTS)
            },
            Member {
                location: Location::Header,
                wire: "X-Times",
                ..member("HeaderTimes", &TIMES)
            },
            Member {
                location: Location::Header,
                wire: "X-Json",
                json_value: true,
                ..member("Json", &TEXT)
            },
            Member {
                location: Location::PrefixHeaders,
                wire: "X-Pre-",
                ..member("Prefixed", &TEXT_MAP)
            },
            Member {
                location: Location::Status,
                ..member("Status", &NUMBER)
            },
            member("Payload", &TEXT),
        ],
    )
};

const fn operation(name: &'static str, schema: &'static Schema) -> OperationSchema {
    OperationSchema {
        name,
        http: Http {
            method: "POST",
            uri: "/{Id}",
            status: 200,
            required_query: &[],
            required_headers: &[],
        },
        input: schema,
        input_wrapper: None,
        output: schema,
        has_output: true,
        unwrapped_output: false,
        result_wrapper: Some("Result"),
        errors: &[],
        checksum: Checksum {
            request_required: false,
            request_algorithm: None,
            response_mode: None,
            response_algorithms: &[],
        },
        unsigned: false,
    }
}

static PROBES: OperationSchema = operation("Probe", &PROBE);
static SPREADS: OperationSchema = operation("Spread", &SPREAD);
static SERVICE: ServiceSchema = ServiceSchema {
    name: "probe",
    id: "Probe",
    signing_name: "probe",
    endpoint_prefix: "probe",
    api_version: "2026-11-22",
    target_prefix: None,
    protocols: &[Protocol::RestXml, Protocol::Query],
    xml_namespace: Some("urn:probe"),
    query_compatible: false,
    error_namespace: "",
    operations: &[],
};

#[track_caller]
fn check_form(form: &str, expected: serde_json::Value) {
    let mut input = Value::new(&PROBE);
    query::read(form.as_bytes(), &mut input).expect(form);
    assert_eq!(normal(&input), expected, "{form}");
}

#[test]
fn forms_say_everything() {
    check_form(
        "Text=a&Number=-1&Double=1e3&Truth=True&Bytes=AQI%3D",
        json!({ "Text": "a", "Number": -1, "Double": 1000.0, "Truth": true, "Bytes": "AQI=" }),
    );
    check_form(
        "Time=1970-01-01T00:00:01.5Z&Epoch=1.5",
        json!({ "Time": 1500, "Epoch": 1500 }),
    );
    check_form(
        "Texts.member.2=b&Texts.member.1=a&Texts.other.1=c",
        json!({ "Texts": ["a", "b"] }),
    );
    check_form("Tags.Tag.1=a&Tags.member.1=b", json!({ "Tags": ["a"] }));
    check_form(
        "Flat.1=a&Flat.2=b&Flat.member.1=c",
        json!({ "Flat": ["a", "b"] }),
    );
    check_form("Texts=&Flat=", json!({ "Texts": [], "Flat": [] }));
    check_form("Flat=a", json!({ "Flat": ["a"] }));
    check_form(
        "Flat=a&Flat.1=b&Texts=a",
        json!({ "Texts": [], "Flat": ["a", "b"] }),
    );
    check_form(
        "FlatMap.Name=k&FlatMap.Value.Text=v&FlatMap.1.Name=l&FlatMap.1.Value.Text=w",
        json!({ "FlatMap": { "k": { "Text": "v" }, "l": { "Text": "w" } } }),
    );
    check_form(
        "Map.entry.1.key=k&Map.entry.1.value=v&Map.entry.2.key=",
        json!({ "Map": { "k": "v" } }),
    );
    check_form(
        "FlatMap.1.Name=k&FlatMap.1.Value.Text=v",
        json!({ "FlatMap": { "k": { "Text": "v" } } }),
    );
    check_form(
        "Inner.Text=a&Inner.More.item.1.Text=b&Inner.More.item.1.More.item.1.Text=c",
        json!({
            "Inner": { "Text": "a", "More": [{ "Text": "b", "More": [{ "Text": "c" }] }] }
        }),
    );
    check_form("Inner=x&Inner.=y&Inner.Nope=z", json!({ "Inner": {} }));
}

#[test]
fn a_path_deeper_than_any_model_is_refused() {
    let form = format!("Inner{}.Text=x", ".More.item.1".repeat(30));
    let error = query::read(form.as_bytes(), &mut Value::new(&PROBE)).expect_err("is refused");
    assert!(error.to_string().contains("too deeply"), "{error}");
}

#[test]
fn query_answers_wrap_what_is_not_flattened() {
    let mut output = Value::new(&PROBE);
    let members = json!({
        "Double": 0.5, "Time": 1500, "Epoch": 1500, "Texts": ["a"], "Tags": ["b"], "Flat": ["c", "d"], "Map": { "k": "v" },
        "FlatMap": { "m": { "Type": "t" } }
    });
    fill(&members, &mut output);
    let mut out = Vec::new();
    query::write(&SERVICE, &PROBES, &output, "id", &mut out);
    let expected = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ProbeResponse xmlns=\"urn:probe\"><Result><Double>0.5</Double>\
        <Time>1970-01-01T00:00:01.500Z</Time><Epoch>1.5</Epoch><Texts><member>a</member></Texts><Tags><Tag>b</Tag></Tags>\
        <Flat>c</Flat><Flat>d</Flat><Map><entry><key>k</key><value>v</value></entry></Map><FlatMap><Name>m</Name>\
        <Value xmlns:xsi=\"urn:instance\" xsi:type=\"t\"></Value></FlatMap></Result>\
        <ResponseMetadata><RequestId>id</RequestId></ResponseMetadata></ProbeResponse>";
    assert_eq!(String::from_utf8(out).expect("UTF-8"), expected);
}

fn read_spread(query: &str, headers: &[(&'static str, &str)], body: &str) -> serde_json::Value {
    let headers: HeaderMap = headers
        .iter()
        .map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_str(value).expect("a header value"),
            )
        })
        .collect();
    let mut input = Value::new(&SPREAD);
    let request = RestRequest {
        labels: &[("Id", "7".into())],
        query: &uri::pairs(query).expect("UTF-8"),
        headers: &headers,
        body: ByteStream::from(body.as_bytes().to_vec()),
    };
    rest::read(&SPREADS, request, &mut input).expect(query);
    normal(&input)
}

#[test]
fn rest_members_come_from_their_places() {
    assert_eq!(read_spread("", &[], ""), json!({ "Id": 7 }));
    assert_eq!(
        read_spread("list=a&x=1&list=b&y=2&at=1970-01-01T00:00:01Z", &[], "text"),
        json!({ "Id": 7, "List": ["a", "b"], "At": 1000, "Rest": { "x": "1", "y": "2" }, "Payload": "text" })
    );
    assert_eq!(
        read_spread(
            "",
            &[
                ("x-list", r#"a, "b,c" ,,"d\"e\\""#),
                ("x-list", "f"),
                ("x-json", "eyJhIjoxfQ=="),
                ("x-pre-k", "v")
            ],
            ""
        ),
        json!({ "Id": 7, "HeaderList": ["a", "b,c", "d\"e\\", "f"], "Json": "{\"a\":1}", "Prefixed": { "k": "v" } })
    );
}

#[test]
fn rest_members_go_to_their_places() {
    let mut output = Value::new(&SPREAD);
    let members = json!({
        "Status": 202, "HeaderList": ["a", "b,c", "d\"e\\"], "HeaderTimes": [0, 1000], "Json": "{\"a\":1}",
        "Prefixed": { "k": "v", "no header name": "v", "n": "a\nb" }, "Payload": "text"
    });
    fill(&members, &mut output);
    let mut answer = rest::write(&SERVICE, &SPREADS, &mut output);
    let header = |name: &str| {
        answer
            .headers
            .get(name)
            .map(|value| value.to_str().expect("ASCII"))
    };
    assert_eq!(answer.status, 202);
    assert_eq!(header("x-list"), Some(r#"a, "b,c", "d\"e\\""#));
    assert_eq!(
        header("x-times"),
        Some("Thu, 01 Jan 1970 00:00:00 GMT, Thu, 01 Jan 1970 00:00:01 GMT")
    );
    assert_eq!(header("x-json"), Some("eyJhIjoxfQ=="));
    assert_eq!(
        (header("x-pre-k"), header("x-pre-n")),
        (Some("v"), Some("a b"))
    );
    assert_eq!(
        (header("content-type"), answer.headers.len()),
        (Some("text/plain"), 6)
    );
    assert_eq!(answer.body.take_bytes().as_deref(), Some(&b"text"[..]));
}

/// Text that XML can carry.
fn text() -> impl Strategy<Value = String> {
    any::<String>().prop_map(|text| text.replace('\0', ""))
}

fn inner() -> impl Strategy<Value = serde_json::Value> {
    let leaf = (text(), text()).prop_map(|(text, kind)| json!({ "Text": text, "Type": kind }));
    leaf.prop_recursive(3, 12, 3, |inner| {
        (text(), prop::collection::vec(inner, 0..3))
            .prop_map(|(text, more)| json!({ "Text": text, "More": more }))
    })
}

fn probe() -> impl Strategy<Value = serde_json::Value> {
    let scalars = (
        text(),
        any::<i32>(),
        -1e9..1e9,
        any::<bool>(),
        0..4_000_000_000_000_i64,
    );
    let lists = (
        prop::collection::vec(text(), 0..3),
        prop::collection::vec(text(), 1..3),
        prop::collection::vec(inner(), 0..3),
    );
    let maps = (
        prop::collection::hash_map(text(), text(), 0..3),
        prop::collection::hash_map(text(), inner(), 1..3),
    );
    (scalars, lists, maps, inner()).prop_map(|((text, number, double, truth, time), (texts, flat, inners), (map, flat_map), inner)| {
        json!({
            "Text": text, "Number": number, "Double": double, "Truth": truth, "Time": time, "Epoch": time, "Texts": texts,
            "Tags": texts, "Flat": flat, "Map": map, "FlatMap": flat_map, "Inner": inner, "Inners": inners
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    #[test]
    fn every_document_reads_back(probe in probe()) {
        let mut output = Value::new(&PROBE);
        fill(&probe, &mut output);
        let answer = rest::write(&SERVICE, &PROBES, &mut output);
        let mut input = Value::new(&PROBE);
        let request = RestRequest { labels: &[], query: &[], headers: &HeaderMap::new(), body: answer.body };
        rest::read(&PROBES, request, &mut input).expect("is read");
        prop_assert_eq!(normal(&input), probe);
    }
}
