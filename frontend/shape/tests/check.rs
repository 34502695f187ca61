//! The validator's messages, word for word as AWS gave them to requests like these.

mod schemas;

use cumulog_model::dynamodb::{
    BatchWriteItemInput, CreateTableInput, ListTablesInput, PutItemInput,
};
use cumulog_shape::check::{Dialect, check};
use cumulog_shape::{Bound, Kind, Member, Schema, Shape, Struct, Value, json};
use schemas::{list, map, member, schema, shape};

static STRING: Shape = shape("String", Kind::String);
static ARCHITECTURE: Shape = shape("Architecture", Kind::Enum(&["x86_64", "arm64"]));
static SUBNET_ID: Shape = Shape {
    min: Some(Bound::Int(0)),
    max: Some(Bound::Int(1024)),
    pattern: Some("subnet-[0-9a-z]*"),
    ..shape("SubnetId", Kind::String)
};
static RULE_NAME: Shape = Shape {
    max: Some(Bound::Int(64)),
    pattern: Some(r"[\.\-_A-Za-z0-9]+"),
    ..shape("RuleName", Kind::String)
};
static LIMIT: Shape = Shape {
    min: Some(Bound::Int(1)),
    max: Some(Bound::Int(10000)),
    ..shape("Limit", Kind::Integer)
};
static PLAINTEXT: Shape = Shape {
    max: Some(Bound::Int(3)),
    sensitive: true,
    ..shape("PlaintextType", Kind::Blob)
};
static VERSION: Shape = Shape {
    pattern: Some("[0-9]+"),
    ..shape("AdditionalVersion", Kind::String)
};
static WEIGHT: Shape = Shape {
    min: Some(Bound::Float(0.0)),
    max: Some(Bound::Float(1.0)),
    ..shape("Weight", Kind::Double)
};
static ROUTE: Shape = shape(
    "RoutingConfigurationListItem",
    Kind::Structure(&ROUTE_SCHEMA),
);
static ROUTE_SCHEMA: Schema = schema(
    "RoutingConfigurationListItem",
    &[
        member("stateMachineVersionArn", &STRING),
        member("weight", &ROUTE_WEIGHT),
        Member {
            shape: &SECRET,
            ..member("token", &SECRET)
        },
    ],
);
static ROUTE_WEIGHT: Shape = Shape {
    max: Some(Bound::Int(100)),
    ..shape("VersionWeight", Kind::Integer)
};
static SECRET: Shape = Shape {
    sensitive: true,
    ..shape("Secret", Kind::String)
};
static INPUT: Schema = schema(
    "Input",
    &[
        member("Name", &RULE_NAME),
        member("Limit", &LIMIT),
        member("Plaintext", &PLAINTEXT),
        member("Architectures", &ARCHITECTURES),
        member("SubnetIds", &SUBNET_IDS),
        member("AdditionalVersionWeights", &WEIGHTS),
        member("RoutingConfiguration", &ROUTES),
    ],
);
static ARCHITECTURES: Shape = Shape {
    max: Some(Bound::Int(1)),
    ..list("ArchitecturesList", &ARCHITECTURE)
};
static SUBNET_IDS: Shape = list("SubnetIds", &SUBNET_ID);
static WEIGHTS: Shape = map("AdditionalVersionWeights", &VERSION, &WEIGHT);
static ROUTES: Shape = Shape {
    max: Some(Bound::Int(2)),
    ..list("RoutingConfigurationList", &ROUTE)
};

/// Without `Member must not be null` for elements, as DynamoDB has it.
const OLD: Dialect = Dialect {
    element_not_null: false,
    ..Dialect::COMMON
};

fn message(mut input: impl Struct, dialect: &Dialect, body: &str) -> Option<String> {
    let missing = json::read(body.as_bytes(), &mut input).expect("the body is read");
    check(&input, &missing, dialect)
}

#[track_caller]
fn check_one(body: &str, finding: &str) {
    let expected = format!("1 validation error detected: {finding}");
    assert_eq!(
        message(Value::new(&INPUT), &Dialect::COMMON, body),
        Some(expected),
        "{body}"
    );
}

#[track_caller]
fn check_dynamodb<T: Struct + Default>(body: &str, findings: &[&str]) {
    let plural = if findings.len() == 1 { "" } else { "s" };
    let expected = format!(
        "{} validation error{plural} detected: {}",
        findings.len(),
        findings.join("; ")
    );
    assert_eq!(message(T::default(), &OLD, body), Some(expected), "{body}");
}

#[test]
fn a_sound_request_has_no_findings() {
    let body = r#"{"Name":"a.b-c","Limit":1,"Plaintext":"AQI=","Architectures":["arm64"],"SubnetIds":["subnet-1"],
        "AdditionalVersionWeights":{"2":0.5},"RoutingConfiguration":[{"weight":100},{}]}"#;
    assert_eq!(message(Value::new(&INPUT), &Dialect::COMMON, body), None);
    assert_eq!(message(Value::new(&INPUT), &Dialect::COMMON, "{}"), None);
}

