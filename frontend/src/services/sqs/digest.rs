//! The MD5 digests by which SDKs check what SQS took and gave.

use super::rows::{AttributeRow, AttributeValue};
use md5::{Digest, Md5};

/// An MD5 digest.
pub(crate) type Md5Bytes = [u8; 16];

/// The digest of a body.
pub(crate) fn of_body(body: &str) -> Md5Bytes {
    Md5::digest(body.as_bytes()).into()
}

/// The digest of message attributes, sorted by name.
///
/// ```text
/// length of the name (4 bytes, big-endian), name
/// length of the data type, data type
/// 1: string or number, 2: binary
/// length of the value, value
/// ```
///
/// `None` if there are none: AWS then leaves the member out.
pub(crate) fn of_attributes<'a>(
    attributes: impl IntoIterator<Item = &'a AttributeRow>,
) -> Option<Md5Bytes> {
    let mut sorted: Vec<&AttributeRow> = attributes.into_iter().collect();
    if sorted.is_empty() {
        return None;
    }
    sorted.sort_by(|a, b| a.name.cmp(&b.name));
    let mut digest = Md5::new();
    for attribute in sorted {
        add(&mut digest, attribute.name.as_bytes());
        add(&mut digest, attribute.data_type.as_bytes());
        match &attribute.value {
            AttributeValue::Text(text) => {
                digest.update([1]);
                add(&mut digest, text.as_bytes());
            }
            AttributeValue::Bytes(bytes) => {
                digest.update([2]);
                add(&mut digest, bytes);
            }
        }
    }
    Some(digest.finalize().into())
}

fn add(digest: &mut Md5, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).expect("a message is below 4 GiB");
    digest.update(length.to_be_bytes());
    digest.update(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hex::lower as hex;

    fn text(name: &str, data_type: &str, value: &str) -> AttributeRow {
        AttributeRow {
            name: name.into(),
            data_type: data_type.into(),
            value: AttributeValue::Text(value.into()),
        }
    }

    /// The digests that AWS itself answered.
    #[test]
    fn attribute_digests_are_those_of_aws() {
        fn check(attributes: &[AttributeRow], expected: &str) {
            assert_eq!(
                of_attributes(attributes).map(|md5| hex(&md5)).as_deref(),
                Some(expected)
            );
        }
        let hello = text("Hello", "String", "There");
        let general = text("General", "String", "Kenobi");
        let help = text("Help.Me", "String", "Me");
        check(
            &[text("Foo", "String", "Bar")],
            "ae7155c6026991b6d54b11589678bf9c",
        );
        check(
            std::slice::from_ref(&hello),
            "a311262e065454b75da111d535b8dacd",
        );
        check(
            &[hello.clone(), general.clone()],
            "fca026605781cb4126a1e9044df24232",
        );
        check(
            &[hello.clone(), help.clone()],
            "83fee93c1bcd8b9a5a923ffacdc636c7",
        );
        check(&[hello, general, help], "4c360f3fdafd970e05fae2f149d997f5");
        check(
            &[text("MyAttribute", "String", "foobar")],
            "adb59cd4678ea5a855436b949cd07ab6",
        );
    }

    #[test]
    fn binary_values_count_as_binary() {
        let value = |value| {
            [AttributeRow {
                name: "a".into(),
                data_type: "Binary".into(),
                value,
            }]
        };
        let bytes = of_attributes(&value(AttributeValue::Bytes(b"x".to_vec())));
        let text = of_attributes(&value(AttributeValue::Text("x".into())));
        assert_ne!(bytes, text);
        assert_eq!(of_attributes(&[]), None);
    }

    #[test]
    fn body_digests_are_md5() {
        assert_eq!(hex(&of_body("test")), "098f6bcd4621d373cade4e832627b4f6");
    }
}
