//! The static schema tables.

use std::collections::BTreeSet;
use std::fmt::Write;

use serde_json::Value;

use crate::model::{entries, flag, strings};
use crate::plan::{Plan, Structure};

/// All tables of a service.
pub(crate) fn emit(plan: &Plan) -> String {
    let mut out = String::new();
    for (type_name, structure) in &plan.structures {
        out += &schema(plan, type_name, structure);
    }
    for name in &plan.shapes {
        out += &shape(plan, name);
    }
    for name in &plan.operations {
        out += &operation(plan, name);
    }
    out + &service(plan)
}

/// `pub static SERVICES`: every generated service.
pub(crate) fn service_list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let services: String = names
        .map(|name| format!("    &{name}::SERVICE,\n"))
        .collect();
    format!(
        "/// Every generated service.\npub static SERVICES: &[&cumulog_shape::ServiceSchema] = &[\n{services}];\n"
    )
}

fn service(plan: &Plan) -> String {
    let metadata = &plan.model["metadata"];
    let text = |key: &str| metadata[key].as_str().unwrap_or_default();
    let name = &plan.name;
    let signing_name = metadata["signingName"]
        .as_str()
        .unwrap_or(text("endpointPrefix"));
    let error_namespace = plan.config["error_namespace"].as_str().unwrap_or_default();
    let mut routes = String::new();
    let mut operations: Vec<(&str, &Value)> = entries(&plan.model["operations"]).collect();
    operations.sort_by_key(|(name, _)| *name);
    for (name, operation) in operations {
        let schema = if plan.operations.iter().any(|known| known == name) {
            format!("::std::option::Option::Some(&OPERATION_{name})")
        } else {
            NONE.into()
        };
        let _ = writeln!(
            routes,
            "    shape::OperationRoute {{ name: {name:?}, http: {}, schema: {schema} }},",
            http(plan, operation)
        );
    }
    format!(
        "pub static SERVICE: shape::ServiceSchema = shape::ServiceSchema {{\n    name: {name:?},\n    id: {id:?},\n    \
         signing_name: {signing_name:?},\n    endpoint_prefix: {endpoint:?},\n    api_version: {version:?},\n    \
         target_prefix: {target},\n    protocols: &[{protocols}],\n    xml_namespace: {namespace},\n    \
         query_compatible: {compatible},\n    error_namespace: {error_namespace:?},\n    operations: &[\n{routes}    ],\n}};\n",
        id = text("serviceId"),
        endpoint = text("endpointPrefix"),
        version = text("apiVersion"),
        target = option_text(&metadata["targetPrefix"]),
        protocols = protocols(metadata),
        namespace = option_text(&metadata["xmlNamespace"]),
        compatible = metadata["awsQueryCompatible"].is_object(),
    )
}

fn protocols(metadata: &Value) -> String {
    let json = if metadata["jsonVersion"] == "1.0" {
        "Json10"
    } else {
        "Json11"
    };
    strings(&metadata["protocols"])
        .map(|name| match name {
            "json" => json,
            "query" => "Query",
            "ec2" => "Ec2",
            "rest-json" => "RestJson",
            "rest-xml" => "RestXml",
            "smithy-rpc-v2-cbor" => "Cbor",
            other => panic!("unknown protocol {other}"),
        })
        .map(|name| format!("shape::Protocol::{name}, "))
        .collect()
}

fn http(plan: &Plan, operation: &Value) -> String {
    let http = &operation["http"];
    let required = |location: &str| {
        let Some(input) = operation["input"]["shape"].as_str() else {
            return String::new();
        };
        let input = plan.shape(input);
        let required: BTreeSet<&str> = strings(&input["required"]).collect();
        entries(&input["members"])
            .filter(|(name, member)| required.contains(name) && member["location"] == location)
            .map(|(name, member)| {
                format!("{:?}, ", member["locationName"].as_str().unwrap_or(name))
            })
            .collect()
    };
    format!(
        "shape::Http {{ method: {:?}, uri: {:?}, status: {}, required_query: &[{}], required_headers: &[{}] }}",
        http["method"].as_str().unwrap_or("POST"),
        http["requestUri"].as_str().unwrap_or("/"),
        http["responseCode"].as_u64().unwrap_or(200),
        required("querystring"),
        required("header"),
    )
}

