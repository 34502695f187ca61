//! Websites of buckets: what a browser gets at `<bucket>.s3-website.…`.
//!
//! A path names an object, or a folder whose index it is. What is not there is answered by the error document, or by a page
//! of ours in AWS's form. Redirects come from rules of the website and from the objects themselves.

use cumulog_model::s3::GetObject;
use cumulog_shape::{Operation as _, Protocol, Struct};
use http::{HeaderValue, Method, StatusCode, header};

use super::{
    Trace, codec,
    exchange::{Content, Exchange, Source},
};
use crate::{
    emulator::Emulator,
    failure::Failure,
    hosts,
    http::{Request, Response},
    route::{Route, Signs},
    service::Running,
    services::s3::website::{Site, Target},
};

/// The bucket whose website the request is for, if it is for one.
pub(super) fn bucket<'a>(emulator: &Emulator, signs: &Signs<'a>) -> Option<&'a str> {
    let host = signs.headers.get(header::HOST)?.to_str().ok()?;
    let bucket = hosts::website(host)?;
    let mut services = emulator.services.iter();
    services
        .any(|service| service.schema.name == "s3")
        .then_some(bucket)
}

/// Answers as the website of `bucket`.
pub(super) async fn answer(
    emulator: &Emulator,
    request: &Request,
    signs: Signs<'_>,
    bucket: &str,
    trace: &mut Trace,
) -> Response {
    let mut services = emulator.services.iter();
    let service = services
        .find(|service| service.schema.name == "s3")
        .expect("`bucket` has found it");
    trace.found(service, emulator);
    trace.operation = "Website";
    let visit = Visit {
        exchange: Exchange {
            emulator,
            route: Route {
                service,
                protocol: Protocol::RestXml,
            },
            // Who signs such a request is nobody to it, and its query means nothing.
            signs: Signs {
                credential: None,
                query: None,
                ..signs
            },
            path: &request.path,
            headers: &request.headers,
        },
        query: signs.query,
        bucket,
    };
    match visit.answer(trace).await {
        Ok(response) => response,
        Err(failure) => page(&failure, None, trace),
    }
}

/// A request to a website.
struct Visit<'a> {
    exchange: Exchange<'a>,
    query: Option<&'a str>,
    bucket: &'a str,
}

impl Visit<'_> {
    async fn answer(&self, trace: &mut Trace) -> Result<Response, Failure> {
        let signs = &self.exchange.signs;
        if ![Method::GET, Method::HEAD].contains(signs.method) {
            let message = "The specified method is not allowed against this resource.";
            return Err(Failure::sender("MethodNotAllowed", 405, message)
                .with("Method", signs.method.as_str())
                .with("ResourceType", "OBJECT"));
        }
        let view = self.exchange.emulator.world.store.view();
        let site = Site::of(&view, self.bucket)?;
        let path = signs.path.strip_prefix('/').unwrap_or(signs.path);
        let key = percent_encoding::percent_decode_str(path)
            .decode_utf8()
            .map_err(|_| Failure::sender("InvalidURI", 400, "Couldn't parse the specified URI."))?;
        let host = signs
            .headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok());
        let host = host.unwrap_or_default();
        if let Some(redirect) = site.before(&key, host, self.query) {
            return Ok(redirected(redirect));
        }
        let index = site.document(&key);
        match self.object(&index, trace).await {
            Ok(response) => Ok(response),
            Err(failure) => {
                if failure.status == 404 && site.has_folder(&view, self.bucket, &key)? {
                    return Ok(redirected(Target {
                        status: 302,
                        location: format!("/{path}/"),
                    }));
                }
                match site.after(&key, host, failure.status) {
                    Some(redirect) => Ok(redirected(redirect)),
                    None => self.error(&site, failure, trace).await,
                }
            }
        }
    }

    /// The website's own document for errors, or else ours.
    async fn error(
        &self,
        site: &Site,
        failure: Failure,
        trace: &mut Trace,
    ) -> Result<Response, Failure> {
        let Some(key) = site.error_document().filter(|_| failure.status >= 400) else {
            return Err(failure);
        };
        match self.object(key, trace).await {
            Ok(mut response) if response.status().is_success() => {
                *response.status_mut() = status(&failure);
                describe(&failure, &mut response);
                trace.error = Some(failure.to_string());
                Ok(response)
            }
            Ok(redirect) => Ok(redirect),
            Err(own) => Ok(page(&failure, Some((key, &own)), trace)),
        }
    }

    /// What GetObject answers, or where the object sends the browser.
    async fn object(&self, key: &str, trace: &mut Trace) -> Result<Response, Failure> {
        let exchange = &self.exchange;
        let service = exchange.route.service;
        let operation = GetObject::SCHEMA;
        let call = exchange.call(operation.name, trace);
        let asking = call.clone();
        let mut source = Some(Source::Bound {
            labels: vec![("Bucket", self.bucket.to_owned()), ("Key", key.to_owned())],
            body: Content::Whole(Default::default()),
        });
        let mut decode = |input: &mut dyn Struct| {
            let source = source.take().expect("a handler decodes its input once");
            codec::read(exchange.route, operation, &exchange.signs, source, input)?;
            service.check_access(&asking, input)
        };
        let running = service
            .run(operation.name, call, &mut decode)
            .expect("S3 implements GetObject")?;
        let mut output = match running {
            Running::Done(answer) => answer?,
            Running::Later(answer) => answer.await?,
        };
        let response = codec::write(exchange.route, operation, &mut *output, &trace.request_id)?;
        let location = response.headers().get("x-amz-website-redirect-location");
        match location.and_then(|location| location.to_str().ok()) {
            None => Ok(response),
            Some(location) => Ok(redirected(Target {
                status: 301,
                location: location.to_owned(),
            })),
        }
    }
}

