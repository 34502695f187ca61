//! What the service models say, as static tables: everything that a codec, the router and the validator need.
//!
//! `cumulog-model` generates these tables. They hold no behaviour beyond look-ups, so that a new protocol costs one codec
//! and no generated code.

use crate::TimestampFormat;

/// A service: how requests for it look, and which operations it has.
#[derive(Debug)]
pub struct ServiceSchema {
    /// Our name for it, as in `--services`: `s3`, `dynamodb`.
    pub name: &'static str,
    /// botocore's `serviceId`: `S3`, `DynamoDB`.
    pub id: &'static str,
    /// The service in a SigV4 credential scope.
    pub signing_name: &'static str,
    /// First host label of its endpoints.
    pub endpoint_prefix: &'static str,
    /// `Version` of the query protocols: `2012-11-05`.
    pub api_version: &'static str,
    /// `X-Amz-Target` is this, a dot, and the operation.
    pub target_prefix: Option<&'static str>,
    /// All that the service speaks; the preferred one first.
    pub protocols: &'static [Protocol],
    /// `xmlns` of XML answers.
    pub xml_namespace: Option<&'static str>,
    /// Errors also carry their query-protocol code in `x-amzn-query-error`.
    pub query_compatible: bool,
    /// What precedes `#Code` in `__type`: `com.amazonaws.dynamodb.v20120810`.
    pub error_namespace: &'static str,
    /// Every operation of the model, by name, generated or not.
    pub operations: &'static [OperationRoute],
}

impl ServiceSchema {
    /// The operation called `name`, if the model has it.
    pub fn operation(&self, name: &str) -> Option<&'static OperationRoute> {
        let at = self
            .operations
            .binary_search_by(|entry| entry.name.cmp(name))
            .ok()?;
        self.operations.get(at)
    }

    /// Whether the service speaks `protocol`.
    pub fn speaks(&self, protocol: Protocol) -> bool {
        self.protocols.contains(&protocol)
    }
}

/// A wire protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// `application/x-amz-json-1.0`
    Json10,
    /// `application/x-amz-json-1.1`
    Json11,
    /// Form in, XML out.
    Query,
    /// As `Query`, in EC2's spelling.
    Ec2,
    /// Headers, path and query bound to members; JSON bodies.
    RestJson,
    /// Headers, path and query bound to members; XML bodies.
    RestXml,
    /// Smithy RPC v2 with CBOR bodies.
    Cbor,
}

/// An operation's name and how a request for it looks: enough to answer 501 by name.
#[derive(Debug)]
pub struct OperationRoute {
    /// `PutObject`
    pub name: &'static str,
    /// Method, path and what tells it from operations with the same method and path.
    pub http: Http,
    /// Its shapes, when they are generated.
    pub schema: Option<&'static OperationSchema>,
}

/// The HTTP binding of an operation.
#[derive(Debug, Clone, Copy)]
pub struct Http {
    /// `PUT`
    pub method: &'static str,
    /// Path template with fixed query keys: `/{Bucket}/{Key+}?uploads`.
    pub uri: &'static str,
    /// Status of a success whose output names none.
    pub status: u16,
    /// Wire names of required query members: routing needs them all present.
    pub required_query: &'static [&'static str],
    /// Wire names of required header members: routing needs them all present.
    pub required_headers: &'static [&'static str],
}

/// An operation whose shapes are generated.
#[derive(Debug)]
pub struct OperationSchema {
    /// `PutObject`
    pub name: &'static str,
    /// As in its [`OperationRoute`].
    pub http: Http,
    /// The input struct.
    pub input: &'static Schema,
    /// Element that wraps an XML input that has no payload member: S3 Control, Route 53.
    pub input_wrapper: Option<Wrapper>,
    /// The output struct.
    pub output: &'static Schema,
    /// Without one, answers of the RPC protocols have no body at all.
    pub has_output: bool,
    /// The output's only member is the answer's root element: S3's GetBucketLocation.
    pub unwrapped_output: bool,
    /// `SendMessageResult`: the element around a query protocol's output.
    pub result_wrapper: Option<&'static str>,
    /// Error shapes that the model names.
    pub errors: &'static [&'static Schema],
    /// Checksums of the HTTP body.
    pub checksum: Checksum,
    /// `authtype: none`: callers may leave the request unsigned.
    pub unsigned: bool,
}

