//! `multipart/form-data` as browsers send it: fields, and a file that may be larger than memory.
//!
//! The body is looked at once, from front to back. Of a part that is not asked for as text no more is held than a
//! delimiter's length and what has just arrived.

use crate::failure::Failure;
use bytes::{Bytes, BytesMut};
use cumulog_shape::{ByteStream, StreamError};
use futures_util::{Stream, stream};
use memchr::memmem;

/// The longest headers of a part.
const HEADERS_BYTES_MAX: usize = 8 << 10;

/// The longest boundary, by RFC 2046.
const BOUNDARY_BYTES_MAX: usize = 70;

/// A body that is not of the form that its header announces.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FormError {
    #[error("the body is not multipart/form-data: {0}")]
    Malformed(&'static str),
    #[error("a field is too long")]
    TooLong,
    #[error("the body cannot be read")]
    Body(#[source] StreamError),
}

/// All fields before the file may have this many bytes together.
pub(crate) const FIELDS_BYTES_MAX: usize = 20_000;

/// In the words of S3, which alone takes forms.
impl From<FormError> for Failure {
    fn from(error: FormError) -> Failure {
        match error {
            FormError::Malformed(_) => Failure::sender(
                "MalformedPOSTRequest",
                400,
                "The body of your POST request is not well-formed multipart/form-data.",
            ),
            FormError::TooLong => Failure::sender(
                "MaxPostPreDataLengthExceeded",
                400,
                "Your POST request fields preceding the upload file were too large.",
            )
            .with("MaxPostPreDataLengthExceeded", FIELDS_BYTES_MAX.to_string()),
            FormError::Body(error) => error.into(),
        }
    }
}

/// What the headers of a part say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) filename: Option<String>,
}

/// A form on its way in.
pub(crate) struct Form {
    body: ByteStream,
    /// What has arrived and was not given out.
    buffer: BytesMut,
    /// `\r\n--boundary`
    delimiter: Vec<u8>,
    /// The content of a part, or what stands before the first one, is not read to its end.
    within: bool,
    /// The last delimiter was the closing one.
    closed: bool,
}

