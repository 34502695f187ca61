//! Bodies that are not read into memory.

use std::fmt;
use std::pin::Pin;
use std::sync::Mutex;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};

/// Why a body broke off: the client went away, a checksum did not match, a file could not be read.
pub type StreamError = Box<dyn std::error::Error + Send + Sync>;

/// A streaming member: the body of an S3 object on its way in or out.
#[derive(Default)]
pub struct ByteStream(Source);

#[derive(Default)]
enum Source {
    #[default]
    Empty,
    Bytes(Bytes),
    Stream {
        /// In a mutex only to be `Sync`, which shapes that are borrowed across an await must be; it is never locked.
        chunks: Mutex<Chunks>,
        bytes: Option<u64>,
    },
}

type Chunks = Pin<Box<dyn Stream<Item = Result<Bytes, StreamError>> + Send>>;

impl ByteStream {
    /// A stream of `chunks`, together `bytes` long if that is known.
    pub fn new(
        chunks: impl Stream<Item = Result<Bytes, StreamError>> + Send + 'static,
        bytes: Option<u64>,
    ) -> Self {
        ByteStream(Source::Stream {
            chunks: Mutex::new(Box::pin(chunks)),
            bytes,
        })
    }

    /// Bytes that are still to come, if that is known.
    pub fn length(&self) -> Option<u64> {
        match &self.0 {
            Source::Empty => Some(0),
            Source::Bytes(bytes) => Some(bytes.len() as u64),
            Source::Stream { bytes, .. } => *bytes,
        }
    }

    /// The next chunk; `None` at the end.
    ///
    /// # Errors
    ///
    /// The source's: what came so far is not the whole body.
    pub async fn next(&mut self) -> Option<Result<Bytes, StreamError>> {
        match &mut self.0 {
            Source::Empty => None,
            Source::Bytes(_) => self.take_bytes().map(Ok),
            Source::Stream { chunks, bytes } => {
                let chunks = chunks
                    .get_mut()
                    .unwrap_or_else(|poisoned| poisoned.into_inner());
                let chunk = chunks.next().await;
                if let (Some(Ok(chunk)), Some(left)) = (&chunk, bytes) {
                    *left = left.saturating_sub(chunk.len() as u64);
                }
                chunk
            }
        }
    }

    /// The whole content if it is in memory already; the stream is then empty.
    pub fn take_bytes(&mut self) -> Option<Bytes> {
        match &mut self.0 {
            Source::Bytes(bytes) => {
                let bytes = std::mem::take(bytes);
                self.0 = Source::Empty;
                Some(bytes)
            }
            Source::Empty | Source::Stream { .. } => None,
        }
    }

    /// The content, when it is in memory.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match &self.0 {
            Source::Empty => Some(&[]),
            Source::Bytes(bytes) => Some(bytes),
            Source::Stream { .. } => None,
        }
    }

    /// All chunks in one, at most `bytes_max` of them.
    ///
    /// # Errors
    ///
    /// The source's, or that the body is longer than `bytes_max`.
    pub async fn collect(mut self, bytes_max: usize) -> Result<Bytes, StreamError> {
        let mut whole = match self.next().await.transpose()? {
            None => return Ok(Bytes::new()),
            Some(first) => BytesMut::from(first),
        };
        while whole.len() <= bytes_max {
            match self.next().await.transpose()? {
                None => return Ok(whole.freeze()),
                Some(chunk) => whole.extend_from_slice(&chunk),
            }
        }
        Err(format!("the body is longer than {bytes_max} bytes").into())
    }

    /// As a `Stream`, for an HTTP body.
    pub fn into_stream(self) -> impl Stream<Item = Result<Bytes, StreamError>> + Send {
        futures_util::stream::unfold(self, |mut stream| async move {
            stream.next().await.map(|chunk| (chunk, stream))
        })
    }
}

impl From<Bytes> for ByteStream {
    fn from(bytes: Bytes) -> Self {
        if bytes.is_empty() {
            ByteStream(Source::Empty)
        } else {
            ByteStream(Source::Bytes(bytes))
        }
    }
}

impl From<Vec<u8>> for ByteStream {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl fmt::Debug for ByteStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.length() {
            Some(bytes) => write!(f, "<{bytes} bytes>"),
            None => f.write_str("<stream>"),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, stream};

    use super::*;

    fn chunks(chunks: &'static [&'static [u8]]) -> ByteStream {
        let bytes = chunks.iter().map(|chunk| chunk.len() as u64).sum();
        ByteStream::new(
            stream::iter(chunks).map(|chunk| Ok(Bytes::from_static(chunk))),
            Some(bytes),
        )
    }

    fn collect(stream: ByteStream, bytes_max: usize) -> Option<Bytes> {
        stream
            .collect(bytes_max)
            .now_or_never()
            .expect("never waits")
            .ok()
    }

    #[test]
    fn collects_up_to_the_limit() {
        assert_eq!(
            collect(chunks(&[b"ab", b"", b"c"]), 3).as_deref(),
            Some(b"abc".as_slice())
        );
        assert_eq!(collect(chunks(&[b"ab", b"c"]), 2), None);
        assert_eq!(collect(chunks(&[b"abc"]), 2), None);
        assert_eq!(
            collect(Bytes::from_static(b"abc").into(), 3).as_deref(),
            Some(b"abc".as_slice())
        );
        assert_eq!(
            collect(ByteStream::default(), 0).as_deref(),
            Some(b"".as_slice())
        );
    }

    #[test]
    fn knows_what_is_still_to_come() {
        let mut stream = chunks(&[b"ab", b"c"]);
        assert_eq!(stream.length(), Some(3));
        let first = stream.next().now_or_never().expect("never waits");
        assert_eq!(
            first.and_then(Result::ok).as_deref(),
            Some(b"ab".as_slice())
        );
        assert_eq!(stream.length(), Some(1));
    }

    #[test]
    fn an_error_is_not_an_end() {
        let broken = stream::iter([
            Ok(Bytes::from_static(b"a")),
            Err("the client went away".into()),
        ]);
        assert_eq!(collect(ByteStream::new(broken, None), 10), None);
    }
}
