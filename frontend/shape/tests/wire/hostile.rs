//! Requests that no client of good will sends: refused or read sensibly, never a panic, never more memory than they are worth.

use std::sync::LazyLock;

use cumulog_model::s3::{CreateBucketInput, DeleteObjects, DeleteObjectsInput, PutObjectInput};
use cumulog_model::sqs::{
    ReceiveMessageInput, SendMessageBatchInput, SendMessageInput, TagQueueInput,
};
use cumulog_shape::rest::{self, RestRequest};
use cumulog_shape::{BindError, ByteStream, Operation, Struct, query};
use http::HeaderMap;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{golden, support};

fn form<T: Struct + Default>(form: impl AsRef<[u8]>) -> Result<T, BindError> {
    let mut input = T::default();
    query::read(form.as_ref(), &mut input).map(|_| input)
}

fn missing<T: Struct + Default>(form: &str) -> Vec<String> {
    let missing = query::read(form.as_bytes(), &mut T::default()).expect("is read");
    missing.iter().map(|missing| missing.path.clone()).collect()
}

/// Reads `body` as the one of a DeleteObjects.
fn delete_objects(body: impl AsRef<[u8]>) -> Result<DeleteObjectsInput, BindError> {
    let mut input = DeleteObjectsInput::default();
    let request = RestRequest {
        labels: &[("Bucket", "bucket".into())],
        query: &[],
        headers: &HeaderMap::new(),
        body: ByteStream::from(body.as_ref().to_vec()),
    };
    rest::read(DeleteObjects::SCHEMA, request, &mut input).map(|_| input)
}

#[track_caller]
fn check_refused<T: std::fmt::Debug>(result: Result<T, BindError>, reason: &str) {
    let error = result.expect_err("must be refused").to_string();
    assert!(error.contains(reason), "{error}");
}

#[test]
fn a_list_index_is_only_an_order() {
    let input: ReceiveMessageInput =
        form("AttributeName.999999999=B&AttributeName.00000000000000000000000000000000001=A&AttributeName.1000000000000000000000=C")
            .expect("is read");
    let names: Vec<&str> = input
        .attribute_names
        .iter()
        .flatten()
        .map(|name| name.as_str())
        .collect();
    assert_eq!(names, ["A", "B", "C"]);
    let input: SendMessageBatchInput =
        form("SendMessageBatchRequestEntry.10.Id=b&SendMessageBatchRequestEntry.9.Id=a&SendMessageBatchRequestEntry.-1.Id=c")
            .expect("is read");
    let ids: Vec<&str> = input
        .entries
        .iter()
        .map(|entry| entry.id.as_str())
        .collect();
    assert_eq!(ids, ["a", "b"]);
}

#[test]
fn of_equal_keys_the_first_counts() {
    let input: SendMessageInput = form("MessageBody=a&MessageBody=b&QueueUrl=q").expect("is read");
    assert_eq!(input.message_body, "a");
    let input: TagQueueInput =
        form("Tag.1.Key=k&Tag.1.Value=1&Tag.2.Key=k&Tag.2.Value=2").expect("is read");
    assert_eq!(support::normal(&input)["Tags"], json!({ "k": "2" }));
}

#[test]
fn paths_that_lead_nowhere_are_skipped() {
    let expected = json!({ "QueueUrl": "q", "MessageBody": "b" });
    for noise in [
        "",
        "&",
        "=",
        "&&=&",
        "Action=SendMessage&Version=2012-11-05",
        "Nope=1",
        "Nope.1.member.2=x",
        ".=1",
        "..=1",
        "QueueUrl.1=x",
        "MessageBody.=x",
        "MessageAttribute=x",
        "MessageAttribute.x=1",
        "DelaySeconds.1=5",
        ".QueueUrl=x",
        "queueurl=x",
    ] {
        let input: SendMessageInput =
            form(format!("QueueUrl=q&MessageBody=b&{noise}")).expect(noise);
        let mut read = support::normal(&input);
        if read["MessageAttributes"] == json!({}) {
            read.as_object_mut()
                .expect("an object")
                .remove("MessageAttributes");
        }
        assert_eq!(read, expected, "{noise}");
    }
}

