//! What a message carries: its body and attributes, checked in AWS's words, measured and digested.
//!
//! All of this happens before the transaction, on the caller's own time: only what depends on the queue is left for it.

use super::digest::{self, Md5Bytes};
use super::error::{Result, SqsError};
use super::rows::{AttributeRow, AttributeValue};
use cumulog_model::sqs as model;
use cumulog_shape::Map;

const NAME_BYTES_MAX: usize = 256;
const ATTRIBUTES_MAX: usize = 10;
const TRACE_HEADER: &str = "AWSTraceHeader";

/// A checked body with its attributes.
#[derive(Debug, Clone)]
pub(crate) struct Payload {
    pub(crate) body: String,
    pub(crate) body_md5: Md5Bytes,
    pub(crate) attributes: Vec<AttributeRow>,
    pub(crate) attributes_md5: Option<Md5Bytes>,
    pub(crate) trace_header: Option<String>,
    pub(crate) system_attributes_md5: Option<Md5Bytes>,
    /// What counts towards the size limits: the body, and the names, types and values of the attributes.
    pub(crate) bytes: usize,
}

impl Payload {
    pub(crate) fn check(
        body: String,
        attributes: Option<Map<model::MessageAttributeValue>>,
        system_attributes: Option<Map<model::MessageSystemAttributeValue>>,
    ) -> Result<Payload> {
        if body.is_empty() {
            return Err(SqsError::MissingParameter("MessageBody"));
        }
        if !is_text(&body) {
            return Err(SqsError::InvalidMessageContents);
        }
        let attributes = check_attributes(attributes.unwrap_or_default())?;
        let system = check_system_attributes(system_attributes.unwrap_or_default())?;
        Ok(Payload {
            body_md5: digest::of_body(&body),
            attributes_md5: digest::of_attributes(&attributes),
            system_attributes_md5: digest::of_attributes(&system),
            bytes: body.len() + attributes.iter().map(attribute_bytes).sum::<usize>(),
            trace_header: system
                .into_iter()
                .next()
                .map(|attribute| match attribute.value {
                    AttributeValue::Text(text) => text,
                    AttributeValue::Bytes(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
                }),
            body,
            attributes,
        })
    }
}

/// What a message counts before it is checked.
pub(crate) fn unchecked_bytes(
    body: &str,
    attributes: Option<&Map<model::MessageAttributeValue>>,
) -> usize {
    let attributes = attributes
        .into_iter()
        .flat_map(Map::iter)
        .map(|(name, attribute)| {
            name.len()
                + attribute.data_type.len()
                + attribute.string_value.as_ref().map_or(0, String::len)
                + attribute.binary_value.as_ref().map_or(0, bytes::Bytes::len)
        });
    body.len() + attributes.sum::<usize>()
}

fn attribute_bytes(attribute: &AttributeRow) -> usize {
    let value_bytes = match &attribute.value {
        AttributeValue::Text(text) => text.len(),
        AttributeValue::Bytes(bytes) => bytes.len(),
    };
    attribute.name.len() + attribute.data_type.len() + value_bytes
}

/// XML's characters: #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF.
fn is_text(text: &str) -> bool {
    let refused = |byte: u8| byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r');
    // U+FFFE and U+FFFF are EF BF BE and EF BF BF.
    !text.bytes().any(refused) && !text.contains(['\u{FFFE}', '\u{FFFF}'])
}

fn check_attributes(attributes: Map<model::MessageAttributeValue>) -> Result<Vec<AttributeRow>> {
    if attributes.len() > ATTRIBUTES_MAX {
        return Err(SqsError::InvalidParameter(format!(
            "Number of message attributes [{}] exceeds the allowed maximum [{ATTRIBUTES_MAX}].",
            attributes.len()
        )));
    }
    attributes
        .into_iter()
        .map(|(name, attribute)| check_attribute(name, attribute))
        .collect()
}

fn check_attribute(name: String, attribute: model::MessageAttributeValue) -> Result<AttributeRow> {
    check_attribute_name(&name)?;
    let data_type = attribute.data_type;
    let kind = check_data_type(&name, &data_type)?;
    if attribute
        .string_list_values
        .is_some_and(|list| !list.is_empty())
        || attribute
            .binary_list_values
            .is_some_and(|list| !list.is_empty())
    {
        return Err(SqsError::UnsupportedOperation(
            "Message attribute list values in SendMessage operation are not supported.".to_owned(),
        ));
    }
    let value = attribute_value(&name, kind, attribute.string_value, attribute.binary_value)?;
    Ok(AttributeRow {
        name,
        data_type,
        value,
    })
}

/// The one value that fits the type.
fn attribute_value(
    name: &str,
    kind: &str,
    text: Option<String>,
    bytes: Option<bytes::Bytes>,
) -> Result<AttributeValue> {
    let text = text.filter(|text| !text.is_empty());
    let bytes = bytes.filter(|bytes| !bytes.is_empty());
    let wrong_field = |field| {
        Err(SqsError::InvalidParameter(format!(
            "The message attribute '{name}' with type '{kind}' must use field '{field}'."
        )))
    };
    match (kind, text, bytes) {
        ("Binary", Some(_), _) => wrong_field("Binary"),
        ("Binary", None, Some(bytes)) => Ok(AttributeValue::Bytes(bytes.to_vec())),
        (_, None, None) => Err(SqsError::InvalidParameter(format!(
            "The message attribute '{name}' must contain non-empty message attribute value for message attribute type \
             '{kind}'."
        ))),
        (_, _, Some(_)) => wrong_field("String"),
        (_, Some(text), None) => {
            check_attribute_text(name, kind, &text)?;
            Ok(AttributeValue::Text(text))
        }
    }
}

fn check_attribute_text(name: &str, kind: &str, text: &str) -> Result<()> {
    if !is_text(text) {
        return Err(SqsError::InvalidParameter(
            SqsError::InvalidMessageContents.to_string(),
        ));
    }
    if kind == "Number" && !is_number(text) {
        return Err(SqsError::InvalidParameter(format!(
            "Can't cast the value of message (user) attribute '{name}' to a number."
        )));
    }
    Ok(())
}

fn is_number(text: &str) -> bool {
    let plain = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    plain && text.parse::<f64>().is_ok()
}

fn check_attribute_name(name: &str) -> Result<()> {
    let invalid = |text: &str| Err(SqsError::InvalidParameter(text.to_owned()));
    let lower = name.to_ascii_lowercase();
    if name.len() >= NAME_BYTES_MAX {
        return invalid("Message (user) attribute names must be shorter than 256 Bytes");
    }
    if name.is_empty()
        || !name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    {
        return invalid(
            "Message (user) attributes name can only contain upper and lower score characters, digits, periods, \
             hyphens and underscores. ",
        );
    }
    let reserved = lower.starts_with("aws.") || lower.starts_with("amazon.");
    if reserved || name.starts_with('.') || name.ends_with('.') || name.contains("..") {
        return invalid(
            "You can't use message attribute names beginning with 'AWS.' or 'Amazon.'. These strings are reserved for \
             internal use. Additionally, they cannot start or end with '.'.",
        );
    }
    Ok(())
}

/// The logical type: `String`, `Number` or `Binary`, without the custom label that may follow a period.
fn check_data_type<'a>(name: &str, data_type: &'a str) -> Result<&'a str> {
    if data_type.is_empty() {
        return Err(SqsError::InvalidParameter(format!(
            "The message attribute '{name}' must contain non-empty message attribute type."
        )));
    }
    if data_type.len() >= NAME_BYTES_MAX {
        return Err(SqsError::InvalidParameter(
            "Message (user) attribute types must be shorter than 256 Bytes".to_owned(),
        ));
    }
    let kind = data_type.split('.').next().unwrap_or_default();
    if !matches!(kind, "String" | "Number" | "Binary") {
        return Err(SqsError::InvalidParameter(format!(
            "The type of message (user) attribute '{name}' is invalid. You must use only the following supported type \
             prefixes: Binary, Number, String."
        )));
    }
    Ok(kind)
}

