//! Requests and answers as JSON, so that botocore can make and judge them: see `tests/golden/make.py`.
//!
//! Inputs and outputs stand in a neutral form: members by their model names, bytes in base64, times in milliseconds.

use cumulog_model::{s3, sqs, sts};
use cumulog_shape::error::{self, ErrorReport};
use cumulog_shape::rest::{self, RestRequest};
use cumulog_shape::router::Router;
use cumulog_shape::{
    Bytes, Entries, List, Operation, OperationSchema, Protocol, ServiceSchema, Slot, Struct,
    Timestamp, View,
};
use cumulog_shape::{query, uri};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value, json};

/// An empty input and output of an operation.
pub struct Blank {
    pub schema: &'static OperationSchema,
    pub input: Box<dyn Struct>,
    pub output: Box<dyn Struct>,
}

fn blank<O: Operation>() -> Blank {
    Blank {
        schema: O::SCHEMA,
        input: Box::new(O::Input::default()),
        output: Box::new(O::Output::default()),
    }
}

macro_rules! blanks {
    ($service:ident: $($operation:ident)*) => {
        vec![$(blank::<$service::$operation>()),*]
    };
}

/// Every operation that restXml and query serve.
fn blanks(service: &str) -> Vec<Blank> {
    match service {
        "s3" => {
            blanks!(s3: CreateBucket ListBuckets HeadBucket DeleteBucket GetBucketLocation PutObject GetObject HeadObject
            DeleteObject DeleteObjects CopyObject ListObjects ListObjectsV2 CreateMultipartUpload UploadPart
            CompleteMultipartUpload AbortMultipartUpload ListParts ListMultipartUploads)
        }
        "sqs" => {
            blanks!(sqs: CreateQueue GetQueueUrl ListQueues DeleteQueue GetQueueAttributes SetQueueAttributes PurgeQueue
            SendMessage SendMessageBatch ReceiveMessage DeleteMessage DeleteMessageBatch ChangeMessageVisibility
            ChangeMessageVisibilityBatch TagQueue UntagQueue ListQueueTags)
        }
        "sts" => blanks!(sts: GetCallerIdentity),
        _ => panic!("no service {service}"),
    }
}

pub fn service(name: &str) -> &'static ServiceSchema {
    match name {
        "s3" => &s3::SERVICE,
        "sqs" => &sqs::SERVICE,
        "sts" => &sts::SERVICE,
        _ => panic!("no service {name}"),
    }
}

fn find(service: &str, operation: &str) -> Result<Blank, String> {
    let found = blanks(service)
        .into_iter()
        .find(|blank| blank.schema.name == operation);
    found.ok_or_else(|| format!("{service} has no {operation}"))
}

/// Reads `{service, method, target, headers, body}`: `{operation, input, missing}`, or `{error}`.
pub fn read(request: &Value) -> Value {
    let text = |key: &str| request[key].as_str().unwrap_or_default();
    let body = bytes(&request["body"]);
    let result = match text("service") {
        "s3" => read_rest(
            text("service"),
            text("method"),
            text("target"),
            &headers(&request["headers"]),
            body,
        ),
        service => read_query(service, &body),
    };
    result.unwrap_or_else(|error| json!({ "error": error }))
}

fn read_rest(
    name: &str,
    method: &str,
    target: &str,
    headers: &HeaderMap,
    body: Bytes,
) -> Result<Value, String> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let query = uri::pairs(query).ok_or("the query is not UTF-8")?;
    let found = Router::new(service(name))
        .find(method, path, &query, headers)
        .map_err(|error| format!("{error:?}"))?;
    if found.operation.schema.is_none() {
        return Ok(json!({ "operation": found.operation.name }));
    }
    let mut blank = find(name, found.operation.name)?;
    let request = RestRequest {
        labels: &found.labels,
        query: &query,
        headers,
        body: body.into(),
    };
    let missing =
        rest::read(blank.schema, request, &mut *blank.input).map_err(|error| error.to_string())?;
    let missing: Vec<String> = missing.iter().map(|missing| missing.path.clone()).collect();
    Ok(
        json!({ "operation": blank.schema.name, "input": normal(&*blank.input), "missing": missing }),
    )
}

fn read_query(name: &str, form: &[u8]) -> Result<Value, String> {
    let text = std::str::from_utf8(form).map_err(|error| error.to_string())?;
    let pairs = uri::pairs(text).ok_or("the form is not UTF-8")?;
    let (_, action) = pairs
        .iter()
        .find(|(key, _)| key == "Action")
        .ok_or("no action")?;
    let mut blank = find(name, action)?;
    let missing = query::read(form, &mut *blank.input).map_err(|error| error.to_string())?;
    let missing: Vec<String> = missing.iter().map(|missing| missing.path.clone()).collect();
    Ok(
        json!({ "operation": blank.schema.name, "input": normal(&*blank.input), "missing": missing }),
    )
}

/// Writes `{service, operation, output}`: `{status, headers, body}`.
pub fn write(answer: &Value) -> Value {
    let name = answer["service"].as_str().expect("a service");
    let operation = answer["operation"].as_str().expect("an operation");
    let mut blank = find(name, operation).unwrap_or_else(|error| panic!("{error}"));
    fill(&answer["output"], &mut *blank.output);
    if service(name).speaks(Protocol::RestXml) {
        let mut answer = rest::write(service(name), blank.schema, &mut *blank.output);
        let body = answer.body.take_bytes().unwrap_or_default();
        return wire(answer.status, &answer.headers, &body);
    }
    let mut body = Vec::new();
    query::write(
        service(name),
        blank.schema,
        &*blank.output,
        "request-1",
        &mut body,
    );
    wire(200, &HeaderMap::new(), &body)
}