#[test]
fn half_entries_are_noted_as_missing() {
    assert_eq!(missing::<TagQueueInput>("QueueUrl=q"), ["tags"]);
    assert_eq!(
        missing::<TagQueueInput>("QueueUrl=q&Tag.1.Key=k"),
        ["tags.k.member"]
    );
    assert_eq!(
        missing::<SendMessageBatchInput>("QueueUrl=q&SendMessageBatchRequestEntry.1.Id=1"),
        ["entries.1.member.messageBody"]
    );
}

#[test]
fn forms_are_refused_for_what_they_hold() {
    check_refused(
        form::<SendMessageInput>("DelaySeconds=five"),
        "`five` at `delaySeconds` is not an integer",
    );
    check_refused(
        form::<SendMessageInput>("DelaySeconds=99999999999"),
        "is not an integer",
    );
    check_refused(
        form::<SendMessageInput>("DelaySeconds="),
        "is not an integer",
    );
    check_refused(
        form::<SendMessageInput>(
            "MessageAttribute.1.Name=n&MessageAttribute.1.Value.BinaryValue=%21",
        ),
        "is not base64",
    );
    check_refused(form::<SendMessageInput>(b"MessageBody=\xFF"), "not UTF-8");
    check_refused(form::<SendMessageInput>("MessageBody=%FF"), "not UTF-8");
    check_refused(form::<SendMessageInput>("%C3=a"), "not UTF-8");
}

#[test]
fn long_paths_and_many_pairs_cost_no_more_than_their_bytes() {
    let deep = format!(
        "MessageAttribute.1.{}=x",
        "Value.StringListValue.".repeat(50_000)
    );
    form::<SendMessageInput>(deep).expect("is skipped");
    let wide: String = (0..100_000)
        .map(|index| format!("A{index}.{index}=x&"))
        .collect();
    form::<SendMessageInput>(wide).expect("is skipped");
}

#[test]
fn xml_that_is_not_what_the_model_wants_is_refused() {
    check_refused(
        delete_objects("<Delete><Object><Key>a</Key></Object>"),
        "ends within",
    );
    check_refused(
        delete_objects("<Delete><Object><Key>a</Object></Delete>"),
        "",
    );
    check_refused(
        delete_objects("<Erase><Object><Key>a</Key></Object></Erase>"),
        "`Erase` where `Delete` belongs",
    );
    check_refused(
        delete_objects("<Delete><Objects/></Delete>"),
        "unknown element `Objects`",
    );
    check_refused(delete_objects("<Delete>text</Delete>"), "text stands");
    check_refused(
        delete_objects("<Delete><Quiet>maybe</Quiet></Delete>"),
        "`maybe` at `delete.quiet` is not true or false",
    );
    check_refused(
        delete_objects("<Delete><Object><Key><b/></Key></Object></Delete>"),
        "an element stands",
    );
    check_refused(delete_objects("{\"Delete\":{}}"), "text stands");
    check_refused(
        delete_objects("<!DOCTYPE x [<!ENTITY a \"b\">]><Delete/>"),
        "DTD",
    );
    check_refused(delete_objects("<Delete>".repeat(100_000)), "");
    check_refused(delete_objects(b"<Delete>\xFF</Delete>"), "not UTF-8");
    check_refused(
        delete_objects(format!("<Delete {}></Deletf>", "a='' ".repeat(200_000))),
        "",
    );
}

#[test]
fn an_absent_body_is_no_malformed_body() {
    let input = delete_objects("").expect("is read");
    assert_eq!(
        support::normal(&input),
        json!({ "Bucket": "bucket", "Delete": { "Objects": [] } })
    );
    let input = delete_objects("<Delete/>").expect("is read");
    assert!(input.delete.objects.is_empty());
}

