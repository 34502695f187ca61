//! Reads one XML document, element by element, within limits.
//!
//! `quick-xml` lexes and matches end tags. Added here: a document has one root and nothing of weight around it, no DTD
//! (so no entities of its own, hence no entity bombs), no characters that XML 1.0 forbids, and no more depth
//! than an AWS request can have.

use std::borrow::Cow;

use quick_xml::Reader as Lexer;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesStart, Event};

use crate::Budget;

/// The deepest AWS document nests about ten elements.
const DEPTH_MAX: usize = 64;

/// Why a document is refused; for people, since S3's own words are always the same.
#[derive(Debug, PartialEq)]
pub(crate) struct Malformed(pub(crate) Cow<'static, str>);

impl Malformed {
    fn new(reason: &'static str) -> Self {
        Malformed(Cow::Borrowed(reason))
    }
}

impl From<quick_xml::Error> for Malformed {
    fn from(error: quick_xml::Error) -> Self {
        Malformed(Cow::Owned(error.to_string()))
    }
}

/// A cursor that stands inside an element; each method says where it stands afterwards.
pub(crate) struct Reader<'a> {
    lexer: Lexer<&'a [u8]>,
    depth: usize,
    /// What the lists and maps of the document may still allocate.
    budget: Budget,
}

/// A start tag.
pub(crate) struct Element<'a>(BytesStart<'a>);

impl Element<'_> {
    /// The name without its prefix: AWS ignores prefixes, and so do we.
    pub(crate) fn name(&self) -> &str {
        local(self.0.name().into_inner())
    }

    /// An attribute by its local name.
    pub(crate) fn attribute(&self, name: &str) -> Result<Option<String>, Malformed> {
        // The check for doubles is quadratic; of doubles the first counts.
        for attribute in self.0.attributes().with_checks(false) {
            let attribute = attribute.map_err(|error| Malformed(Cow::Owned(error.to_string())))?;
            if local(attribute.key.into_inner()) == name {
                let value = attribute.normalized_value(quick_xml::XmlVersion::Explicit1_0)?;
                return Ok(Some(value.into_owned()));
            }
        }
        Ok(None)
    }
}

/// `type` of `xsi:type`.
pub(crate) fn local(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(_, local)| local)
}

impl<'a> Reader<'a> {
    /// Enters the root element. `None`: there is no document, only white space.
    pub(crate) fn document(body: &'a [u8]) -> Result<Option<(Self, Element<'a>)>, Malformed> {
        let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
        let text =
            std::str::from_utf8(body).map_err(|_| Malformed::new("the document is not UTF-8"))?;
        if text.bytes().any(|byte| byte < 0x20 && !is_space(byte)) {
            return Err(Malformed::new("the document holds a control character"));
        }
        let mut lexer = Lexer::from_str(text);
        lexer.config_mut().expand_empty_elements = true;
        let mut reader = Reader {
            lexer,
            depth: 0,
            budget: Budget::new(body.len()),
        };
        loop {
            match reader.next()? {
                Event::Start(start) => return Ok(Some((reader, Element(start)))),
                Event::Eof => return Ok(None),
                event => nothing_of_weight(&event)?,
            }
        }
    }

    /// Enters the next child of the current element; `None` once that has ended, standing behind it.
    pub(crate) fn child(&mut self) -> Result<Option<Element<'a>>, Malformed> {
        loop {
            match self.next()? {
                Event::Start(start) => return Ok(Some(Element(start))),
                Event::End(_) => return Ok(None),
                event => nothing_of_weight(&event)?,
            }
        }
    }

    /// The text of the current element, white space and all, standing behind it.
    pub(crate) fn text(&mut self) -> Result<Cow<'a, str>, Malformed> {
        let mut text = Cow::Borrowed("");
        loop {
            let piece = match self.next()? {
                Event::End(_) => return Ok(text),
                Event::Text(piece) => piece.xml10_content(),
                Event::CData(piece) => piece.xml10_content(),
                Event::GeneralRef(reference) => match reference.resolve_char_ref()? {
                    Some(character) => Cow::Owned(character.to_string()),
                    None => Cow::Borrowed(
                        resolve_xml_entity(&reference)
                            .ok_or(Malformed::new("the document refers to an unknown entity"))?,
                    ),
                },
                Event::Start(_) => {
                    return Err(Malformed::new("an element stands where text belongs"));
                }
                _ => continue,
            };
            if text.is_empty() {
                text = piece;
            } else {
                text.to_mut().push_str(&piece);
            }
        }
    }

    /// Pays for an element of a list or map that takes `bytes` of memory.
    pub(crate) fn pay(&mut self, bytes: usize) -> Result<(), Malformed> {
        let too_many = |_| Malformed::new("the document holds too many empty elements");
        self.budget.take(bytes).map_err(too_many)
    }

    /// Requires that nothing follows the root element.
    pub(crate) fn finish(mut self) -> Result<(), Malformed> {
        loop {
            match self.next()? {
                Event::Eof => return Ok(()),
                Event::Start(_) => return Err(Malformed::new("the document has two roots")),
                event => nothing_of_weight(&event)?,
            }
        }
    }

    fn next(&mut self) -> Result<Event<'a>, Malformed> {
        let event = self.lexer.read_event()?;
        match &event {
            Event::Start(_) => {
                self.depth += 1;
                if self.depth > DEPTH_MAX {
                    return Err(Malformed::new("the document nests too deeply"));
                }
            }
            Event::End(_) => self.depth -= 1,
            Event::DocType(_) => return Err(Malformed::new("the document brings a DTD")),
            Event::Eof if self.depth > 0 => {
                return Err(Malformed::new("the document ends within an element"));
            }
            _ => {}
        }
        Ok(event)
    }
}

