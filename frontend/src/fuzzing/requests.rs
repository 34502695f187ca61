//! Any bytes as the body of a request: an error, or an input that is written and read back equal.

use cumulog_model::dynamodb::{BatchWriteItemInput, PutItemInput, QueryInput, UpdateItemInput};
use cumulog_model::s3::{self, CompleteMultipartUpload, CreateBucket, DeleteObjects};
use cumulog_model::sqs::{
    ChangeMessageVisibilityInput, ReceiveMessageInput, SendMessageBatchInput,
    SetQueueAttributesInput,
};
use cumulog_shape::rest::{self, RestRequest};
use cumulog_shape::{
    BindError, ByteStream, Missing, Operation, ReadError, Struct, cbor as shape_cbor, equal,
    json as shape_json, query as shape_query,
};
use http::HeaderMap;

use super::form;

type Make = fn() -> Box<dyn Struct>;

fn make<T: Struct + Default + 'static>() -> Box<dyn Struct> {
    Box::new(T::default())
}

/// One that nests, one with numbers, one with lists of structures, one with maps of structures with blobs.
const DOCUMENTS: [Make; 8] = [
    make::<PutItemInput>,
    make::<QueryInput>,
    make::<UpdateItemInput>,
    make::<BatchWriteItemInput>,
    make::<SendMessageBatchInput>,
    make::<ReceiveMessageInput>,
    make::<SetQueueAttributesInput>,
    make::<ChangeMessageVisibilityInput>,
];

/// Those of [`DOCUMENTS`] that have a query form.
const FORMS: &[Make] = DOCUMENTS.split_at(4).1;

fn split(input: &[u8], makes: &[Make]) -> Option<(Make, Vec<u8>)> {
    let (&first, body) = input.split_first()?;
    Some((makes[usize::from(first) % makes.len()], body.to_vec()))
}

/// A JSON request; `serde_json` agrees on the syntax.
pub fn json(input: &[u8]) {
    let Some((make, body)) = split(input, &DOCUMENTS) else {
        return;
    };
    let mut value = make();
    let read = shape_json::read(&body, &mut *value);
    let theirs = serde_json::from_slice::<serde_json::Value>(&body);
    match (&read, theirs) {
        (Ok(_), Err(error)) => {
            let reason = error.to_string();
            let is_limit = ["number out of range", "recursion limit"];
            assert!(
                is_limit.iter().any(|limit| reason.starts_with(limit)),
                "{reason}"
            );
        }
        (Err(ReadError::Syntax { offset }), Ok(theirs)) => {
            assert!(!theirs.is_object(), "refused at byte {offset}: {theirs}");
        }
        _ => {}
    }
    check_documents(make, &*value, read.ok());
}

/// A CBOR request.
pub fn cbor(input: &[u8]) {
    if let Some((make, body)) = split(input, &DOCUMENTS) {
        let mut value = make();
        let read = shape_cbor::read(&body, &mut *value);
        check_documents(make, &*value, read.ok());
    }
}

/// A form of the query protocol.
pub fn query(input: &[u8]) {
    if let Some((make, body)) = split(input, FORMS) {
        let mut value = make();
        let read = shape_query::read(&body, &mut *value);
        let is_whole = read.as_ref().is_ok_and(Missing::is_empty);
        check_documents(make, &*value, read.ok());
        if is_whole {
            check_form(make, &*value);
        }
    }
}

/// An input that lacks nothing is the same after a way through JSON and one through CBOR.
fn check_documents(make: Make, value: &dyn Struct, read: Option<Missing>) {
    if !read.is_some_and(|missing| missing.is_empty()) {
        return;
    }
    let mut body = Vec::new();
    shape_json::write(value, &mut body);
    check_again(make, value, |again| shape_json::read(&body, again));
    let mut body = Vec::new();
    shape_cbor::write(value, &mut body);
    check_again(make, value, |again| shape_cbor::read(&body, again));
}

fn check_form(make: Make, value: &dyn Struct) {
    let form = form::write(value);
    check_again(make, value, |again| {
        shape_query::read(form.as_bytes(), again)
    });
}

fn check_again<E: std::fmt::Debug>(
    make: Make,
    value: &dyn Struct,
    read: impl FnOnce(&mut dyn Struct) -> Result<Missing, E>,
) {
    let mut again = make();
    let missing = read(&mut *again).expect("we read what we write");
    assert!(missing.is_empty(), "{missing:?}");
    let shown = |value| std::fmt::from_fn(move |f| cumulog_shape::debug(value, f));
    assert!(
        equal(value, &*again),
        "{} and {}",
        shown(value),
        shown(&*again)
    );
}

/// An XML body, of the operation that the first byte chooses.
pub fn xml(input: &[u8]) {
    let Some((first, body)) = input.split_first() else {
        return;
    };
    match first % 3 {
        0 => check_xml::<DeleteObjects>(body),
        1 => check_xml::<CompleteMultipartUpload>(body),
        _ => check_xml::<CreateBucket>(body),
    }
}

fn check_xml<O: Operation>(body: &[u8])
where
    O::Input: Struct + Default + 'static,
{
    let mut input = O::Input::default();
    let read = read_rest::<O>(body.to_vec(), &mut input);
    if !read.is_ok_and(|missing| missing.is_empty()) {
        return;
    }
    let answer = rest::write(&s3::SERVICE, O::SCHEMA, &mut input);
    let body = answer.body.as_bytes().expect("it is in memory").to_vec();
    check_again(make::<O::Input>, &input, |again| {
        read_rest::<O>(body, again)
    });
}

fn read_rest<O: Operation>(body: Vec<u8>, into: &mut dyn Struct) -> Result<Missing, BindError> {
    let label = |name| (name, "label".to_owned());
    let request = RestRequest {
        labels: &[label("Bucket"), label("Key")],
        query: &[("uploadId".into(), "upload".into())],
        headers: &HeaderMap::new(),
        body: ByteStream::from(body),
    };
    rest::read(O::SCHEMA, request, into)
}