fn redirected(target: Target) -> Response {
    let mut response = Response::new(Vec::new().into());
    *response.status_mut() =
        StatusCode::from_u16(target.status).unwrap_or(StatusCode::MOVED_PERMANENTLY);
    if let Ok(location) = HeaderValue::from_str(&target.location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

fn status(failure: &Failure) -> StatusCode {
    StatusCode::from_u16(failure.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// Tells a failure in headers, for who does not read pages.
fn describe(failure: &Failure, response: &mut Response) {
    let headers = [
        ("x-amz-error-code", &*failure.code),
        ("x-amz-error-message", &failure.message),
    ];
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(name, value);
        }
    }
}

/// A failure as a page; `own` is why the website's own one cannot be had.
fn page(failure: &Failure, own: Option<(&str, &Failure)>, trace: &mut Trace) -> Response {
    trace.error = Some(failure.to_string());
    let status = status(failure);
    let title = match status {
        // AWS writes it out as it was once called.
        StatusCode::NOT_FOUND => "404 Not Found".to_owned(),
        status => format!(
            "{} {}",
            status.as_u16(),
            status.canonical_reason().unwrap_or_default()
        ),
    };
    let mut html =
        format!("<html>\n<head><title>{title}</title></head>\n<body>\n<h1>{title}</h1>\n<ul>\n");
    items(failure, &mut html);
    item("RequestId", &trace.request_id, &mut html);
    item(
        "HostId",
        trace.host_id.as_deref().unwrap_or_default(),
        &mut html,
    );
    html.push_str("</ul>\n");
    if let Some((_, own)) = own {
        html.push_str("<h3>An Error Occurred While Attempting to Retrieve a Custom Error Document</h3>\n<ul>\n");
        items(own, &mut html);
        html.push_str("</ul>\n");
    }
    html.push_str("<hr/>\n</body>\n</html>\n");
    // What is not modified has no page.
    let body = if status == StatusCode::NOT_MODIFIED {
        Vec::new()
    } else {
        html.into_bytes()
    };
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    for (name, value) in &failure.headers {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(*name, value);
        }
    }
    describe(failure, &mut response);
    response
}

fn items(failure: &Failure, html: &mut String) {
    item("Code", &failure.code, html);
    item("Message", &failure.message, html);
    for (name, value) in &failure.fields {
        item(name, value, html);
    }
}

fn item(name: &str, value: &str, html: &mut String) {
    let value = value
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    html.push_str(&format!("<li>{name}: {value}</li>\n"));
}
