//! Writes elements without indentation, escaped so that what was said is what is read.

/// The declaration that every AWS answer begins with.
pub(crate) const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

/// Appends elements to a buffer. Balancing them is the caller's affair.
pub(crate) struct Writer<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(out: &'a mut Vec<u8>) -> Self {
        Writer { out }
    }

    pub(crate) fn declaration(&mut self) {
        self.raw(DECLARATION);
    }

    pub(crate) fn open(&mut self, name: &str) {
        self.begin(name);
        self.end_tag();
    }

    /// Starts a tag that may still get attributes; [`Writer::end_tag`] finishes it.
    pub(crate) fn begin(&mut self, name: &str) {
        self.raw("<");
        self.raw(name);
    }

    pub(crate) fn attribute(&mut self, name: &str, value: &str) {
        self.raw(" ");
        self.raw(name);
        self.raw("=\"");
        escape(value, Place::Attribute, self.out);
        self.raw("\"");
    }

    pub(crate) fn end_tag(&mut self) {
        self.raw(">");
    }

    pub(crate) fn close(&mut self, name: &str) {
        self.raw("</");
        self.raw(name);
        self.raw(">");
    }

    pub(crate) fn text(&mut self, text: &str) {
        escape(text, Place::Text, self.out);
    }

    /// `<name>text</name>`.
    pub(crate) fn leaf(&mut self, name: &str, text: &str) {
        self.open(name);
        self.text(text);
        self.close(name);
    }

    fn raw(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Place {
    Text,
    Attribute,
}

/// Bytes that may need a reference: markup, controls, and 0xEF, which begins U+FFFE and U+FFFF.
static SUSPECT: [bool; 256] = {
    let mut suspect = [false; 256];
    let mut byte = 0;
    while byte < 0x20 {
        suspect[byte] = true;
        byte += 1;
    }
    suspect[b'&' as usize] = true;
    suspect[b'<' as usize] = true;
    suspect[b'>' as usize] = true;
    suspect[b'"' as usize] = true;
    suspect[0xEF] = true;
    suspect
};

/// Appends `text` so that a parser gets the same characters back.
///
/// `\r` needs a reference since parsers turn it into `\n`; in attributes `\n` and `\t` do too, since parsers turn them
/// into spaces. Characters that XML 1.0 cannot carry are written as references as well: that is what S3 does with such
/// keys, and a strict parser then refuses the answer instead of misreading it. (`encoding-type=url` is the cure.)
fn escape(text: &str, place: Place, out: &mut Vec<u8>) {
    let bytes = text.as_bytes();
    let mut done = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        if !SUSPECT[byte as usize] {
            continue;
        }
        let (reference, length): (&str, usize) = match byte {
            b'&' => ("&amp;", 1),
            b'<' => ("&lt;", 1),
            b'>' => ("&gt;", 1),
            b'"' => ("&quot;", 1),
            b'\n' | b'\t' if place == Place::Text => continue,
            0xEF => match &bytes[at + 1..] {
                [0xBF, 0xBE, ..] => ("&#xFFFE;", 3),
                [0xBF, 0xBF, ..] => ("&#xFFFF;", 3),
                _ => continue,
            },
            _ => {
                out.extend_from_slice(&bytes[done..at]);
                control(byte, out);
                done = at + 1;
                continue;
            }
        };
        out.extend_from_slice(&bytes[done..at]);
        out.extend_from_slice(reference.as_bytes());
        done = at + length;
    }
    out.extend_from_slice(&bytes[done..]);
}

/// `&#xD;` for `\r`.
fn control(byte: u8, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    out.extend_from_slice(b"&#x");
    if byte >= 0x10 {
        out.push(HEX[usize::from(byte >> 4)]);
    }
    out.push(HEX[usize::from(byte & 0xF)]);
    out.push(b';');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(place: Place, text: &str, expected: &str) {
        let mut out = Vec::new();
        escape(text, place, &mut out);
        assert_eq!(
            String::from_utf8(out).expect("escaping keeps UTF-8"),
            expected
        );
    }

    #[test]
    fn escapes_what_a_parser_would_change() {
        check(Place::Text, "plain", "plain");
        check(Place::Text, "", "");
        check(Place::Text, "a<b>&\"c'", "a&lt;b&gt;&amp;&quot;c'");
        check(Place::Text, "l\r\n\t", "l&#xD;\n\t");
        check(Place::Attribute, "l\r\n\t", "l&#xD;&#xA;&#x9;");
    }

    #[test]
    fn refers_to_what_xml_cannot_carry() {
        check(Place::Text, "\0\u{1}\u{1f}", "&#x0;&#x1;&#x1F;");
        check(Place::Text, "a\u{fffe}b\u{ffff}", "a&#xFFFE;b&#xFFFF;");
        check(
            Place::Text,
            "\u{fffd}\u{feff}\u{f000}é😀",
            "\u{fffd}\u{feff}\u{f000}é😀",
        );
    }
}