fn operation(plan: &Plan, name: &str) -> String {
    let operation = plan.operation(name);
    let errors: String = strings(&operation["errors"])
        .map(|error| format!("&SCHEMA_{}, ", plan.type_name(error)))
        .collect();
    let wrapper = match operation["input"]["locationName"].as_str() {
        None => NONE.into(),
        Some(element) => format!(
            "::std::option::Option::Some(shape::Wrapper {{ name: {element:?}, namespace: {} }})",
            namespace(&operation["input"]["xmlNamespace"])
        ),
    };
    let checksum = &operation["httpChecksum"];
    let required =
        flag(checksum, "requestChecksumRequired") || flag(operation, "httpChecksumRequired");
    let algorithms: String = strings(&checksum["responseAlgorithms"])
        .map(|name| format!("{name:?}, "))
        .collect();
    format!(
        "static OPERATION_{name}: shape::OperationSchema = shape::OperationSchema {{\n    name: {name:?},\n    http: {http},\n    \
         input: &SCHEMA_{name}Input,\n    input_wrapper: {wrapper},\n    output: &SCHEMA_{name}Output,\n    \
         has_output: {has_output},\n    unwrapped_output: {unwrapped},\n    result_wrapper: {result},\n    errors: &[{errors}],\n    \
         checksum: shape::Checksum {{ request_required: {required}, request_algorithm: {algorithm}, response_mode: {mode}, response_algorithms: &[{algorithms}] }},\n    \
         unsigned: {unsigned},\n}};\n",
        http = http(plan, operation),
        has_output = operation["output"].is_object(),
        unwrapped = flag(operation, "unwrappedOutput"),
        result = option_text(&operation["output"]["resultWrapper"]),
        algorithm = option_text(&checksum["requestAlgorithmMember"]),
        mode = option_text(&checksum["requestValidationModeMember"]),
        unsigned = operation["authtype"] == "none",
    )
}

fn schema(plan: &Plan, type_name: &str, structure: &Structure) -> String {
    let body = &structure.body;
    let required: Vec<&str> = strings(&body["required"]).collect();
    assert!(
        required.len() <= 64,
        "{type_name} has more required members than a reader's bit set holds"
    );
    let bits = if required.len() == 64 {
        u64::MAX
    } else {
        (1 << required.len()) - 1
    };
    let payload = body["payload"].as_str().map(|payload| {
        entries(&body["members"])
            .position(|(name, _)| name == payload)
            .expect("the payload is a member")
    });
    let mut members = String::new();
    for (name, target) in entries(&body["members"]) {
        let bit = required.iter().position(|known| *known == name);
        let _ = writeln!(members, "        {},", member(plan, name, target, bit));
    }
    format!(
        "pub(crate) static SCHEMA_{type_name}: shape::Schema = shape::Schema {{\n    name: {name:?},\n    xml_name: {xml_name:?},\n    \
         members: &[\n{members}    ],\n    required_bits: {bits},\n    union: {union},\n    payload: {payload},\n    \
         xml_namespace: {namespace},\n    sensitive: {sensitive},\n    error: {error},\n}};\n",
        name = structure.shape,
        xml_name = body["locationName"].as_str().unwrap_or(&structure.shape),
        union = flag(body, "union"),
        payload = option(payload),
        namespace = namespace(&body["xmlNamespace"]),
        sensitive = flag(body, "sensitive"),
        error = error_trait(&structure.shape, body),
    )
}