/// An element around an XML body.
#[derive(Debug, Clone, Copy)]
pub struct Wrapper {
    /// Its name.
    pub name: &'static str,
    /// Its `xmlns`.
    pub namespace: Option<XmlNamespace>,
}

/// The `httpChecksum` trait.
#[derive(Debug, Clone, Copy)]
pub struct Checksum {
    /// A request without any checksum is refused.
    pub request_required: bool,
    /// Input member (model name) that names the request's algorithm.
    pub request_algorithm: Option<&'static str>,
    /// Input member (model name) that asks for the answer's checksum.
    pub response_mode: Option<&'static str>,
    /// `CRC32`, …: what an answer may carry.
    pub response_algorithms: &'static [&'static str],
}

/// One structure or union.
#[derive(Debug)]
pub struct Schema {
    /// The model's name; Java's `toString` prints it.
    pub name: &'static str,
    /// Root element of an XML body: `ListBucketResult`.
    pub xml_name: &'static str,
    /// Members in model order; their indexes are those of [`Struct::get`](crate::Struct::get).
    pub members: &'static [Member],
    /// A bit for each required member: what [`Seen`](crate::Seen) must come to.
    pub required_bits: u64,
    /// Exactly one member is set.
    pub union: bool,
    /// Member that is the whole HTTP body.
    pub payload: Option<usize>,
    /// `xmlns` of the shape, and its prefix.
    pub xml_namespace: Option<XmlNamespace>,
    /// Its values stay out of messages and logs.
    pub sensitive: bool,
    /// Set on error shapes.
    pub error: Option<ErrorTrait>,
}

impl Schema {
    /// Index of the member whose name in `names` is `name`. Looks at `hint` first: senders mostly keep the model's order.
    pub fn find(
        &self,
        name: &str,
        hint: usize,
        names: fn(&Member) -> &'static str,
    ) -> Option<usize> {
        let count = self.members.len();
        let hint = if hint < count { hint } else { 0 };
        (hint..count)
            .chain(0..hint)
            .find(|&i| names(&self.members[i]) == name)
    }

    /// Index of the member called `name` in the model.
    pub fn member(&self, name: &str) -> Option<usize> {
        self.find(name, 0, |member| member.name)
    }
}

/// What the model says of an error shape.
#[derive(Debug, Clone, Copy)]
pub struct ErrorTrait {
    /// `ResourceNotFoundException`; what `__type` and `<Code>` say.
    pub code: &'static str,
    /// The query protocol's code where it differs: `AWS.SimpleQueueService.NonExistentQueue`.
    pub query_code: Option<&'static str>,
    /// HTTP status.
    pub status: u16,
    /// Whose fault: `Sender` unless the server's.
    pub sender: bool,
}

/// One member of a structure.
#[derive(Debug)]
pub struct Member {
    /// The model's name: `QueueUrl`.
    pub name: &'static str,
    /// Name on the wire: JSON key, header (or header prefix), query key, URI label.
    pub wire: &'static str,
    /// Name in XML bodies.
    pub xml: &'static str,
    /// Name in form parameters.
    pub query: &'static str,
    /// Where it travels.
    pub location: Location,
    /// Its type and limits.
    pub shape: &'static Shape,
    /// Must be present.
    pub required: bool,
    /// Number among the required members (at most 64), so that a reader keeps them in a bit set.
    pub required_bit: u8,
    /// List or map without a wrapping element, in XML.
    pub flattened: bool,
    /// List or map without a wrapping name, in forms.
    pub query_flattened: bool,
    /// Written as an attribute of the parent element.
    pub xml_attribute: bool,
    /// `xmlns` of the member's element.
    pub xml_namespace: Option<XmlNamespace>,
    /// Overrides the shape's and the location's.
    pub timestamp: Option<TimestampFormat>,
    /// Clients fill it with a UUID when absent.
    pub idempotency_token: bool,
    /// JSON in a string, base64 when in a header.
    pub json_value: bool,
    /// A blob that is not read into memory.
    pub streaming: bool,
    /// Carries the context of an event: `eventpayload`, `eventheader`.
    pub event: Option<Event>,
}