impl Form {
    /// The form in `body`; `None`: `content_type` announces none.
    pub(crate) fn new(content_type: &str, body: ByteStream) -> Option<Form> {
        let (kind, parameters) = content_type.split_once(';')?;
        if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
            return None;
        }
        let boundary = parameter(parameters, "boundary")?;
        if boundary.is_empty() || boundary.len() > BOUNDARY_BYTES_MAX {
            return None;
        }
        Some(Form {
            body,
            // The first delimiter may come without the line break that belongs to the others.
            buffer: BytesMut::from(&b"\r\n"[..]),
            delimiter: format!("\r\n--{boundary}").into_bytes(),
            within: true,
            closed: false,
        })
    }

    /// The next part, once the rest of the last one is passed over; `None` at the end.
    pub(crate) async fn next_part(&mut self) -> Result<Option<Part>, FormError> {
        while self.content().await?.is_some() {}
        if self.closed {
            return Ok(None);
        }
        let headers = self.headers().await?;
        self.within = true;
        Ok(Some(parse_headers(&headers)?))
    }

    /// The part's content as text, at most `bytes_max` long.
    pub(crate) async fn text(&mut self, bytes_max: usize) -> Result<String, FormError> {
        let mut text = Vec::new();
        while let Some(bytes) = self.content().await? {
            text.extend_from_slice(&bytes);
            if text.len() > bytes_max {
                return Err(FormError::TooLong);
            }
        }
        Ok(String::from_utf8(text)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
    }

    /// The part's content as it comes. What follows it is read and dropped.
    pub(crate) fn into_content(self) -> impl Stream<Item = Result<Bytes, StreamError>> + Send {
        stream::try_unfold(self, |mut form| async move {
            let failed = |error: FormError| -> StreamError { Box::new(Failure::from(error)) };
            match form.content().await.map_err(failed)? {
                Some(bytes) => Ok(Some((bytes, form))),
                None => {
                    form.drain().await.map_err(failed)?;
                    Ok(None)
                }
            }
        })
    }

    async fn drain(&mut self) -> Result<(), FormError> {
        self.buffer.clear();
        while self.fill().await? {
            self.buffer.clear();
        }
        Ok(())
    }

    /// More of the part's content; `None` at its end, behind the delimiter.
    async fn content(&mut self) -> Result<Option<Bytes>, FormError> {
        while self.within {
            if let Some(at) = memmem::find(&self.buffer, &self.delimiter) {
                if at > 0 {
                    return Ok(Some(self.buffer.split_to(at).freeze()));
                }
                return self.end_part().await.map(|()| None);
            }
            // A delimiter may have begun to arrive.
            let keep = self.delimiter.len() - 1;
            if self.buffer.len() > keep {
                let ready = self.buffer.len() - keep;
                return Ok(Some(self.buffer.split_to(ready).freeze()));
            }
            if !self.fill().await? {
                return Err(FormError::Malformed("it ends before its closing boundary"));
            }
        }
        Ok(None)
    }

    /// Takes the delimiter that the buffer begins with, and what stands on its line.
    async fn end_part(&mut self) -> Result<(), FormError> {
        let end = self.delimiter.len();
        while self.buffer.len() < end + 2 {
            if !self.fill().await? {
                return Err(FormError::Malformed("it ends in a boundary"));
            }
        }
        match &self.buffer[end..end + 2] {
            b"--" => self.closed = true,
            b"\r\n" => {}
            _ => {
                return Err(FormError::Malformed(
                    "a boundary is followed by something else",
                ));
            }
        }
        let _ = self.buffer.split_to(end + 2);
        self.within = false;
        Ok(())
    }

    async fn headers(&mut self) -> Result<Bytes, FormError> {
        loop {
            // A part without headers begins with the empty line.
            if self.buffer.starts_with(b"\r\n") {
                return Ok(Bytes::new());
            }
            if let Some(at) = memmem::find(&self.buffer, b"\r\n\r\n") {
                let headers = self.buffer.split_to(at).freeze();
                let _ = self.buffer.split_to(4);
                return Ok(headers);
            }
            if self.buffer.len() > HEADERS_BYTES_MAX {
                return Err(FormError::TooLong);
            }
            if !self.fill().await? {
                return Err(FormError::Malformed("it ends in the headers of a part"));
            }
        }
    }

    /// Takes what arrives next; false at the end.
    async fn fill(&mut self) -> Result<bool, FormError> {
        match self.body.next().await {
            None => Ok(false),
            Some(Ok(bytes)) => {
                self.buffer.extend_from_slice(&bytes);
                Ok(true)
            }
            Some(Err(error)) => Err(FormError::Body(error)),
        }
    }
}

fn parse_headers(headers: &[u8]) -> Result<Part, FormError> {
    let headers = String::from_utf8_lossy(headers);
    let disposition = headers.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim()
            .eq_ignore_ascii_case("content-disposition")
            .then_some(value)
    });
    let disposition = disposition.ok_or(FormError::Malformed("a part has no name"))?;
    let (_, parameters) = disposition.split_once(';').unwrap_or_default();
    Ok(Part {
        name: parameter(parameters, "name").ok_or(FormError::Malformed("a part has no name"))?,
        filename: parameter(parameters, "filename"),
    })
}

/// The value of one of a header's parameters, with or without quotes. Browsers write a quote inside as `%22`, others as
/// `\"`.
fn parameter(parameters: &str, name: &str) -> Option<String> {
    let mut rest = parameters;
    loop {
        rest = rest.trim_start_matches([';', ' ', '\t']);
        let (key, value) = rest.split_once('=')?;
        let (value, after) = match value.strip_prefix('"') {
            Some(quoted) => unquoted(quoted)?,
            None => {
                let (value, after) = value.split_once(';').unwrap_or((value, ""));
                (value.trim().to_owned(), after)
            }
        };
        if key.trim().eq_ignore_ascii_case(name) {
            return Some(value);
        }
        rest = after;
    }
}

