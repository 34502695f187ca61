//! Requests and answers as the rest of the program sees them: bodies with limits.

use std::{
    net::IpAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use cumulog_shape::{ByteStream, StreamError};
use futures_util::Stream;
use http::{HeaderMap, Method, header};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Frame, Incoming, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::presigned;

/// A request but for its body.
pub(crate) struct Request {
    pub(crate) method: Method,
    /// As it came: still percent-encoded.
    pub(crate) path: Arc<str>,
    /// As it came, without the `?`.
    pub(crate) query: Option<String>,
    pub(crate) headers: Arc<HeaderMap>,
    /// Where it came from.
    pub(crate) peer: IpAddr,
}

impl Request {
    /// Takes a request apart.
    pub(crate) fn split(request: hyper::Request<Incoming>, peer: IpAddr) -> (Self, Arriving) {
        let (mut parts, body) = request.into_parts();
        presigned::add_hoisted(&mut parts.headers, parts.uri.query());
        let body = Arriving::new(body, &parts.headers);
        let request = Self {
            method: parts.method,
            path: parts.uri.path().into(),
            query: parts.uri.query().map(str::to_owned),
            // An absolute URI names the host as well; the header is what clients sign.
            headers: Arc::new(parts.headers),
            peer,
        };
        (request, body)
    }
}

/// A request body on its way, which remembers whether it was read to its end.
pub(crate) struct Arriving {
    body: Incoming,
    ended: Arc<AtomicBool>,
    /// It is empty, so nobody will answer its `Expect`.
    unanswered: bool,
}

impl Arriving {
    /// A client that expects `100 Continue` gets it when its body is read. For an empty
    /// body it gets none, and then botocore takes this answer's status for the next
    /// one's if the connection goes on: such a body never counts as read.
    fn new(body: Incoming, headers: &HeaderMap) -> Self {
        let empty = body.is_end_stream();
        let unanswered = empty && headers.contains_key(header::EXPECT);
        Self {
            body,
            ended: Arc::new(AtomicBool::new(empty && !unanswered)),
            unanswered,
        }
    }

    /// Becomes true once the body was read to its end.
    ///
    /// A connection whose request was not read must not be used again: the server will
    /// close it, and a client that is not told loses its next request.
    pub(crate) fn ended(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.ended)
    }
}

impl hyper::body::Body for Arriving {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if (frame.is_none() || self.body.is_end_stream()) && !self.unanswered {
            self.ended.store(true, Ordering::Relaxed);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The value of the parameter `name` in a query string or form, percent-decoded.
pub(crate) fn query_value(form: &str, name: &str) -> Option<String> {
    let value = form
        .split('&')
        .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
    let value = value.replace('+', " ");
    Some(
        percent_encoding::percent_decode_str(&value)
            .decode_utf8_lossy()
            .into_owned(),
    )
}

/// A body longer than its limit, or one that broke off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("the request body is longer than {bytes_max} bytes")]
    TooLong { bytes_max: usize },
    #[error("the request body broke off")]
    Broken(#[source] hyper::Error),
}

/// Room in memory for bodies that are read whole. Who finds none waits, and so does its client: nothing more is read from
/// the connection meanwhile.
pub(crate) struct Room {
    semaphore: Arc<Semaphore>,
    units: u32,
}

/// What is counted as one. Shorter bodies are not counted: there are no more of them than connections.
const ROOM_UNIT_BYTES: usize = 64 << 10;

impl Room {
    pub(crate) fn new(bytes: usize) -> Self {
        let units = u32::try_from(bytes.div_ceil(ROOM_UNIT_BYTES)).unwrap_or(u32::MAX);
        let permits = usize::try_from(units).unwrap_or(usize::MAX);
        Self {
            semaphore: Arc::new(Semaphore::new(permits.min(Semaphore::MAX_PERMITS))),
            units,
        }
    }