fn error_trait(name: &str, body: &Value) -> String {
    if !flag(body, "exception") {
        return NONE.into();
    }
    let error = &body["error"];
    let sender = !flag(body, "fault");
    let status = error["httpStatusCode"]
        .as_u64()
        .unwrap_or(if sender { 400 } else { 500 });
    format!(
        "::std::option::Option::Some(shape::ErrorTrait {{ code: {:?}, query_code: {}, status: {status}, sender: {sender} }})",
        error["code"].as_str().unwrap_or(name),
        option_text(&error["queryCode"]),
    )
}

fn member(plan: &Plan, name: &str, member: &Value, required_bit: Option<usize>) -> String {
    let shape_name = member["shape"].as_str().expect("members have shapes");
    let shape = plan.shape(shape_name);
    let wire = member["locationName"].as_str().unwrap_or(name);
    let location = match member["location"].as_str() {
        None => "Body",
        Some("header") => "Header",
        Some("headers") => "PrefixHeaders",
        Some("uri") if is_greedy(plan, wire) => "GreedyLabel",
        Some("uri") => "Label",
        Some("querystring") => "Query",
        Some("statusCode") => "Status",
        Some(other) => panic!("{name} has the unknown location {other}"),
    };
    let flattened = flag(member, "flattened") || flag(shape, "flattened");
    let ec2 = plan.model["metadata"]["protocol"] == "ec2";
    let event = match (flag(member, "eventpayload"), flag(member, "eventheader")) {
        (true, _) => "::std::option::Option::Some(shape::Event::Payload)",
        (_, true) => "::std::option::Option::Some(shape::Event::Header)",
        _ => NONE,
    };
    format!(
        "shape::Member {{ name: {name:?}, wire: {wire:?}, xml: {xml:?}, query: {query:?}, location: shape::Location::{location}, \
         shape: &SHAPE_{shape_name}, required: {required}, required_bit: {bit}, flattened: {flattened}, \
         query_flattened: {query_flattened}, xml_attribute: {attribute}, xml_namespace: {namespace}, timestamp: {timestamp}, \
         idempotency_token: {token}, json_value: {json_value}, streaming: {streaming}, event: {event} }}",
        xml = xml_name(plan, name, member, shape, flattened),
        query = query_name(plan, name, member, shape, flattened, ec2),
        required = required_bit.is_some(),
        bit = required_bit.unwrap_or(0),
        query_flattened = flattened || ec2 && shape["type"] == "list",
        attribute = flag(member, "xmlAttribute"),
        namespace = namespace(&member["xmlNamespace"]),
        timestamp = timestamp(&member["timestampFormat"]),
        token = flag(member, "idempotencyToken"),
        json_value = flag(member, "jsonvalue"),
        streaming = flag(member, "streaming") || flag(shape, "streaming"),
    )
}

/// Labels are greedy by the URI template, not by a trait.
fn is_greedy(plan: &Plan, label: &str) -> bool {
    let greedy = format!("{{{label}+}}");
    entries(&plan.model["operations"]).any(|(_, operation)| {
        operation["http"]["requestUri"]
            .as_str()
            .is_some_and(|uri| uri.contains(&greedy))
    })
}

/// A flattened list takes its elements' name in the query protocols' XML, the member's own in REST.
fn xml_name(plan: &Plan, name: &str, member: &Value, shape: &Value, flattened: bool) -> String {
    let own = ["legacyName", "locationName"]
        .iter()
        .find_map(|key| member[key].as_str());
    let element = ["legacyName", "locationName"]
        .iter()
        .find_map(|key| shape["member"][key].as_str());
    let rest = plan.model["metadata"]["protocol"] == "rest-xml";
    match (own, element) {
        (own, Some(element))
            if flattened && shape["type"] == "list" && !(rest && own.is_some()) =>
        {
            element.into()
        }
        (Some(own), _) => own.into(),
        _ => name.into(),
    }
}