/// Writes `{protocol, service, code, …}` as an error.
pub fn write_error(failure: &Value) -> Value {
    let text = |key: &str| failure[key].as_str();
    let protocol = match text("protocol").expect("a protocol") {
        "json" => Protocol::Json10,
        "rest-json" => Protocol::RestJson,
        "cbor" => Protocol::Cbor,
        "query" => Protocol::Query,
        "ec2" => Protocol::Ec2,
        "rest-xml" => Protocol::RestXml,
        other => panic!("no protocol {other}"),
    };
    let empty = Map::new();
    let fields: Vec<(&str, String)> = failure["fields"]
        .as_object()
        .unwrap_or(&empty)
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str().expect("text").to_owned()))
        .collect();
    let report = ErrorReport {
        code: text("code").expect("a code"),
        query_code: text("query_code"),
        status: failure["status"].as_u64().unwrap_or(400) as u16,
        sender: failure["sender"].as_bool().unwrap_or(true),
        message: text("message").unwrap_or_default(),
        fields: &fields,
        detail: None,
        request_id: "request-1",
        host_id: Some("host-1"),
    };
    let answer = error::write(protocol, text("service").map(service), &report);
    wire(answer.status, &answer.headers, &answer.body)
}

fn wire(status: u16, headers: &HeaderMap, body: &[u8]) -> Value {
    let headers: Map<String, Value> = headers
        .iter()
        .map(|(name, value)| {
            (
                name.to_string(),
                String::from_utf8_lossy(value.as_bytes())
                    .into_owned()
                    .into(),
            )
        })
        .collect();
    json!({ "status": status, "headers": headers, "body": base64_simd::STANDARD.encode_to_string(body) })
}

fn headers(pairs: &Value) -> HeaderMap {
    let pairs = pairs.as_array().into_iter().flatten();
    pairs
        .map(|pair| {
            let part = |index: usize| {
                pair[index]
                    .as_str()
                    .expect("header names and values are text")
            };
            let name = HeaderName::from_bytes(part(0).as_bytes()).expect("a header name");
            (
                name,
                HeaderValue::from_bytes(part(1).as_bytes()).expect("a header value"),
            )
        })
        .collect()
}

/// Bytes in base64, or as `{"text": …}`.
pub fn bytes(value: &Value) -> Bytes {
    if let Some(text) = value["text"].as_str() {
        return text.to_owned().into();
    }
    let text = value.as_str().unwrap_or_default();
    base64_simd::STANDARD
        .decode_to_vec(text)
        .expect("base64")
        .into()
}

/// A structure in the neutral form.
pub fn normal(value: &dyn Struct) -> Value {
    let members = value.schema().members.iter().enumerate();
    let members = members.filter_map(|(index, member)| {
        Some((member.name.to_owned(), normal_view(value.get(index))?))
    });
    Value::Object(members.collect())
}

fn normal_view(view: View<'_>) -> Option<Value> {
    Some(match view {
        View::None => return None,
        View::Str(text) => text.into(),
        View::Bool(truth) => truth.into(),
        View::Int(number) => number.into(),
        View::Float(number) => number.into(),
        View::Double(number) => number.into(),
        View::Blob(bytes) => base64_simd::STANDARD.encode_to_string(bytes).into(),
        View::Stream(stream) => base64_simd::STANDARD
            .encode_to_string(stream.as_bytes().expect("in memory"))
            .into(),
        View::Timestamp(at) => at.0.into(),
        View::Document(json) => json.clone(),
        View::List(list) => (0..list.len())
            .filter_map(|index| normal_view(list.get(index)))
            .collect(),
        View::Map(map) => {
            let entries = (0..map.len()).map(|index| map.entry(index));
            Value::Object(
                entries
                    .filter_map(|(key, view)| Some((key.to_owned(), normal_view(view)?)))
                    .collect(),
            )
        }
        View::Struct(value) => normal(value),
    })
}

/// Fills a structure from the neutral form.
pub fn fill(from: &Value, into: &mut dyn Struct) {
    for (name, value) in from.as_object().expect("an object") {
        let index = into
            .schema()
            .member(name)
            .unwrap_or_else(|| panic!("{} has no {name}", into.schema().name));
        fill_slot(value, into.slot(index));
    }
}

fn fill_slot(from: &Value, slot: Slot<'_>) {
    let text = || from.as_str().expect("text");
    let number = || from.as_i64().expect("a number");
    match slot {
        Slot::None => panic!("no slot"),
        Slot::Str(into) => *into = text().into(),
        Slot::Enum(into) => into.set(text()),
        Slot::Bool(into) => *into = from.as_bool().expect("true or false"),
        Slot::Int(into) => *into = number() as i32,
        Slot::Long(into) => *into = number(),
        Slot::Float(into) => *into = from.as_f64().expect("a number") as f32,
        Slot::Double(into) => *into = from.as_f64().expect("a number"),
        Slot::Blob(into) => *into = bytes(from),
        Slot::Stream(into) => *into = bytes(from).into(),
        Slot::Timestamp(into) => *into = Timestamp(number()),
        Slot::Document(into) => *into = from.clone(),
        Slot::List(into) => fill_list(from, into),
        Slot::Map(into) => fill_map(from, into),
        Slot::Struct(into) => fill(from, into),
    }
}

fn fill_list(from: &Value, into: &mut dyn List) {
    from.as_array()
        .expect("a list")
        .iter()
        .for_each(|item| fill_slot(item, into.push()));
}

fn fill_map(from: &Value, into: &mut dyn Entries) {
    from.as_object()
        .expect("an object")
        .iter()
        .for_each(|(key, value)| fill_slot(value, into.push(key.clone())));
}