impl Member {
    /// How a timestamp is written here; `default` is that of the protocol and location.
    pub fn timestamp_format(&self, default: TimestampFormat) -> TimestampFormat {
        self.timestamp.or(self.shape.timestamp).unwrap_or(default)
    }

    /// Whether its value stays out of messages and logs.
    pub fn sensitive(&self) -> bool {
        self.shape.is_sensitive()
    }
}

/// A part of an event-stream message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The message's payload.
    Payload,
    /// One of its headers.
    Header,
}

/// Where a member travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Location {
    /// In the body (or, with [`Schema::payload`], as the body).
    Body,
    /// Header `wire`.
    Header,
    /// Every header that begins with `wire`.
    PrefixHeaders,
    /// One path segment.
    Label,
    /// The rest of the path, slashes included.
    GreedyLabel,
    /// Query key `wire`; a map member takes every other key.
    Query,
    /// The response's status code.
    Status,
}

/// `xmlns[:prefix]="uri"`
#[derive(Debug, Clone, Copy)]
pub struct XmlNamespace {
    /// The URI.
    pub uri: &'static str,
    /// The prefix, if any.
    pub prefix: Option<&'static str>,
}

/// A type with its limits.
#[derive(Debug)]
pub struct Shape {
    /// The model's name.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Least length of strings (in UTF-16 units), blobs, lists, maps; least value of numbers.
    pub min: Option<Bound>,
    /// Greatest length or value.
    pub max: Option<Bound>,
    /// Java regular expression that the whole string must match.
    pub pattern: Option<&'static str>,
    /// Stays out of messages and logs.
    pub sensitive: bool,
    /// A union whose members are the events of an event stream.
    pub event_stream: bool,
    /// Overrides the location's.
    pub timestamp: Option<TimestampFormat>,
}

impl Shape {
    /// Whether its value stays out of messages and logs.
    pub fn is_sensitive(&self) -> bool {
        self.sensitive || matches!(self.kind, Kind::Structure(schema) if schema.sensitive)
    }
}

/// A limit of length or value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    /// Of lengths and whole numbers.
    Int(i64),
    /// Of `float` and `double`.
    Float(f64),
}

/// What a shape is.
#[derive(Debug)]
pub enum Kind {
    /// Bytes.
    Blob,
    /// `true` or `false`.
    Boolean,
    /// Any JSON.
    Document,
    /// `f64`
    Double,
    /// `f32`
    Float,
    /// `i32`
    Integer,
    /// `i64`
    Long,
    /// Text.
    String,
    /// Text out of a list, in the model's order.
    Enum(&'static [&'static str]),
    /// A point in time.
    Timestamp,
    /// A list of one type.
    List(Element),
    /// A map from text to one type.
    Map {
        /// Its keys; always text.
        key: Element,
        /// Its values.
        value: Element,
    },
    /// A structure or union.
    Structure(&'static Schema),
}

/// What stands inside a list or a map.
#[derive(Debug, Clone, Copy)]
pub struct Element {
    /// Its type.
    pub shape: &'static Shape,
    /// Its element in XML: `member`, `entry`'s `key` and `value`, or a name of its own.
    pub xml: &'static str,
    /// Its name in form parameters.
    pub query: &'static str,
    /// `xmlns` of its element.
    pub xml_namespace: Option<XmlNamespace>,
}
