//! What the tables say, where a wrong word would be seen on the wire.

use cumulog_model::{SERVICES, dynamodb, s3, sqs, sts};
use cumulog_shape::{
    Enum, Kind, Location, Member, Operation, OperationRoute, OperationSchema, Protocol, Schema,
    ServiceSchema,
};

fn member(schema: &Schema, name: &str) -> &'static Member {
    let i = schema
        .member(name)
        .unwrap_or_else(|| panic!("{} has {name}", schema.name));
    &schema.members[i]
}

fn route(service: &ServiceSchema, name: &str) -> &'static OperationRoute {
    service
        .operation(name)
        .unwrap_or_else(|| panic!("{} has {name}", service.name))
}

fn error(
    operation: &OperationSchema,
    name: &str,
) -> (&'static str, Option<&'static str>, u16, bool) {
    let schema = operation
        .errors
        .iter()
        .find(|schema| schema.name == name)
        .expect("is among the errors");
    let error = schema.error.expect("has the trait");
    (error.code, error.query_code, error.status, error.sender)
}

#[test]
fn services_say_how_they_are_addressed() {
    assert_eq!(dynamodb::SERVICE.target_prefix, Some("DynamoDB_20120810"));
    assert_eq!(dynamodb::SERVICE.protocols, [Protocol::Json10]);
    assert_eq!(
        dynamodb::SERVICE.error_namespace,
        "com.amazonaws.dynamodb.v20120810"
    );
    assert_eq!(sqs::SERVICE.protocols, [Protocol::Json10, Protocol::Query]);
    assert!(sqs::SERVICE.query_compatible && !sts::SERVICE.query_compatible);
    assert_eq!(
        sqs::SERVICE.xml_namespace,
        Some("http://queue.amazonaws.com/doc/2012-11-05/")
    );
    assert_eq!(
        (sts::SERVICE.api_version, sts::SERVICE.signing_name),
        ("2011-06-15", "sts")
    );
    assert_eq!(
        s3::SERVICE.xml_namespace,
        Some("http://s3.amazonaws.com/doc/2006-03-01/")
    );
}

#[test]
fn operations_are_sorted_and_those_without_types_keep_their_names() {
    for service in SERVICES {
        assert!(
            service.operations.is_sorted_by(|a, b| a.name < b.name),
            "{}",
            service.name
        );
    }
    assert!(route(&s3::SERVICE, "ListDirectoryBuckets").schema.is_none());
    assert!(route(&dynamodb::SERVICE, "PutItem").schema.is_some());
    assert!(dynamodb::SERVICE.operation("PutItems").is_none());
}

#[test]
fn routes_tell_s3_operations_of_one_path_apart() {
    let http = |name| route(&s3::SERVICE, name).http;
    assert_eq!(
        (http("PutObject").method, http("PutObject").uri),
        ("PUT", "/{Bucket}/{Key+}")
    );
    assert_eq!(
        http("UploadPart").required_query,
        ["partNumber", "uploadId"]
    );
    assert_eq!(http("CopyObject").required_headers, ["x-amz-copy-source"]);
    assert_eq!(http("ListObjectsV2").uri, "/{Bucket}?list-type=2");
    assert_eq!(http("DeleteObject").status, 204);
}

#[test]
fn s3_members_know_where_they_travel() {
    let input = s3::PutObject::SCHEMA.input;
    assert_eq!(member(input, "Bucket").location, Location::Label);
    assert_eq!(member(input, "Key").location, Location::GreedyLabel);
    assert_eq!(member(input, "Metadata").location, Location::PrefixHeaders);
    assert_eq!(member(input, "Metadata").wire, "x-amz-meta-");
    assert!(member(input, "Body").streaming);
    assert_eq!(input.payload, input.member("Body"));
    assert_eq!(
        s3::ListObjectsV2::SCHEMA.output.xml_name,
        "ListBucketResult"
    );
    let contents = member(s3::ListObjectsV2::SCHEMA.output, "Contents");
    assert!(contents.flattened && contents.xml == "Contents");
    let delete = member(s3::DeleteObjects::SCHEMA.input, "Delete");
    let Kind::Structure(delete) = delete.shape.kind else {
        panic!("Delete is a structure")
    };
    assert_eq!(member(delete, "Objects").xml, "Object");
    assert!(s3::GetBucketLocation::SCHEMA.unwrapped_output);
    assert!(s3::DeleteObjects::SCHEMA.checksum.request_required);
}