/// The text up to the closing quote, and what follows it.
fn unquoted(quoted: &str) -> Option<(String, &str)> {
    let mut text = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return Some((text, &quoted[at + 1..])),
            '\\' if quoted[at + 1..].starts_with(['"', '\\']) => {
                text.extend(chars.next().map(|(_, char)| char))
            }
            _ => text.push(char),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::StreamExt as _;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime")
            .block_on(future)
    }

    /// Names with contents, of a form that arrives `step` bytes at a time; `None` if it is none.
    fn read(body: &'static [u8], step: usize) -> Option<Vec<(String, String)>> {
        let chunks = body.chunks(step).map(|chunk| Ok(Bytes::from_static(chunk)));
        let body = ByteStream::new(stream::iter(chunks.collect::<Vec<_>>()), None);
        let mut form = Form::new("multipart/form-data; boundary=\"b\"", body)?;
        block_on(async {
            let mut parts = Vec::new();
            while let Some(part) = form.next_part().await.ok()? {
                let content = form.text(100).await.ok()?;
                parts.push((part.filename.unwrap_or(part.name), content));
            }
            Some(parts)
        })
    }

    #[track_caller]
    fn check(body: &'static [u8], expected: Option<&[(&str, &str)]>) {
        let owned = |(name, content): &(&str, &str)| (name.to_string(), content.to_string());
        let expected: Option<Vec<_>> = expected.map(|parts| parts.iter().map(owned).collect());
        for step in 1..=body.len().max(1) {
            assert_eq!(
                read(body, step),
                expected,
                "{} by {step}",
                String::from_utf8_lossy(body)
            );
        }
    }

    #[test]
    fn parts_are_found_however_they_arrive() {
        check(
            b"--b\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\nvalue\r\n--b\r\ncontent-disposition: form-data; \
              name=file; filename=\"a \\\"b\\\".txt\"\r\nContent-Type: text/plain\r\n\r\none\r\n--\r\ntwo\r\n--b--\r\n",
            Some(&[("key", "value"), ("a \"b\".txt", "one\r\n--\r\ntwo")]),
        );
        check(b"--b--", Some(&[]));
        check(b"preamble\r\n--b\r\nContent-Disposition: form-data; name=\"k\"\r\n\r\n\r\n--b--epilogue", Some(&[("k", "")]));
    }

    #[test]
    fn what_is_no_form_is_refused() {
        for body in [
            &b""[..],
            b"--",
            b"--c--",
            b"--b\r\n",
            b"--bx",
            b"--b\r\n\r\nvalue\r\n--b--",
            b"--b\r\nContent-Disposition: form-data\r\n\r\nvalue\r\n--b--",
            b"--b\r\nContent-Disposition: form-data; name=\"k\r\n\r\nvalue\r\n--b--",
            b"--b\r\nContent-Disposition: form-data; name=\"k\"\r\n\r\nvalue",
        ] {
            check(body, None);
        }
        for kind in [
            "",
            "multipart/form-data",
            "multipart/form-data; boundary=",
            "text/plain; boundary=b",
        ] {
            assert!(Form::new(kind, ByteStream::default()).is_none(), "{kind}");
        }
    }

    #[test]
    fn a_file_streams() {
        let body = b"--b\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n0123456789\r\n--b\r\nmore\r\n--b--";
        let chunks = body
            .chunks(7)
            .map(|chunk| Ok(Bytes::copy_from_slice(chunk)));
        let body = ByteStream::new(stream::iter(chunks.collect::<Vec<_>>()), None);
        let mut form = Form::new("Multipart/Form-Data;boundary=b", body).expect("it is a form");
        let content: Vec<u8> = block_on(async {
            form.next_part()
                .await
                .expect("it is well-formed")
                .expect("there is one");
            let chunks = Box::pin(form.into_content()).collect::<Vec<_>>().await;
            chunks
                .into_iter()
                .flat_map(|chunk| chunk.expect("it is there"))
                .collect()
        });
        assert_eq!(content, b"0123456789");
    }
}