/// Between elements only white space, comments and instructions may stand.
fn nothing_of_weight(event: &Event<'_>) -> Result<(), Malformed> {
    match event {
        Event::Text(text) if text.bytes().all(is_space) => Ok(()),
        Event::Comment(_) | Event::Decl(_) | Event::PI(_) => Ok(()),
        _ => Err(Malformed::new("text stands where an element belongs")),
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Prints a document as `name(children)` or `name"text"`; an element is text when its name is `t`.
    fn outline(body: &[u8]) -> Result<String, Malformed> {
        fn inside(
            reader: &mut Reader<'_>,
            element: &Element<'_>,
            out: &mut String,
        ) -> Result<(), Malformed> {
            out.push_str(element.name());
            if let Some(value) = element.attribute("a")? {
                out.push_str(&format!("[{value}]"));
            }
            if element.name() == "t" {
                out.push_str(&format!("{:?}", reader.text()?));
                return Ok(());
            }
            out.push('(');
            while let Some(child) = reader.child()? {
                inside(reader, &child, out)?;
            }
            out.push(')');
            Ok(())
        }
        let mut out = String::new();
        if let Some((mut reader, root)) = Reader::document(body)? {
            inside(&mut reader, &root, &mut out)?;
            reader.finish()?;
        }
        Ok(out)
    }

    fn check(body: &str, expected: &str) {
        assert_eq!(outline(body.as_bytes()).as_deref(), Ok(expected), "{body}");
    }

    fn check_refused(body: impl AsRef<[u8]>, reason: &str) {
        let body = body.as_ref();
        let refusal = outline(body).expect_err("must be refused").0;
        assert!(
            refusal.contains(reason),
            "{refusal:?} for {:?}",
            String::from_utf8_lossy(&body[..body.len().min(80)])
        );
    }

    #[test]
    fn reads_elements_text_and_attributes() {
        check("", "");
        check(" \n", "");
        check("<x/>", "x()");
        check(
            "\u{feff}<?xml version=\"1.0\"?>\n<!-- c --><x>\n <t/> <y a='&lt;1'/></x>\n",
            "x(t\"\"y[<1]())",
        );
        check("<p:x xmlns:p='u'><q:t>v</q:t></p:x>", "x(t\"v\")");
        check("<x xsi:a='v'/>", "x[v]()");
    }

    #[test]
    fn text_comes_as_it_was_meant() {
        check("<t> a b </t>", "t\" a b \"");
        check("<t>a&amp;b&lt;&gt;&quot;&apos;</t>", "t\"a&b<>\\\"'\"");
        check("<t>&#65;&#x42;&#xD;</t>", "t\"AB\\r\"");
        check("<t>a\r\nb\rc</t>", "t\"a\\nb\\nc\"");
        check("<t><![CDATA[<&>]]>x<!-- no -->y</t>", "t\"<&>xy\"");
        check("<t>é😀</t>", "t\"é😀\"");
        check("<t>&#1;</t>", "t\"\\u{1}\"");
    }

    #[test]
    fn refuses_what_is_not_one_well_formed_document() {
        check_refused("<x>", "ends within");
        check_refused("<x", "");
        check_refused("<x></y>", "");
        check_refused("</x>", "");
        check_refused("<x/><x/>", "two roots");
        check_refused("text", "where an element belongs");
        check_refused("<x>text</x>", "where an element belongs");
        check_refused("<t><y/></t>", "where text belongs");
        check_refused("<t>&nope;</t>", "unknown entity");
        check_refused("<t>&#0;</t>", "");
        check_refused("<t>&#xD800;</t>", "");
        check_refused("<t>a & b</t>", "");
        check_refused("<t>\u{1}</t>", "control character");
        check_refused(b"<t>\xFF</t>", "not UTF-8");
        check_refused(b"\xFF\xFE<\0t\0/\0>\0", "not UTF-8");
    }

    #[test]
    fn refuses_bombs() {
        check_refused(
            "<!DOCTYPE x [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;\">]><t>&b;</t>",
            "DTD",
        );
        check_refused("<!DOCTYPE x SYSTEM \"file:///etc/passwd\"><t/>", "DTD");
        check_refused("<x>".repeat(1_000_000), "too deeply");
    }
}