#[test]
fn sqs_has_both_its_languages() {
    let input = sqs::SendMessage::SCHEMA.input;
    let attributes = member(input, "MessageAttributes");
    assert_eq!(
        (attributes.wire, attributes.query),
        ("MessageAttributes", "MessageAttribute")
    );
    assert!(attributes.query_flattened);
    let Kind::Map { key, value } = &attributes.shape.kind else {
        panic!("a map")
    };
    assert_eq!((key.query, value.query), ("Name", "Value"));
    let names = member(sqs::GetQueueAttributes::SCHEMA.input, "AttributeNames");
    assert_eq!(
        (names.wire, names.query),
        ("AttributeNames", "AttributeName")
    );
    assert_eq!(
        member(sqs::ListQueues::SCHEMA.output, "QueueUrls").xml,
        "QueueUrl"
    );
    assert_eq!(
        sqs::SendMessage::SCHEMA.result_wrapper,
        Some("SendMessageResult")
    );
    assert_eq!(sqs::DeleteMessage::SCHEMA.result_wrapper, None);
}

#[test]
fn errors_have_their_codes() {
    let legacy = Some("AWS.SimpleQueueService.NonExistentQueue");
    assert_eq!(
        error(sqs::SendMessage::SCHEMA, "QueueDoesNotExist"),
        ("QueueDoesNotExist", legacy, 400, true)
    );
    assert_eq!(
        error(sqs::PurgeQueue::SCHEMA, "PurgeQueueInProgress").2,
        403
    );
    assert_eq!(
        error(s3::GetObject::SCHEMA, "NoSuchKey"),
        ("NoSuchKey", None, 404, true)
    );
    assert_eq!(
        error(dynamodb::PutItem::SCHEMA, "InternalServerError"),
        ("InternalServerError", None, 500, false)
    );
    assert_eq!(
        error(dynamodb::PutItem::SCHEMA, "ConditionalCheckFailedException").2,
        400
    );
}

#[test]
fn required_bits_are_those_of_the_required_members() {
    let operations = SERVICES
        .iter()
        .flat_map(|service| service.operations)
        .filter_map(|route| route.schema);
    for schema in operations.flat_map(|operation| [operation.input, operation.output]) {
        let required = schema.members.iter().filter(|member| member.required);
        let bits = required.fold(0, |bits, member| bits | 1 << member.required_bit);
        assert_eq!(bits, schema.required_bits, "{}", schema.name);
    }
}

#[test]
fn enums_keep_values_that_the_model_does_not_have() {
    let mut kind = dynamodb::KeyType::from("RANGE");
    assert_eq!((&kind, kind.as_str()), (&dynamodb::KeyType::Range, "RANGE"));
    kind.set("LATER");
    assert_eq!(
        (&kind, kind.as_str()),
        (&dynamodb::KeyType::Unknown("LATER".into()), "LATER")
    );
    assert_eq!(dynamodb::KeyType::default().as_str(), "");
}

#[test]
fn sensitive_members_stay_out_of_debug_output() {
    let input = s3::PutObjectInput {
        bucket: "b".into(),
        sse_customer_key: Some("hunter2".into()),
        body: b"1234".to_vec().into(),
        ..Default::default()
    };
    assert_eq!(
        format!("{input:?}"),
        r#"PutObjectRequest { Body: <4 bytes>, Bucket: "b", Key: "", SSECustomerKey: <sensitive> }"#
    );
}