fn rest_read<O: Operation<Input = T>, T: Struct + Default>(
    headers: &[(&'static str, &[u8])],
) -> Result<T, BindError> {
    let mut input = T::default();
    let headers: HeaderMap = headers
        .iter()
        .map(|(name, value)| {
            let value = http::HeaderValue::from_bytes(value).expect("a header value");
            (http::HeaderName::from_static(name), value)
        })
        .collect();
    let request = RestRequest {
        labels: &[],
        query: &[],
        headers: &headers,
        body: ByteStream::default(),
    };
    rest::read(O::SCHEMA, request, &mut input).map(|_| input)
}

#[test]
fn odd_headers_are_read_sensibly() {
    let put = |headers: &[(&'static str, &[u8])]| {
        rest_read::<cumulog_model::s3::PutObject, PutObjectInput>(headers)
    };
    let input = put(&[
        ("x-amz-meta-", b"empty name"),
        ("x-amz-meta-a", b"1"),
        ("x-amz-meta-a", b"2"),
        ("x-amz-meta-utf8", "é".as_bytes()),
        ("x-amz-meta-latin1", b"\xE9"),
        ("content-length", b""),
        ("content-type", b""),
        ("expires", b"whenever"),
    ])
    .expect("is read");
    let metadata = support::normal(&input)["Metadata"].clone();
    assert_eq!(
        metadata,
        json!({ "": "empty name", "a": "1,2", "utf8": "é", "latin1": "é" })
    );
    assert_eq!(
        (input.content_length, input.content_type.as_deref()),
        (None, Some(""))
    );
    assert_eq!(input.expires.as_deref(), Some("whenever"));
    check_refused(
        put(&[("content-length", b"-")]),
        "`-` at `contentLength` is not a long integer",
    );
    check_refused(
        put(&[("x-amz-object-lock-retain-until-date", b"soon")]),
        "is not a timestamp",
    );
    let create = rest_read::<cumulog_model::s3::CreateBucket, CreateBucketInput>;
    check_refused(
        create(&[("x-amz-bucket-object-lock-enabled", b"1")]),
        "is not true or false",
    );
}

static REQUESTS: LazyLock<Vec<Value>> = LazyLock::new(|| golden::cases("requests"));

/// Changes, doubles or drops some bytes of a text.
fn mutate(text: &str, changes: &[(u16, u8, u8)]) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for &(at, kind, byte) in changes {
        if bytes.is_empty() {
            break;
        }
        let at = usize::from(at) % bytes.len();
        match kind % 4 {
            0 => bytes[at] = byte,
            1 => bytes.insert(at, byte),
            2 => drop(bytes.remove(at)),
            _ => bytes.truncate(at),
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1000) })]

    #[test]
    fn damaged_requests_never_panic(case in any::<prop::sample::Index>(), changes in prop::collection::vec(any::<(u16, u8, u8)>(), 1..6)) {
        let mut request = case.get(&REQUESTS)["request"].clone();
        if let Some(text) = request["body"]["text"].as_str() {
            let damaged = mutate(text, &changes);
            request["body"] = base64_simd::STANDARD.encode_to_string(damaged).into();
        }
        let target = mutate(request["target"].as_str().expect("text"), &changes[1..]);
        request["target"] = String::from_utf8_lossy(&target).into_owned().into();
        support::read(&request);
    }

    #[test]
    fn any_text_survives_a_form(text in any::<String>()) {
        let encoded: String = percent_encoding::utf8_percent_encode(&text, percent_encoding::NON_ALPHANUMERIC).collect();
        let input: SendMessageInput = form(format!("MessageBody={encoded}&QueueUrl=q")).expect("is read");
        prop_assert_eq!(input.message_body, text);
    }

    #[test]
    fn any_key_survives_a_path(key in ".+") {
        let encoded: String = percent_encoding::utf8_percent_encode(&key, percent_encoding::NON_ALPHANUMERIC).collect();
        let request = json!({ "service": "s3", "method": "GET", "target": format!("/bucket/{encoded}"), "headers": [] });
        prop_assert_eq!(&support::read(&request)["input"]["Key"], &Value::from(key));
    }

    /// What we write, a parser that is not ours reads back, except for characters that XML cannot carry.
    #[test]
    fn any_text_survives_xml(text in any::<String>()) {
        let output = json!({ "Contents": [{ "Key": text }] });
        let answer = support::write(&json!({ "service": "s3", "operation": "ListObjectsV2", "output": output }));
        let body = support::bytes(&answer["body"]);
        let body = std::str::from_utf8(&body).expect("UTF-8");
        let inside = body.split("<Key>").nth(1).and_then(|rest| rest.split("</Key>").next()).expect("a key");
        prop_assert!(!inside.contains(['\r', '<', '>']));
        let sent = format!("<Delete><Object><Key>{inside}</Key></Object></Delete>");
        match delete_objects(sent) {
            Ok(input) => prop_assert_eq!(&input.delete.objects[0].key, &text),
            Err(_) => prop_assert!(text.contains('\0'), "{:?}", text),
        }
    }
}