#[test]
fn scalars_are_reported_where_they_stand() {
    check_one(
        r#"{"Limit":10001}"#,
        "Value '10001' at 'limit' failed to satisfy constraint: Member must have value less than or equal to 10000",
    );
    check_one(
        r#"{"Limit":0}"#,
        "Value '0' at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1",
    );
    check_one(
        r#"{"Name":"Invalid Name With Spaces!"}"#,
        r"Value 'Invalid Name With Spaces!' at 'name' failed to satisfy constraint: Member must satisfy regular expression pattern: [\.\-_A-Za-z0-9]+",
    );
    check_one(
        r#"{"RoutingConfiguration":[{"weight":101}]}"#,
        "Value '101' at 'routingConfiguration.1.member.weight' failed to satisfy constraint: Member must have value less than or equal to 100",
    );
}

#[test]
fn one_value_can_break_several_rules() {
    let name = "This should fail with two errors 123467890123412341234123412341234";
    let expected = format!(
        "2 validation errors detected: Value '{name}' at 'name' failed to satisfy constraint: Member must satisfy regular \
         expression pattern: [\\.\\-_A-Za-z0-9]+; Value '{name}' at 'name' failed to satisfy constraint: Member must have \
         length less than or equal to 64"
    );
    assert_eq!(
        message(
            Value::new(&INPUT),
            &Dialect::COMMON,
            &format!(r#"{{"Name":"{name}"}}"#)
        ),
        Some(expected)
    );
}

#[test]
fn elements_are_reported_once_at_their_list_or_map() {
    check_one(
        r#"{"Architectures":["X86_64"]}"#,
        "Value '[X86_64]' at 'architectures' failed to satisfy constraint: Member must satisfy constraint: [Member must satisfy enum value set: [x86_64, arm64], Member must not be null]",
    );
    check_one(
        r#"{"Architectures":["x86_64","arm64"]}"#,
        "Value '[x86_64, arm64]' at 'architectures' failed to satisfy constraint: Member must have length less than or equal to 1",
    );
    check_one(
        r#"{"SubnetIds":["a","subnet-1","b",null]}"#,
        "Value '[a, subnet-1, b, null]' at 'subnetIds' failed to satisfy constraint: Member must satisfy constraint: [Member must have length less than or equal to 1024, Member must have length greater than or equal to 0, Member must satisfy regular expression pattern: subnet-[0-9a-z]*, Member must not be null]",
    );
    check_one(
        r#"{"AdditionalVersionWeights":{"2":2}}"#,
        "Value '{2=2.0}' at 'additionalVersionWeights' failed to satisfy constraint: Map value must satisfy constraint: [Member must have value less than or equal to 1.0, Member must have value greater than or equal to 0.0, Member must not be null]",
    );
    check_one(
        r#"{"AdditionalVersionWeights":{"a":0.25,"b":1}}"#,
        "Value '{a=0.25, b=1.0}' at 'additionalVersionWeights' failed to satisfy constraint: Map keys must satisfy constraint: [Member must satisfy regular expression pattern: [0-9]+, Member must not be null]",
    );
}

#[test]
fn sensitive_values_stay_out() {
    check_one(
        r#"{"Plaintext":"AQIDBA=="}"#,
        "Value at 'plaintext' failed to satisfy constraint: Member must have length less than or equal to 3",
    );
    check_one(
        r#"{"RoutingConfiguration":[{"weight":1,"token":"hunter2"},{},{}]}"#,
        "Value '[RoutingConfigurationListItem(stateMachineVersionArn=null, weight=1, token=*** Sensitive Data Redacted ***), \
         RoutingConfigurationListItem(stateMachineVersionArn=null, weight=null, token=*** Sensitive Data Redacted ***), \
         RoutingConfigurationListItem(stateMachineVersionArn=null, weight=null, token=*** Sensitive Data Redacted ***)]' at \
         'routingConfiguration' failed to satisfy constraint: Member must have length less than or equal to 2",
    );
}

#[test]
fn missing_members_are_null_and_nothing_else() {
    check_dynamodb::<PutItemInput>(
        r#"{"TableName":"t"}"#,
        &["Value null at 'item' failed to satisfy constraint: Member must not be null"],
    );
    check_dynamodb::<CreateTableInput>(
        r#"{"TableName":"table","KeySchema":[{"KeyType":"HASH"}],"AttributeDefinitions":[{"AttributeName":"a","AttributeType":"X"}]}"#,
        &[
            "Value 'X' at 'attributeDefinitions.1.member.attributeType' failed to satisfy constraint: Member must satisfy enum value set: [B, N, S]",
            "Value null at 'keySchema.1.member.attributeName' failed to satisfy constraint: Member must not be null",
        ],
    );
}

#[test]
fn structures_in_lists_in_maps_have_long_paths() {
    check_dynamodb::<BatchWriteItemInput>(
        r#"{"RequestItems":{"aa;":[{"PutRequest":{},"DeleteRequest":{}}]},"ReturnConsumedCapacity":"hi"}"#,
        &[
            "Value null at 'requestItems.aa;.member.1.member.putRequest.item' failed to satisfy constraint: Member must not be null",
            "Value null at 'requestItems.aa;.member.1.member.deleteRequest.key' failed to satisfy constraint: Member must not be null",
            "Value 'hi' at 'returnConsumedCapacity' failed to satisfy constraint: Member must satisfy enum value set: [INDEXES, TOTAL, NONE]",
        ],
    );
    check_dynamodb::<BatchWriteItemInput>(
        r#"{"RequestItems":{"abc":[]}}"#,
        &[
            "Value '{abc=[]}' at 'requestItems' failed to satisfy constraint: Map value must satisfy constraint: [Member must have length less than or equal to 25, Member must have length greater than or equal to 1]",
        ],
    );
    check_dynamodb::<BatchWriteItemInput>(
        r#"{"RequestItems":{}}"#,
        &[
            "Value '{}' at 'requestItems' failed to satisfy constraint: Member must have length greater than or equal to 1",
        ],
    );
}

#[test]
fn structures_print_as_java_does() {
    static NAME: Shape = shape("KeySchemaAttributeName", Kind::String);
    static ELEMENT: Shape = shape("KeySchemaElement", Kind::Structure(&ELEMENT_SCHEMA));
    static ELEMENT_SCHEMA: Schema = schema(
        "KeySchemaElement",
        &[member("AttributeName", &NAME), member("KeyType", &NAME)],
    );
    static KEY_SCHEMA: Shape = Shape {
        max: Some(Bound::Int(2)),
        ..list("KeySchema", &ELEMENT)
    };
    static TABLE: Schema = schema("Table", &[member("KeySchema", &KEY_SCHEMA)]);
    let body =
        r#"{"KeySchema":[{"AttributeName":"pk","KeyType":"HASH"},{"AttributeName":"sk"},{}]}"#;
    let expected = "1 validation error detected: Value '[KeySchemaElement(attributeName=pk, keyType=HASH), \
        KeySchemaElement(attributeName=sk, keyType=null), KeySchemaElement(attributeName=null, keyType=null)]' at \
        'keySchema' failed to satisfy constraint: Member must have length less than or equal to 2";
    assert_eq!(
        message(Value::new(&TABLE), &OLD, body).as_deref(),
        Some(expected)
    );
}

#[test]
fn at_most_ten_findings_are_reported() {
    let routes = r#"{"weight":101},"#.repeat(50);
    let body = format!(r#"{{"RoutingConfiguration":[{}{{}}]}}"#, routes);
    let message = message(Value::new(&INPUT), &Dialect::COMMON, &body).expect("has findings");
    assert!(message.starts_with("10 validation errors detected: "));
    assert_eq!(message.matches(" at '").count(), 10);
}

#[test]
fn a_long_value_is_cut() {
    let body = format!(r#"{{"Name":"{}"}}"#, "é".repeat(1_000_000));
    assert!(
        message(Value::new(&INPUT), &Dialect::COMMON, &body)
            .expect("is too long")
            .len()
            < 200_000
    );
}

#[test]
fn lengths_are_utf_16_units() {
    let smiles = |count| {
        format!(
            r#"{{"Plaintext":"","SubnetIds":["{}"]}}"#,
            "😀".repeat(count)
        )
    };
    let dialect = Dialect {
        skip: |_, member| member.name == "Name",
        ..OLD
    };
    let length = |count| {
        message(Value::new(&INPUT), &dialect, &smiles(count)).expect("the pattern is broken")
    };
    assert_eq!(length(512).matches("failed").count(), 1);
    static NAME: Shape = Shape {
        max: Some(Bound::Int(4)),
        ..shape("Name", Kind::String)
    };
    static ONLY: Schema = schema("Only", &[member("Name", &NAME)]);
    let sound =
        |name: &str| message(Value::new(&ONLY), &OLD, &format!(r#"{{"Name":"{name}"}}"#)).is_none();
    assert!(sound("😀😀") && sound("éééé") && !sound("😀😀a") && !sound("abcde"));
}

#[test]
fn a_service_can_skip_members() {
    let dialect = Dialect {
        skip: |schema, member| schema.name == "ListTablesInput" && member.name == "Limit",
        ..OLD
    };
    let body = r#"{"Limit":0,"ExclusiveStartTableName":"t"}"#;
    assert!(
        message(ListTablesInput::default(), &OLD, body).is_some_and(|text| text.contains("limit"))
    );
    assert!(
        message(ListTablesInput::default(), &dialect, body)
            .is_none_or(|text| !text.contains("limit"))
    );
}