    /// Reads a body of at most `bytes_max` bytes into memory, once there is room for what it announces. The room is given back
    /// with the last slice of the body.
    pub(crate) async fn collect(
        &self,
        body: Arriving,
        bytes_max: usize,
    ) -> Result<Bytes, BodyError> {
        let announced = body.size_hint().upper();
        let announced = announced.and_then(|bytes| usize::try_from(bytes).ok());
        let bytes = announced.unwrap_or(bytes_max).min(bytes_max);
        let is_too_long = body.size_hint().lower() > bytes_max as u64;
        if bytes <= ROOM_UNIT_BYTES || is_too_long {
            return collect(body, bytes_max).await;
        }
        // More than there is at all: it has it to itself.
        let units = u32::try_from(bytes.div_ceil(ROOM_UNIT_BYTES)).unwrap_or(u32::MAX);
        let semaphore = Arc::clone(&self.semaphore);
        let room = semaphore.acquire_many_owned(units.min(self.units)).await;
        let room = room.expect("nobody closes it");
        let bytes = collect(body, bytes_max).await?;
        Ok(Bytes::from_owner(Held { bytes, _room: room }))
    }
}

/// A body, and the room that it takes.
struct Held {
    bytes: Bytes,
    _room: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Reads a body of at most `bytes_max` bytes into memory.
///
/// Memory grows with what arrives, never with what `Content-Length` announces. A body
/// in one piece, as small ones are, is not copied.
async fn collect(mut body: Arriving, bytes_max: usize) -> Result<Bytes, BodyError> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > bytes_max {
        return Err(BodyError::TooLong { bytes_max });
    }
    let within = |bytes: usize| match bytes > bytes_max {
        true => Err(BodyError::TooLong { bytes_max }),
        false => Ok(()),
    };
    let Some(first) = next_data(&mut body).await? else {
        return Ok(Bytes::new());
    };
    within(first.len())?;
    let mut next = next_data(&mut body).await?;
    if next.is_none() {
        return Ok(first);
    }
    let mut whole = BytesMut::from(first);
    while let Some(data) = next {
        within(whole.len() + data.len())?;
        whole.extend_from_slice(&data);
        next = next_data(&mut body).await?;
    }
    Ok(whole.freeze())
}

async fn next_data(body: &mut Arriving) -> Result<Option<Bytes>, BodyError> {
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(BodyError::Broken)?.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

/// A request body as the stream of its chunks.
pub(crate) struct Chunks(pub(crate) Arriving);

impl Stream for Chunks {
    type Item = Result<Bytes, StreamError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            match ready!(Pin::new(&mut self.0).poll_frame(context)) {
                None => return Poll::Ready(None),
                Some(Err(error)) => {
                    return Poll::Ready(Some(Err(Box::new(BodyError::Broken(error)))));
                }
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Poll::Ready(Some(Ok(data)));
                    }
                }
            }
        }
    }
}

/// The body of an answer.
pub(crate) enum Body {
    Whole(Option<Bytes>),
    Stream {
        chunks: Pin<Box<dyn Stream<Item = Result<Bytes, StreamError>> + Send>>,
        bytes: Option<u64>,
    },
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Body::Whole(Some(bytes).filter(|bytes| !bytes.is_empty()))
    }
}

impl From<ByteStream> for Body {
    fn from(mut stream: ByteStream) -> Self {
        match (stream.take_bytes(), stream.length()) {
            (Some(bytes), _) => bytes.into(),
            (None, Some(0)) => Body::Whole(None),
            (None, bytes) => Body::Stream {
                chunks: Box::pin(stream.into_stream()),
                bytes,
            },
        }
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = StreamError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StreamError>>> {
        match self.get_mut() {
            Body::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            // An error here closes the connection: the client sees a short body, never a wrong one.
            Body::Stream { chunks, .. } => {
                let chunk = ready!(chunks.as_mut().poll_next(context));
                Poll::Ready(chunk.map(|chunk| chunk.map(Frame::data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Body::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Body::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Body::Stream {
                bytes: Some(bytes), ..
            } => SizeHint::with_exact(*bytes),
            Body::Stream { bytes: None, .. } => SizeHint::default(),
        }
    }
}

/// An answer.
pub(crate) type Response = hyper::Response<Body>;
