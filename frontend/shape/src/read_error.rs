//! Why a body could not be read, in AWS's words, and the bound on what reading may allocate.

use std::fmt;

use crate::{Kind, Shape};

/// Why a JSON or CBOR body could not be read into a shape.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReadError {
    /// Not the format at all, cut off, or not UTF-8. AWS answers it without a message.
    Syntax {
        /// Where the reader stopped.
        offset: usize,
    },
    /// Nested deeper than any request has reason to be.
    TooDeep,
    /// Many more values than the body's length accounts for: `[{},{},{},…`.
    TooLarge,
    /// A value of another type than the model's.
    Type {
        /// What stands there.
        found: Found,
        /// What should.
        expected: &'static Shape,
        /// Stands in a list or map, not in a structure: AWS words that differently.
        element: bool,
    },
    /// A blob that is not base64.
    Base64(Base64Fault),
    /// A timestamp out of range or in another format.
    Timestamp,
}

/// What a reader met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Text.
    String,
    /// A whole number.
    Integer,
    /// A number with fraction or exponent.
    Decimal,
    /// `true`
    True,
    /// `false`
    False,
    /// A list.
    List,
    /// An object.
    Map,
    /// Bytes; only CBOR has them.
    Blob,
}

/// What is wrong with base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Base64Fault {
    /// Its length is no multiple of four.
    Length(usize),
    /// A character that is not in the alphabet.
    Character(char),
    /// Bits beyond the last byte are set, or padding stands where none can.
    LastCharacter,
}

impl ReadError {
    /// The error code that AWS gives.
    pub const CODE: &'static str = "SerializationException";

    /// AWS's message, where it has one. `namespace` is the service's Java package, its
    /// [`error_namespace`](crate::ServiceSchema::error_namespace).
    pub fn message(&self, namespace: &str) -> Option<String> {
        Some(match self {
            ReadError::Syntax { .. } => return None,
            ReadError::TooDeep => "Nesting is too deep".into(),
            ReadError::TooLarge => "The request holds too many empty values".into(),
            ReadError::Type {
                found,
                expected,
                element,
            } => type_message(*found, expected, *element, namespace),
            ReadError::Base64(Base64Fault::Length(length)) => {
                format!(
                    "Base64 encoded length is expected a multiple of 4 bytes but found: {length}"
                )
            }
            ReadError::Base64(Base64Fault::Character(character)) => {
                format!("Invalid Base64 character: '{character}'")
            }
            // The spelling is AWS's.
            ReadError::Base64(Base64Fault::LastCharacter) => {
                "Invalid last non-pad Base64 character dectected".into()
            }
            ReadError::Timestamp => "Unable to parse a timestamp".into(),
        })
    }
}

/// As DynamoDB words it, by what was found and what the model has.
fn type_message(found: Found, expected: &Shape, element: bool, namespace: &str) -> String {
    let kind = &expected.kind;
    match found {
        Found::Map => "Start of structure or map found where not expected".into(),
        Found::List => format!(
            "Unrecognized collection type {}",
            java_type(expected, namespace)
        ),
        _ if matches!(kind, Kind::Structure(_)) && element => {
            "Unexpected value type in payload".into()
        }
        _ if matches!(kind, Kind::Structure(_) | Kind::List(_) | Kind::Map { .. }) => {
            "Unexpected field type".into()
        }
        _ if matches!(kind, Kind::Blob) => {
            "only base-64-encoded strings are convertible to bytes".into()
        }
        Found::String if matches!(kind, Kind::Boolean) => {
            "Unexpected token received from parser".into()
        }
        _ => format!(
            "{} cannot be converted to {}",
            token(found),
            java_name(kind)
        ),
    }
}

fn token(found: Found) -> &'static str {
    match found {
        Found::String => "STRING_VALUE",
        Found::Integer => "NUMBER_VALUE",
        Found::Decimal => "DECIMAL_VALUE",
        Found::True => "TRUE_VALUE",
        Found::False => "FALSE_VALUE",
        Found::List => "START_ARRAY",
        Found::Map => "START_OBJECT",
        Found::Blob => "BINARY_VALUE",
    }
}

fn java_name(kind: &Kind) -> &'static str {
    match kind {
        Kind::Boolean => "Boolean",
        Kind::Integer => "Integer",
        Kind::Long => "Long",
        Kind::Float => "Float",
        Kind::Double => "Double",
        Kind::Timestamp => "Date",
        Kind::Blob => "ByteBuffer",
        _ => "String",
    }
}

fn java_type(shape: &Shape, namespace: &str) -> String {
    match &shape.kind {
        Kind::Map { value, .. } => {
            let value = java_type(value.shape, namespace);
            format!(
                "java.util.Map<java.lang.String, {}>",
                value.trim_start_matches("class ")
            )
        }
        Kind::List(element) => {
            let element = java_type(element.shape, namespace);
            format!("java.util.List<{}>", element.trim_start_matches("class "))
        }
        Kind::Structure(schema) => format!("class {namespace}.{}", schema.name),
        Kind::Blob => "class java.nio.ByteBuffer".into(),
        Kind::Timestamp => "class java.util.Date".into(),
        kind => format!("class java.lang.{}", java_name(kind)),
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::Syntax { offset } => write!(f, "syntax error at byte {offset}"),
            other => f.write_str(&other.message("").unwrap_or_default()),
        }
    }
}

impl std::error::Error for ReadError {}

/// What reading a body may still allocate for elements of lists and maps.
///
/// A structure of hundreds of bytes can stand on the wire as `{},`: without a bound, 16 MiB of them would take gigabytes.
#[derive(Debug)]
pub struct Budget(usize);

impl Budget {
    /// For a body of `bytes`. Real requests take less than ten bytes a byte, but for short lists of large structures.
    pub fn new(bytes: usize) -> Budget {
        Budget(bytes.saturating_mul(16).saturating_add(256 * 1024))
    }

    /// Takes `bytes` for one element.
    ///
    /// # Errors
    ///
    /// [`ReadError::TooLarge`] when that is more than is left.
    pub fn take(&mut self, bytes: usize) -> Result<(), ReadError> {
        self.0 = self.0.checked_sub(bytes).ok_or(ReadError::TooLarge)?;
        Ok(())
    }
}