fn query_name(
    plan: &Plan,
    name: &str,
    member: &Value,
    shape: &Value,
    flattened: bool,
    ec2: bool,
) -> String {
    if !ec2 {
        return xml_name(plan, name, member, shape, flattened);
    }
    let capital = |name: &str| name[..1].to_ascii_uppercase() + &name[1..];
    match (
        member["queryName"].as_str(),
        member["locationName"].as_str(),
    ) {
        (Some(query), _) => query.into(),
        (None, Some(location)) => capital(location),
        (None, None) => name.into(),
    }
}

fn shape(plan: &Plan, name: &str) -> String {
    let shape = plan.shape(name);
    let float = matches!(shape["type"].as_str(), Some("float" | "double"));
    format!(
        "static SHAPE_{name}: shape::Shape = shape::Shape {{ name: {name:?}, kind: {}, min: {}, max: {}, pattern: {}, \
         sensitive: {}, event_stream: {}, timestamp: {} }};\n",
        kind(plan, name, shape),
        bound(&shape["min"], float),
        bound(&shape["max"], float),
        option_text(&shape["pattern"]),
        flag(shape, "sensitive"),
        flag(shape, "eventstream"),
        timestamp(&shape["timestampFormat"]),
    )
}

fn kind(plan: &Plan, name: &str, shape: &Value) -> String {
    let kind = match shape["type"].as_str().unwrap_or_default() {
        "structure" if flag(shape, "document") => "Document".into(),
        "structure" => {
            let schema = format!("SCHEMA_{}", plan.type_name(name));
            format!("Structure(&{})", plan.path(name, &schema))
        }
        "list" => format!("List({})", element(&shape["member"], "member")),
        "map" => {
            format!(
                "Map {{ key: {}, value: {} }}",
                element(&shape["key"], "key"),
                element(&shape["value"], "value")
            )
        }
        "string" if shape["enum"].is_array() => {
            format!(
                "Enum(&[{}])",
                strings(&shape["enum"])
                    .map(|value| format!("{value:?}, "))
                    .collect::<String>()
            )
        }
        plain => plain[..1].to_ascii_uppercase() + &plain[1..],
    };
    format!("shape::Kind::{kind}")
}

fn element(element: &Value, default: &str) -> String {
    let name = ["legacyName", "locationName"]
        .iter()
        .find_map(|key| element[key].as_str())
        .unwrap_or(default);
    format!(
        "shape::Element {{ shape: &SHAPE_{}, xml: {name:?}, query: {name:?}, xml_namespace: {} }}",
        element["shape"].as_str().expect("elements have shapes"),
        namespace(&element["xmlNamespace"])
    )
}

const NONE: &str = "::std::option::Option::None";

fn option(value: Option<impl std::fmt::Debug>) -> String {
    value.map_or(NONE.into(), |value| {
        format!("::std::option::Option::Some({value:?})")
    })
}

fn option_text(value: &Value) -> String {
    option(value.as_str())
}

fn bound(value: &Value, float: bool) -> String {
    match (value.as_i64(), value.as_f64()) {
        (Some(int), _) if !float => {
            format!("::std::option::Option::Some(shape::Bound::Int({int}))")
        }
        (_, Some(number)) => {
            format!("::std::option::Option::Some(shape::Bound::Float({number:?}))")
        }
        _ => NONE.into(),
    }
}

fn timestamp(format: &Value) -> String {
    let name = match format.as_str() {
        None => return NONE.into(),
        Some("rfc822") => "HttpDate",
        Some("iso8601") => "Iso8601",
        Some("unixTimestamp") => "Epoch",
        Some(other) => panic!("unknown timestamp format {other}"),
    };
    format!("::std::option::Option::Some(shape::TimestampFormat::{name})")
}

/// botocore writes an operation's namespace as an object or as the URI alone.
fn namespace(value: &Value) -> String {
    let Some(uri) = value["uri"].as_str().or(value.as_str()) else {
        return NONE.into();
    };
    format!(
        "::std::option::Option::Some(shape::XmlNamespace {{ uri: {uri:?}, prefix: {} }})",
        option_text(&value["prefix"])
    )
}