/// System attributes: there is one, the trace header, and it is text.
fn check_system_attributes(
    attributes: Map<model::MessageSystemAttributeValue>,
) -> Result<Vec<AttributeRow>> {
    attributes
        .into_iter()
        .map(|(name, attribute)| check_system_attribute(name, attribute))
        .collect()
}

fn check_system_attribute(
    name: String,
    attribute: model::MessageSystemAttributeValue,
) -> Result<AttributeRow> {
    if name != TRACE_HEADER {
        return Err(SqsError::InvalidParameter(format!(
            "Message system attribute name '{name}' is invalid."
        )));
    }
    let text = attribute
        .string_value
        .filter(|text| !text.is_empty() && attribute.data_type == "String");
    let text = text.ok_or_else(|| {
        SqsError::InvalidParameter(format!(
            "The message system attribute '{TRACE_HEADER}' must contain non-empty message system attribute value for \
             message system attribute type 'String'."
        ))
    })?;
    Ok(AttributeRow {
        name,
        data_type: attribute.data_type,
        value: AttributeValue::Text(text),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(data_type: &str, text: Option<&str>) -> model::MessageAttributeValue {
        model::MessageAttributeValue {
            data_type: data_type.into(),
            string_value: text.map(str::to_owned),
            ..Default::default()
        }
    }

    #[test]
    fn bodies_are_xml_text() {
        fn check(body: &str, valid: bool) {
            assert_eq!(
                Payload::check(body.into(), None, None).is_ok(),
                valid,
                "{body:?}"
            );
        }
        check("plain, \u{e9}\u{1F600}\t\r\n", true);
        check("\u{FFFD}\u{E000}\u{10FFFF}", true);
        check("", false);
        check("\0", false);
        check("a\u{B}", false);
        check("a\u{FFFE}", false);
        check("a\u{FFFF}", false);
    }

    #[test]
    fn attributes_are_checked() {
        fn check(name: &str, value: model::MessageAttributeValue, valid: bool) {
            let attributes = [(name.to_owned(), value)].into_iter().collect();
            let result = Payload::check("x".into(), Some(attributes), None);
            assert_eq!(result.is_ok(), valid, "{name}: {result:?}");
        }
        let text = |text| attribute("String", Some(text));
        check("name-1.a_b", text("x"), true);
        check(&"a".repeat(255), text("x"), true);
        check(&"a".repeat(256), text("x"), false);
        for name in ["", ".a", "a.", "a..b", "AWS.a", "amazon.a", "a b", "\u{e9}"] {
            check(name, text("x"), false);
        }
        check("a", text(""), false);
        check("a", text("\u{1}"), false);
        check("a", attribute("String", None), false);
        check("a", attribute("Binary", Some("x")), false);
        let both = model::MessageAttributeValue {
            binary_value: Some("x".into()),
            ..text("x")
        };
        check("a", both, false);
        check("a", attribute("", Some("x")), false);
        check("a", attribute("Text", Some("x")), false);
        check("a", attribute("String.custom", Some("x")), true);
        check("a", attribute("Number", Some("-1.5e3")), true);
        check("a", attribute("Number.int", Some("seven")), false);
        check("a", attribute("Number", Some("inf")), false);
    }

    #[test]
    fn the_size_counts_bodies_and_attributes() {
        let attributes: Map<_> = [("name".to_owned(), attribute("String", Some("value")))]
            .into_iter()
            .collect();
        assert_eq!(unchecked_bytes("\u{e9}", Some(&attributes)), 2 + 4 + 6 + 5);
        let payload = Payload::check("\u{e9}".into(), Some(attributes), None).expect("is valid");
        assert_eq!(payload.bytes, 2 + 4 + 6 + 5);
    }
}
